"""The one place that touches what Trio keeps private: its scheduler, and a class of its own.

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
