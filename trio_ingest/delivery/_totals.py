"""The state of a whole job: all of its runs together, from its first checkpoint on."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import attrs

from trio_ingest import Checkpoint, CheckpointError

STATE_VERSION = 1

# Source, canonical parameters and number of a record.
RecordKey: TypeAlias = tuple[str, str, int]


@attrs.frozen(kw_only=True)
class Totals:
    """The records of a job that have ended, counted by how they ended.

    Args:
        completed: records that became documents, the rejected ones among them.
        failed: records that became none.
        skipped: documents that were known, after parsing, to be done already.
        rejected: documents that the sink, or one before it in the delivery, did not take.
    """

    __module__ = "trio_ingest.delivery"

    completed: int = 0
    failed: int = 0
    skipped: int = 0
    rejected: int = 0

    @property
    def delivered(self) -> int:
        """Documents that are in the sink, and in those before it."""
        return self.completed - self.rejected

    @property
    def bad(self) -> int:
        """Records that are missing in a sink: failed or rejected."""
        return self.failed + self.rejected

    def plus(
        self, *, completed: int = 0, failed: int = 0, skipped: int = 0, rejected: int = 0
    ) -> "Totals":
        """Return these totals and so many more."""
        return Totals(
            completed=self.completed + completed,
            failed=self.failed + failed,
            skipped=self.skipped + skipped,
            rejected=self.rejected + rejected,
        )


@attrs.frozen
class SinkState:
    """The state that a sink commits together with a batch, and the next run starts from.

    Args:
        checkpoint: covers exactly what is in the sink.
        totals: of the whole job until there.
        rejected: the records of the newest batch whose documents the sink, or one before
            it, did not take: a sink that missed that batch must be told of them once more.

    Memory: with the checkpoint's, a number for each rejected document of one batch.
    """

    __module__ = "trio_ingest.delivery"

    checkpoint: Checkpoint
    totals: Totals = attrs.field(factory=Totals)
    rejected: frozenset[RecordKey] = frozenset()

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values; ``from_dict`` is the inverse."""
        return {
            "version": STATE_VERSION,
            "checkpoint": self.checkpoint.to_dict(),
            "totals": attrs.asdict(self.totals),
            "rejected": sorted(list(key) for key in self.rejected),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "SinkState":
        """Return the state that ``to_dict`` gave as ``data``.

        Args:
            data: JSON values.

        Raises:
            CheckpointError: when a newer version wrote it, or it is damaged.
        """
        try:
            version = data["version"]
            if type(version) is not int or version < 1:
                raise ValueError(f"version is {version!r}")
            if version <= STATE_VERSION:
                return cls(
                    Checkpoint.from_dict(data["checkpoint"]),
                    _totals(data["totals"]),
                    frozenset(_record_key(item) for item in data.get("rejected", ())),
                )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(
                f"What the sink says of its checkpoint is damaged ({error!r:.80}). Start "
                f"again without it, or restore an older one."
            ) from error
        raise CheckpointError(
            f"What the sink says of its checkpoint has version {version}; this release of "
            f"trio_ingest reads up to version {STATE_VERSION}. Upgrade trio_ingest to "
            f"resume from it."
        )


def _record_key(data: Sequence[Any]) -> RecordKey:
    source, parameters, record_number = data
    if [type(part) for part in data] != [str, str, int]:
        raise ValueError(f"{data!r:.80} names no record")
    return source, parameters, record_number


def _totals(data: Mapping[str, Any]) -> Totals:
    counts = {field.name: data[field.name] for field in attrs.fields(Totals)}
    for name, count in counts.items():
        if type(count) is not int or count < 0:
            raise ValueError(f"{name} is {count!r}")
    return Totals(**counts)
