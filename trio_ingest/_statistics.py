"""The numbers of a stream at one moment."""

import attrs

from trio_ingest._core.reprs import html_table, summary


@attrs.frozen(kw_only=True)
class StreamStatistics:
    """A stream at one moment.

    Args:
        queue_depth: events that wait for the consumer.
        buffer_size: how many may wait.
        in_flight: documents started and not ended.
        completed: documents completed.
        failed: documents failed.
        skipped: records that were done already.
        retried: retries announced.
        fetch_seconds: time spent in ``fetch``, summed over tasks like the next three.
        parse_seconds: time spent in ``parse``.
        consumer_seconds: time spent waiting for the consumer.
        throttle_seconds: time spent held back on purpose: paused, or between retries.
    """

    __module__ = "trio_ingest"

    queue_depth: int
    buffer_size: int
    in_flight: int
    completed: int
    failed: int
    skipped: int
    retried: int
    fetch_seconds: float
    parse_seconds: float
    consumer_seconds: float
    throttle_seconds: float

    def __repr__(self) -> str:
        return summary(self, lambda: f": {numbers(self)}")

    def _repr_html_(self) -> str:
        return html_table("StreamStatistics", attrs.asdict(self).items())


def numbers(now: StreamStatistics, *, buffer: bool = True) -> str:
    """Return in a few words how many documents have ended, and how full the buffer is."""
    skipped = f", {now.skipped:,} skipped" if now.skipped else ""
    waiting = f", buffer {now.queue_depth:,}/{now.buffer_size:,}" if buffer else ""
    return f"{now.completed:,} completed, {now.failed:,} failed{skipped}{waiting}"
