"""The legal transitions between the states of a document; SQL and tests are made from them."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, get_args

from .errors import LedgerError

LedgerState: TypeAlias = Literal["completed", "failed", "skipped"]

STATES: Final[tuple[LedgerState, ...]] = get_args(LedgerState)

# ``None`` is a document that the ledger does not know. ``completed`` is final: the document
# is in a sink, and a failure of another record with its id does not take it away.
LEGAL: Final[frozenset[tuple[LedgerState | None, LedgerState]]] = frozenset(
    {
        (None, "completed"),
        (None, "failed"),
        (None, "skipped"),
        ("failed", "completed"),
        ("failed", "failed"),
        ("failed", "skipped"),
        ("skipped", "completed"),
        ("skipped", "failed"),
        ("skipped", "skipped"),
        ("completed", "completed"),
    }
)


def legal_in_sql(old: str, new: str) -> str:
    """Return a condition that holds exactly for the legal transitions of a known document.

    Args:
        old: the SQL expression of the state that it has.
        new: the SQL expression of the state that it is given.
    """
    targets: dict[str, list[str]] = {}
    for before, after in sorted((b, a) for b, a in LEGAL if b is not None):
        targets.setdefault(before, []).append(f"{new} = '{after}'")
    return " OR ".join(
        f"({old} = '{before}' AND ({' OR '.join(afters)}))"
        for before, afters in targets.items()
    )


def known_state(state: object) -> LedgerState:
    """Return ``state`` as a state of a ledger.

    Raises:
        LedgerError: it is none.
    """
    for known in STATES:
        if state == known:
            return known
    raise LedgerError(
        f"{state!r:.80} is no state of a document in a ledger. Give completed, failed or "
        f"skipped."
    )
