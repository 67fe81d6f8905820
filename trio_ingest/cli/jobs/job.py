"""The request of ``trio-ingest run``, and the exit status of its end."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self, TypeAlias

import attrs

from trio_ingest import IngestionPipeline, RetryPolicy
from trio_ingest.cli.endpoints.endpoint import Endpoint, is_ours
from trio_ingest.cli.endpoints.sinks import Destination
from trio_ingest.cli.endpoints.sources import Source
from trio_ingest.cli.terminal.error_messages import sentence_of

Beginning: TypeAlias = Literal["resume", "restart"]


class ExitStatus(enum.IntEnum):
    """The exit status of each end that a run can come to, with its meaning."""

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
    OUTPUT_CLOSED = 141, "stopped, because the reader of the standard output has gone"
    TERMINATED = 143, "stopped by SIGTERM"


@attrs.frozen(kw_only=True)
class Job:
    """The sources and sinks of a run, and its policies.

    Args:
        sources: what is read.
        destinations: the sinks; none for a dry run.
        params: what each source is asked for.
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

    sources: Sequence[Source]
    destinations: Sequence[Destination]
    params: Mapping[str, Any] = {}
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
        """True when nothing is written to any sink."""
        return not self.destinations

    @property
    def source_names(self) -> list[str]:
        """The names of the sources in events, in an order of their own."""
        return sorted(source.adapter.source for source in self.sources)

    def pipeline(self) -> IngestionPipeline:
        """Return the pipeline that reads the sources."""
        return IngestionPipeline(
            *(source.adapter for source in self.sources),
            workers=self.workers,
            ordered=self.ordered,
            retry=RetryPolicy(attempts=self.retries + 1),
        )

    def sentence_of(self, error: Exception) -> str | None:
        """Return what ended it, in a sentence; None for what is a fault of this program."""
        ends: list[Endpoint[Any]] = [
            *(s.endpoint for s in self.sources),
            *(d.endpoint for d in self.destinations),
        ]
        runs_user_code = not all(is_ours(end.connector) for end in ends)
        sentence = sentence_of(error, runs_user_code=runs_user_code)
        if sentence is not None:
            for one in self.destinations:
                # The name of our own sinks tells the job as well, which no user has named.
                if is_ours(one.endpoint.connector):
                    sentence = sentence.replace(one.sink.name, one.place)
        return sentence
