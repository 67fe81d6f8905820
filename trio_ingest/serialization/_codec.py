"""The codec: an object that is told which classes there are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any, Final, Literal, TypeAlias

import cattrs

from trio_ingest import Checkpoint, Cursor, PipelineEvent, SetupError, UnknownEventError
from trio_ingest._core.reprs import class_name

from ._fast import writers
from ._hooks import Hooks
from ._registry import ClassRegistry
from ._schema import schema_of
from ._text import back_end, dumps, loads
from ._values import UnknownEvent
from .errors import DecodeError, Mismatch, UnregisteredType, explained, shown

Recorded: TypeAlias = PipelineEvent | Checkpoint | Cursor

_STAMPS: Final = {"timestamp": (int, float), "pipeline_id": (str,), "sequence": (int,)}


class EventCodec:
    """Writes events, checkpoints and cursors as lines of JSON, and reads them.

    Args:
        extra: classes beside our own: an adapter's events, and attrs classes whose objects
            are found in documents.
        json: the library that makes the text: ``"orjson"``, ``"json"`` for the standard
            one, or ``"auto"`` for orjson when it is installed. The values are the same.
        unknown_events: what reading does with a type or a version that it does not know:
            ``"error"`` raises ``UnknownEventError``, ``"keep"`` gives an ``UnknownEvent``.

    Raises:
        SetupError: two classes have one name, one is no attrs class, or an argument is none
            of these.
        MissingExtraError: orjson is asked for, and not installed.

    ``converter`` takes hooks for types of your own, before the first line.

    Memory: the classes that it was told of or has met, and no value of them.
    """

    def __init__(
        self,
        extra: Iterable[type] = (),
        *,
        json: Literal["auto", "orjson", "json"] = "auto",
        unknown_events: Literal["error", "keep"] = "error",
    ) -> None:
        if unknown_events not in {"error", "keep"}:
            got = f"got {unknown_events!r:.80}"
            raise SetupError(f"unknown_events must be 'error' or 'keep'; {got}.")
        self._keeps_unknown = unknown_events == "keep"
        make_converter, self._dumps, self._loads = back_end(json)
        self.converter: cattrs.Converter = make_converter(forbid_extra_keys=True)
        self._hooks = Hooks(self.converter, ClassRegistry(extra))

    def encode(self, item: Recorded) -> bytes:
        """Return one line of JSON in UTF-8, without a line feed.

        Args:
            item: an event, a checkpoint or a cursor.

        Raises:
            SetupError: it is none of them. Nothing that they hold makes it fail.
        """
        try:
            return self._writers[item.__class__](item)  # type: ignore[no-any-return]
        except (LookupError, TypeError, ValueError):  # so it is none for this way
            return dumps(self.to_dict(item))

    def decode(self, data: bytes | str, *, line: int | None = None) -> Recorded:
        """Return what ``encode`` was given.

        Args:
            data: a line.
            line: its number in a file, for the error.

        Raises:
            DecodeError: it is no JSON, or not what ``encode`` writes; says where.
            UnknownEventError: its type or its version is not known.
        """
        state = self._hooks.values.state
        before = state.mode
        try:
            text = data.encode() if isinstance(data, str) else bytes(data)
            state.mode = "quick", b'"$"' not in text and b"\\u0024" not in text
            form = self._loads(text)
            form["version"]  # which a part of a line need not have
            return self._hooks.read(form, None)  # type: ignore[no-any-return]
        except Exception:  # noqa: BLE001 -- the other way says what is wrong
            return self._read(lambda: loads(data), line)
        finally:
            state.mode = before

    def to_dict(self, item: Recorded) -> dict[str, Any]:
        """Return what ``encode`` writes, as JSON values of its own; raises as it does.

        Args:
            item: an event, a checkpoint or a cursor.
        """
        if not self._hooks.registry.version_of(type(item)):
            got = f"got {class_name(type(item))}. Put it into an event of your own"
            raise SetupError(f"Only an event, a Checkpoint or a Cursor can be written; {got}.")
        return self.converter.unstructure(item)  # type: ignore[no-any-return]

    def from_dict(self, mapping: Mapping[str, Any], *, line: int | None = None) -> Recorded:
        """Return what ``to_dict`` was given; raises as ``decode`` does.

        Args:
            mapping: what ``to_dict`` returned.
            line: as of ``decode``.
        """
        return self._read(lambda: mapping, line)

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of what it writes; see ``event_schema``."""
        return schema_of(self._hooks)

    @cached_property
    def _writers(self) -> dict[type, Any]:
        # Made when the user's hooks are there; for orjson, which refuses what needs a tag.
        return {} if self._dumps is dumps else writers(self._hooks, self._dumps)

    def _read(self, parsed: Callable[[], Any], line: int | None) -> Recorded:
        path, state, registry = "this", self._hooks.values.state, self._hooks.registry
        before = state.mode
        try:
            state.mode, form, path = ("detailed", False), parsed(), "the line"
            if not isinstance(form, Mapping):
                raise Mismatch(f"is {shown(form)}, not a JSON object")
            for path in ("version", "type"):
                form[path]
            if type(form["type"]) is not str:
                raise Mismatch(f"is {shown(form['type'])}, not the name of an event")
            path = repr(form["type"])
            if not registry.version_of(registry.by_name.get(form["type"])):
                raise UnregisteredType("is no type that is known here")
            path = form["type"]
            return self._hooks.read(dict(form), None)  # type: ignore[no-any-return]
        except Exception as error:
            cause, why = explained(error, path)
            place = why if line is None else f"line {line}: {why}"
            if not isinstance(cause, UnregisteredType):
                raise DecodeError(f"{place}. Mend it, or read it with its writer.") from error
            if self._keeps_unknown:
                stamps = {k: form[k] for k in _STAMPS if type(form.get(k)) in _STAMPS[k]}
                return UnknownEvent(fields=form, **stamps)
            remedy = "Upgrade, give its class in extra=[...], or use unknown_events='keep'"
            raise UnknownEventError(f"{place}. {remedy}.") from error
        finally:
            state.mode = before


def event_schema(extra: Iterable[type] = ()) -> dict[str, Any]:
    """Return the JSON Schema of a line, draft 2020-12.

    Args:
        extra: as of ``EventCodec``, which raises the same.
    """
    return EventCodec(extra, json="json").schema()
