"""The processing of one record: its number and id, its attempts, its end.

The first attempt at a record with a plain ``parse`` is a plain call, because that is all
that happens to nearly every record. Awaiting and retrying go through ``finish_attempt``.
"""

from __future__ import annotations

import inspect
import traceback
import warnings
from collections.abc import Awaitable, Callable, Container
from contextlib import suppress
from typing import Any, TypeAlias

import attrs

from trio_ingest._core.adapter_run import AdapterRun, Failure, Skip
from trio_ingest._core.adapters import AdapterPlan, refuse_engine_event
from trio_ingest._core.documents import Document
from trio_ingest._core.errors import SetupError, abbreviated, add_note, described, message_of
from trio_ingest._core.events import PipelineEvent
from trio_ingest._core.options import Policy
from trio_ingest._core.positions import Cursor
from trio_ingest._core.reprs import class_name
from trio_ingest._core.retry import delay_before, is_transient
from trio_ingest._core.run import Run

from .runtime import Runtime

# Frames kept of a failed parse's traceback. A RecursionError has a thousand, and ten
# thousand failed documents would hold gigabytes of text.
TRACEBACK_FRAMES = 20


@attrs.define(eq=False)
class RecordAttempts:
    """The attempts at one record, and the outcome of the last one."""

    number: int
    doc_id: str
    record: Any
    outcome: Any = None
    seconds: float = 0.0
    retry_count: int = 0
    identified: bool = True


Admission: TypeAlias = tuple[int, str | None, RecordAttempts | PipelineEvent | None]
"""The answer for one item: record number, id to start with, and what needs no parsing.

With an id, it is a record to start and to parse. Without one, the third is attempts that
have failed already, for a record that could not be identified; or an event of the
adapter's own; or None, when there is nothing to emit.
"""

# A plain tuple, since one is made for each record and costs no more than the id alone. A
# class of its own was measured: 2 % (attrs), 4 % (NamedTuple) or 6 % (frozen) of all that
# the engine does for a document.
_NOTHING: Admission = (-1, None, None)


