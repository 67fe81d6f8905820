"""run_deterministic does the same each time; explore finds the schedule that breaks it."""

from __future__ import annotations

import random
import socket
import threading
import time

import pytest
import trio

from trio_ingest import IngestionPipeline, SetupError
from trio_ingest.testing import (
    ScriptedAdapter,
    _trio_internals,
    cancel_everywhere,
    explore,
    run_deterministic,
)
from trio_ingest.testing.deterministic import BEGINNING_SECONDS


async def race() -> str:
    """Which of four tasks came first, second, third and last."""
    order: list[str] = []

    async def run(name: str) -> None:
        await trio.lowlevel.checkpoint()
        order.append(name)

    async with trio.open_nursery() as nursery:
        for name in "abcd":
            nursery.start_soon(run, name)
    return "".join(order)


async def lost_update() -> None:
    """Two tasks that read, wait and write: sometimes one write is lost."""
    count = 0

    async def add(steps: int) -> None:
        nonlocal count
        for _ in range(steps):
            await trio.lowlevel.checkpoint()
        before = count
        await trio.lowlevel.checkpoint()
        count = before + 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(add, 1)
        # Reads when the other writes, so that who comes first decides.
        nursery.start_soon(add, 2)
    assert count == 2


async def sometimes() -> None:
    assert await race() != "dcba", "the tasks came backwards"


# -- the same each time -----------------------------------------------------------------


def test_a_seed_gives_the_same_order_each_time() -> None:
    for seed in range(20):
        assert len({run_deterministic(race, seed=seed) for _ in range(5)}) == 1


def test_other_seeds_give_other_orders() -> None:
    assert len({run_deterministic(race, seed=seed) for seed in range(100)}) > 10


def test_arguments_are_passed_on_and_the_result_comes_back() -> None:
    async def add(left: int, right: int) -> int:
        await trio.lowlevel.checkpoint()
        return left + right

    assert run_deterministic(add, 1, 2, seed=3) == 3


def test_time_is_virtual() -> None:
    async def wait() -> float:
        began = trio.current_time()
        await trio.sleep(86_400)
        return trio.current_time() - began

    before = time.monotonic()
    assert run_deterministic(wait) == 86_400
    assert time.monotonic() - before < 3600


def test_random_is_seeded_and_left_as_it_was() -> None:
    async def draw() -> float:
        await trio.lowlevel.checkpoint()
        return random.random()

    random.seed(5)
    expected = random.random()
    random.seed(5)
    assert run_deterministic(draw, seed=1) == run_deterministic(draw, seed=1)
    assert run_deterministic(draw, seed=1) != run_deterministic(draw, seed=2)
    assert random.random() == expected


async def stamped(pipeline: IngestionPipeline | None = None) -> list[tuple[str, float]]:
    pipeline = pipeline or IngestionPipeline(ScriptedAdapter([1]))
    async with pipeline.stream_events() as events:
        return [(event.pipeline_id, event.timestamp) async for event in events]


def test_pipelines_get_a_virtual_wall_clock_and_ids_that_count() -> None:
    first, *_ = run_deterministic(stamped)
    assert first == ("run-0", BEGINNING_SECONDS)


def test_a_pipelines_own_clock_and_ids_stay() -> None:
    async def own() -> list[tuple[str, float]]:
        return await stamped(
            IngestionPipeline(
                ScriptedAdapter([1]), clock=lambda: 7.0, new_pipeline_id=lambda: "mine"
            )
        )

    assert set(run_deterministic(own)) == {("mine", 7.0)}


def test_nothing_stays_behind() -> None:
    scheduler = _trio_internals._scheduler()
    before = scheduler._ALLOW_DETERMINISTIC_SCHEDULING, scheduler._r.getstate()
    run_deterministic(stamped)
    assert (scheduler._ALLOW_DETERMINISTIC_SCHEDULING, scheduler._r.getstate()) == before
    events = trio.run(stamped)
    assert events[0][0] != "run-0"
    assert events[0][1] > BEGINNING_SECONDS + 1000


# -- what goes wrong ----------------------------------------------------------------------


