"""The JSON Schema of the lines, made of the same forms that write and read them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from ._classes import CheckpointForm, ClassForm, Known, known_of

Schema = dict[str, Any]

_DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
_VALUE: Final[Schema] = {"$ref": "#/$defs/json.value"}
_TEXT: Final[Schema] = {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/tag.str"}]}
_ZERO_OR_MORE: Final[Schema] = {"type": "integer", "minimum": 0}
_BASE64: Final = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"
_OFFSET: Final = r"([+-]\d\d:\d\d(:\d\d(\.\d{6})?)?)?"
_TIME: Final = rf"\d\d:\d\d:\d\d(\.\d{{6}})?{_OFFSET}$"
_DATE: Final = r"^\d{4}-\d\d-\d\d"


def event_schema(extra: Iterable[type] = ()) -> Schema:
    """The JSON Schema of a line, draft 2020-12.

    Args:
        extra: as of ``EventCodec``.

    Raises:
        SetupError: as there.
    """
    return schema_of(known_of(extra))


def schema_of(known: Known) -> Schema:
    """The JSON Schema of the lines with these classes."""
    forms = sorted(known.by_type.values(), key=lambda form: form.name)
    lines = [form for form in forms if form.is_line]
    definitions = {form.name: _line(form) for form in lines}
    definitions |= {f"{form.name}.fields": _fields(form) for form in forms}
    definitions |= _value_definitions(forms)
    return {
        "$schema": _DRAFT,
        "title": "A line of trio_ingest",
        "description": "An event, a checkpoint or a cursor, as EventCodec writes it.",
        **_by("type", {form.name: f"#/$defs/{form.name}" for form in lines}),
        "$defs": definitions,
    }


def _by(key: str, targets: dict[str, str]) -> Schema:
    """An object that is described by what one of its keys says.

    Not as one of several, all of which a validator would have to try, at each depth again.
    """
    chosen = [
        {"if": {"properties": {key: {"const": name}}}, "then": {"$ref": target}}
        for name, target in targets.items()
    ]
    return {
        "type": "object",
        "properties": {key: {"enum": list(targets)}},
        "required": [key],
        "allOf": chosen,
    }


def _line(form: ClassForm) -> Schema:
    if isinstance(form, CheckpointForm):
        return _object({"type": {"const": form.name}, **_checkpoint()})
    own = {"type": {"const": form.name}, "version": {"const": form.version}}
    return _described(form, _object({**own, **_properties(form)}))


def _fields(form: ClassForm) -> Schema:
    if isinstance(form, CheckpointForm):
        return _object(_checkpoint())
    return _described(form, _object(_properties(form)))


def _described(form: ClassForm, schema: Schema) -> Schema:
    doc = (form.cls.__doc__ or "").strip().partition("\n")[0]
    return {"description": doc, **schema} if doc else schema


def _properties(form: ClassForm) -> Schema:
    return {field.name: field.shape.schema() for field in form.fields}


def _object(properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _checkpoint() -> Schema:
    pair = {"type": "array", "items": _ZERO_OR_MORE, "minItems": 2, "maxItems": 2}
    position = {
        "source": _TEXT,
        "parameters": _TEXT,
        "watermark": _ZERO_OR_MORE,
        "ended": {"type": "array", "items": pair},
        "cursor": _VALUE,
        "cursor_record": {"type": ["integer", "null"], "minimum": 0},
        "finished": {"type": "boolean"},
        "stable_order": {"type": "boolean"},
    }
    return {
        "version": {"const": 1},
        "positions": {"type": "array", "items": _object(position)},
    }


def _value_definitions(forms: list[ClassForm]) -> Schema:
    tags = _tags()
    objects = {form.name: f"#/$defs/object.{form.name}" for form in forms}
    return {
        # With a dot, which no class has in its name.
        "json.value": {
            "description": "Any value; what JSON has no form for has a tag, named by its $.",
            "if": {"type": "object", "required": ["$"]},
            "then": _by("$", {tag: f"#/$defs/tag.{tag}" for tag in (*tags, "object")}),
            "else": {"items": _VALUE, "additionalProperties": _VALUE},
        },
        "json.mapping": {
            "type": "object",
            "not": {"required": ["$"]},
            "additionalProperties": _VALUE,
        },
        "json.error": _object(_error()),
        **{f"tag.{tag}": schema for tag, schema in tags.items()},
        "tag.object": _by("class", objects),
        **{f"object.{form.name}": _tagged_object(form) for form in forms},
    }


def _error() -> Schema:
    return {"type": _TEXT, "message": _TEXT, "notes": {"type": "array", "items": _TEXT}}


def _tags() -> Schema:
    items = {"type": "array", "items": _VALUE}
    pair = {"type": "array", "items": _VALUE, "minItems": 2, "maxItems": 2}
    return {
        "str": _tag("str", {"type": "string"}),
        "int": _tag("int", _matching("^-?0x[0-9a-f]+$")),
        "float": _tag("float", {"enum": ["nan", "inf", "-inf"]}),
        "bytes": _tag("bytes", _matching(_BASE64)),
        "datetime": _folded("datetime", f"{_DATE}T{_TIME}"),
        "date": _tag("date", _matching(f"{_DATE}$")),
        "time": _folded("time", f"^{_TIME}"),
        "timedelta": _tag(
            "timedelta",
            {"type": "array", "items": {"type": "integer"}, "minItems": 3, "maxItems": 3},
        ),
        "Decimal": _tag("Decimal", {"type": "string"}),
        "UUID": _tag("UUID", _matching("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")),
        "Path": _tag("Path", _TEXT),
        "PurePosixPath": _tag("PurePosixPath", _TEXT),
        "PureWindowsPath": _tag("PureWindowsPath", _TEXT),
        "tuple": _tag("tuple", items),
        "set": _tag("set", items),
        "frozenset": _tag("frozenset", items),
        "dict": _tag("dict", {"type": "array", "items": pair}),
        "error": _object({"$": {"const": "error"}, **_error()}),
        "opaque": _object({"$": {"const": "opaque"}, "class": _TEXT, "text": _TEXT}),
    }


def _tagged_object(form: ClassForm) -> Schema:
    value = {"$ref": f"#/$defs/{form.name}.fields"}
    return _object({"$": {"const": "object"}, "class": {"const": form.name}, "value": value})


def _tag(name: str, value: Schema) -> Schema:
    return _object({"$": {"const": name}, "value": value})


def _folded(name: str, pattern: str) -> Schema:
    schema = _tag(name, _matching(pattern))
    schema["properties"]["fold"] = {"const": 1}
    return schema


def _matching(pattern: str) -> Schema:
    return {"type": "string", "pattern": pattern}
