"""The numbers of a stream at one moment."""

import attrs


@attrs.frozen(kw_only=True)
class StreamStatistics:
    """A stream at one moment.

    Args:
        queue_depth: events waiting for the consumer.
        buffer_size: how many may wait.
        in_flight: documents started and not ended.
        completed: documents completed.
        failed: documents failed.
        skipped: records that were done already.
        retried: retries announced.
        fetch_seconds: time spent in ``fetch``, summed over tasks like the next three.
        parse_seconds: time spent in ``parse``.
        consumer_seconds: time spent waiting for the consumer.
        throttle_seconds: time spent held back on purpose.
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
