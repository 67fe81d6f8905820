"""The JSON Schema of the lines, made of the classes that they are of."""

from __future__ import annotations

import typing
from typing import Any, Final

from trio_ingest import Checkpoint, Position

from ._hooks import KINDS, UNIONS, Hooks
from ._values import TAGS

Schema = dict[str, Any]

_DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
_TITLE: Final = "A line of trio_ingest: an event, a checkpoint or a cursor"
_TIME: Final = r"\d\d:\d\d:\d\d(\.\d{6})?([+-]\d\d:\d\d(:\d\d(\.\d{6})?)?)?$"
_DATE: Final = r"^\d{4}-\d\d-\d\d"
_PATTERNS: Final = {
    "int": "^-?0x[0-9a-f]+$",
    "float": "^(nan|-?inf)$",
    "bytes": "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",
    "datetime": f"{_DATE}T{_TIME}",
    "date": f"{_DATE}$",
    "time": f"^{_TIME}",
    "UUID": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
}

_VALUE: Final = {"$ref": "#/$defs/json.value"}
_LIST: Final = {"type": "array", "items": _VALUE}
_PLAIN: Final = {str: "string", int: "integer", float: "number", bool: "boolean"}
_JSON: Final[dict[type, Schema]] = {
    **{kind: {"type": name} for kind, name in (_PLAIN | {type(None): "null"}).items()},
    list: _LIST,
    dict: {"type": "object", "not": {"required": ["$"]}, "additionalProperties": _VALUE},
}


def schema_of(hooks: Hooks) -> Schema:
    """Return the JSON Schema of the lines with the classes that a codec was told of."""
    classes, lines = sorted(hooks.registry.by_name.items()), []
    definitions = {f"{name}.fields": _fields(cls, hooks) for name, cls in classes} | _values()
    for name, cls in classes:
        fields, version = definitions[f"{name}.fields"], hooks.registry.version_of(cls)
        tag = {"$": {"const": "object"}, "class": {"const": name}}
        definitions[f"object.{name}"] = _object({**tag, "value": _ref(f"{name}.fields")})
        if version:
            own = {"type": {"const": name}, "version": {"const": version}}
            definitions[name] = {**fields, **_object({**own, **fields["properties"]})}
            lines.append(name)
    definitions["tag.object"] = _by("class", [name for name, _ in classes], "object.")
    return {"$schema": _DRAFT, "title": _TITLE, **_by("type", lines), "$defs": definitions}


def _values() -> Schema:
    """Return the definitions of what a field may hold: kinds of values, and tags."""
    kinds, tags = {}, {}
    for kind in KINDS:
        taken = (float, int) if kind is float else kind
        given = {name: one for name, (one, _, _) in TAGS.items() if issubclass(one, taken)}
        plain = [of for one, of in _JSON.items() if kind is one or issubclass(one, taken)]
        plain = [of for of in plain if kind is bool or of is not _JSON[bool]]
        forms = [*plain, *(_ref(f"tag.{name}") for name in given)]
        kinds[f"kind.{kind.__name__}"] = {"anyOf": forms}
    for name, (_, write, _) in TAGS.items():
        part = _LIST if write is None or name == "timedelta" else _ref("kind.str")
        if name in _PATTERNS:
            part = {"type": "string", "pattern": _PATTERNS[name]}
        tags[f"tag.{name}"] = _object({"$": {"const": name}, "value": part})
    for name in ("tag.datetime", "tag.time"):
        tags[name]["properties"]["fold"] = {"const": 1}
    text = dict.fromkeys(("class", "text"), _ref("kind.str"))
    tags["tag.opaque"] = _object({"$": {"const": "opaque"}, **text})
    value: Schema = {"if": {"type": "object", "required": ["$"]}}
    value["then"] = _by("$", [*TAGS, "opaque", "object"], "tag.")
    value["else"] = {"items": _VALUE, "additionalProperties": _VALUE}
    return {"json.value": value, **kinds, **tags}


def _fields(cls: type, hooks: Hooks) -> Schema:
    if cls is Checkpoint:
        # The form that it gives itself.
        position = {**_fields(Position, hooks)["properties"], "ended": _LIST}
        positions = {"type": "array", "items": _object(position)}
        return _object({"version": {"const": 1}, "positions": positions})
    fields = hooks.registry.fields_of(cls)
    schemas = {field.name: _annotated(field.type.of, hooks) for field in fields}
    return {"description": (cls.__doc__ or "").partition("\n")[0], **_object(schemas)}


def _annotated(annotation: Any, hooks: Hooks) -> Schema:
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    kind, names = origin or annotation, hooks.registry.names
    if origin in UNIONS:
        return {"anyOf": [_annotated(arg, hooks) for arg in args]}
    if origin is typing.Literal and {*map(type, args)} <= {str, int, bool, type(None)}:
        return {"anyOf": [{"enum": list(args)}, _ref("tag.opaque")]}
    if kind not in KINDS and kind not in names:
        # A hook of the user's own may give any JSON value.
        return _VALUE if kind is Any else {}
    own = [f"{kind.__name__}.fields", "tag.object"]
    refs = own if kind in names else [f"kind.{kind.__name__}"]
    return {"anyOf": [_ref(name) for name in (*refs, "tag.opaque")]}


def _by(key: str, names: list[str], prefix: str = "") -> Schema:
    # Not as one of several, all of which a validator would have to try, at each depth again.
    ifs = [
        {"if": {"properties": {key: {"const": n}}}, "then": _ref(prefix + n)} for n in names
    ]
    properties = {key: {"enum": names}}
    return {"type": "object", "properties": properties, "required": [key], "allOf": ifs}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _object(properties: Schema) -> Schema:
    required = {"required": list(properties), "additionalProperties": False}
    return {"type": "object", "properties": properties, **required}
