"""The base classes that the kinds of sources and sinks derive theirs from."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import attrs

from trio_ingest import Document, DocumentFailed, PipelineEvent

from ._options import NoOptions


def _reads_none(_: str) -> bool:
    return False


@attrs.frozen(kw_only=True)
class Touches:
    """The files and databases that a source reads or a sink writes.

    Args:
        files: paths, or descriptors such as 0 for standard input.
        folder: a folder whose files are read, or None.
        reads: for a folder, whether a file in it would be read, by its path relative to the
            folder, with forward slashes.
        remedy: for a folder, what to do when something else would write into it, as a
            sentence.
        databases: spellings of databases, one for each.
    """

    __module__ = "trio_ingest.connectors"

    files: Sequence[str | int] = ()
    folder: str | None = None
    reads: Callable[[str], bool] = attrs.field(default=_reads_none, eq=False)
    remedy: str = ""
    databases: Sequence[str] = ()


class Connector(ABC):
    """The description that sources and sinks of every kind give.

    A place is what stands behind the colon of a spelling: ``articles.jsonl`` of
    ``jsonl:articles.jsonl``.
    """

    __module__ = "trio_ingest.connectors"

    name: ClassVar[str]
    """The word before the colon."""
    form: ClassVar[str]
    """The word for the place in help, such as ``PATH``."""
    summary: ClassVar[str]
    """What such a source or sink is, as sentences."""
    options: ClassVar[type] = NoOptions
    """An attrs class of options, each made by ``option``."""

    @property
    def spelling(self) -> str:
        """The form of a whole spelling, such as ``jsonl:PATH``."""
        return f"{self.name}:{self.form}" if self.name else self.form

    def check(self, place: str) -> None:
        """Refuse a place that cannot be meant, before anything is opened or made.

        Args:
            place: as it was given, with ``~`` expanded.

        Raises:
            SetupError: with the remedy. The spelling is not wrong, but what it means.
        """
        del place

    def identity(self, place: str) -> str:
        """Return one spelling for all that mean the same place.

        Args:
            place: as it was given. Names a job that has no other name, so it must stay the
                same from night to night and from one working directory to the next.
        """
        return place

    def touches(self, place: str) -> Touches:
        """Return the files and databases that are read or written.

        Args:
            place: as it was given.
        """
        del place
        return Touches()


class AdapterConnector(Connector):
    """A kind of source. Subclass it, and name the class in ``trio_ingest.adapters``."""

    __module__ = "trio_ingest.connectors"

    resumes: ClassVar[str]
    """Where a run that was stopped goes on, as a clause."""
    order: ClassVar[str]
    """The order of its records, as a clause."""
    memory: ClassVar[str]
    """What it holds in memory, as a clause."""
    events: ClassVar[tuple[type[PipelineEvent], ...]] = ()
    """The events of its own that it emits."""

    @abstractmethod
    def make(self, place: str, options: Any) -> Any:
        """Return an adapter.

        Args:
            place: where it reads.
            options: an instance of ``self.options``.

        Raises:
            SetupError: an option or the place cannot work.
        """

    def suits(self, source: str) -> bool:
        """Return whether a recorded source, known by name alone, is probably of this kind.

        Args:
            source: as events name it.
        """
        del source
        return False

    def failure_text(self, failure: DocumentFailed, adapter: Any | None) -> str | None:
        """Return the place and the reason of a failed record, for people.

        Args:
            failure: the event.
            adapter: the adapter that it comes from; None in a replay.

        Returns:
            None when the number of the record and its error say all there is.
        """
        del failure, adapter
        return None

    def skipped_text(self, event: PipelineEvent, adapter: Any | None) -> str | None:
        """Return the place and the reason of something that was passed over, for people.

        Args:
            event: one of ``events``.
            adapter: as for ``failure_text``.

        Returns:
            None when the event is about something else.
        """
        del event, adapter
        return None

    def empty_content_hint(self, document: Document, options: Any) -> str | None:
        """Return what to say when no document of a run has content.

        Args:
            document: the first one.
            options: those that the adapter was made with.

        Returns:
            a sentence with the remedy; None when there is nothing wrong.
        """
        del document, options
        return None


class SinkConnector(Connector):
    """A kind of sink. Subclass it, and name the class in ``trio_ingest.sinks``."""

    __module__ = "trio_ingest.connectors"

    guarantee: ClassVar[str]
    """``exactly-once``, ``at-least-once``, or what else a sink of this kind says."""
    restart_empties: ClassVar[bool] = False
    """Whether a job that begins again loses the documents that are there."""

    @abstractmethod
    def make(self, place: str, options: Any, job: str) -> Any:
        """Return a sink, not yet open.

        Args:
            place: where it writes.
            options: an instance of ``self.options``.
            job: the name of the job, where several jobs may share the place.

        Raises:
            SetupError: an option or the place cannot work.
        """

    def failures_place(self, place: str) -> str | None:
        """Return where failed records are kept with their errors, for people.

        Args:
            place: as it was given.

        Returns:
            None when the sink does not keep them.
        """
        del place
        return None

    def other_job_remedy(self, place: str, sources: str) -> str:
        """Return what to do when the checkpoint of another job is there, as a clause.

        Args:
            place: as it was given.
            sources: what the new job reads.
        """
        del place, sources
        return "give another SINK"
