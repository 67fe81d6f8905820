"""The state to persist in order to resume: small, versioned, made of JSON values only.

The engine mints checkpoints and stores nothing. A checkpoint holds one position for each
adapter run, keyed by the adapter's source and the canonical JSON of its params. Its size
follows what is in flight, never how much was done.
"""

from collections.abc import Mapping
from typing import Any, Self

import attrs

from . import positions
from .errors import CheckpointError, abbreviated
from .positions import Position, canonical_parameters
from .reprs import one_line

CHECKPOINT_VERSION = 1


@attrs.frozen
class Checkpoint:
    """Everything that a later run needs in order to go on from here.

    Args:
        positions: one for each adapter run, in the order of the run.
        version: of this form.
    """

    __module__ = "trio_ingest"

    positions: tuple[Position, ...] = attrs.field(repr=lambda value: one_line(value, 400))
    version: int = CHECKPOINT_VERSION

    @property
    def finished(self) -> bool:
        """True when every adapter run came to its end; False without any position."""
        return bool(self.positions) and all(position.finished for position in self.positions)

    def position(self, source: str, params: Mapping[str, Any]) -> Position | None:
        """Return the position of one adapter run.

        Args:
            source: the adapter's ``source``.
            params: the params of the run, as they were passed to it.

        Returns:
            The position, or None when the checkpoint knows nothing of that run.

        Raises:
            SetupError: when the params cannot be named.
        """
        return self._by_key.get((source, canonical_parameters(params)))

    def covers(self, other: Self) -> bool:
        """Return whether this checkpoint claims everything that another one claims.

        Args:
            other: of the same job.

        Returns:
            True when a run that resumes from this one passes over nothing but what
            one that resumes from ``other`` would pass over.
        """
        mine = self._by_key
        for theirs in other.positions:
            ours = mine.get((theirs.source, theirs.parameters))
            if ours is None:
                if theirs.finished or theirs.watermark or theirs.ended:
                    return False
            elif not positions.misses_nothing(ours, theirs):
                return False
        return True

    def meet(self, other: Self) -> Self:
        """Return the claims that both make, so that a holder of either misses nothing.

        Args:
            other: of the same job. A position that it lacks claims nothing.

        Returns:
            A checkpoint with the positions of this one.

        Memory: O(ranges of both).
        """
        theirs = other._by_key
        met = (positions.meet(p, theirs.get(_key(p))) for p in self.positions)
        return attrs.evolve(self, positions=tuple(met))

    def join(self, other: Self) -> Self:
        """Return the claims that either makes, where records keep their numbers.

        Args:
            other: of the same job; where records do not keep their numbers, its claims
                are the result.

        Returns:
            A checkpoint with the positions of ``other``.

        Memory: O(ranges of both).
        """
        mine = self._by_key
        joined = (positions.join(p, mine.get(_key(p))) for p in other.positions)
        return attrs.evolve(other, positions=tuple(joined))

    @property
    def _by_key(self) -> dict[tuple[str, str], Position]:
        return {_key(p): p for p in self.positions}

    def to_dict(self) -> dict[str, Any]:
        """Return the checkpoint as JSON values.

        Returns:
            A mapping of which ``from_dict`` makes an equal checkpoint.
        """
        listed = [positions.to_json(position) for position in self.positions]
        return {"version": self.version, "positions": listed}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Return the checkpoint that ``to_dict`` gave.

        Args:
            data: as it was stored.

        Returns:
            An equal checkpoint.

        Raises:
            CheckpointError: when a newer version wrote it, or it is damaged.
        """
        try:
            version = data["version"]
            if type(version) is not int or version < 1:
                raise ValueError(f"version is {abbreviated(version)}")
            if version <= CHECKPOINT_VERSION:
                found = tuple(positions.from_json(item) for item in data["positions"])
                if len({_key(p) for p in found}) != len(found):
                    raise ValueError("two positions of one adapter run")
                return cls(found, version)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(
                f"This is not a checkpoint of trio_ingest, or it is damaged ({error!r}): "
                f"{abbreviated(data)}. Start again without it, or restore an older one."
            ) from error
        raise CheckpointError(
            f"The checkpoint has version {version}; this release of trio_ingest reads up "
            f"to version {CHECKPOINT_VERSION}. Upgrade trio_ingest to resume from it."
        )


def _key(position: Position) -> tuple[str, str]:
    return position.source, position.parameters
