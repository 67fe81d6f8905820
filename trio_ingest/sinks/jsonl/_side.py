"""The side file: what of a job's files is committed, and the checkpoint that covers it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import attrs

from trio_ingest import CheckpointError
from trio_ingest.delivery import SinkState
from trio_ingest.storage import path_text

from ._append import Mark

SIDE_VERSION: Final = 1

_MOST_BYTES: Final = 2**63 - 1


@attrs.frozen
class Side:
    """What one commit leaves.

    Args:
        output: where the documents end.
        failed: where the dead letters end.
        delivered: what ``load`` gives; None before the first commit.
        damage: why there is no ``delivered``, though the places can be read.
    """

    output: Mark = attrs.field(factory=Mark)
    failed: Mark = attrs.field(factory=Mark)
    delivered: SinkState | None = None
    damage: CheckpointError | None = None

    def to_bytes(self) -> bytes:
        """As the side file holds it; ``from_bytes`` is its inverse."""
        fields = {
            "version": SIDE_VERSION,
            "output": attrs.asdict(self.output),
            "failed": attrs.asdict(self.failed),
            "delivered": None if self.delivered is None else self.delivered.to_dict(),
        }
        return json.dumps(fields).encode() + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes, path: str) -> Side:
        """From what ``to_bytes`` gave.

        Raises:
            CheckpointError: it is damaged, or a newer release wrote it; the message calls
                the file ``path``.
        """
        try:
            fields = json.loads(data)
            version = fields["version"]
            if type(version) is not int or version < 1:
                raise ValueError(f"version is {version!r}")
            if version <= SIDE_VERSION:
                marks = _mark(fields["output"]), _mark(fields["failed"])
                return cls(*marks, *_delivered(fields["delivered"], path))
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise CheckpointError(
                f"{path_text(path)} is no checkpoint of ours, or a damaged one "
                f"({error!r:.80}). Bring back the file that it was; or, to begin again, "
                f"delete it together with the file whose checkpoint it is."
            ) from error
        raise CheckpointError(
            f"{path_text(path)} has version {version}; this release of trio_ingest reads up "
            f"to version {SIDE_VERSION}. Upgrade trio_ingest to resume from it; or, to begin "
            f"again, delete it together with the file whose checkpoint it is."
        )


def _delivered(data: Any, path: str) -> tuple[SinkState | None, CheckpointError | None]:
    try:
        return (None if data is None else SinkState.from_dict(data)), None
    except CheckpointError as error:
        return None, CheckpointError(
            f"{path_text(path)}: {error} Or begin again with `await sink.forget()`, on the "
            f"command line with --restart, which empties the file."
        )


def _mark(data: Mapping[str, Any]) -> Mark:
    mark = Mark(data["offset"], data["check"])
    for number, most in ((mark.offset, _MOST_BYTES), (mark.check, 2**32 - 1)):
        if type(number) is not int or not 0 <= number <= most:
            raise ValueError(f"a mark is {dict(data)!r:.60}")
    return mark
