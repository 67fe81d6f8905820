"""What people write in Trio: honest code that is not to be accused, and broken code."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import (
    AsyncExitStack,
    ExitStack,
    aclosing,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from pathlib import Path
from typing import Any, TypeAlias

import trio
import trio.testing

Idiom: TypeAlias = Callable[[], Awaitable[None]]

HONEST: list[Idiom] = []
BROKEN: list[tuple[Idiom, str]] = []

SWALLOWED = "goes on after it was cancelled"
UNSHIELDED = "awaits while it cleans up"
YIELDS = "yields inside a cancel scope"


def honest(fn: Idiom) -> Idiom:
    HONEST.append(fn)
    return fn


def broken(says: str) -> Callable[[Idiom], Idiom]:
    def note(fn: Idiom) -> Idiom:
        BROKEN.append((fn, says))
        return fn

    return note


# -- what closes itself when it is cancelled -----------------------------------------------


@honest
async def channels() -> None:
    send, receive = trio.open_memory_channel[int](0)

    async def produce() -> None:
        async with send:
            for number in range(2):
                await send.send(number)

    async def consume() -> None:
        async with receive:
            async for _ in receive:
                await trio.sleep(0.1)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(produce)
        nursery.start_soon(consume)


@honest
async def open_file() -> None:
    async with await trio.open_file(__file__):
        await trio.sleep(1)


@honest
async def stream_closed_in_a_finally() -> None:
    one, _ = trio.testing.memory_stream_pair()
    try:
        await trio.sleep(1)
    finally:
        await one.aclose()


@honest
async def stream_closed_forcefully() -> None:
    one, _ = trio.testing.memory_stream_pair()
    try:
        await trio.sleep(1)
    finally:
        await trio.aclose_forcefully(one)


@honest
async def server_and_client() -> None:
    async def echo(stream: trio.SocketStream) -> None:
        async with stream:
            async for data in stream:
                await stream.send_all(data)

    async with trio.open_nursery() as nursery:
        [listener, *_] = await nursery.start(trio.serve_tcp, echo, 0)
        async with await trio.testing.open_stream_to_socket_listener(listener) as client:
            await client.send_all(b"x")
            await client.receive_some(1)
        nursery.cancel_scope.cancel()


@honest
async def own_resource() -> None:
    class Resource(trio.abc.AsyncResource):
        async def aclose(self) -> None:
            await trio.lowlevel.checkpoint()

    async with Resource():
        await trio.sleep(1)


# -- scopes around a yield, where that is right --------------------------------------------


@asynccontextmanager
async def session() -> AsyncIterator[trio.Nursery]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep_forever)
        yield nursery
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def budget() -> AsyncIterator[None]:
    with trio.move_on_after(0.5):
        yield


@contextmanager
def grace(seconds: float) -> Iterator[None]:
    with trio.move_on_after(seconds, shield=True):
        yield


class Grace:
    def __enter__(self) -> Any:
        self.scope = trio.move_on_after(0.1, shield=True)
        return self.scope.__enter__()

    def __exit__(self, *error: object) -> Any:
        return self.scope.__exit__(*error)


@honest
async def nursery_in_a_manager() -> None:
    async with session():
        await trio.sleep(1)


@honest
async def budget_that_expires() -> None:
    async with budget():
        await trio.sleep(1)
    with grace(0.1):
        await trio.sleep(1)


@honest
async def safe_channel() -> None:
    @trio.as_safe_channel
    async def items() -> AsyncIterator[int]:
        with trio.move_on_after(5):
            for number in range(3):
                await trio.sleep(0.1)
                yield number

    async with items() as numbers:
        async for _ in numbers:
            await trio.sleep(0.1)


@honest
async def nursery_by_hand() -> None:
    class Holder:
        async def __aenter__(self) -> None:
            self.manager = trio.open_nursery()
            self.nursery = await self.manager.__aenter__()
            self.nursery.start_soon(trio.sleep_forever)

        async def __aexit__(self, *error: object) -> Any:
            self.nursery.cancel_scope.cancel()
            return await self.manager.__aexit__(*error)

    async with Holder():
        await trio.sleep(1)


# -- cleanup that is shielded, in many ways ------------------------------------------------


async def slowly() -> None:
    await trio.sleep(5)


class Slow:
    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, *_: object) -> None:
        await trio.sleep(5)


async def fails() -> None:
    raise OSError("x")


@honest
async def shields() -> None:
    try:
        await trio.sleep(1)
    finally:
        with grace(0.1):
            await slowly()
        with Grace():
            await slowly()
        with ExitStack() as stack:
            stack.enter_context(trio.move_on_after(0.1, shield=True))
            await slowly()
        with trio.move_on_after(0.1, shield=True):
            async with Slow():
                pass


@honest
async def shielded_nursery() -> None:
    try:
        await trio.sleep(1)
    finally:
        try:
            async with trio.open_nursery() as nursery:
                nursery.cancel_scope.shield = True
                nursery.start_soon(fails)
                await slowly()
        except* OSError:
            pass


@honest
async def limit_inside_a_shield() -> None:
    async def goodbye() -> None:
        with trio.fail_after(0.05):
            await trio.sleep(1)

    try:
        await trio.sleep(1)
    finally:
        with trio.move_on_after(1, shield=True), suppress(trio.TooSlowError):
            await goodbye()


@honest
async def stored_and_raised_again() -> None:
    try:
        await trio.sleep(1)
    except BaseException as error:
        saved = error
        with trio.CancelScope(shield=True):
            await trio.sleep(0.1)
        raise saved  # noqa: B904


# -- what else is honest -------------------------------------------------------------------


@honest
async def limits_one_after_the_other() -> None:
    for _ in range(2):
        try:
            with trio.fail_after(0.1):
                await trio.sleep(1)
        except trio.TooSlowError:
            await trio.sleep(0.1)


@honest
async def first_one_wins() -> None:
    async def race(nursery: trio.Nursery, seconds: float) -> None:
        await trio.sleep(seconds)
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(race, nursery, 0.1)
        nursery.start_soon(race, nursery, 0.2)


@honest
async def groups_of_other_errors() -> None:
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep, 1)
            nursery.start_soon(trio.sleep, 2)
    except* ValueError:
        pass


@honest
async def generator_under_a_limit() -> None:
    async def ticks() -> AsyncIterator[int]:
        try:
            while True:
                await trio.sleep(0.3)
                yield 1
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(0.1)

    async with aclosing(ticks()) as items:  # type: ignore[type-var]
        with trio.move_on_after(1):
            async for _ in items:
                pass


@honest
async def threads_and_processes() -> None:
    with trio.fail_after(10):
        await trio.to_thread.run_sync(time.sleep, 0.002, abandon_on_cancel=True)
    await trio.to_thread.run_sync(trio.from_thread.check_cancelled)
    await trio.run_process([sys.executable, "-S", "-c", ""])


# -- swallowed -----------------------------------------------------------------------------


@broken(SWALLOWED)
async def suppressed() -> None:
    with suppress(trio.Cancelled):
        await trio.sleep(1)


@broken(SWALLOWED)
async def suppressed_in_a_scope() -> None:
    with trio.move_on_after(10):
        with suppress(BaseException):
            await trio.sleep(1)


@broken(SWALLOWED)
async def suppressed_in_a_nursery() -> None:
    async with trio.open_nursery():
        with suppress(BaseException):
            await trio.sleep(1)


@broken(SWALLOWED)
async def suppressed_before_a_scope() -> None:
    with suppress(trio.Cancelled):
        await trio.sleep(1)
    with trio.move_on_after(3, shield=True):
        await trio.sleep(0.1)


@broken(SWALLOWED)
async def suppressed_as_a_group() -> None:
    with suppress(BaseException):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep, 1)
            nursery.start_soon(trio.sleep, 1)


@broken(SWALLOWED)
async def suppressed_as_another_error() -> None:
    async def converts() -> None:
        try:
            await trio.sleep(1)
        except BaseException as error:
            raise OSError("lost") from error

    with suppress(OSError):
        await converts()


@broken(SWALLOWED)
async def left_by_a_break() -> None:
    while True:
        try:
            await trio.sleep(1)
        finally:
            break  # noqa: B012


@broken(SWALLOWED)
async def swallowed_by_a_block() -> None:
    class Swallows:
        async def __aenter__(self) -> None:
            pass

        async def __aexit__(self, *_: object) -> bool:
            return True

    async with Swallows():
        await trio.sleep(1)


@broken(SWALLOWED)
async def swallowed_in_a_task() -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(suppressed)


# -- cut short -----------------------------------------------------------------------------


@broken(UNSHIELDED)
async def resource_of_ones_own() -> None:
    class Database:
        async def aclose(self) -> None:
            await trio.sleep(0.1)

    try:
        await trio.sleep(1)
    finally:
        await Database().aclose()


@broken(UNSHIELDED)
async def suppressed_cleanup() -> None:
    try:
        await trio.sleep(1)
    finally:
        with trio.move_on_after(5), suppress(trio.Cancelled):
            await trio.sleep(0.1)


@broken(UNSHIELDED)
async def nursery_in_a_cleanup() -> None:
    try:
        await trio.sleep(1)
    finally:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep, 1)


@broken(UNSHIELDED)
async def block_that_closes_slowly() -> None:
    async with Slow(), trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep, 1)
        nursery.start_soon(trio.sleep, 1)


@broken(UNSHIELDED)
async def manager_that_closes_slowly() -> None:
    @asynccontextmanager
    async def connection() -> AsyncIterator[None]:
        try:
            yield
        finally:
            await trio.sleep(0.1)

    async with connection():
        await trio.sleep(1)


# -- yields --------------------------------------------------------------------------------


async def first_of(items: AsyncIterator[int]) -> None:
    async with aclosing(items) as numbers:  # type: ignore[type-var]
        async for _ in numbers:
            await trio.sleep(1)


@broken(YIELDS)
async def yield_in_a_helpers_scope() -> None:
    async def items() -> AsyncIterator[int]:
        with grace(5):
            yield 1

    await first_of(items())


@broken(YIELDS)
async def yield_in_a_session() -> None:
    async def items() -> AsyncIterator[int]:
        yield 0
        async with session():
            yield 1

    await first_of(items())


@broken(YIELDS)
async def yield_in_a_stack() -> None:
    async def items() -> AsyncIterator[int]:
        async with AsyncExitStack() as stack:
            stack.enter_context(trio.fail_after(5))
            yield 1

    await first_of(items())


# -- left behind ---------------------------------------------------------------------------


@broken("ResourceWarning: unclosed file")
async def file_left_open() -> None:
    file = Path(__file__).open()  # noqa: ASYNC230, SIM115
    await trio.sleep(1)
    assert file


@broken("RuntimeWarning: coroutine 'sleep' was never awaited")
async def never_awaited() -> None:
    trio.sleep(1)  # type: ignore[unused-coroutine] # noqa: ASYNC105
    await trio.sleep(1)


@broken("ResourceWarning: Async generator .* was garbage collected before")
async def generator_left_open() -> None:
    async def ticks() -> AsyncIterator[int]:
        while True:
            await trio.sleep(0.1)
            yield 1

    async for _ in ticks():
        break
    gc.collect()
    await trio.sleep(0.1)


@broken("has called sys.settrace, so it could not")
async def tracer_taken_away() -> None:
    sys.settrace(None)
    await trio.sleep(1)
