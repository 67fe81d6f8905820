"""The codec: an object that is told which classes there are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, TypeAlias

import cattrs

from trio_ingest import Checkpoint, Cursor, PipelineEvent, SetupError, UnknownEventError

from ._backends import STANDARD, JsonChoice, back_end, dump_as_it_is
from ._classes import ClassForm, Known, known_of
from ._described import UnknownEvent, name_of
from ._fast_reader import fast_reader
from ._fast_writer import fast_encode
from ._schema import schema_of
from ._tags import Mismatch, Reader, Untold, shown
from ._values import Writer
from .errors import DecodeError

Recorded: TypeAlias = PipelineEvent | Checkpoint | Cursor

_OURS: Final = frozenset({"type", "version"})
_STAMPS: Final = {"timestamp": (int, float), "pipeline_id": (str,), "sequence": (int,)}


class EventCodec:
    """Writes events, checkpoints and cursors as lines of JSON, and reads them.

    Args:
        extra: classes beside our own: an adapter's events, and attrs classes whose objects
            are found in documents.
        json: what makes the text: ``"orjson"``, ``"json"`` for the standard library, or
            ``"auto"`` for orjson when it is installed. The values are the same.
        unknown_events: what reading does with a type or a version that it does not know:
            ``"error"`` raises ``UnknownEventError``, ``"keep"`` gives an ``UnknownEvent``.
        unknown_fields: what it does with a field that its type does not have: ``"error"``
            raises ``DecodeError``, ``"apart"`` leaves it out; ``decode_apart`` gives it.

    Raises:
        SetupError: two classes have one name, one is no attrs class, or an argument is none
            of these.
        MissingExtraError: orjson is asked for, and not installed.

    ``converter`` is a ``cattrs.Converter`` that writes and reads these classes so, for
    events within structures of your own.

    Memory: what it was told, and nothing of what it has read or written.
    """

    __module__ = "trio_ingest.serialization"

    def __init__(
        self,
        extra: Iterable[type] = (),
        *,
        json: JsonChoice = "auto",
        unknown_events: Literal["error", "keep"] = "error",
        unknown_fields: Literal["error", "apart"] = "error",
    ) -> None:
        if unknown_events not in {"error", "keep"}:
            raise SetupError(
                f"unknown_events must be 'error' or 'keep'; got {unknown_events!r:.80}."
            )
        if unknown_fields not in {"error", "apart"}:
            raise SetupError(
                f"unknown_fields must be 'error' or 'apart'; got {unknown_fields!r:.80}."
            )
        self._back_end = back_end(json)
        self._keeps_unknown = unknown_events == "keep"
        self._puts_apart = unknown_fields == "apart"
        self._known = known_of(extra)
        # Classes that were not told, and are written all the same.
        self._untold: dict[type, ClassForm] = {}
        self._loads = self._back_end.loads
        lines = [form for form in self._known.by_type.values() if form.is_line]
        self._readers = {form.name: fast_reader(form, self._known) for form in lines}
        self._encode = fast_encode(self._known, self._back_end, self._encode_anything)
        if type(self).encode is EventCodec.encode:
            # What it does, without the call of it.
            vars(self)["encode"] = self._encode
        self.converter = self._new_converter()

    def encode(self, item: Recorded) -> bytes:
        """One line of JSON in UTF-8, without a line feed.

        Args:
            item: an event, a checkpoint or a cursor.

        Raises:
            SetupError: it is none of them. Nothing that they hold makes it fail.
        """
        return self._encode(item)

    def _encode_anything(self, item: Recorded) -> bytes:
        form = self.to_dict(item)
        try:
            return self._back_end.text_of(form)
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001 -- an unknown event, of which orjson takes less
            return dump_as_it_is(form)

    def decode(self, data: bytes | str, *, line: int | None = None) -> Recorded:
        """The inverse of ``encode``.

        Args:
            data: a line.
            line: its number in a file, for the error.

        Raises:
            DecodeError: it is no JSON, or not what ``encode`` writes; says where.
            UnknownEventError: its type or its version is not known.
        """
        try:
            if type(data) is str:
                data = data.encode()
            if b'"$"' not in data and b"\\u0024" not in data:
                form = self._loads(data)
                return self._readers[form["type"]](form)  # type: ignore[no-any-return]
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001, S110 -- the other way says what is wrong
            pass
        return self._read(self._parsed(data, line), line, {})

    def decode_apart(
        self, data: bytes | str, *, line: int | None = None
    ) -> tuple[Recorded, dict[str, Any]]:
        """As ``decode``, and the unknown fields by their paths, as JSON values.

        With ``unknown_fields="error"`` there are never any.
        """
        apart: dict[str, Any] = {}
        return self._read(self._parsed(data, line), line, apart), apart

    def to_dict(self, item: Recorded) -> dict[str, Any]:
        """What ``encode`` writes, as JSON values of its own.

        Raises: as ``encode``.
        """
        kind = type(item)
        if kind is UnknownEvent:
            return _kept(item, self._known)  # type: ignore[arg-type]
        form = self._known.by_type.get(kind) or self._form_of_untold(kind)
        if not form.is_line:
            raise SetupError(
                f"Only an event, a Checkpoint or a Cursor is a line of its own; got "
                f"{name_of(kind)}, which stands within them."
            )
        fields = form.write(Writer(self._known), item, 0)
        version = fields.pop("version") if kind is Checkpoint else form.version
        for name in _OURS & fields.keys():
            # Of a class that was not told: a line says for itself what it is.
            fields[f"{name}_"] = fields.pop(name)
        return {"type": form.name, "version": version, **fields}

    def from_dict(self, mapping: Mapping[str, Any], *, line: int | None = None) -> Recorded:
        """The inverse of ``to_dict``.

        Raises: as ``decode``.
        """
        given: object = mapping
        # Whatever is no mapping is refused as a line that is none.
        form = dict(given) if isinstance(given, Mapping) else given
        return self._read(form, line, {})

    def schema(self) -> dict[str, Any]:
        """The JSON Schema of what it writes; see ``event_schema``."""
        return schema_of(self._known)

    def _parsed(self, data: bytes | str, line: int | None) -> Any:
        if not isinstance(data, str | bytes | bytearray | memoryview):
            raise DecodeError(
                f"{_place(line)}this is neither bytes nor text, but of the type "
                f"{name_of(type(data))}. Give the line as it was read from its file."
            )
        try:
            # By the standard library, which says more of what is wrong.
            return STANDARD.loads(data)
        except (ValueError, RecursionError) as error:
            raise DecodeError(
                f"{_place(line)}this is no JSON: {error}; it begins with {data[:40]!r}. Each "
                f"line must be one whole JSON object in UTF-8."
            ) from error

    def _read(self, form: Any, line: int | None, apart: dict[str, Any]) -> Recorded:
        reader = Reader(self._known, apart if self._puts_apart else None)
        try:
            return self._read_line(form, reader)
        except Untold as untold:
            if self._keeps_unknown:
                return _kept_as_it_came(form)
            raise UnknownEventError(
                f"{_place(line)}{untold}. Give its class as EventCodec(extra=[...]), or "
                f"upgrade what reads it, or keep such events with unknown_events='keep'."
            ) from untold
        except Mismatch as error:
            raise DecodeError(
                f"{_place(line)}{error.path} {error.why}. Mend the line, or read it with what "
                f"wrote it."
            ) from error
        except RecursionError as error:
            raise DecodeError(
                f"{_place(line)}the values are nested too deep to be read. Mend the line, or "
                f"leave it out."
            ) from error

    def _read_line(self, form: Any, reader: Reader) -> Recorded:
        if type(form) is not dict:
            raise Mismatch("the line", f"is {shown(form)}, not a JSON object")
        name, version = (_given(form, key) for key in ("type", "version"))
        if type(name) is not str:
            raise Mismatch("type", f"is {shown(name)}, not the name of an event")
        if type(version) is not int or version < 1:
            raise Mismatch(f"{name}.version", f"is {shown(version)}, not a version from 1")
        known = self._known.by_name.get(name)
        if known is None or not known.is_line:
            raise Untold(f"{shown(name)} is no type that is known here")
        if known.version is not None and version > known.version:
            raise Untold(
                f"{name} has the version {version}, and up to {known.version} is known here"
            )
        rest = {key: part for key, part in form.items() if key not in _OURS}
        if known.cls is Checkpoint:
            rest["version"] = version
        is_older = known.version is not None and version < known.version
        read: Recorded = known.read(reader, rest, name, is_older=is_older)
        return read

    def _form_of_untold(self, kind: type) -> ClassForm:
        if kind not in self._untold:
            if not issubclass(kind, PipelineEvent):
                raise SetupError(
                    f"Only an event, a Checkpoint or a Cursor can be written; got "
                    f"{name_of(kind)}. Put it into an event of your own."
                )
            name = kind.__name__
            # Not under a name that would be read as something else.
            name = name_of(kind) if name in self._known.by_name else name
            # A field of this name hides what the class says.
            version = kind.version if type(kind.version) is int else 1
            form = ClassForm(kind, name, version)
            form.settle(self._known.by_type)
            self._untold[kind] = form
        return self._untold[kind]

    def _new_converter(self) -> cattrs.Converter:
        lines = {form.cls for form in self._known.by_type.values() if form.is_line}
        # A field that may hold any event holds one with its type as well.
        lines |= {PipelineEvent, UnknownEvent}

        def is_line(kind: Any) -> bool:
            return isinstance(kind, type) and kind in lines

        converter = cattrs.Converter()
        converter.register_unstructure_hook_func(is_line, self.to_dict)
        converter.register_structure_hook_func(is_line, self._structured)
        return converter

    def _structured(self, form: Any, kind: type) -> Recorded:
        found = self.from_dict(form)
        if not isinstance(found, kind):
            raise DecodeError(
                f"This is a {type(found).__name__}, where a {kind.__name__} should be. Mend "
                f"the line, or structure it as what it is."
            )
        return found


def _place(line: int | None) -> str:
    return "" if line is None else f"line {line}: "


def _given(form: dict[str, Any], key: str) -> Any:
    if key not in form:
        raise Mismatch(key, "is missing")
    return form[key]


def _kept_as_it_came(form: dict[str, Any]) -> UnknownEvent:
    stamps = {key: form[key] for key, kinds in _STAMPS.items() if type(form.get(key)) in kinds}
    return UnknownEvent(fields=form, **stamps)


def _kept(event: UnknownEvent, known: Known) -> dict[str, Any]:
    """An unknown event as it came; what is in it has its tags already."""
    try:
        fields = dict(event.fields)
        first = {"type": fields.pop("type"), "version": fields.pop("version")}
        if type(first["type"]) is not str or type(first["version"]) is not int:
            raise TypeError("a line that could not be read again")
        form = {**first, **fields}
        dump_as_it_is(form)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 -- somebody else has made it
        described = Writer(known).value(event.fields, 2)
        return {"type": "UnknownEvent", "version": 1, "fields": described}
    return form
