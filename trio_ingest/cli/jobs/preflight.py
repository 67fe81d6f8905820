"""The checks before a run: what the sinks have of the job already must fit what is asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from trio_ingest import CheckpointError, SetupError
from trio_ingest.cli.endpoints.endpoint import Endpoint
from trio_ingest.cli.endpoints.sinks import Destination
from trio_ingest.connectors import adapter_connectors
from trio_ingest.delivery import SinkState, Totals

from .job import Job

# Of a pipe that was given as a file, nothing can be there later.
_OF_PROCESSES: Final = ("/proc/", "/dev/")


async def look(job: Job) -> dict[str, Totals]:  # noqa: ASYNC910 -- there is a sink
    """Refuse what would double documents or belongs to another job.

    Returns:
        what each sink has, by its path; those without a checkpoint are left out.

    Raises:
        SetupError: a checkpoint is there and --resume was not given, or it is of another job.
        CheckpointError: it is damaged, or a newer release wrote it.
    """
    stored: dict[str, SinkState] = {}
    for destination in job.destinations:
        delivered = await _loaded(destination)
        if delivered is None:
            await _refuse_moved(destination, job)
            continue
        stored[destination.place] = delivered
        _check_sources(destination, delivered, job.source_names)
    if stored and job.beginning is None:
        path = next(iter(stored))
        raise SetupError(_refusal(path, stored[path], job))
    return {path: one.totals for path, one in stored.items()}  # noqa: ASYNC910 -- as above


async def keep_others(job: Job) -> None:  # noqa: ASYNC910 -- there is a sink
    """Refuse to empty a file that has the documents of another job.

    Raises:
        SetupError: one has.
    """
    for destination in job.destinations:
        if not destination.restart_empties:
            continue
        try:
            delivered = await _loaded(destination)
        except CheckpointError:
            # Whether it may be dropped all the same, the sink will say.
            continue
        if delivered is not None and delivered.checkpoint.positions:
            _check_sources(destination, delivered, job.source_names)


async def _loaded(destination: Destination) -> SinkState | None:
    if not destination.keeps_checkpoint:
        return None  # noqa: ASYNC910 -- there is nothing to wait for
    loaded: SinkState | None = await destination.sink.load()
    return loaded


async def _refuse_moved(destination: Destination, job: Job) -> None:
    """Refuse to begin beside a job of which the source is gone: it may have been moved here.

    Raises:
        SetupError: there is one, and this is a job that the sink does not know.
    """
    list_jobs = getattr(destination.sink, "unfinished_jobs", None)
    if list_jobs is None:
        return  # noqa: ASYNC910 -- there is nothing to wait for
    kinds, ours = adapter_connectors(), {s.endpoint.connector.name for s in job.sources}
    for name in await list_jobs():
        kind, _, place = name.partition(":")
        if kind not in ours or kind not in kinds or place.startswith(_OF_PROCESSES):
            continue
        endpoint = Endpoint(kinds[kind], place)
        try:
            endpoint.ask("check")
            endpoint.ask("touches")  # of which some must be there
        except SetupError as error:
            raise SetupError(
                f"{destination.place} has a job that was stopped, of {place}, which cannot "
                f"be read any more. If it was moved, put it back and go on with --resume; if "
                f"that job is done with, begin this one with --restart."
            ) from error


def _check_sources(
    destination: Destination, delivered: SinkState, ours: Sequence[str]
) -> None:
    found = sorted(position.source for position in delivered.checkpoint.positions)
    if found == ours:
        return
    path, spelled = destination.place, " and ".join(ours)
    remedy = destination.endpoint.connector.other_job_remedy(path, spelled)
    raise SetupError(
        f"{path} has the checkpoint of another job, whose source is {' and '.join(found)}, "
        f"and not {spelled}. Spell the source as it was; {remedy}."
    )


def _emptied(job: Job) -> str:
    """The clause about documents that a restart drops."""
    emptied = [one.place for one in job.destinations if one.restart_empties]
    return f", which empties {' and '.join(emptied)}" if emptied else ""


def _refusal(path: str, delivered: SinkState, job: Job) -> str:
    emptied = _emptied(job)
    count = f"{delivered.totals.delivered:,} documents"
    if delivered.checkpoint.finished and any(
        getattr(source.adapter, "is_open_ended", False) for source in job.sources
    ):
        return (
            f"{path} has the checkpoint of a job that came to its end, with {count}. To read "
            f"on behind what was counted, in case its writer had died, give --resume; to "
            f"begin again, give --restart{emptied}."
        )
    if delivered.checkpoint.finished:
        return (
            f"{path} has the checkpoint of a job that came to its end, with {count}. To run "
            f"it again from the beginning, give --restart{emptied}; with --resume there would "
            f"be nothing left to do."
        )
    return (
        f"{path} has the checkpoint of a job that was stopped, with {count}. To go on from "
        f"there, give --resume; to begin again, give --restart{emptied}."
    )
