"""The checkpoints in a log: each covers the records that have ended, and no others.

A record without an end in this run may be covered for two reasons only: it ended in an
earlier run, or it was known to be done and skipped, which makes no event and only counts in
``skipped``. A log does not say what a run was resumed from. Its first checkpoint does: the
records that it covers beyond those that have ended must be skipped before the run ends, must
be covered by earlier runs in the log, or must come before the first record that was started.
"""

from __future__ import annotations

import json

from trio_ingest import Checkpoint, Position
from trio_ingest._core.adapter_run import AdapterRun
from trio_ingest._core.positions import claimed_by, with_claims
from trio_ingest._core.ranges import Ranges, difference, from_watermark, size, union
from trio_ingest._core.watermark import Watermark

from ._adapter_runs import Key
from ._findings import Findings

_BEYOND_ALL = 1 << 62


class EarlierRuns:
    """The records that had ended before a run of the log began.

    Args:
        resumed_from: the checkpoint of the first run, if the caller knows it.

    Memory: O(in flight), and a range or two for each adapter run.
    """

    def __init__(self, resumed_from: Checkpoint | None) -> None:
        self.ranges: dict[Key, Ranges] = {}
        # True if a run can have begun with nothing else.
        self.is_certain = resumed_from is not None
        for position in () if resumed_from is None else resumed_from.positions:
            self.ranges[position.source, position.parameters] = claimed_by(position)

    def add(self, key: Key, ranges: Ranges) -> None:
        """Add the records that have ended in a run that is over."""
        self.ranges[key] = union(self.ranges.get(key, []), ranges)


