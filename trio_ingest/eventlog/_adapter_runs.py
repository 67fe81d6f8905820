"""The adapter runs that a log names: by adapter and params, as a checkpoint has them."""

from __future__ import annotations

from typing import Any, TypeAlias

from trio_ingest._core.positions import canonical_parameters

# An adapter's source, and its params as canonical JSON.
Key: TypeAlias = tuple[str, str]


class KeyCache:
    """Makes keys; params that are equal to the last ones, as a rule, are not spelled again."""

    def __init__(self) -> None:
        self._parameters: Any = None
        self._spelled = ""

    def key_of(self, adapter: str, parameters: Any) -> Key:
        """Return the key of an adapter run."""
        if parameters != self._parameters:
            self._parameters, self._spelled = parameters, canonical_parameters(parameters)
        return adapter, self._spelled
