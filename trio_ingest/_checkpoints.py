"""What to persist to resume: small, versioned, made of JSON values only.

The engine mints checkpoints and stores nothing. A checkpoint holds one
position for each adapter run, keyed by the adapter's source and the canonical
JSON of its params. Its size follows what is in flight, never how much was done.
"""

from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping
from typing import Any

import attrs

from ._errors import CheckpointError, SetupError, shortened

CHECKPOINT_VERSION = 1

# By name, because importing decimal and uuid would cost a tenth of importing all this.
_NAMED_BY_TEXT = frozenset(
    {
        ("datetime", "date"),
        ("datetime", "datetime"),
        ("datetime", "time"),
        ("decimal", "Decimal"),
        ("uuid", "UUID"),
    }
)
_SCALARS = frozenset({int, str, bool, type(None)})


@attrs.frozen
class Cursor:
    """An adapter's own position: everything it yielded before is covered by ``value``.

    Args:
        value: any JSON value; a resumed run calls ``fetch(cursor=value, **params)``.
    """

    value: Any


@attrs.frozen
class Position:
    """How far one adapter run has come.

    Args:
        source: the adapter's ``source``.
        parameters: the canonical JSON of the run's params.
        watermark: the record number below which everything has ended.
        ended: half-open ranges of record numbers that ended beyond the watermark.
        cursor: the adapter's own position, when ``cursor_record`` is not None.
        cursor_record: the record number at which ``cursor`` continues.
        finished: whether the adapter run came to its end.
    """

    source: str
    parameters: str
    watermark: int = 0
    ended: tuple[tuple[int, int], ...] = ()
    cursor: Any = None
    cursor_record: int | None = None
    finished: bool = False


@attrs.frozen
class Checkpoint:
    """Everything a later run needs to go on from here.

    Args:
        positions: one for each adapter run, in the order of the run.
        version: of this form.
    """

    positions: tuple[Position, ...]
    version: int = CHECKPOINT_VERSION

    def to_dict(self) -> dict[str, Any]:
        """The checkpoint as JSON values; ``from_dict`` is its inverse."""
        positions = [
            {
                "source": p.source,
                "parameters": p.parameters,
                "watermark": p.watermark,
                "ended": [list(pair) for pair in p.ended],
                "cursor": p.cursor,
                "cursor_record": p.cursor_record,
                "finished": p.finished,
            }
            for p in self.positions
        ]
        return {"version": self.version, "positions": positions}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Checkpoint:
        """A checkpoint from what ``to_dict`` gave.

        Raises:
            CheckpointError: when a newer version wrote it, or it is damaged.
        """
        try:
            version = data["version"]
            if type(version) is not int or version < 1:
                raise ValueError(f"version is {shortened(version)}")
            if version <= CHECKPOINT_VERSION:
                return cls(tuple(_position(item) for item in data["positions"]), version)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(
                f"This is not a checkpoint of trio_ingest, or it is damaged ({error!r}): "
                f"{shortened(data)}. Start again without it, or restore an older one."
            ) from error
        raise CheckpointError(
            f"The checkpoint has version {version}; this release of trio_ingest reads up "
            f"to version {CHECKPOINT_VERSION}. Upgrade trio_ingest to resume from it."
        )


def _position(data: Mapping[str, Any]) -> Position:
    source, parameters = data["source"], data["parameters"]
    if type(source) is not str or type(parameters) is not str:
        raise ValueError("source and parameters must be strings")
    watermark, finished = data["watermark"], data["finished"]
    if type(watermark) is not int or watermark < 0 or type(finished) is not bool:
        raise ValueError(f"watermark {watermark!r}, finished {finished!r}")
    cursor_record = data["cursor_record"]
    if cursor_record is not None and (
        type(cursor_record) is not int or not 0 <= cursor_record <= watermark
    ):
        raise ValueError(f"cursor_record is {cursor_record!r}, watermark {watermark}")
    ended = tuple((start, stop) for start, stop in data["ended"])
    edge = watermark
    for start, stop in ended:
        if type(start) is not int or type(stop) is not int or not edge < start < stop:
            raise ValueError(f"the range {start!r}-{stop!r} is out of order")
        edge = stop
    return Position(
        source, parameters, watermark, ended, data["cursor"], cursor_record, finished
    )


def snapshot_of(value: Any) -> Any:
    """A copy of a cursor's value that the adapter can no longer change.

    Raises:
        TypeError or ValueError: when JSON has no form for it.
    """
    if value.__class__ in _SCALARS:
        return value
    return json.loads(json.dumps(value, allow_nan=False))


def canonical_parameters(params: Mapping[str, Any]) -> str:
    """The one spelling of ``params`` that keys a position.

    Dates, times, decimals, UUIDs and paths are named by their text.

    Raises:
        SetupError: when a value has neither a JSON form nor such a text.
    """
    try:
        return json.dumps(
            dict(params),
            sort_keys=True,
            separators=(",", ":"),
            default=_text_of,
            allow_nan=False,
        )
    except (TypeError, ValueError) as error:
        raise SetupError(
            f"params must be made of JSON values, dates, UUIDs and paths, so that a "
            f"checkpoint can name them; got {shortened(params)} ({error})."
        ) from error


def _text_of(value: object) -> str:
    kind = type(value)
    if (kind.__module__, kind.__name__) in _NAMED_BY_TEXT:
        return f"{kind.__name__}:{value}"
    if isinstance(value, pathlib.PurePath):
        return f"path:{value}"
    raise TypeError(f"{kind.__name__} has no JSON form")