def test_a_failure_names_the_seed() -> None:
    async def fail() -> None:
        await trio.lowlevel.checkpoint()
        raise KeyError("x")

    with pytest.raises(KeyError) as caught:
        run_deterministic(fail, seed=17)
    assert caught.value.__notes__ == ["With seed=17."]


def test_waiting_for_ever_is_an_error() -> None:
    with pytest.raises(TimeoutError, match="waits for something that never comes"):
        run_deterministic(trio.sleep_forever)


def test_a_seed_is_a_number() -> None:
    with pytest.raises(SetupError, match="whole number; got 'x'"):
        run_deterministic(race, seed="x")  # type: ignore[arg-type]


async def test_it_is_called_from_outside() -> None:
    with pytest.raises(SetupError, match="from inside one"):
        run_deterministic(race)
    with pytest.raises(SetupError, match="from inside one"):
        explore(race)


@pytest.mark.parametrize("name", ["_r", "_ALLOW_DETERMINISTIC_SCHEDULING"])
def test_a_trio_that_has_moved_its_scheduler_is_named(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(_trio_internals._scheduler(), name)
    with pytest.raises(SetupError, match=f"Trio {trio.__version__} has no "):
        run_deterministic(race)


# -- the search -----------------------------------------------------------------------------


def test_the_seed_that_breaks_an_assertion_is_found_and_can_be_run_again() -> None:
    with pytest.raises(AssertionError, match="the tasks came backwards") as caught:
        explore(sometimes, seeds=1000)
    first, *_, last = str(caught.value).splitlines()
    seed = int(first.removeprefix("seed ").partition(":")[0])
    assert last == f"To run it again: run_deterministic(sometimes, seed={seed})"
    assert run_deterministic(race, seed=seed) == "dcba"


def test_an_update_that_is_lost_under_some_schedules_only_is_found() -> None:
    with pytest.raises(AssertionError, match="run_deterministic"):
        explore(lost_update, seeds=200)


def test_what_holds_under_every_schedule_is_counted() -> None:
    report = explore(race, seeds=50)
    assert report.seeds == 50
    assert 10 < report.schedules <= 50
    assert explore(race, seeds=[3, 3, 3]).schedules == 1


def test_no_seeds_are_refused() -> None:
    with pytest.raises(SetupError, match="no seeds"):
        explore(race, seeds=[])


def test_a_trio_that_has_moved_what_cancels_a_task_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(_trio_internals._run_module(), "CancelStatus")
    with pytest.raises(SetupError, match=r"has no CancelStatus with _scope, _parent, .*newer"):
        cancel_everywhere(trio.lowlevel.checkpoint)


# -- time, while something outside is waited for ---------------------------------------------


def test_time_stands_still_while_a_thread_works() -> None:
    async def main() -> float:
        with trio.fail_after(3600):
            await trio.to_thread.run_sync(time.sleep, 0.05)
        return trio.current_time()

    assert run_deterministic(main) < 1


def test_time_stands_still_while_a_socket_is_waited_for() -> None:
    async def main() -> float:
        one, other = trio.socket.socketpair()

        def answer() -> None:
            time.sleep(0.05)
            with socket.fromfd(other.fileno(), other.family, other.type) as again:
                again.send(b"x")

        with one, other, trio.fail_after(3600):
            threading.Thread(target=answer).start()
            assert await one.recv(1) == b"x"
        return trio.current_time()

    assert run_deterministic(main) < 1


def test_time_jumps_beside_a_server_that_waits_for_clients() -> None:
    async def main() -> float:
        async with trio.open_nursery() as nursery:
            await nursery.start(trio.serve_tcp, trio.aclose_forcefully, 0)
            await trio.sleep(0.2)
            nursery.cancel_scope.cancel()
        return trio.current_time()

    assert run_deterministic(main) == pytest.approx(0.2)


def test_time_jumps_while_a_thread_waits_for_its_own_task() -> None:
    async def main() -> float:
        def ask() -> None:
            trio.from_thread.run(trio.sleep, 1_000_000 / 2)

        await trio.to_thread.run_sync(ask)
        return trio.current_time()

    assert run_deterministic(main) == pytest.approx(500_000)
