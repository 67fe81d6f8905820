"""Delays before further attempts, and the errors that deserve one."""

from __future__ import annotations

import random

from .options import RetryPolicy


def delay_before(
    retry_count: int, policy: RetryPolicy, seed: object, source: str, record_number: int
) -> float | None:
    """Return the seconds to wait before a retry, or None when attempts are used up.

    Full jitter: uniform between 0 and ``base_seconds * 2 ** (retry_count - 1)``, at
    most ``max_seconds``. Each delay is drawn from a generator of its own, keyed by
    the record, so that it does not depend on which worker came first.

    Source of the rule: M. Brooker, "Exponential Backoff and Jitter", AWS
    Architecture Blog, 2015.
    """
    if retry_count >= policy.attempts:
        return None
    # 2.0 ** 1024 overflows; by then max_seconds has long decided.
    ceiling = min(policy.max_seconds, policy.base_seconds * 2.0 ** min(retry_count - 1, 64))
    draw = random.Random(f"{seed}:{source}:{record_number}:{retry_count}")  # noqa: S311
    return draw.uniform(0.0, ceiling)


def is_transient(error: BaseException, timeout: type[BaseException]) -> bool:
    """Return whether another attempt could help, for adapters that do not say.

    Args:
        error: what ``parse`` raised; a group, as a nursery makes it, when all in it are.
        timeout: what the async library's own timeouts raise.
    """
    if isinstance(error, BaseExceptionGroup):
        return all(is_transient(leaf, timeout) for leaf in error.exceptions)
    return isinstance(error, OSError | TimeoutError | timeout)
