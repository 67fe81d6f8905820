"""The one place that touches what Trio keeps private.

Its scheduler, the class behind its nurseries, and what a task can be cancelled by.

Trio steps the tasks that can run in an order that it changes at random. With a flag that it
has for Hypothesis it takes them in the order in which they were made and shuffles that with
a generator of its own, which can be seeded.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType
from typing import Any, Final

import trio

from trio_ingest import SetupError

_FLAG: Final = "_ALLOW_DETERMINISTIC_SCHEDULING"
_GENERATOR: Final = "_r"


@contextmanager
def seeded_schedule(seed: int) -> Iterator[None]:
    """Runs of Trio inside the block are scheduled by ``seed`` alone.

    Args:
        seed: any whole number.

    Raises:
        SetupError: this release of Trio keeps its scheduler somewhere else.
    """
    scheduler = _scheduler()
    generator: random.Random = getattr(scheduler, _GENERATOR)
    flag, state = getattr(scheduler, _FLAG), generator.getstate()
    setattr(scheduler, _FLAG, True)
    generator.seed(seed)
    try:
        yield
    finally:
        setattr(scheduler, _FLAG, flag)
        generator.setstate(state)


def seed_again(seed: int) -> None:
    """Let the schedule go on from here as ``seed`` says, inside ``seeded_schedule``.

    Args:
        seed: any whole number.
    """
    getattr(_scheduler(), _GENERATOR).seed(seed)


def nursery_exits() -> CodeType:
    """The code by which a nursery's block is left.

    Raises:
        SetupError: this release of Trio keeps it somewhere else.
    """
    manager = getattr(_run_module(), "NurseryManager", None)
    code = getattr(getattr(manager, "__aexit__", None), "__code__", None)
    if not isinstance(code, CodeType):
        raise SetupError(
            f"Trio {trio.__version__} has no NurseryManager in trio._core._run, and without "
            f"it nurseries cannot be told from other code. Use the release of Trio that this "
            f"trio_ingest was tested with, or a newer trio_ingest."
        )
    return code


def _run_module() -> Any:
    return getattr(getattr(trio, "_core", None), "_run", None)


def _scheduler() -> Any:
    module = _run_module()
    flag, generator = getattr(module, _FLAG, None), getattr(module, _GENERATOR, None)
    if not isinstance(flag, bool) or not isinstance(generator, random.Random):
        raise SetupError(
            f"Trio {trio.__version__} has no {_FLAG} or no {_GENERATOR} in trio._core._run, "
            f"and without them its schedule cannot be seeded. Use the release of Trio that "
            f"this trio_ingest was tested with, or a newer trio_ingest."
        )
    return module


class CancelStatus:
    """What a task can be cancelled by at one moment: a chain of scopes, innermost first.

    Two are equal when they are the same moment's chain, so that code which opened nothing
    and closed nothing has the same one before and after.
    """

    __slots__ = ("_inner",)

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CancelStatus) and self._inner is other._inner

    def __hash__(self) -> int:
        return id(self._inner)

    @property
    def scope(self) -> trio.CancelScope:
        """The innermost scope."""
        scope: trio.CancelScope = self._inner._scope  # noqa: SLF001 - see the top
        return scope

    @property
    def parent(self) -> CancelStatus | None:
        """The chain without it."""
        parent = self._inner._parent  # noqa: SLF001 - see the top
        return None if parent is None else CancelStatus(parent)

    @property
    def is_cancelled(self) -> bool:
        """Whether the next cancellation point would raise."""
        return bool(self._inner.effectively_cancelled)

    def chain(self) -> Iterator[CancelStatus]:
        """This one, and all around it."""
        status: CancelStatus | None = self
        while status is not None:
            yield status
            status = status.parent


def cancel_status() -> CancelStatus | None:
    """What the task that runs now can be cancelled by; None outside of a task."""
    try:
        task: Any = trio.lowlevel.current_task()
    except RuntimeError:
        return None
    return CancelStatus(task._cancel_status)  # noqa: SLF001 - see the top


def check_cancel_status() -> None:
    """Hold that it can be asked for.

    Raises:
        SetupError: this release of Trio keeps it somewhere else.
    """
    kind = getattr(_run_module(), "CancelStatus", None)
    names = ("_scope", "_parent", "effectively_cancelled")
    if not all(hasattr(kind, name) for name in names) or not hasattr(
        trio.lowlevel.Task, "_cancel_status"
    ):
        raise SetupError(
            f"Trio {trio.__version__} has no CancelStatus with {', '.join(names)} in "
            f"trio._core._run, or no _cancel_status of a task, and without them nobody can "
            f"tell where a cancellation comes from. Use the release of Trio that this "
            f"trio_ingest was tested with, or a newer trio_ingest."
        )
