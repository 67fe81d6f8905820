"""Streaming document ingestion on Trio: one stream of typed events, and its consumers.

The path of the data, and where to read about each step:

    adapter     _adapters   what an adapter has, and the plan made of it
    engine      _engine     the tasks; _lane, _solo and _crew move one adapter run,
                            _work brings one record to its end, _inline is the bare form
    book        _run        decides what is emitted; _watermark, _progress, _ordering, _retry
    channel     _channel    the bounded buffer, with the failure in band
    stream      _stream     what the consumer iterates; _pipeline starts it

Words come from _events, _documents, _checkpoints and _errors.

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
    from ._pipeline import IngestionPipeline, RunArguments
    from ._results import DocumentStream, PipelineResult
    from ._stream import EventStream, StreamStatistics

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
    "StreamBusyError",
    "StreamClosedError",
    "StreamStatistics",
    "UnknownEventError",
]

# Where each name lives, for whoever runs the program; the imports above are for whoever
# checks its types. A test holds the two together.
_HOMES = {
    name: home
    for home, names in {
        "_core.adapters": (
            "Adapter",
            "Closes",
            "EstimatesTotal",
            "FetchItem",
            "HasStableOrder",
            "Identifies",
            "JudgesErrors",
        ),
        "_core.checkpoints": ("Checkpoint",),
        "_core.documents": ("Document",),
        "_core.errors": (
            "CheckpointError",
            "EngineBug",
            "IngestError",
            "MissingExtraError",
            "SetupError",
            "StreamBusyError",
            "StreamClosedError",
            "UnknownEventError",
        ),
        "_core.events": (
            "AdapterState",
            "AdapterStateChange",
            "BatchProgress",
            "DocumentCompleted",
            "DocumentFailed",
            "DocumentRetrying",
            "DocumentSkipped",
            "DocumentStarted",
            "EngineEvent",
            "PipelineEvent",
        ),
        "_core.options": ("RetryPolicy",),
        "_core.positions": (
            "Cursor",
            "Position",
        ),
        "_pipeline": (
            "IngestionPipeline",
            "RunArguments",
        ),
        "_results": (
            "DocumentStream",
            "PipelineResult",
        ),
        "_stream": (
            "EventStream",
            "StreamStatistics",
        ),
    }.items()
    for name in names
}

# Hidden from type checkers, for whom every name would exist otherwise.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module 'trio_ingest' has no attribute {name!r}")
        from importlib import import_module  # noqa: PLC0415 - as above

        value = getattr(import_module(f"trio_ingest.{_HOMES[name]}"), name)
        globals()[name] = value  # so that the next one need not ask
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
