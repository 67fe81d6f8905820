"""What to persist to resume: small, versioned, made of JSON values only.

The engine mints checkpoints and stores nothing. A checkpoint holds one
position for each adapter run, keyed by the adapter's source and the canonical
JSON of its params. Its size follows what is in flight, never how much was done.
"""

import json
import pathlib
from collections.abc import Mapping
from typing import Any, Self, TypeAlias

import attrs

from .errors import CheckpointError, SetupError, shortened
from .reprs import one_line

CHECKPOINT_VERSION = 1

Range: TypeAlias = tuple[int, int]

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

    __module__ = "trio_ingest"

    value: Any = attrs.field(repr=one_line)


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
        """Whether this record has ended."""
        return record_number < self.watermark or any(
            start <= record_number < stop for start, stop in self.ended
        )


@attrs.frozen
class Checkpoint:
    """Everything a later run needs to go on from here.

    Args:
        positions: one for each adapter run, in the order of the run.
        version: of this form.
    """

    __module__ = "trio_ingest"

    positions: tuple[Position, ...] = attrs.field(repr=lambda value: one_line(value, 400))
    version: int = CHECKPOINT_VERSION

    @property
    def finished(self) -> bool:
        """Whether every adapter run came to its end; False when there is no position."""
        return bool(self.positions) and all(position.finished for position in self.positions)

    def position(self, source: str, params: Mapping[str, Any]) -> Position | None:
        """The position of one adapter run; None when the checkpoint knows none of it."""
        return self._by_key.get((source, canonical_parameters(params)))

    def covers(self, other: Self) -> bool:
        """Whether this checkpoint claims everything that the other one claims."""
        mine = self._by_key
        for theirs in other.positions:
            ours = mine.get((theirs.source, theirs.parameters))
            if ours is None:
                if theirs.finished or theirs.watermark or theirs.ended:
                    return False
            elif not _covers(ours, theirs):
                return False
        return True

    def meet(self, other: Self) -> Self:
        """What both claim: from there, whoever holds either of them misses nothing.

        Positions are those of this checkpoint; one that the other lacks claims nothing.

        Memory: O(ranges of both).
        """
        theirs = other._by_key
        return attrs.evolve(
            self,
            positions=tuple(
                _met(p, theirs.get((p.source, p.parameters))) for p in self.positions
            ),
        )

    def join(self, other: Self) -> Self:
        """What either claims, where records keep their numbers; else what ``other`` claims.

        Positions are those of the other checkpoint.

        Memory: O(ranges of both).
        """
        mine = self._by_key
        return attrs.evolve(
            other,
            positions=tuple(
                _joined(p, mine.get((p.source, p.parameters))) for p in other.positions
            ),
        )

    @property
    def _by_key(self) -> dict[tuple[str, str], Position]:
        return {(p.source, p.parameters): p for p in self.positions}

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
                "stable_order": p.stable_order,
            }
            for p in self.positions
        ]
        return {"version": self.version, "positions": positions}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """A checkpoint from what ``to_dict`` gave.

        Raises:
            CheckpointError: when a newer version wrote it, or it is damaged.
        """
        try:
            version = data["version"]
            if type(version) is not int or version < 1:
                raise ValueError(f"version is {shortened(version)}")
            if version <= CHECKPOINT_VERSION:
                positions = tuple(_position(item) for item in data["positions"])
                if len({(p.source, p.parameters) for p in positions}) != len(positions):
                    raise ValueError("two positions of one adapter run")
                return cls(positions, version)
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
    # A release that did not know of it wrote none.
    stable_order = data.get("stable_order", False)
    if type(stable_order) is not bool:
        raise ValueError(f"stable_order is {stable_order!r}")
    return Position(
        source,
        parameters,
        watermark,
        ended,
        data["cursor"],
        cursor_record,
        finished,
        stable_order,
    )


def _covers(ours: Position, theirs: Position) -> bool:
    """Whether resuming from ``theirs`` passes over nothing that ``ours`` lacks."""
    if not (ours.stable_order and theirs.stable_order):
        return _reach(ours) >= _reach(theirs)
    claimed = _ranges_of(theirs)
    is_all = _intersection(_ranges_of(ours), claimed) == claimed
    return is_all and (ours.finished or not theirs.finished)


def _reach(position: Position) -> tuple[bool, int, int]:
    """How far a run came whose numbers will name other records next time."""
    return position.finished, position.cursor_record or 0, position.watermark


def _met(ours: Position, theirs: Position | None) -> Position:
    """What both positions claim, resumed from the newest cursor that both have passed."""
    if theirs is None:
        return Position(ours.source, ours.parameters, stable_order=ours.stable_order)
    if not (ours.stable_order and theirs.stable_order):
        # Numbers say nothing here; the cursors do, and of them the earlier one is safe.
        return min(ours, theirs, key=_reach)
    met = _with_ranges(
        ours,
        _intersection(_ranges_of(ours), _ranges_of(theirs)),
        cursor=None,
        cursor_record=None,
        finished=ours.finished and theirs.finished,
    )
    return _with_cursor(met, ours, theirs)


def _joined(ours: Position, theirs: Position | None) -> Position:
    """What either position claims, with the newest cursor of both."""
    if theirs is None or not (ours.stable_order and theirs.stable_order):
        return ours
    claimed = _ranges_of(theirs)
    union = _union(_ranges_of(ours), claimed)
    # An end that new records have come after is none.
    finished = ours.finished or (theirs.finished and union == claimed)
    joined = _with_ranges(ours, union, finished=finished)
    return _with_cursor(joined, ours, theirs)


def _ranges_of(position: Position) -> list[Range]:
    """Every number that it claims, as sorted ranges."""
    first = [(0, position.watermark)] if position.watermark else []
    return [*first, *position.ended]


def _with_ranges(position: Position, ranges: list[Range], **changes: Any) -> Position:
    """As it is, but claiming these numbers."""
    watermark = 0
    if ranges and ranges[0][0] == 0:
        watermark, ranges = ranges[0][1], ranges[1:]
    return attrs.evolve(position, watermark=watermark, ended=tuple(ranges), **changes)


def _with_cursor(position: Position, *others: Position) -> Position:
    """With the newest of their cursors before which everything has ended."""
    passed = [
        (p.cursor_record, place)
        for place, p in enumerate(others)
        if p.cursor_record is not None and p.cursor_record <= position.watermark
    ]
    if not passed:
        return attrs.evolve(position, cursor=None, cursor_record=None)
    newest = others[max(passed)[1]]
    return attrs.evolve(position, cursor=newest.cursor, cursor_record=newest.cursor_record)


def _intersection(ours: list[Range], theirs: list[Range]) -> list[Range]:
    """The numbers that are in both; each list is sorted and free of overlaps."""
    found = []
    i = j = 0
    while i < len(ours) and j < len(theirs):
        start, stop = max(ours[i][0], theirs[j][0]), min(ours[i][1], theirs[j][1])
        if start < stop:
            found.append((start, stop))
        if ours[i][1] < theirs[j][1]:
            i += 1
        else:
            j += 1
    return found


def _union(ours: list[Range], theirs: list[Range]) -> list[Range]:
    """The numbers that are in either, with ranges that touch made one."""
    found: list[Range] = []
    for start, stop in sorted([*ours, *theirs]):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], stop))
        else:
            found.append((start, stop))
    return found


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
