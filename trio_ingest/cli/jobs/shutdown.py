"""The end of a run before its sources end: gently first, then at once."""

from __future__ import annotations

from contextlib import suppress

import trio

from trio_ingest import EventStream, PipelineEvent, StreamClosedError
from trio_ingest.cli.signals import Signals
from trio_ingest.cli.terminal.report import Report
from trio_ingest.eventlog import ReplayStream

from .outputs import Outputs


class LimitReached(Exception):
    """As many documents have ended as were asked for."""


class Shutdown:
    """Asks a run to end.

    Args:
        scope: around everything that is to be aborted.
        report: says what was asked.
        outputs: whose writing may block the whole program.
        signals: whose wish it is.
    """

    def __init__(
        self, scope: trio.CancelScope, report: Report, outputs: Outputs, signals: Signals
    ) -> None:
        self._scope = scope
        self._report = report
        self._outputs = outputs
        self._signals = signals
        self._token = trio.lowlevel.current_trio_token()
        self._stream: EventStream[PipelineEvent] | ReplayStream | None = None
        self._times = 0
        self._has_said = False

    def begun(self, stream: EventStream[PipelineEvent] | ReplayStream) -> None:
        """There is something to drain from now on."""
        self._stream = stream

    def ask(self, times: int) -> None:
        """End the run; called by the handler of the signal, between any two steps."""
        self._times = times
        if self._outputs.is_writing and (times > 1 or self._stream is None):
            # The reader of what we write has stopped, or has not begun, so nothing else
            # would be heard.
            raise KeyboardInterrupt
        if self._outputs.is_writing:
            # Perhaps it waits for a reader that has stopped, and then says nothing more.
            self._has_said = self._signals.say(self._report.stopping_words(self._signals.name))
        self._token.run_sync_soon(self._drain if times == 1 else self._abort)

    def drain_quietly(self) -> None:
        """Fetch nothing more."""
        with suppress(StreamClosedError):
            if self._stream is not None:
                self._stream.drain()

    def _drain(self) -> None:
        if self._stream is None:
            self._scope.cancel()
            return
        self.drain_quietly()
        if self._times == 1 and not self._has_said:
            self._report.stopping(self._signals.name)

    def _abort(self) -> None:
        self._scope.cancel()