@attrs.define(eq=False, repr=False)
class RecordProcessor:
    """The processing of the records of one adapter run.

    It holds no record between two calls.
    """

    run: Run
    adapter_run: AdapterRun
    _plan: AdapterPlan
    _policy: Policy
    _completed_ids: Container[str] | None
    _seed: object
    _runtime: Runtime
    clock: Callable[[], float] = attrs.field(init=False)
    # The iterator of a ``fetch`` that only a call could check.
    opened_early: Any = attrs.field(default=None, init=False)
    # Bound here, since they are read for each record.
    _parse: Callable[[Any], Any] = attrs.field(init=False)
    _identify: Callable[[Any], Any] | None = attrs.field(init=False)
    _wall: Callable[[], float] = attrs.field(init=False)
    _record_class: type | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.clock, self._wall = self._runtime.clock(), self._policy.clock
        self._parse, self._identify = self._plan.parse, self._plan.identify

    def admit(self, item: Any) -> Admission:
        """Number and name one item of ``fetch``, and return what is to be done with it.

        Raises:
            SetupError: when it is a cursor or an event that may not be.
        """
        # Records are of one class as a rule: then one comparison of classes stands for two
        # calls of isinstance.
        if item.__class__ is not self._record_class:
            if isinstance(item, Cursor):
                if not self._plan.takes_cursor:
                    raise SetupError(
                        f"The adapter {self._plan.source!r} yielded a Cursor, and its fetch "
                        f"could not be resumed from one: it has no parameter `cursor`. Write "
                        f"`async def fetch(self, *, cursor=None, ...)`."
                    )
                self.run.cursor_yielded(self.adapter_run, item.value)
                return _NOTHING
            if isinstance(item, PipelineEvent):
                refuse_engine_event(item)
                return -1, None, item
            self._record_class = item.__class__
        adapter_run = self.adapter_run
        number = adapter_run.next_record
        adapter_run.next_record = number + 1
        if number < adapter_run.resumed_until and adapter_run.acknowledged.has_ended(number):
            self.run.already_done(adapter_run, number, resumed=True)
            return _NOTHING
        if self._identify is None:
            return number, f"{adapter_run.source}#{number}", None
        return self._identified(self._identify, item, number)

    def attempt(self, record: Any) -> Any:
        """Parse once: return a Document, a Failure, a Skip, or something to await."""
        try:
            result = self._parse(record)
        except BaseException as error:  # noqa: ASYNC103 -- re-raised unless it is a failure
            if not self._runtime.is_failure(error):
                raise
            return self.failure(error)  # noqa: ASYNC104 -- the same
        if (
            result.__class__ is Document
            and result.doc_id.__class__ is str
            and self._completed_ids is None
        ):
            return result
        return result if inspect.isawaitable(result) else self._checked(result)

    async def finish_attempt(self, attempts: RecordAttempts) -> float | None:
        """Bring an attempt to its outcome, and return the delay before the next one.

        None when there is no next one. Otherwise the caller announces the retry, waits, and
        calls ``try_again``.
        """
        if inspect.isawaitable(attempts.outcome):
            began = self.clock()
            attempts.outcome = await self._awaited(attempts.outcome)
            attempts.seconds += self.clock() - began
        outcome = attempts.outcome
        if not isinstance(outcome, Failure) or not outcome.is_retryable:
            return None
        source, retry_count = self.adapter_run.source, attempts.retry_count + 1
        delay = delay_before(
            retry_count, self._policy.retry, self._seed, source, attempts.number
        )
        if delay is not None:
            attempts.retry_count = retry_count
        return delay

    def try_again(self, attempts: RecordAttempts) -> None:
        """Make the next attempt."""
        began = self.clock()
        attempts.outcome = self.attempt(attempts.record)
        attempts.seconds += self.clock() - began

    def start(self, attempts: RecordAttempts) -> PipelineEvent:
        """Start a record, and return the event to emit."""
        return self.run.started(
            self.adapter_run, attempts.number, attempts.doc_id, self._wall()
        )

    def retrying(self, attempts: RecordAttempts, delay: float) -> PipelineEvent:
        """Announce a retry, and return the event to emit."""
        return self.run.retrying(
            self.adapter_run,
            attempts.number,
            attempts.outcome,
            attempts.doc_id,
            attempts.retry_count,
            delay,
            self._wall(),
        )

    def end(self, attempts: RecordAttempts) -> PipelineEvent:
        """End a record as its outcome says, and return the event to emit."""
        run, adapter_run, outcome = self.run, self.adapter_run, attempts.outcome
        if isinstance(outcome, Failure):
            named = self._identify is not None and attempts.identified
            doc_id = attempts.doc_id if named else None
            return run.failed(
                adapter_run,
                attempts.number,
                outcome,
                doc_id,
                attempts.record,
                attempts.retry_count,
                self._wall(),
            )
        if isinstance(outcome, Skip):
            return run.skipped(adapter_run, attempts.number, outcome, self._wall())
        return run.completed(
            adapter_run,
            attempts.number,
            outcome,
            attempts.seconds,
            attempts.retry_count,
            self._wall(),
        )

    def failure(self, error: BaseException) -> Failure:
        """Return the failure of an attempt that ``error`` has ended."""
        error = error_to_report(error, self.adapter_run.source, self._runtime)
        if self._policy.on_error is not None:
            self._give_to_hook(self._policy.on_error, error)
        try:
            decide = self._plan.is_retryable
            is_retryable = bool(
                is_transient(error, self._runtime.timeout) if decide is None else decide(error)
            )
        except Exception as failed:  # an is_retryable that fails has not said yes
            add_note(error, f"is_retryable failed on this error: {described(failed)}")
            is_retryable = False
        text: str | None = None
        with suppress(Exception):  # an exception may be made so as to defy formatting
            if error.__traceback__ is not None:
                text = "".join(traceback.format_exception(error, limit=-TRACEBACK_FRAMES))
        # An exception object that is raised again and again would collect frames, and keep
        # everything in them alive.
        BaseException.with_traceback(error, None)
        return Failure(message_of(error), class_name(type(error)), text, is_retryable)

    def _give_to_hook(
        self, hook: Callable[[Exception, str], object], error: Exception
    ) -> None:
        """Give the exception itself to the hook; that it fails is a warning."""
        try:
            hook(error, self.adapter_run.source)
        except Exception as failed:
            warnings.warn(
                f"on_error failed on an error of {self.adapter_run.source!r}: "
                f"{described(failed)}",
                RuntimeWarning,
                stacklevel=2,
            )

    async def _awaited(self, awaitable: Awaitable[Any]) -> Any:
        try:
            result = await awaitable
        except BaseException as error:  # noqa: ASYNC103 -- re-raised unless it is a failure
            if not self._runtime.is_failure(error):
                raise
            return self.failure(error)  # noqa: ASYNC104 -- the same
        return self._checked(result)

    def _checked(self, result: Any) -> Any:
        if not isinstance(result, Document):
            return self.failure(
                TypeError(
                    f"parse must return a Document; it returned {abbreviated(result)}. "
                    f"To skip a record, do not yield it from fetch."
                )
            )
        if result.doc_id.__class__ is not str:
            try:
                doc_id = exact_str(result.doc_id, "Document.doc_id must be a string; it is")
            except TypeError as error:
                return self.failure(error)
            result = attrs.evolve(result, doc_id=doc_id)
        return self._skip_if_done(result)

    def _skip_if_done(self, document: Document) -> Any:
        if self._completed_ids is None:
            return document
        try:
            done = document.doc_id in self._completed_ids
        except Exception as error:
            return self.failure(error)
        return Skip(document.doc_id, "already completed") if done else document

    def _identified(
        self, identify: Callable[[Any], Any], record: Any, number: int
    ) -> Admission:
        try:
            doc_id = identify(record)
            if doc_id.__class__ is not str:
                doc_id = exact_str(doc_id, "identify must return a string; it returned")
            done = self._completed_ids is not None and doc_id in self._completed_ids
        except Exception as error:
            doc_id = f"{self.adapter_run.source}#{number}"
            failure = self.failure(error)
            attempts = RecordAttempts(number, doc_id, record, failure, identified=False)
            return number, None, attempts
        if done:
            self.run.already_done(self.adapter_run, number)
            return _NOTHING
        return number, doc_id, None


