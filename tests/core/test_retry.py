"""A delay lies between nothing and a ceiling that doubles; the record decides, not luck."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from trio_ingest import IngestionPipeline, RetryPolicy
from trio_ingest._core.retry import delay_before
from trio_ingest.testing import Fail, ScriptedAdapter

SECONDS = st.floats(0, 1e6)


@given(
    count=st.integers(1, 10_000),
    attempts=st.integers(1, 10_000),
    base=SECONDS,
    most=SECONDS,
    seed=st.integers() | st.text(),
    number=st.integers(0, 10**9),
)
def test_delay_lies_between_zero_and_its_ceiling(
    count: int, attempts: int, base: float, most: float, seed: object, number: int
) -> None:
    policy = RetryPolicy(attempts=attempts, base_seconds=base, max_seconds=most)
    delay = delay_before(count, policy, seed, "feed", number)
    if count >= attempts:
        assert delay is None
    else:
        assert delay is not None
        assert 0 <= delay <= most
        # 10_000 doublings exceed any float; the ceiling is then the policy's own.
        assert count > 60 or delay <= base * 2 ** (count - 1)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_ceiling_doubles_and_the_whole_of_it_is_used(count: int) -> None:
    policy = RetryPolicy(attempts=9, base_seconds=1, max_seconds=1000)
    delays = [delay_before(count, policy, 0, "feed", number) or 0 for number in range(2_000)]
    ceiling = 2 ** (count - 1)
    assert 0.99 * ceiling < max(delays) <= ceiling
    assert 0 <= min(delays) < 0.01 * ceiling
    assert sum(delays) / len(delays) == pytest.approx(ceiling / 2, rel=0.05)


def test_max_seconds_is_the_end_of_doubling() -> None:
    policy = RetryPolicy(attempts=10**6, base_seconds=1, max_seconds=5)
    for count in (3, 4, 100, 2_000):  # 2.0 ** 2_000 would overflow
        delays = [delay_before(count, policy, 0, "feed", n) or 0 for n in range(500)]
        assert max(delays) <= 5
        assert max(delays) > (4 if count > 3 else 3)


def test_delay_is_the_same_for_the_same_seed_and_record() -> None:
    policy = RetryPolicy(attempts=5)
    for number in range(50):
        assert delay_before(2, policy, "s", "feed", number) == delay_before(
            2, policy, "s", "feed", number
        )


def test_delay_differs_with_each_part_of_its_key() -> None:
    policy = RetryPolicy(attempts=5, base_seconds=30, max_seconds=30)
    delays = [
        delay_before(1, policy, "s", "feed", 1),
        delay_before(2, policy, "s", "feed", 1),
        delay_before(1, policy, "t", "feed", 1),
        delay_before(1, policy, "s", "other", 1),
        delay_before(1, policy, "s", "feed", 2),
    ]
    assert len(set(delays)) == len(delays)


def test_base_of_zero_never_waits() -> None:
    policy = RetryPolicy(attempts=3, base_seconds=0)
    assert delay_before(1, policy, 0, "feed", 0) == 0


@pytest.mark.parametrize(("attempts", "retries"), [(1, 0), (2, 1), (5, 4)])
def test_retries_are_attempts_minus_one(attempts: int, retries: int) -> None:
    policy = RetryPolicy(attempts=attempts)
    delays = [delay_before(count, policy, 0, "feed", 0) for count in range(1, 9)]
    assert len([delay for delay in delays if delay is not None]) == retries
    assert delays[retries:] == [None] * (8 - retries)


# -- which errors are worth another attempt ----------------------------------------------


ERRORS = pytest.mark.parametrize(
    ("error", "transient"),
    [
        (OSError(), True),
        (ConnectionResetError(), True),
        (TimeoutError(), True),
        (trio.TooSlowError(), True),  # what fail_after raises is a timeout like any other
        (ValueError(), False),
        (RecursionError(), False),
        (trio.BrokenResourceError(), False),
        # A nursery in parse wraps whatever it was.
        (ExceptionGroup("", [OSError(), ExceptionGroup("", [TimeoutError()])]), True),
        (ExceptionGroup("", [OSError(), ValueError()]), False),
    ],
    ids=repr,
)


@ERRORS
async def test_without_a_judge_only_os_errors_and_timeouts_are_tried_again(
    error: Exception, transient: bool
) -> None:
    adapter = ScriptedAdapter([Fail(error)])
    retry = RetryPolicy(attempts=3, base_seconds=0)
    result = await IngestionPipeline(adapter, retry=retry).run_async()
    (failed,) = result.errors
    assert failed.is_retryable is transient
    assert adapter.parsed == (3 if transient else 1)


@ERRORS
@pytest.mark.parametrize("verdict", [True, False, "yes", 0])
async def test_adapters_own_judge_decides_alone(
    error: Exception, transient: bool, verdict: object
) -> None:
    class Judging(ScriptedAdapter):
        def is_retryable(self, error: Exception) -> Any:
            return verdict

    adapter = Judging([Fail(error)])
    retry = RetryPolicy(attempts=3, base_seconds=0)
    result = await IngestionPipeline(adapter, retry=retry).run_async()
    assert result.errors[0].is_retryable is bool(verdict)
    assert adapter.parsed == (3 if verdict else 1)
