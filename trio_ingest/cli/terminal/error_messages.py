"""What ended a run, in a sentence for people."""

from __future__ import annotations

from typing import Final

from trio_ingest import CheckpointError, SetupError
from trio_ingest.adapters import BadFileError
from trio_ingest.delivery import SinkError
from trio_ingest.eventlog import EventLogError

# Their own texts are sentences.
_OURS: Final = (SetupError, CheckpointError, BadFileError, SinkError, EventLogError)


def sentence_of(error: Exception) -> str | None:
    """What went wrong and what to do; None for what nobody has thought of."""
    if isinstance(error, ExceptionGroup):
        each = [sentence_of(one) for one in error.exceptions]
        return None if None in each else " ".join(text for text in each if text is not None)
    text = _text_of(error)
    if text is None:
        return None
    # The engine's own notes tell where in the adapter; the message does already.
    notes = [note for note in getattr(error, "__notes__", ()) if not note.startswith("In the")]
    return " ".join([text, *notes])


def is_refusal(error: Exception) -> bool:
    """Whether the run could not begin as it was asked for."""
    return isinstance(error, SetupError | CheckpointError)


def _text_of(error: Exception) -> str | None:
    match error:
        case OSError(filename=name, strerror=why) if name is not None:
            return f"{name}: {why}."
        case OSError():
            return str(error)
        case MemoryError():
            return "the memory is used up; give fewer workers or a smaller buffer."
        case RuntimeError() if "start new thread" in str(error):
            return "no thread can be started: the system has too many already."
    return str(error) if isinstance(error, _OURS) else None
