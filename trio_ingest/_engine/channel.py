"""The buffer between the engine and the consumer: bounded, in order, failure in band.

Why not Trio's memory channel: each of its hops is an awaited cancellation point, which
costs more than everything else the engine does for a document. Here a task only gives
way when it has to: a producer that finds no room, a consumer that finds nothing, and
either of them after a burst of ``burst`` events.

Rules that live only here:

* A producer first waits for room and then, without an ``await``, makes its event and
  puts it: so events enter in the order of their ``sequence``.
* Room goes to producers in the order in which they asked: while one of them waits, nobody
  may pass (``limit`` is 0). Room promised to a producer that has been woken is kept for it.
* An event is taken out only after the last ``await``: a cancelled ``get`` loses nothing.
* The consumer receives every event before it sees the failure, and sees the failure
  every time it asks again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sized

from trio_ingest._core.errors import StreamBusyError
from trio_ingest._core.events import PipelineEvent

from .runtime import Runtime, Waiter, ki_protected

# How many events either side handles before it lets others run. A cancellation point
# costs about five events' worth of work: at 100 it is 5 % of the channel's cost, at 10
# half of it; at 1,000 a cancelled consumer would go on for a visible time.
BURST = 100


class Channel:
    """One consumer, any number of producers.

    Args:
        size: how many events may wait.
        runtime: the async library.

    Memory: ``size`` events.
    """

    __slots__ = (
        "_asking",
        "_batch_taken",
        "_burst",
        "_consumer",
        "_fast_left",
        "_producers",
        "_promised",
        "_runtime",
        "_size",
        "batch_queue",
        "closed",
        "end_was_seen",
        "failure",
        "in_hand",
        "limit",
        "queue",
    )

    def __init__(self, size: int, runtime: Runtime) -> None:
        self.queue: deque[PipelineEvent] = deque()
        self._size = size
        self.closed = self.end_was_seen = False
        self.failure: BaseException | None = None
        # How many events the consumer has and has not acknowledged.
        self.in_hand = 0
        self._batch_taken = 0
        # Where a consumer elsewhere keeps what it was lent.
        self.batch_queue: Sized = ()
        self._runtime = runtime
        self._consumer = runtime.waiter()
        self._producers: deque[Waiter] = deque()
        self._promised = 0
        self._asking = False
        self._burst = BURST
        self._fast_left = 0
        self._set_limit()

    def acknowledged(self, sequence: int) -> int:
        """How many of the first ``sequence`` events the consumer has acknowledged.

        What is in the consumer's hands is not, until it asks for the next.
        """
        return sequence - len(self.queue) - self.in_hand

    @property
    def depth(self) -> int:
        """How many events wait for the consumer."""
        return len(self.queue) + len(self.batch_queue)

    async def wait_for_slot(self) -> None:
        """Wait until an event fits; then put one, or forgo, before awaiting again."""
        if self._burst <= 1:
            await self._runtime.cancellation_point()
        if self._producers or len(self.queue) + self._promised >= self._size:
            await self._wait_in_turn()

    @ki_protected
    async def _wait_in_turn(self) -> None:
        waiter = self._runtime.waiter()
        self._producers.append(waiter)
        self.limit = 0
        try:
            await waiter.wait()
        except BaseException:
            # Promised or not: what this producer does not use goes to the next.
            if waiter in self._producers:
                self._producers.remove(waiter)
            else:
                self._promised -= 1
            self._grant()
            raise
        self._promised -= 1
        self._set_limit()

    def release_slot(self) -> None:
        """Pass room that was waited for on to the next producer."""
        self._grant()

    @ki_protected
    def put(self, event: PipelineEvent) -> None:
        """Append an event; only after room was found or waited for."""
        self.queue.append(event)
        if self._consumer.occupied:
            self._consumer.wake()

    @ki_protected
    def close(self, failure: BaseException | None) -> None:
        """Nothing more will come: after the rest, the consumer sees the end or ``failure``."""
        if isinstance(failure, StopAsyncIteration):
            # Raised as itself it would look like a clean end.
            wrapped = RuntimeError("an adapter raised StopAsyncIteration")
            wrapped.__cause__ = failure
            failure = wrapped
        self.closed = True
        self.failure = failure
        if self._consumer.occupied:
            self._consumer.wake()

    @ki_protected
    async def get(self) -> PipelineEvent:
        """The next event. If cancelled, nothing is lost.

        Raises:
            StopAsyncIteration: at the end of the stream.
            StreamBusyError: when another task is waiting here.
            BaseException: the failure that ended the stream, as itself.
        """
        fast_left = self._fast_left
        if fast_left and self.queue:
            self._fast_left = fast_left - 1
            event = self.queue.popleft()
            if self._producers:
                self._grant()
            return event
        return await self._get_slowly()

    @ki_protected
    async def _get_slowly(self) -> PipelineEvent:
        if self._asking:
            raise busy()
        queue = self.queue
        # With no fast way left, nobody can pass while this waits or after it is cancelled.
        self._asking, self.in_hand, self._fast_left = True, 0, 0
        try:
            if queue or self.closed:
                await self._runtime.cancellation_point()
            while not queue:
                if not self.closed:
                    await self._consumer.wait()
                elif self.failure is None:
                    self.end_was_seen = True
                    raise StopAsyncIteration
                else:
                    raise self.failure
        finally:
            self._asking = False
        self._fast_left, self.in_hand = self._burst - 1, 1
        event = queue.popleft()
        if self._producers:
            self._grant()
        return event

    @ki_protected
    async def take_batch(self) -> list[PipelineEvent]:
        """Everything that waits, for a consumer that takes it one by one elsewhere.

        Until ``acknowledge_batch`` none of it is acknowledged, and it takes the room it had.

        Raises: as ``get``.
        """
        first = await self._get_slowly()
        rest, self._fast_left = list(self.queue), 0
        self.queue.clear()
        self._batch_taken = self.in_hand = 1 + len(rest)
        self._size -= self._batch_taken
        self._set_limit()
        return [first, *rest]

    @ki_protected
    def acknowledge_batch(self) -> None:
        """The consumer has asked for more, and so has acknowledged what was lent."""
        self._size += self._batch_taken
        self._batch_taken = self.in_hand = 0
        self._grant()

    @ki_protected
    def _grant(self) -> None:
        """Promise free places to the producers that wait, the first one first."""
        producers = self._producers
        while producers and len(self.queue) + self._promised < self._size:
            self._promised += 1
            producers.popleft().wake()
        self._set_limit()

    def _set_limit(self) -> None:
        # A producer that finds fewer events than this may put without asking for room.
        asked = self._producers or self._burst <= 1
        self.limit = 0 if asked else self._size - self._promised


def busy() -> StreamBusyError:
    """What the second of two tasks is told that wait for one stream."""
    return StreamBusyError(
        "Another task is already waiting for the next event of this stream. A stream has one "
        "consumer: iterate it in one task and pass the events on."
    )
