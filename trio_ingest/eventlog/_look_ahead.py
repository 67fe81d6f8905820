"""A look into a log, for what must be known of a run before its first event is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from trio_ingest import AdapterStateChange, BatchProgress, Checkpoint, DocumentStarted

from ._log import Line, Log, event_of, run_of
from ._replay_progress import ReplayProgress
from .errors import EventLogError

if TYPE_CHECKING:
    from trio_ingest.serialization import EventCodec


class Ahead(NamedTuple):
    """The beginning of a run.

    Args:
        resumed_from: the checkpoint that the run was resumed from, as far as the log shows.
        first: the first checkpoint of the run.
        known: that, or one of another run of the log: it has the same positions.
        sources: the adapters that are named up to there, in the order of the pipeline when
            there is a checkpoint.
    """

    resumed_from: Checkpoint | None
    first: Checkpoint | None
    known: Checkpoint | None
    sources: tuple[str, ...]


NOTHING_AHEAD: Final = Ahead(None, None, None, ())


def look_ahead(path: str, wanted: str | None, codec: EventCodec) -> Ahead:
    """Read up to the first checkpoint of a run.

    Args:
        path: of the log.
        wanted: the pipeline_id of the run; the first one when None.
        codec: reads the lines. This stops at one that cannot be read, and leaves the error
            to the replay.

    Raises:
        EventLogError: the log cannot be read.
    """
    progress = ReplayProgress()
    sources: dict[str, None] = {}
    # Any run of the job has the same adapters and says which of them have a stable order.
    other: Line | None = None
    for line in Log(path).lines():
        found = run_of(line.text)
        wanted = found if wanted is None else wanted
        if found != wanted:
            if b'"positions"' in line.text:
                other = line
                if progress.has_begun:
                    break
            continue
        try:
            event = event_of(codec, line)
        except EventLogError:
            break
        if isinstance(event, BatchProgress) and event.checkpoint is not None:
            first = event.checkpoint
            named = dict.fromkeys(position.source for position in first.positions)
            return Ahead(progress.resumed_from(first), first, first, tuple(named))
        if isinstance(event, AdapterStateChange | DocumentStarted):
            sources[event.adapter] = None
        progress.take(event)
        if progress.has_gap:
            break
    return Ahead(None, None, _checkpoint_of(other, codec), tuple(sources))


def _checkpoint_of(line: Line | None, codec: EventCodec) -> Checkpoint | None:
    try:
        event = None if line is None else event_of(codec, line)
    except EventLogError:
        return None
    return event.checkpoint if isinstance(event, BatchProgress) else None