def exact_str(value: object, rule: str) -> str:
    """Return a string of a subclass as the plain string that it is, whatever it prints as.

    Args:
        value: a string, an enumeration's member that is one, or anything.
        rule: the beginning of a sentence about what is none.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(value, str):
        raise TypeError(f"{rule} {abbreviated(value)}.")
    return str.__str__(value)


def error_to_report(error: BaseException, source: str, runtime: Runtime) -> Exception:
    """Return the error to report for one that an adapter has raised.

    That is the error itself, unless it is a cancellation that was not asked for, or comes of
    a run on the wrong async library.
    """
    if not isinstance(error, Exception):
        return stray_cancellation(error, f"the adapter {source!r}")
    advice = runtime.advice_on(error)
    if advice is None:
        return error
    refused = SetupError(f"The adapter {source!r} cannot run here: {advice}.")
    refused.__cause__ = error
    return refused


def stray_cancellation(error: BaseException, where: str) -> Exception:
    """Return a cancellation that was not asked for as an error, since it is no end.

    In asyncio, awaiting something that another task has cancelled raises one.
    """
    reported = RuntimeError(
        f"{type(error).__name__} came out of {where}, which had not been cancelled. Something "
        f"that was awaited there may have been cancelled by others: catch that where it is "
        f"awaited. Or a timeout is open there across a yield: close it before (PEP 789)."
    )
    reported.__cause__ = error
    return reported
