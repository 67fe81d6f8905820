"""What ``trio-ingest run`` was asked for, and the end that it came to."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Literal, Self, TypeAlias

import attrs

from trio_ingest import IngestionPipeline, RetryPolicy
from trio_ingest.cli.endpoints.sinks import Destination
from trio_ingest.cli.endpoints.sources import AnyAdapter

Beginning: TypeAlias = Literal["resume", "restart"]


class ExitStatus(enum.IntEnum):
    """What the shell is told of the end that a run came to, and when."""

    meaning: str

    def __new__(cls, value: int, meaning: str) -> Self:
        """Keep the meaning beside the number."""
        status = int.__new__(cls, value)
        status._value_ = value
        status.meaning = meaning
        return status

    DONE = 0, "all done"
    RUN_FAILED = 1, "the run failed: a source or a sink broke down before the end"
    USAGE = 2, "usage, configuration, or a missing file; nothing was written"
    DOCUMENTS_FAILED = 3, "finished, but more documents of the job failed than --max-failed"
    HUNG_UP = 129, "stopped by SIGHUP: its terminal has gone"
    INTERRUPTED = 130, "stopped by Ctrl-C"
    OUTPUT_CLOSED = 141, "stopped, because nobody reads the standard output any more"
    TERMINATED = 143, "stopped by SIGTERM"


@attrs.frozen(kw_only=True)
class Job:
    """What is to be moved, where to, and how.

    Args:
        adapters: the sources.
        destinations: the sinks; none for a dry run.
        beginning: whether to go on with a job that is there, or to begin it again.
        workers: of the pipeline, like the next four.
        ordered: whether documents keep the order of their source.
        retries: of one record.
        buffer_size: events between engine and sinks.
        limit: after so many documents the run is stopped.
        max_failed: how many documents of the whole job may fail without a word of it in the
            exit status.
        events: where every event is written, if anywhere.
        errors: where dead letters are written beside the sinks, if anywhere.
    """

    adapters: Sequence[AnyAdapter]
    destinations: Sequence[Destination]
    beginning: Beginning | None = None
    workers: int = 1
    ordered: bool = True
    retries: int = 0
    buffer_size: int = 100
    limit: int | None = None
    max_failed: int = 0
    events: str | None = None
    errors: str | None = None

    @property
    def is_dry(self) -> bool:
        """Whether nothing is written to any sink."""
        return not self.destinations

    @property
    def sources(self) -> list[str]:
        """What events call the sources, in an order of their own."""
        return sorted(adapter.source for adapter in self.adapters)

    def pipeline(self) -> IngestionPipeline:
        """What reads the sources."""
        return IngestionPipeline(
            *self.adapters,
            workers=self.workers,
            ordered=self.ordered,
            retry=RetryPolicy(attempts=self.retries + 1),
        )
