"""Results and exceptions that a ``parse`` may come up with, at their worst."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import attrs

from tests.promises.adapters import Plain
from trio_ingest import Document


class Unspeakable(Exception):
    """Cannot be put into words."""

    def __str__(self) -> str:
        raise ValueError("no words")

    __repr__ = __str__


@dataclass(frozen=True)
class Frozen(Exception):
    """Refuses every assignment, also those of the interpreter's own attributes."""

    code: int = 1


@attrs.frozen
class AttrsFrozen(Exception):
    code: int = 1


class Nameless:
    def __repr__(self) -> str:
        raise ValueError("no words")


def too_deep() -> None:
    too_deep()


class WithBadRecord(Plain):
    """Record 1 of 4 goes wrong, in ``parse`` or after awaiting something in it."""

    def __init__(self, wrong: Callable[[], Any], *, awaits: bool = False) -> None:
        super().__init__(count=4)
        self.wrong = wrong
        self.awaits = awaits

    def parse(self, record: Any) -> Any:
        return self._awaited(record) if self.awaits else self._result(record)

    async def _awaited(self, record: Any) -> Any:
        return self._result(record)

    def _result(self, record: Any) -> Any:
        return self.wrong() if record == 1 else super().parse(record)


def raiser(error: BaseException) -> Callable[[], Any]:
    def wrong() -> Any:
        raise error

    return wrong


BAD: dict[str, tuple[Callable[[], Any], type[Exception]]] = {
    "ValueError": (raiser(ValueError("bad")), ValueError),
    "RecursionError": (too_deep, RecursionError),
    "MemoryError": (raiser(MemoryError()), MemoryError),
    "StopIteration": (raiser(StopIteration()), StopIteration),
    "StopAsyncIteration": (raiser(StopAsyncIteration()), StopAsyncIteration),
    "group": (raiser(ExceptionGroup("two", [ValueError(), KeyError()])), ExceptionGroup),
    "unspeakable": (raiser(Unspeakable()), Unspeakable),
    "frozen dataclass": (raiser(Frozen()), Frozen),
    "frozen attrs class": (raiser(AttrsFrozen()), AttrsFrozen),
    "None": (lambda: None, TypeError),
    "a dict": (lambda: {"doc_id": "1"}, TypeError),
    "nameless result": (Nameless, TypeError),
    "number as id": (lambda: Document(1, "plain", ""), TypeError),  # type: ignore[arg-type]
    "nameless id": (lambda: Document(Nameless(), "plain", ""), TypeError),  # type: ignore[arg-type]
}
