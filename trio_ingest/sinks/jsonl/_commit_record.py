"""The record of a commit: how much of a job's files counts, and the state that covers it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import attrs

from trio_ingest import CheckpointError
from trio_ingest.delivery import SinkState
from trio_ingest.storage import path_text

from ._append import FileMark

RECORD_VERSION: Final = 1

_MOST_BYTES: Final = 2**63 - 1


@attrs.frozen
class CommitRecord:
    """The content of ``<path>.checkpoint``, replaced by each commit.

    Args:
        output: the end of the documents.
        failed: the end of the dead letters.
        state: of the sink; None before the first commit.
        damage: the reason why ``state`` cannot be read, though the marks can.
    """

    output: FileMark = attrs.field(factory=FileMark)
    failed: FileMark = attrs.field(factory=FileMark)
    state: SinkState | None = None
    damage: CheckpointError | None = None

    def to_bytes(self) -> bytes:
        """Return the record as the file holds it; ``from_bytes`` is the inverse."""
        fields = {
            "version": RECORD_VERSION,
            "output": attrs.asdict(self.output),
            "failed": attrs.asdict(self.failed),
            "delivered": None if self.state is None else self.state.to_dict(),
        }
        return json.dumps(fields).encode() + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes, path: str) -> CommitRecord:
        """Return the record that ``to_bytes`` gave as ``data``.

        Args:
            data: the content of the file.
            path: the name of the file in messages.

        Raises:
            CheckpointError: it is damaged, or a newer release wrote it.
        """
        try:
            fields = json.loads(data)
            version = fields["version"]
            if type(version) is not int or version < 1:
                raise ValueError(f"version is {version!r}")
            if version <= RECORD_VERSION:
                marks = _mark(fields["output"]), _mark(fields["failed"])
                if fields["delivered"] is None and any(mark.offset for mark in marks):
                    # Taken for a job that has not begun, everything would be appended again.
                    raise ValueError("it has offsets and no state that covers them")
                return cls(*marks, *_state(fields["delivered"], path))
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise CheckpointError(
                f"{path_text(path)} is no checkpoint of ours, or a damaged one "
                f"({error!r:.80}). Bring back the file that it was; or, to begin again, "
                f"delete it together with the file whose checkpoint it is."
            ) from error
        raise CheckpointError(
            f"{path_text(path)} has version {version}; this release of trio_ingest reads up "
            f"to version {RECORD_VERSION}. Upgrade trio_ingest to resume from it; or, to "
            f"begin again, delete it together with the file whose checkpoint it is."
        )


def _state(data: Any, path: str) -> tuple[SinkState | None, CheckpointError | None]:
    try:
        return (None if data is None else SinkState.from_dict(data)), None
    except CheckpointError as error:
        return None, CheckpointError(
            f"{path_text(path)}: {error} Or begin again with `await sink.forget()`, on the "
            f"command line with --restart, which empties the file."
        )


def _mark(data: Mapping[str, Any]) -> FileMark:
    mark = FileMark(data["offset"], data["check"])
    for number, most in ((mark.offset, _MOST_BYTES), (mark.check, 2**32 - 1)):
        if type(number) is not int or not 0 <= number <= most:
            raise ValueError(f"a mark is {dict(data)!r:.60}")
    return mark
