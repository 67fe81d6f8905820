"""The buffer between the engine and the consumer: bounded, in order, failure in band.

It is no Trio memory channel, since each hop of that is an awaited cancellation point, which
costs more than everything else the engine does for a document. Here a task lets others run
only when it has to: a producer that finds no free slot, a consumer that finds no event, and
either of them after a burst of ``BURST`` events.

Rules that live only here:

* A producer first waits for a slot and then, without an ``await``, makes its event and
  puts it: so events enter in the order of their ``sequence``.
* Slots go to producers in the order in which they asked: while one of them waits, no other
  may pass (``limit`` is 0). A slot promised to a producer that was woken is kept for it.
* An event is taken out only after the last ``await``: a cancelled ``get`` loses nothing.
* The consumer receives every event before it sees the failure, and sees the failure
  every time it asks again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sized

import attrs

from trio_ingest._core.errors import StreamBusyError
from trio_ingest._core.events import PipelineEvent

from .runtime import Runtime, Waiter, ki_protected

# So many events either side handles before it lets others run. A cancellation point costs
# as much as about five events: at 100 it is 5 % of the channel's cost, at 10 half of it; at
# 1,000 a cancelled consumer would go on for a visible time.
BURST = 100


@attrs.define(eq=False, repr=False)
class Channel:
    """A bounded queue of events with one consumer and any number of producers.

    Args:
        size: how many events may wait.
        runtime: of the async library.

    Memory: ``size`` events.
    """

    _size: int
    _runtime: Runtime
    queue: deque[PipelineEvent] = attrs.field(factory=deque, init=False)
    closed: bool = attrs.field(default=False, init=False)
    end_was_seen: bool = attrs.field(default=False, init=False)
    failure: BaseException | None = attrs.field(default=None, init=False)
    # The events that the consumer has received and not acknowledged.
    in_hand: int = attrs.field(default=0, init=False)
    # The queue in which a consumer in another thread keeps a batch that it took.
    batch_queue: Sized = attrs.field(default=(), init=False)
    limit: int = attrs.field(init=False)
    _batch_taken: int = attrs.field(default=0, init=False)
    _consumer: Waiter = attrs.field(init=False)
    _producers: deque[Waiter] = attrs.field(factory=deque, init=False)
    _promised: int = attrs.field(default=0, init=False)
    _asking: bool = attrs.field(default=False, init=False)
    _burst: int = attrs.field(factory=lambda: BURST, init=False)
    _fast_left: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self._consumer = self._runtime.waiter()
        self._set_limit()

    def acknowledged(self, sequence: int) -> int:
        """Return how many of the first ``sequence`` events the consumer has acknowledged.

        An event that it has received is not, until it asks for the next one.
        """
        return sequence - len(self.queue) - self.in_hand

    @property
    def depth(self) -> int:
        """The number of events that wait for the consumer."""
        return len(self.queue) + len(self.batch_queue)

    async def wait_for_slot(self) -> None:
        """Wait until an event fits; then ``put`` or ``release_slot`` before any ``await``."""
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
            # Promised or not: a slot that this producer does not use goes to the next.
            if waiter in self._producers:
                self._producers.remove(waiter)
            else:
                self._promised -= 1
            self._grant()
            raise
        self._promised -= 1
        self._set_limit()

    def release_slot(self) -> None:
        """Pass a slot that was waited for on to the next producer."""
        self._grant()

    @ki_protected
    def put(self, event: PipelineEvent) -> None:
        """Append an event; only after a slot was found or waited for."""
        self.queue.append(event)
        if self._consumer.occupied:
            self._consumer.wake()

    @ki_protected
    def close(self, failure: BaseException | None) -> None:
        """End the stream: after the rest, the consumer sees the end or ``failure``."""
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
        """Return the next event. If cancelled, nothing is lost.

        Raises:
            StopAsyncIteration: at the end of the stream.
            StreamBusyError: when another task is waiting here.
            BaseException: the failure that ended the stream, as itself.
        """
        # No await here, so that an event costs no cancellation point; ``_get_slowly`` forces
        # one after each burst.
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
        # With no fast way left, no second task can pass this one while it waits, and the
        # next call after a cancellation does not skip the cancellation point.
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
        """Return all events that wait, for a consumer in another thread.

        Until ``acknowledge_batch`` none of them is acknowledged, and they keep their slots.
        It raises what ``get`` raises.
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
        """Note that the consumer has asked for more, and so acknowledged the batch."""
        self._size += self._batch_taken
        self._batch_taken = self.in_hand = 0
        self._grant()

    @ki_protected
    def _grant(self) -> None:
        """Promise free slots to the producers that wait, the first one first."""
        producers = self._producers
        while producers and len(self.queue) + self._promised < self._size:
            self._promised += 1
            producers.popleft().wake()
        self._set_limit()

    def _set_limit(self) -> None:
        # A producer that finds fewer events than this may put without waiting for a slot,
        # which is one comparison for each event.
        asked = self._producers or self._burst <= 1
        self.limit = 0 if asked else self._size - self._promised


def busy() -> StreamBusyError:
    """Return the error for the second of two tasks that wait for one stream."""
    return StreamBusyError(
        "Another task is already waiting for the next event of this stream. A stream has one "
        "consumer: iterate it in one task and pass the events on."
    )