class CheckpointChecker:
    """Checks the checkpoints of one run.

    Args:
        earlier: the records that had ended before.
        findings: get what is wrong.

    Memory: O(in flight), and a range or two for each adapter run.
    """

    def __init__(self, earlier: EarlierRuns, findings: Findings) -> None:
        self._earlier = earlier
        self._findings = findings
        self._positions: dict[Key, Position] = {}
        self.first_started: dict[Key, int] = {}
        # Claimed without an end in this run, and the line that did so first.
        self._inherited: dict[Key, tuple[Ranges, int]] = {}
        # Claimed without a reason, as a finding says already.
        self._reported: dict[Key, Ranges] = {}
        self._finished_at: dict[Key, int] = {}
        # Claimed by the first checkpoint, and so to be skipped before the run ends.
        self._unexplained_count = 0
        # Claimed and explained by skips.
        self._skip_count = 0
        self._first_line = 0

    def started(self, line: int, key: Key, number: int) -> bool:
        """Check the start of a record; True if an earlier checkpoint had ruled it out."""
        self.first_started.setdefault(key, number)
        at = self._finished_at.pop(key, None)
        if at is not None:
            self._findings.add(
                at,
                "checkpoint",
                f"The checkpoint says that {_label(key)} has come to its end, and line {line} "
                f"begins its record {number}.",
            )
            return True
        ranges, at = self._inherited.get(key, ([], 0))
        if any(start <= number < stop for start, stop in ranges):
            self._findings.add(
                at,
                "checkpoint",
                f"The checkpoint claims record {number} of {_label(key)}, which has not "
                f"ended: it begins in line {line} only.",
            )
            self._inherited[key] = difference(ranges, [(number, number + 1)]), at
            return True
        return False

    def check(
        self, line: int, checkpoint: Checkpoint, runs: dict[Key, AdapterRun], skips: int
    ) -> None:
        """Check a checkpoint against the records that have ended.

        Args:
            line: its number.
            checkpoint: of a progress event.
            runs: the adapter runs of the state machine; what the checkpoint rightly claims
                is brought into them.
            skips: the records that were skipped without an event until now.
        """
        is_first = not self._positions
        found = {(p.source, p.parameters): p for p in checkpoint.positions}
        for key in set() if is_first else self._positions.keys() ^ found.keys():
            which = "has no position" if key in self._positions else "has a new position"
            self._report(line, f"The checkpoint {which} of {_label(key)}.")
        if is_first:
            self._first_line = line
        for key, position in found.items():
            run = runs[key]
            self._check_position(line, key, position, run, skips, is_first=is_first)
        self._positions = found

    def _check_position(
        self,
        line: int,
        key: Key,
        position: Position,
        run: AdapterRun,
        skips: int,
        *,
        is_first: bool,
    ) -> None:
        claimed, ended = claimed_by(position), ended_in(run)
        lacking = difference(ended, claimed)
        if lacking:
            self._report(
                line,
                f"The checkpoint lacks record {lacking[0][0]} of {_label(key)}, which has "
                f"ended.",
            )
        is_open = [number for number in sorted(run.open) if position.covers(number)]
        if is_open:
            self._report(
                line,
                f"The checkpoint claims record {is_open[0]} of {_label(key)}, which has begun "
                f"and not ended.",
            )
        extra = difference(claimed, [(number, number + 1) for number in sorted(run.open)])
        extra = difference(difference(extra, ended), self._reported.get(key, []))
        wrong = self._unexplained(key, extra, skips, is_first=is_first)
        if wrong:
            self._reported[key] = union(self._reported.get(key, []), wrong)
            more = f" and {size(wrong) - 1:,} more" if size(wrong) > 1 else ""
            hint = " If it was resumed from elsewhere, say so." if is_first else ""
            self._report(
                line,
                f"The checkpoint claims record {wrong[0][0]} of {_label(key)}{more}, of whose "
                f"end nothing is said before.{hint}",
            )
        right = difference(extra, wrong)
        if right:
            before, at = self._inherited.get(key, ([], line))
            self._inherited[key] = union(before, right), at
        self._check_rest(line, key, position, run)
        run.acknowledged = Watermark.of(with_claims(position, union(ended, right)))
        run.finished = position.finished
        run.stable_order = position.stable_order

    def _check_rest(self, line: int, key: Key, position: Position, run: AdapterRun) -> None:
        if position.finished and run.open:
            self._report(
                line,
                f"The checkpoint says that {_label(key)} has come to its end, and "
                f"{len(run.open):,} of its records are in flight.",
            )
        elif position.finished:
            self._finished_at.setdefault(key, line)
        before = self._positions.get(key)
        if before is not None and (before.cursor_record or 0) > (position.cursor_record or 0):
            self._report(
                line,
                f"The cursor of {_label(key)} goes back from record {before.cursor_record} to "
                f"{position.cursor_record or 0}.",
            )

    def _unexplained(self, key: Key, extra: Ranges, skips: int, *, is_first: bool) -> Ranges:
        """Return the records of ``extra`` that cannot have ended in any way."""
        earlier = self._earlier
        if is_first:
            extra = difference(extra, earlier.ranges.get(key, []))
            if not earlier.is_certain:
                # It may have been resumed from anything, so whether the rest was skipped is
                # known at the end only.
                extra = difference(extra, [(0, self.first_started.get(key, _BEYOND_ALL))])
                self._unexplained_count += size(extra)
                return []
        if size(extra) + self._skip_count <= skips:
            self._skip_count += size(extra)
            return []
        return extra

    def finish(self, skips: int) -> None:
        """Check the end of the run, in which so many records were skipped without an event."""
        count = self._unexplained_count + self._skip_count - skips
        if self._unexplained_count and count > 0:
            self._report(
                self._first_line,
                f"The checkpoint claims {count:,} records that have neither ended before it "
                f"nor were passed over later.",
            )

    def _report(self, line: int, message: str) -> None:
        self._findings.add(line, "checkpoint", message)


def adapter_run_of(position: Position) -> AdapterRun:
    """Return the state of an adapter run that has not begun yet."""
    return AdapterRun(position.source, json.loads(position.parameters), position.parameters)


def ended_in(run: AdapterRun) -> Ranges:
    """Return the records of an adapter run that have ended."""
    return from_watermark(run.acknowledged.low, run.acknowledged.ended)


def _label(key: Key) -> str:
    source, parameters = key
    return f"{source!r:.80}" if parameters == "{}" else f"{source!r:.80} with {parameters:.80}"
