"""The parts of Hypothesis, an extra, that the test kit uses."""

from __future__ import annotations

from trio_ingest import MissingExtraError

try:
    from hypothesis import strategies as st
    from hypothesis.stateful import (
        RuleBasedStateMachine,
        initialize,
        invariant,
        precondition,
        rule,
    )
except ImportError as error:
    raise MissingExtraError(
        "The strategies and the state machine need hypothesis, which is not installed. "
        "Install it: pip install 'trio_ingest[testing]'"
    ) from error

__all__ = ["RuleBasedStateMachine", "initialize", "invariant", "precondition", "rule", "st"]
