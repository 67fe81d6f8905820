"""From the stream into sinks: batches, each committed with the checkpoint that covers it.

``_sink`` has the protocol of a sink and the batch that it is given, ``_deliver`` the consumer
that gives it, ``_resume_point`` the place where a job goes on. Sinks and stores that ship with
trio_ingest are in ``trio_ingest.sinks`` and ``trio_ingest.stores``; they have nothing that
yours cannot have.
"""

from __future__ import annotations

from ._checkpointed_stream import CheckpointedStream
from ._crash_point import crash_point, watch_crash_points
from ._dead_letters import DeadLetter
from ._deliver import DeliveryReport, deliver
from ._resume_point import resume_point
from ._sink import Batch, Guarantee, Rejection, ResumableSink, Sink
from ._totals import SinkState, Totals
from .errors import SinkError

__all__ = [
    "Batch",
    "CheckpointedStream",
    "DeadLetter",
    "DeliveryReport",
    "Guarantee",
    "Rejection",
    "ResumableSink",
    "Sink",
    "SinkError",
    "SinkState",
    "Totals",
    "crash_point",
    "deliver",
    "resume_point",
    "watch_crash_points",
]
