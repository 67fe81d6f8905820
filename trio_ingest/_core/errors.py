"""The exceptions that trio_ingest raises, sorted by whose fault they are.

Exceptions of the user's own code are never replaced by these: they leave as
themselves, with notes that say where they happened.
"""

from __future__ import annotations

from contextlib import suppress

from .reprs import one_line


class IngestError(Exception):
    """The base of every exception that trio_ingest itself raises."""

    __module__ = "trio_ingest"


class SetupError(IngestError, ValueError):
    """The caller asked for something that cannot work; raised before the first event."""

    __module__ = "trio_ingest"


class CheckpointError(IngestError):
    """A checkpoint does not fit this run: other params, another pipeline, a newer version."""

    __module__ = "trio_ingest"


class StreamClosedError(IngestError):
    """A stream was used after its block was left, or entered a second time."""

    __module__ = "trio_ingest"


class StreamBusyError(IngestError):
    """Two tasks waited for the next event of one stream at the same time."""

    __module__ = "trio_ingest"


class UnknownEventError(IngestError):
    """Recorded JSON names an event type that the reader does not know."""

    __module__ = "trio_ingest"


class MissingExtraError(IngestError, ImportError):
    """A feature needs a package that is not installed; the message names the extra."""

    __module__ = "trio_ingest"


class EngineBug(IngestError):
    """The engine broke one of its own rules; please report it."""

    __module__ = "trio_ingest"


def abbreviated(value: object) -> str:
    """Return ``repr(value)``, cut at 80 characters so that a message stays one sentence."""
    return one_line(value, 80)


def described(error: BaseException) -> str:
    """Return the class and the first line of an exception, even of one without a text."""
    try:
        text = f"{type(error).__name__}: {error}".partition("\n")[0]
    except Exception:  # noqa: BLE001 -- the same
        return f"{type(error).__name__}, whose text failed"
    return text if len(text) <= 200 else text[:197] + "..."


def message_of(error: BaseException) -> str:
    """Return the text of an exception, even of one that has none to give."""
    try:
        return str(error)
    except Exception as failed:  # noqa: BLE001 -- whatever a user's __str__ does
        return f"its text failed with {type(failed).__name__}"


def add_note(error: BaseException, note: str) -> None:
    """Add a note once, unless the exception is one that cannot be changed."""
    with suppress(Exception):
        if note not in getattr(error, "__notes__", ()):
            error.add_note(note)


def with_closing_error(error: Exception | None, closing: Exception | None) -> Exception | None:
    """Return the error to raise after a failure, an error in closing, or both."""
    if error is not None and closing is not None:
        add_note(error, f"Besides, closing the adapter failed: {described(closing)}")
    return error or closing
