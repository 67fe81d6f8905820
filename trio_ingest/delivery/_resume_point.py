"""The place where a job can go on: what all of its sinks have."""

from __future__ import annotations

from trio_ingest import Checkpoint

from ._sink import ResumableSink, Sink


async def resume_point(*sinks: Sink) -> Checkpoint | None:
    """Return the checkpoint to pass as ``resume_from``: it covers what every sink has.

    Args:
        sinks: as they are passed to ``deliver``; those that keep no checkpoint do not count.

    Returns:
        None when none of them has one, so that the job begins. Otherwise what all of them
        have: nothing, when one of them is new. ``deliver`` gives to each sink what it lacks.

    Raises:
        CheckpointError: a sink's checkpoint is damaged, or a newer release wrote it.
        Exception: what a sink's ``load`` raises.

    Cancelled here, nothing has changed.
    """
    found = [await sink.load() for sink in sinks if isinstance(sink, ResumableSink)]
    checkpoints = [None if one is None else one.checkpoint for one in found]
    point: Checkpoint | None = next((one for one in checkpoints if one is not None), None)
    if point is None:
        return None  # noqa: ASYNC910 -- no sink was asked
    for checkpoint in checkpoints:
        point = point.meet(Checkpoint(()) if checkpoint is None else checkpoint)
    return point  # noqa: ASYNC910 -- the same
