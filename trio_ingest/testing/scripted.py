"""An adapter that yields what a list says."""

from collections.abc import AsyncIterator, Iterable
from typing import Any

import anyio
import attrs

from trio_ingest import CheckpointError, Cursor, Document, PipelineEvent


@attrs.frozen
class Fail:
    """A record whose ``parse`` raises ``error``, each time."""

    __module__ = "trio_ingest.testing"

    error: Exception = attrs.field(factory=lambda: ValueError("scripted failure"))


@attrs.frozen
class FailTimes:
    """A record whose ``parse`` raises an ``OSError`` so many times, then succeeds."""

    __module__ = "trio_ingest.testing"

    times: int


@attrs.frozen
class SlowParse:
    """A record whose ``parse`` awaits ``seconds``."""

    __module__ = "trio_ingest.testing"

    seconds: float


@attrs.frozen
class BadParse:
    """A record whose ``parse`` gives ``value`` where a document is due."""

    __module__ = "trio_ingest.testing"

    value: Any = None


@attrs.frozen
class Hang:
    """No record: ``fetch`` waits here for ever."""

    __module__ = "trio_ingest.testing"


@attrs.frozen
class End:
    """No record: ``fetch`` ends here, the first time that it comes here.

    A later run goes on behind it: a source that has grown meanwhile.
    """

    __module__ = "trio_ingest.testing"


@attrs.frozen
class Pause:
    """No record: ``fetch`` awaits ``seconds`` here."""

    __module__ = "trio_ingest.testing"

    seconds: float


@attrs.frozen
class Crash:
    """No record: ``fetch`` raises ``error`` here."""

    __module__ = "trio_ingest.testing"

    error: Exception = attrs.field(factory=lambda: RuntimeError("scripted crash"))


@attrs.define
class _Record:
    index: int
    step: Any
    attempts: int = 0


class ScriptedAdapter:
    """An adapter that yields the steps of a script, and counts what was done to it.

    ``Pause``, ``Hang``, ``Crash``, ``End``, ``Cursor`` and own events act where they stand;
    every other step is a record, and its document's id is its index in the script as text. A
    run that is resumed with the value of a ``Cursor`` goes on behind that step.

    ``opened``, ``closed``, ``fetched`` and ``parsed`` count runs begun and ended, records
    yielded and calls of ``parse``.

    Args:
        script: the steps.
        source: the adapter's name in events; ``"script"`` by default.
        stable_order: whether it may be resumed by counting records; True by default.

    Memory: the script.
    """

    __module__ = "trio_ingest.testing"

    def __init__(
        self, script: Iterable[Any], *, source: str = "script", stable_order: bool = True
    ) -> None:
        self.script = list(script)
        self.source = source
        self.stable_order = stable_order
        self.opened = 0
        self.closed = 0
        self.fetched = 0
        self.parsed = 0
        self._ends_seen: set[int] = set()

    async def fetch(self, *, cursor: Any = None) -> AsyncIterator[Any]:
        """Yield what the script says; cancelled, it counts as closed.

        Args:
            cursor: the value of the ``Cursor`` to go on behind; the beginning when None.

        Raises:
            CheckpointError: no ``Cursor`` of the script has this value.
            Exception: the error of a ``Crash``.
        """
        start = 0 if cursor is None else self._behind(cursor)
        self.opened += 1
        try:
            for index, step in enumerate(self.script[start:], start):
                if isinstance(step, Pause):
                    await anyio.sleep(step.seconds)
                elif isinstance(step, Hang):
                    await anyio.sleep_forever()
                elif isinstance(step, Crash):
                    raise step.error
                elif isinstance(step, End):
                    if index not in self._ends_seen:
                        self._ends_seen.add(index)
                        return
                elif isinstance(step, Cursor | PipelineEvent):
                    yield step
                else:
                    self.fetched += 1
                    yield _Record(index, step)
        finally:
            self.closed += 1

    def parse(self, record: _Record) -> Any:
        """Make the document, or do what the step says instead.

        Args:
            record: one that ``fetch`` has yielded.

        Returns:
            a document, an awaitable of one for ``SlowParse``, or the value of ``BadParse``.

        Raises:
            Exception: the error of a ``Fail``.
            OSError: for ``FailTimes``, so many times.
        """
        self.parsed += 1
        record.attempts += 1
        step = record.step
        if isinstance(step, Fail):
            raise step.error
        if isinstance(step, FailTimes) and record.attempts <= step.times:
            raise OSError(f"scripted failure {record.attempts} of {step.times}")
        if isinstance(step, BadParse):
            return step.value
        if isinstance(step, SlowParse):
            return self._slowly(record, step.seconds)
        return self._document(record)

    def _behind(self, cursor: Any) -> int:
        for index, step in enumerate(self.script):
            if isinstance(step, Cursor) and step.value == cursor:
                return index + 1
        raise CheckpointError(
            f"The checkpoint's cursor is {cursor!r:.80}, and no Cursor in the script of "
            f"{self.source!r:.80} has this value. Resume with a script that has it."
        )

    async def _slowly(self, record: _Record, seconds: float) -> Document:
        await anyio.sleep(seconds)
        return self._document(record)

    def _document(self, record: _Record) -> Document:
        return Document(str(record.index), self.source, "", raw=record.step)
