"""The positions that make up a checkpoint, one for each adapter run, and their algebra."""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

import attrs

from .errors import SetupError, abbreviated
from .ranges import Ranges, from_watermark, intersection, split_at_watermark, union
from .reprs import one_line

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
    """An adapter's own position, which covers everything that it yielded before.

    Args:
        value: any JSON value; a resumed run calls ``fetch(cursor=value, **params)``.
    """

    __module__ = "trio_ingest"

    value: Any = attrs.field(repr=one_line)


@attrs.frozen
class Position:
    """The progress of one adapter run.

    Args:
        source: the adapter's ``source``.
        parameters: the canonical JSON of the run's params.
        watermark: the record number below which everything has ended.
        ended: half-open ranges of record numbers that ended beyond the watermark.
        cursor: the adapter's own position, when ``cursor_record`` is not None.
        cursor_record: the record number at which ``cursor`` continues.
        finished: whether the adapter run came to its end.
        stable_order: whether the same numbers will name the same records next time.
    """

    __module__ = "trio_ingest"

    source: str = attrs.field(repr=one_line)
    parameters: str = attrs.field(repr=one_line)
    watermark: int = 0
    ended: tuple[tuple[int, int], ...] = attrs.field(default=(), repr=one_line)
    cursor: Any = attrs.field(default=None, repr=one_line)
    cursor_record: int | None = None
    finished: bool = False
    stable_order: bool = False

    def covers(self, record_number: int) -> bool:
        """Return whether a record has ended.

        Args:
            record_number: its number in the adapter run, from 0.

        Returns:
            True when it lies below the watermark or in one of the ranges beyond it.
        """
        return record_number < self.watermark or any(
            start <= record_number < stop for start, stop in self.ended
        )


def claimed_by(position: Position) -> Ranges:
    """Return every record number that a position claims."""
    return from_watermark(position.watermark, position.ended)


def with_claims(position: Position, ranges: Ranges, **changes: Any) -> Position:
    """Return a position that claims these numbers, and is otherwise as ``position`` is."""
    watermark, ended = split_at_watermark(ranges)
    return attrs.evolve(position, watermark=watermark, ended=ended, **changes)


def to_json(position: Position) -> dict[str, Any]:
    """Return a position as JSON values."""
    ended = [list(pair) for pair in position.ended]
    return {**attrs.asdict(position, recurse=False), "ended": ended}


def from_json(data: Mapping[str, Any]) -> Position:
    """Return the position that ``to_json`` gave.

    Raises:
        KeyError, TypeError or ValueError: when it is damaged.
    """
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
    # A release that did not know of it wrote none.
    stable_order = data.get("stable_order", False)
    if type(stable_order) is not bool:
        raise ValueError(f"stable_order is {stable_order!r}")
    cursor = data["cursor"]
    return Position(
        source, parameters, watermark, ended, cursor, cursor_record, finished, stable_order
    )


def misses_nothing(ours: Position, theirs: Position) -> bool:
    """Return whether ``ours`` claims everything that ``theirs`` claims."""
    if not (ours.stable_order and theirs.stable_order):
        return _reach(ours) >= _reach(theirs)
    claimed = claimed_by(theirs)
    is_all = intersection(claimed_by(ours), claimed) == claimed
    return is_all and (ours.finished or not theirs.finished)


def meet(ours: Position, theirs: Position | None) -> Position:
    """Return the claims of both, resumed from the newest cursor that both have passed."""
    if theirs is None:
        return Position(ours.source, ours.parameters, stable_order=ours.stable_order)
    if not (ours.stable_order and theirs.stable_order):
        # Numbers say nothing here; the cursors do, and of them the earlier one is safe.
        return min(ours, theirs, key=_reach)
    met = with_claims(
        ours,
        intersection(claimed_by(ours), claimed_by(theirs)),
        cursor=None,
        cursor_record=None,
        finished=ours.finished and theirs.finished,
    )
    return _with_cursor(met, ours, theirs)


def join(ours: Position, theirs: Position | None) -> Position:
    """Return the claims of either, with the newest cursor of both."""
    if theirs is None or not (ours.stable_order and theirs.stable_order):
        return ours
    claimed = claimed_by(theirs)
    all_claims = union(claimed_by(ours), claimed)
    # An end that new records have come after is none.
    finished = ours.finished or (theirs.finished and all_claims == claimed)
    return _with_cursor(with_claims(ours, all_claims, finished=finished), ours, theirs)


def _reach(position: Position) -> tuple[bool, int, int]:
    """Return the progress of a run whose numbers will name other records next time."""
    return position.finished, position.cursor_record or 0, position.watermark


def _with_cursor(position: Position, *others: Position) -> Position:
    """Return ``position`` with the newest of their cursors that it has passed."""
    passed = [
        (p.cursor_record, place)
        for place, p in enumerate(others)
        if p.cursor_record is not None and p.cursor_record <= position.watermark
    ]
    if not passed:
        return attrs.evolve(position, cursor=None, cursor_record=None)
    newest = others[max(passed)[1]]
    return attrs.evolve(position, cursor=newest.cursor, cursor_record=newest.cursor_record)


def snapshot_of(value: Any) -> Any:
    """Return a copy of a cursor's value that the adapter can no longer change.

    Raises:
        TypeError or ValueError: when JSON has no form for it.
    """
    if value.__class__ in _SCALARS:
        return value
    return json.loads(json.dumps(value, allow_nan=False))


def canonical_parameters(params: Mapping[str, Any]) -> str:
    """Return the one spelling of ``params`` that keys a position.

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
            f"checkpoint can name them; got {abbreviated(params)} ({error})."
        ) from error


def _text_of(value: object) -> str:
    kind = type(value)
    if (kind.__module__, kind.__name__) in _NAMED_BY_TEXT:
        return f"{kind.__name__}:{value}"
    if isinstance(value, pathlib.PurePath):
        return f"path:{value}"
    raise TypeError(f"{kind.__name__} has no JSON form")
