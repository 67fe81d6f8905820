"""Streaming document ingestion on Trio: one stream of typed events, and its consumers.

The path of the data, and where to read about each step:

    adapter     _core.adapters    the protocol of an adapter, and the plan made of it
    engine      _engine.engine    the tasks of a stream, a task for each adapter
                _engine.records   one record, from ``fetch`` to its last event
                _engine.closing   the end of a ``fetch`` and of its adapter, within the grace
                _engine.progress_timer   the progress of each second
                _engine.inline    the bare form: the same run in the consumer's own task
    run         _core.run         makes the events, and says what a checkpoint may claim
    channel     _engine.channel   the bounded buffer; a failure comes behind the last event
    stream      _stream           the object that the consumer iterates; _pipeline makes it
    consumers   delivery          documents into sinks, with the checkpoint that covers them

The data itself: _core.documents, _core.events, _core.checkpoints, _core.errors. The rooms
around the engine (adapters, sinks, stores, serialization, eventlog, testing, aio, cli) use
the names below, as any program does.

A name is loaded when it is first asked for, so that a program can begin, and listen to
signals, before Trio is imported.
"""

from __future__ import annotations

# Type checkers know the name; importing it from typing would take longer than all the rest.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from ._core.adapters import (
        Adapter,
        Closes,
        EstimatesTotal,
        FetchItem,
        HasOpenEnd,
        HasStableOrder,
        Identifies,
        JudgesErrors,
    )
    from ._core.checkpoints import Checkpoint
    from ._core.documents import Document
    from ._core.errors import (
        CheckpointError,
        EngineBug,
        IngestError,
        MissingExtraError,
        SetupError,
        StreamBusyError,
        StreamClosedError,
        UnknownEventError,
    )
    from ._core.events import (
        AdapterState,
        AdapterStateChange,
        BatchProgress,
        DocumentCompleted,
        DocumentFailed,
        DocumentRetrying,
        DocumentSkipped,
        DocumentStarted,
        EngineEvent,
        PipelineEvent,
    )
    from ._core.options import RetryPolicy
    from ._core.positions import Cursor, Position
    from ._pipeline import IngestionPipeline, RunArguments, StreamArguments
    from ._results import DocumentStream, PipelineResult
    from ._statistics import StreamStatistics
    from ._stream import EventStream

__version__ = "0.1.0"

__all__ = [
    "Adapter",
    "AdapterState",
    "AdapterStateChange",
    "BatchProgress",
    "Checkpoint",
    "CheckpointError",
    "Closes",
    "Cursor",
    "Document",
    "DocumentCompleted",
    "DocumentFailed",
    "DocumentRetrying",
    "DocumentSkipped",
    "DocumentStarted",
    "DocumentStream",
    "EngineBug",
    "EngineEvent",
    "EstimatesTotal",
    "EventStream",
    "FetchItem",
    "HasOpenEnd",
    "HasStableOrder",
    "Identifies",
    "IngestError",
    "IngestionPipeline",
    "JudgesErrors",
    "MissingExtraError",
    "PipelineEvent",
    "PipelineResult",
    "Position",
    "RetryPolicy",
    "RunArguments",
    "SetupError",
    "StreamArguments",
    "StreamBusyError",
    "StreamClosedError",
    "StreamStatistics",
    "UnknownEventError",
]

# The module of each name, for programs; the imports above are for type checkers. A test
# holds the two together.
_HOMES = {
    name: home
    for home, names in {
        "_core.adapters": (
            "Adapter Closes EstimatesTotal FetchItem HasOpenEnd HasStableOrder Identifies "
            "JudgesErrors"
        ),
        "_core.checkpoints": "Checkpoint",
        "_core.documents": "Document",
        "_core.errors": (
            "CheckpointError EngineBug IngestError MissingExtraError SetupError "
            "StreamBusyError StreamClosedError UnknownEventError"
        ),
        "_core.events": (
            "AdapterState AdapterStateChange BatchProgress DocumentCompleted "
            "DocumentFailed DocumentRetrying DocumentSkipped DocumentStarted "
            "EngineEvent PipelineEvent"
        ),
        "_core.options": "RetryPolicy",
        "_core.positions": "Cursor Position",
        "_pipeline": "IngestionPipeline RunArguments StreamArguments",
        "_results": "DocumentStream PipelineResult",
        "_statistics": "StreamStatistics",
        "_stream": "EventStream",
    }.items()
    for name in names.split()
}

# Hidden from type checkers, for whom every name would exist otherwise.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module 'trio_ingest' has no attribute {name!r}")
        from importlib import import_module  # noqa: PLC0415 -- later is the point

        value = getattr(import_module(f"trio_ingest.{_HOMES[name]}"), name)
        globals()[name] = value  # so that the next one need not ask
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
