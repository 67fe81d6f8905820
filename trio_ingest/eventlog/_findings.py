"""The results of a verification: findings, and a report of each run."""

from collections.abc import Sequence
from typing import Literal, TypeAlias

import attrs

Kind: TypeAlias = Literal[
    "shape", "order", "sequence", "counts", "telemetry", "checkpoint", "state", "line"
]

# The first ones show what is wrong with a log; a million of them would fill the memory.
MAX_FINDINGS = 100


@attrs.frozen(kw_only=True)
class Finding:
    """Something in a log that the engine would not have written.

    Args:
        line: its number, from 1.
        kind: the rule that it breaks: ``shape`` and ``order`` are the promises 1 and 2,
            ``counts``, ``telemetry`` and ``state`` promise 8, ``checkpoint`` promise 6,
            ``sequence`` says that events are missing or twice there, ``line`` that a line
            is no event.
        message: what is wrong, as a sentence.
    """

    __module__ = "trio_ingest.eventlog"

    line: int
    kind: Kind
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}"


@attrs.frozen(kw_only=True)
class RunReport:
    """One run in a log.

    Args:
        pipeline_id: of its events.
        first_line: the number of its first line.
        events: the number of its events in the log.
        completed: the number of records that became documents.
        failed: the number of records that failed.
        is_finished: True if it came to its end. A run that was cancelled, killed, or whose
            recording was cut, did not; that breaks no rule.
        in_flight: the records that had begun and not ended when it was cut.
        missing: the events that are missing among those that are there.
    """

    __module__ = "trio_ingest.eventlog"

    pipeline_id: str
    first_line: int
    events: int
    completed: int
    failed: int
    is_finished: bool
    in_flight: int
    missing: int


@attrs.frozen(kw_only=True)
class VerifyReport:
    """The result of ``verify``.

    Args:
        runs: in the order of the log.
        findings: the first hundred, in the order of their lines.
        found: the number of findings in all.
        is_torn: True if the log ends in the middle of a line, as a killed recorder leaves
            it; that breaks no rule.
    """

    __module__ = "trio_ingest.eventlog"

    runs: Sequence[RunReport]
    findings: Sequence[Finding]
    found: int
    is_torn: bool

    @property
    def is_good(self) -> bool:
        """True if every line is one that the engine could have written there."""
        return self.found == 0


class Findings:
    """Collects findings, and keeps the first hundred."""

    def __init__(self) -> None:
        self._first: list[Finding] = []
        self.count = 0

    def add(self, line: int, kind: Kind, message: str) -> None:
        """Add a finding."""
        self.count += 1
        if len(self._first) < MAX_FINDINGS:
            self._first.append(Finding(line=line, kind=kind, message=message))

    def sorted(self) -> list[Finding]:
        """Return those that were kept, by line: some are known later than their line."""
        return sorted(self._first, key=lambda finding: finding.line)
