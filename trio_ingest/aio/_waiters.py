"""Two things that tasks of asyncio wait on: a wake-up, and a value."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any


class AsyncioWaiter:
    """A place where one task waits to be woken by another."""

    __slots__ = ("_future", "occupied")

    def __init__(self) -> None:
        self._future: asyncio.Future[None] | None = None
        self.occupied = False

    async def wait(self) -> None:
        """Wait to be woken. When cancelled, the place is empty, also if it was woken."""
        self._future = asyncio.get_running_loop().create_future()
        self.occupied = True
        try:
            await self._future
        except BaseException:
            self._future, self.occupied = None, False
            raise

    def wake(self) -> None:
        """Wake the task that waits here, if there is one."""
        future, self._future, self.occupied = self._future, None, False
        if future is not None and not future.done():
            future.set_result(None)


class AsyncioValue:
    """A value that tasks can wait on; each sees every change, however short."""

    def __init__(self, initial: Any) -> None:
        self._value = initial
        self._waiting: dict[asyncio.Future[Any], Callable[[Any], bool]] = {}

    @property
    def value(self) -> Any:
        """The value now; setting it wakes the tasks whose predicate holds."""
        return self._value

    @value.setter
    def value(self, value: Any) -> None:
        self._value = value
        for future, predicate in self._waiting.items():
            if not future.done() and predicate(value):
                future.set_result(value)

    async def wait_value(self, predicate: Callable[[Any], bool]) -> Any:
        """Wait until the predicate holds, and return the value for which it did."""
        if predicate(self._value):
            return self._value
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[future] = predicate
        try:
            return await future
        finally:
            del self._waiting[future]
