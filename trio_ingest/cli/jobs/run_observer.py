"""The observer of every event of a run on its way to the sinks."""

from __future__ import annotations

from collections import Counter
from typing import Final

from trio_ingest import (
    AdapterStateChange,
    BatchProgress,
    DocumentCompleted,
    DocumentFailed,
    DocumentRetrying,
    DocumentSkipped,
    DocumentStarted,
    PipelineEvent,
)
from trio_ingest.cli.endpoints.sources import failure_text, skipped_text
from trio_ingest.cli.terminal.report import Report
from trio_ingest.delivery import DeliveryReport, Rejection, Totals

from .job import Job
from .outputs import Outputs
from .shutdown import LimitReached, Shutdown

_ENDS: Final = frozenset({DocumentCompleted, DocumentFailed, DocumentSkipped})


class RunObserver:
    """Tells the report, the outputs and the limit what happens.

    Args:
        job: what was asked for.
        report: who says it to people.
        outputs: who writes it to files.
        shutdown: asked to end the run at its limit.
    """

    def __init__(self, job: Job, report: Report, outputs: Outputs, shutdown: Shutdown) -> None:
        self._destinations = job.destinations
        self._sources = {source.adapter.source: source for source in job.sources}
        self._path_of = {
            destination.sink.name: destination.place for destination in job.destinations
        }
        self._resumable = {one.sink.name for one in job.destinations if one.keeps_checkpoint}
        self._report = report
        self._outputs = outputs
        self._shutdown = shutdown
        self._left = job.limit
        self._counts = job.is_dry
        self._ended: Counter[type[PipelineEvent]] = Counter()
        self._writes = job.events is not None or job.errors is not None

    def event(self, event: PipelineEvent) -> None:
        """Hear of an event.

        Raises:
            LimitReached: by the event after the last one that counts, whose arrival
                acknowledges that one.
            EventLogError: it cannot be written.
            OutputClosedError: the reader of standard output has gone.
        """
        kind = type(event)
        if self._left is not None:
            if self._left == 0:
                raise LimitReached
            if kind in _ENDS:
                self._left -= 1
                if self._left == 0:
                    # Makes an event, so that the next one need not be waited for.
                    self._shutdown.drain_quietly()
        if self._counts and kind in _ENDS:
            self._ended[kind] += 1
        if self._writes:
            self._outputs.take(event)
        if kind is DocumentStarted:
            return
        if kind is DocumentCompleted:
            self._report.completed(event)  # type: ignore[arg-type]
        else:
            self._otherwise(event)

    @property
    def totals(self) -> Totals:
        """The counts of a dry run, where no sink counts."""
        return Totals(
            completed=self._ended[DocumentCompleted],
            failed=self._ended[DocumentFailed],
            skipped=self._ended[DocumentSkipped],
        )

    def _otherwise(self, event: PipelineEvent) -> None:
        report = self._report
        report.meter.take(event)
        match event:
            case BatchProgress():
                report.progress()
            case DocumentFailed():
                report.document_failed(failure_text(event, self._sources))
            case DocumentRetrying(doc_id=doc_id, error_type=kind, error=error):
                place = f"{event.adapter}, document {doc_id!r:.80}"
                report.detail(f"Retrying {place}: {kind}: {error:.200}")
            case AdapterStateChange(adapter=adapter, old_state=old, new_state=new):
                report.detail(f"{adapter} was {old} and is {new}.")
            case _:
                skipped = skipped_text(event, self._sources)
                if skipped is not None:
                    report.skipped(skipped)

    def rejection(self, name: str, rejection: Rejection) -> None:
        """Hear of a document that a sink did not take."""
        document = rejection.document
        where = f", in {self._path_of[name]}" if len(self._path_of) > 1 else ""
        self._report.document_failed(
            f"{document.source}, document {document.doc_id!r:.80}{where}: {rejection.reason}"
        )
        self._outputs.rejected(rejection)

    def commit(self, committed: DeliveryReport) -> None:
        """Hear that a batch is in every sink."""
        sinks = [destination.sink for destination in self._destinations]
        self._report.replaced = max((getattr(s, "replaced", 0) for s in sinks), default=0)
        self._report.kept = max((getattr(s, "kept", 0) for s in sinks), default=0)
        totals = committed.totals
        kept = {name: one for name, one in totals.items() if name in self._resumable}
        # Those of a sink that keeps none are of this run alone.
        self._report.committed(kept or totals)
        self._outputs.committed()
