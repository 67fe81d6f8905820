"""Whether a checkpoint in a log claims what has ended, and nothing else.

What a run did not see end may be claimed for two reasons only: an earlier run had it, or it
was known to be done and passed over, which makes no event and only counts in ``skipped``.
A log does not say what a run was resumed from. Its first checkpoint does: whatever that
claims beyond what has ended must have been passed over by the end, must be covered by
earlier runs in the log, or must lie before the first record that was begun.
"""

from __future__ import annotations

import json
from typing import TypeAlias

from trio_ingest import Checkpoint, Position
from trio_ingest._core.adapter_run import AdapterRun
from trio_ingest._core.watermark import Watermark

from ._findings import Findings
from ._ranges import Ranges, claimed_by, difference, size, union

Key: TypeAlias = tuple[str, str]

_FAR = 1 << 62


class EarlierRuns:
    """What had ended before a run of the log began.

    Args:
        resumed_from: what the first run was resumed from, when somebody knows.

    Memory: O(in flight), and a range or two for each adapter run.
    """

    def __init__(self, resumed_from: Checkpoint | None) -> None:
        self.ranges: dict[Key, Ranges] = {}
        # Whether a run can have begun with nothing else.
        self.is_certain = resumed_from is not None
        for position in () if resumed_from is None else resumed_from.positions:
            self.ranges[position.source, position.parameters] = claimed_by(position)

    def add(self, key: Key, ranges: Ranges) -> None:
        """So much has ended in a run that is over."""
        self.ranges[key] = union(self.ranges.get(key, []), ranges)


