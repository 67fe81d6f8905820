"""Every exception of our own, sorted by whose fault it is.

Exceptions of the user's own code are never replaced by these: they leave as
themselves, with notes that say where they happened.
"""

from __future__ import annotations


class IngestError(Exception):
    """The base of every exception that trio_ingest itself raises."""


class SetupError(IngestError, ValueError):
    """The caller asked for something that cannot work; raised before the first event."""


class CheckpointError(IngestError):
    """A checkpoint does not fit this run: other params, another pipeline, a newer version."""


class StreamClosedError(IngestError):
    """A stream was used after its block was left, or entered a second time."""


class StreamBusyError(IngestError):
    """Two tasks waited for the next event of one stream at the same time."""


class UnknownEventError(IngestError):
    """Recorded JSON names an event type that the reader was not told of."""


class MissingExtraError(IngestError, ImportError):
    """A feature needs a package that is not installed; the message names the extra."""


class EngineBug(IngestError):
    """The engine broke one of its own rules; please report it."""


def shortened(value: object) -> str:
    """``repr(value)``, cut at 80 characters so that a message stays one sentence."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
