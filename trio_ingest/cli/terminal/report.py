"""The report of a run, counted while it goes and said at its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal, TypeAlias

from trio_ingest import Document, DocumentCompleted
from trio_ingest.cli.jobs.run_stats import RunMeter
from trio_ingest.delivery import Totals

from .display import Display, display_for

Volume: TypeAlias = Literal["quiet", "normal", "verbose"]

# More would push the sentence that sums up the run out of a terminal's sight.
_SHOWN: Final = 10


class Report:
    """Counts documents and failures, and says how the run stands and how it ended.

    Args:
        places: where the documents go, for the sentences; none in a dry run.
        letters_in: where the dead letters are, for the sentences.
        volume: ``quiet`` says nothing of a run that went well, ``verbose`` says each failed
            document, skipped file and retry when it comes.
        max_failed: so many documents may fail in a run that went well.
        empty_content_hint: gives the sentence to say when no document has content, of the
            first one; None when nothing is to be said.
        can_resume: whether a sink keeps a checkpoint.
        cannot_go_on: the sources whose adapters have to begin at their start again.
        display: shows the lines.
        clock: seconds, from anywhere.
        verb: what has been done when all of it is, unless it is the usual.

    Memory: the first ten failures, and the first ten skipped files, however many there are.
    """

    def __init__(  # noqa: PLR0913 -- all but one have a default
        self,
        places: Sequence[str],
        *,
        letters_in: Sequence[str] = (),
        volume: Volume = "normal",
        max_failed: int = 0,
        empty_content_hint: Callable[[Document], str | None] | None = None,
        can_resume: bool = True,
        cannot_go_on: Sequence[str] = (),
        display: Display | None = None,
        clock: Callable[[], float] = time.monotonic,
        verb: str | None = None,
    ) -> None:
        self._verb = verb
        self._places = places
        self._letters_in = letters_in
        self._volume = volume
        self._max_failed = max_failed
        self._empty_content_hint = empty_content_hint
        self._can_resume = can_resume
        self._cannot_go_on = cannot_go_on
        self._display = display_for(clock=clock) if display is None else display
        self._clock = clock
        self._started_at = clock()
        self.meter = RunMeter(clock)
        self._failures = _FirstOnes("Failed documents:")
        self._skipped = _FirstOnes("Skipped files:")
        self._before = Totals()
        self._totals = Totals()
        # Only looked for until one document has content: most runs, once.
        self._looks_for_content = empty_content_hint is not None
        self._hint: str | None = None
        self.replaced = 0
        self.kept = 0

    @property
    def has_begun(self) -> bool:
        """True once this run has committed a record, so that it no longer can be refused."""
        return self._totals != self._before

    @property
    def failed(self) -> int:
        """Records of the whole job that are in no sink: failed, or rejected by one."""
        return self._totals.bad

    @property
    def is_well(self) -> bool:
        """True when no more documents have failed than may."""
        return self.failed <= self._max_failed

    # -- while it runs -------------------------------------------------------------------

    def resumed(self, totals: Mapping[str, Totals]) -> None:
        """The run goes on from what an earlier one left."""
        if not totals:
            self._say("There is nothing to resume: the job begins.")
            return
        self._before = self._totals = _summed(totals)
        ended = self._before.completed + self._before.failed + self._before.skipped
        self.meter.resumed(done=ended, failed=self._before.bad)
        self._say(f"Going on after {_documents(self._before.delivered)}.")

    def committed(self, totals: Mapping[str, Totals]) -> None:
        """So much is in every sink now."""
        self._totals = _summed(totals)

    def counted(self, totals: Totals) -> None:
        """So much would be in every sink, were it no dry run."""
        self._totals = totals

    def completed(self, event: DocumentCompleted) -> None:
        """One more document."""
        if not self._looks_for_content:
            return
        if event.document.content:
            self._looks_for_content, self._hint = False, None
        elif self._hint is None and self._empty_content_hint is not None:
            self._hint = self._empty_content_hint(event.document)
            self._looks_for_content = self._hint is not None

    def document_failed(self, where_and_why: str) -> None:
        """One more document failed, or was rejected by a sink."""
        self._failures.add(where_and_why)
        self.detail(f"Failed: {where_and_why}")

    def skipped(self, where_and_why: str) -> None:
        """Count something that was passed over, and is no document."""
        self._skipped.add(where_and_why)
        self.detail(f"Skipped: {where_and_why}")

    def note(self, sentence: str) -> None:
        """Say something, unless the run is to be quiet."""
        self._say(sentence)

    def detail(self, sentence: str) -> None:
        """Say something in a verbose run alone."""
        if self._volume == "verbose":
            self._display.say(sentence)

    def progress(self) -> None:
        """Show how the run stands, if it is time to."""
        self._display.progress(self.meter.figures)

    def stopping(self, signal_name: str) -> None:
        """Say that the run was asked to stop."""
        self._say(self.stopping_words(signal_name))

    def stopping_words(self, signal_name: str) -> str:
        """Return the sentence about a run that was asked to stop."""
        again = "Again" if signal_name == "Ctrl-C" else "A second signal"
        return (
            f"Stopping after {signal_name}: what is in flight is finished and stored. "
            f"{again} aborts at once."
        )

    # -- its end ---------------------------------------------------------------------------

    def finished(self) -> None:
        """The sources came to their end."""
        verb = self._verb or ("Dry run" if not self._places else "Done")
        self._end(f"{verb}: {self._counts()}.", is_well=self.is_well)

    def limit_reached(self) -> None:
        """As many documents as were asked for."""
        self._end(
            f"Stopped at the limit: {self._counts()}.{self._where()}", is_well=self.is_well
        )

    def stopped(self, *, at_the_end: bool) -> None:
        """Say that the run stopped when what was in flight was finished."""
        where = " The job is done." if at_the_end else self._where()
        self._end(f"Stopped: {self._counts()}.{where}")

    def aborted(self) -> None:
        """Nothing was waited for."""
        self._end(f"Interrupted: {self._counts()}.{self._where()}")

    def run_failed(self, why: str) -> None:
        """The run ended before its sources did."""
        self._display.close()
        self._say_lists()
        self._display.say(f"Error: {why}")
        self._display.say(f"The run failed: {self._counts()}.{self._where()}")

    def failed_to_start(self, why: str) -> None:
        """The run could not begin."""
        self._display.close()
        self._display.say(f"Error: {why}")

    def silent(self) -> None:
        """Close the display without a word."""
        self._display.close()

    def _say(self, sentence: str) -> None:
        if self._volume != "quiet":
            self._display.say(sentence)

    def _end(self, sentence: str, *, is_well: bool = False) -> None:
        self._display.close()
        if self._volume == "quiet" and is_well:
            return
        self._say_lists()
        if self._hint is not None:
            self._display.say(self._hint)
        self._display.say(sentence)

    def _where(self) -> str:
        if not self._totals.delivered or not self._places:
            return ""
        places = " and ".join(self._places)
        if not self._can_resume:
            return f" They are in {places}, which keeps no checkpoint: a run begins again."
        if self._cannot_go_on:
            return (
                f" They are in {places}. {' and '.join(self._cannot_go_on)} cannot go on: "
                f"they have neither cursor nor stable order. Begin again with --restart."
            )
        return f" They are in {places}. Go on with --resume."

    def _counts(self) -> str:
        seconds = max(self._clock() - self._started_at, 1e-9)
        now = self._totals.delivered - self._before.delivered
        figures = self.meter.figures()
        parts = [f"{_documents(self._totals.delivered)}{self._remark(now)}"]
        parts.append(f"{self.failed:,} failed")
        if figures.retried:
            parts.append(f"{figures.retried:,} retried")
        if self._skipped.count:
            parts.append(f"{self._skipped.count:,} skipped")
        parts.append(f"{seconds:,.1f} seconds, {now / seconds:,.0f} documents/s")
        return ", ".join(parts)

    def _remark(self, now: int) -> str:
        remarks = []
        if self._before.delivered or self._before.bad:
            remarks.append(f"{now:,} in this run")
        if self.replaced:
            remarks.append(
                f"{self.replaced:,} of them replaced an earlier one with the same id"
            )
        if self.kept:
            remarks.append(
                f"{self.kept:,} of them gave way to an earlier one with the same id"
            )
        return f" ({'; '.join(remarks)})" if remarks else ""

    def _say_lists(self) -> None:
        for first_ones in (self._skipped, self._failures):
            # They have been said already.
            for line in [] if self._volume == "verbose" else first_ones.lines():
                self._display.say(line)
        if self._before.bad:
            self._display.say(f"{self._before.bad:,} failed in earlier runs of this job.")
        if self.failed and self._letters_in:
            where = " and in ".join(self._letters_in)
            self._display.say(f"Each is kept with its error in {where}.")


class _FirstOnes:
    """The first lines of a list, and how many there are."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._first: list[str] = []
        self.count = 0

    def add(self, line: str) -> None:
        self.count += 1
        if self.count <= _SHOWN:
            self._first.append(line)

    def lines(self) -> list[str]:
        if not self.count:
            return []
        rest = self.count - len(self._first)
        more = [f"  … and {rest:,} more."] if rest else []
        return [self._title, *(f"  {line}" for line in self._first), *more]


def _summed(totals: Mapping[str, Totals]) -> Totals:
    """The totals of the sink that has the least."""
    return min(totals.values(), key=lambda one: one.delivered)


def _documents(count: int) -> str:
    return f"{count:,} document" if count == 1 else f"{count:,} documents"