class CheckpointChecker:
    """Follows the checkpoints of one run.

    Args:
        earlier: what had ended before.
        findings: where what is wrong is told.

    Memory: O(in flight), and a range or two for each adapter run.
    """

    def __init__(self, earlier: EarlierRuns, findings: Findings) -> None:
        self._earlier = earlier
        self._findings = findings
        self._positions: dict[Key, Position] = {}
        self.first_started: dict[Key, int] = {}
        # Claimed without an end of this run, and where that was said first.
        self._inherited: dict[Key, tuple[Ranges, int]] = {}
        self._accused: dict[Key, Ranges] = {}
        self._finished_at: dict[Key, int] = {}
        # Claimed by the first checkpoint, to be passed over later on.
        self._owed = self._paid = 0
        self._first_line = 0

    # -- what begins after it was claimed ----------------------------------------------------

    def started(self, line: int, key: Key, number: int) -> bool:
        """A record begins; whether an earlier line had claimed that it would not."""
        self.first_started.setdefault(key, number)
        at = self._finished_at.pop(key, None)
        if at is not None:
            self._findings.add(
                at,
                "checkpoint",
                f"The checkpoint says that {_named(key)} has come to its end, and line {line} "
                f"begins its record {number}.",
            )
            return True
        ranges, at = self._inherited.get(key, ([], 0))
        if any(start <= number < stop for start, stop in ranges):
            self._findings.add(
                at,
                "checkpoint",
                f"The checkpoint claims record {number} of {_named(key)}, which has not "
                f"ended: it begins in line {line} only.",
            )
            self._inherited[key] = difference(ranges, [(number, number + 1)]), at
            return True
        return False

    # -- checkpoints -------------------------------------------------------------------------

    def check(
        self, line: int, checkpoint: Checkpoint, runs: dict[Key, AdapterRun], silent: int
    ) -> None:
        """Hold a checkpoint against what has ended, and believe what it rightly says.

        Args:
            line: where it is.
            checkpoint: of a progress event.
            runs: the book's adapter runs; they are given what the checkpoint claims.
            silent: how many records were passed over without an event until now.
        """
        is_first = not self._positions
        found = {(p.source, p.parameters): p for p in checkpoint.positions}
        for key in set() if is_first else self._positions.keys() ^ found.keys():
            which = "has no position" if key in self._positions else "has a new position"
            self._tell(line, f"The checkpoint {which} of {_named(key)}.")
        if is_first:
            self._first_line = line
        for key, position in found.items():
            run = runs[key]
            self._check_position(line, key, position, run, silent, is_first=is_first)
        self._positions = found

    def _check_position(
        self,
        line: int,
        key: Key,
        position: Position,
        run: AdapterRun,
        silent: int,
        *,
        is_first: bool,
    ) -> None:
        claimed, ended = claimed_by(position), ended_in(run)
        lacking = difference(ended, claimed)
        if lacking:
            self._tell(
                line,
                f"The checkpoint lacks record {lacking[0][0]} of {_named(key)}, which has "
                f"ended.",
            )
        is_open = [number for number in sorted(run.open) if position.covers(number)]
        if is_open:
            self._tell(
                line,
                f"The checkpoint claims record {is_open[0]} of {_named(key)}, which has begun "
                f"and not ended.",
            )
        extra = difference(claimed, [(number, number + 1) for number in sorted(run.open)])
        extra = difference(difference(extra, ended), self._accused.get(key, []))
        wrong = self._unexplained(key, extra, silent, is_first=is_first)
        if wrong:
            self._accused[key] = union(self._accused.get(key, []), wrong)
            more = f" and {size(wrong) - 1:,} more" if size(wrong) > 1 else ""
            hint = " If it was resumed from elsewhere, say so." if is_first else ""
            self._tell(
                line,
                f"The checkpoint claims record {wrong[0][0]} of {_named(key)}{more}, of whose "
                f"end nothing is said before.{hint}",
            )
        right = difference(extra, wrong)
        if right:
            before, at = self._inherited.get(key, ([], line))
            self._inherited[key] = union(before, right), at
        self._check_rest(line, key, position, run)
        run.acknowledged = _watermark(union(ended, right), position)
        run.finished = position.finished
        run.stable_order = position.stable_order

    def _check_rest(self, line: int, key: Key, position: Position, run: AdapterRun) -> None:
        if position.finished and run.open:
            self._tell(
                line,
                f"The checkpoint says that {_named(key)} has come to its end, and "
                f"{len(run.open):,} of its records are in flight.",
            )
        elif position.finished:
            self._finished_at.setdefault(key, line)
        before = self._positions.get(key)
        if before is not None and (before.cursor_record or 0) > (position.cursor_record or 0):
            self._tell(
                line,
                f"The cursor of {_named(key)} goes back from record {before.cursor_record} to "
                f"{position.cursor_record or 0}.",
            )

    def _unexplained(self, key: Key, extra: Ranges, silent: int, *, is_first: bool) -> Ranges:
        """What of ``extra`` can have ended in no way that there is."""
        earlier = self._earlier
        if is_first:
            extra = difference(extra, earlier.ranges.get(key, []))
            if not earlier.is_certain:
                # It may have been resumed from anything, so whether the rest was passed over
                # is known at the end only.
                extra = difference(extra, [(0, self.first_started.get(key, _FAR))])
                self._owed += size(extra)
                return []
        if size(extra) + self._paid <= silent:
            self._paid += size(extra)
            return []
        return extra

    def finish(self, silent: int) -> None:
        """The run came to its end, and so many records were passed over in it."""
        if self._owed and self._owed + self._paid > silent:
            count = self._owed + self._paid - silent
            self._tell(
                self._first_line,
                f"The checkpoint claims {count:,} records that have neither ended before it "
                f"nor were passed over later.",
            )

    def _tell(self, line: int, message: str) -> None:
        self._findings.add(line, "checkpoint", message)


def adapter_run_of(position: Position) -> AdapterRun:
    """The book's adapter run for one that has not begun yet."""
    return AdapterRun(position.source, json.loads(position.parameters), position.parameters)


def ended_in(run: AdapterRun) -> Ranges:
    """What has ended of an adapter run."""
    watermark = run.acknowledged
    first = [(0, watermark.low)] if watermark.low else []
    return [*first, *watermark.ended]


def _watermark(ranges: Ranges, position: Position) -> Watermark:
    low = 0
    if ranges and ranges[0][0] == 0:
        low, ranges = ranges[0][1], ranges[1:]
    watermark = Watermark(low)
    for start, stop in ranges:
        watermark.end_range(start, stop)
    watermark.cursor, watermark.cursor_record = position.cursor, position.cursor_record
    return watermark


def _named(key: Key) -> str:
    source, parameters = key
    return f"{source!r:.80}" if parameters == "{}" else f"{source!r:.80} with {parameters:.80}"
