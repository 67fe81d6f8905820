"""The end of a run that failed, in a sentence for people."""

from __future__ import annotations

import os

from trio_ingest import CheckpointError, EngineBug, IngestError, SetupError


def sentence_of(error: Exception, *, runs_user_code: bool = False) -> str | None:
    """Return what went wrong and what to do; None for what is a fault of this program.

    Args:
        error: what ended the run.
        runs_user_code: whether an adapter or a sink of another author took part, whose
            exceptions may be anything. With TRIO_INGEST_DEBUG set they are None as well,
            so that they are raised with their traceback.
    """
    if isinstance(error, ExceptionGroup):
        each = [sentence_of(one, runs_user_code=runs_user_code) for one in error.exceptions]
        return None if None in each else " ".join(text for text in each if text is not None)
    notes: list[str] = getattr(error, "__notes__", [])
    text = _text_of(error)
    if text is not None:
        if not text.endswith((".", "!", "?")):
            text += "."
        if not (runs_user_code and isinstance(error, OSError) and error.filename is None):
            # The engine's own notes tell where in the adapter; the message does already.
            notes = [note for note in notes if not note.startswith("In the")]
        return " ".join([text, *notes])
    if not runs_user_code or "TRIO_INGEST_DEBUG" in os.environ:
        return None
    return " ".join(
        [f"{exception_text(error)}.", *notes, "TRIO_INGEST_DEBUG=1 shows the line."]
    )


def exception_text(error: BaseException) -> str:
    """Return the class and the text of any exception, in at most 500 characters."""
    try:
        text = str(error)[:500].rstrip(".")
    except Exception:  # noqa: BLE001 -- whatever a user's exception does, there is a sentence
        text = "its text failed"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def is_refusal(error: Exception) -> bool:
    """Return whether the run could not begin as it was asked for."""
    return isinstance(error, SetupError | CheckpointError)


def _text_of(error: Exception) -> str | None:
    match error:
        case OSError(filename=name, strerror=why) if name is not None:
            return f"{name}: {why}."
        case OSError():
            return exception_text(error)
        case MemoryError():
            return "the memory is used up; give fewer workers or a smaller buffer."
        case RuntimeError() if "start new thread" in str(error):
            return "no thread can be started: the system has too many already."
        case IngestError() if not isinstance(error, EngineBug):
            return str(error)  # our own texts are sentences
    return None
