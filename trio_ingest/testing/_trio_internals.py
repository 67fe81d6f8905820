"""Access to Trio's private parts: its scheduler, nursery class and cancel status.

No other file touches them. Trio steps its runnable tasks in a random order. With a flag that
exists for Hypothesis it takes them in the order of their creation and shuffles that with a
generator of its own, which can be seeded.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType
from typing import Any, Final

import attrs
import trio

from trio_ingest import SetupError

_FLAG: Final = "_ALLOW_DETERMINISTIC_SCHEDULING"
_GENERATOR: Final = "_r"
_STATUS_FIELDS: Final = ("_scope", "_parent", "effectively_cancelled")


@contextmanager
def seeded_schedule(seed: int) -> Iterator[None]:
    """Schedule the runs of Trio inside the block by ``seed`` alone.

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


def reseed_schedule(seed: int) -> None:
    """Seed the schedule anew, inside ``seeded_schedule``."""
    getattr(_scheduler(), _GENERATOR).seed(seed)


def nursery_exit_code() -> CodeType:
    """Return the code object that leaves a nursery's block.

    Raises:
        SetupError: this release of Trio keeps it somewhere else.
    """
    manager = getattr(_run_module(), "NurseryManager", None)
    code = getattr(getattr(manager, "__aexit__", None), "__code__", None)
    if not isinstance(code, CodeType):
        raise _moved(
            "NurseryManager in trio._core._run, and without it nurseries cannot be told from "
            "other code"
        )
    return code


def _run_module() -> Any:
    return getattr(getattr(trio, "_core", None), "_run", None)


def _scheduler() -> Any:
    module = _run_module()
    flag, generator = getattr(module, _FLAG, None), getattr(module, _GENERATOR, None)
    if not isinstance(flag, bool) or not isinstance(generator, random.Random):
        raise _moved(
            f"{_FLAG} or no {_GENERATOR} in trio._core._run, and without them its schedule "
            f"cannot be seeded"
        )
    return module


@attrs.frozen
class CancelStatus:
    """The cancel scopes that surround a task at one moment, innermost first.

    Equal only to the same moment's chain: code that opened and closed no scope has an equal
    one before and after.
    """

    _inner: Any = attrs.field(eq=id)

    @property
    def scope(self) -> trio.CancelScope:
        """The innermost scope."""
        scope: trio.CancelScope = self._inner._scope  # noqa: SLF001 - see the top
        return scope

    @property
    def is_cancelled(self) -> bool:
        """True if the next cancellation point would raise."""
        return bool(self._inner.effectively_cancelled)

    def chain(self) -> Iterator[CancelStatus]:
        """Iterate over this status and all those around it."""
        inner = self._inner
        while inner is not None:
            yield CancelStatus(inner)
            inner = inner._parent  # noqa: SLF001 - see the top


def current_cancel_status() -> CancelStatus | None:
    """Return the cancel status of the running task; None outside of a task."""
    try:
        task: Any = trio.lowlevel.current_task()
    except RuntimeError:
        return None
    return CancelStatus(task._cancel_status)  # noqa: SLF001 - see the top


def check_cancel_status() -> None:
    """Check that Trio has what ``CancelStatus`` reads.

    Raises:
        SetupError: this release of Trio keeps it somewhere else.
    """
    kind = getattr(_run_module(), "CancelStatus", None)
    has_fields = all(hasattr(kind, name) for name in _STATUS_FIELDS)
    if not has_fields or not hasattr(trio.lowlevel.Task, "_cancel_status"):
        raise _moved(
            f"CancelStatus with {', '.join(_STATUS_FIELDS)} in trio._core._run, or no "
            f"_cancel_status of a task, and without them the origin of a cancellation cannot "
            f"be told"
        )


def _moved(missing: str) -> SetupError:
    return SetupError(
        f"Trio {trio.__version__} has no {missing}. Use the release of Trio that this "
        f"trio_ingest was tested with, or a newer trio_ingest."
    )
