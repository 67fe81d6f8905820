"""The options of a pipeline and of a run, with their defaults and limits."""

from __future__ import annotations

import inspect
import os
import time
from collections.abc import Callable, Container, Iterable, Mapping
from copy import deepcopy
from typing import Any

import attrs

from .checkpoints import Checkpoint
from .errors import SetupError, abbreviated
from .events import PipelineEvent

# Each unit of these is one object waiting in memory, so a larger number only
# moves the point at which a slow consumer stops the fetch; below about 50 the
# switches between tasks start to show in the cost of a document.
DEFAULT_BUFFER_SIZE = 100
# A progress event costs as much as a few documents' events: at 100 it is lost
# in the noise, and a terminal still moves.
DEFAULT_PROGRESS_INTERVAL = 100
# The most that a crash makes a consumer do again; minting is cheap, but storing a
# checkpoint costs an fsync.
DEFAULT_CHECKPOINT_INTERVAL = 1000


def _number(value: object, name: str, least: float, *, whole: bool = False) -> None:
    kinds = (int,) if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not least <= value < 1e18:
        what = "a whole number" if whole else "a number"
        most = (
            " and below 10 to the 18th" if isinstance(value, kinds) and value >= 1e18 else ""
        )
        raise SetupError(
            f"{name} must be {what} of at least {least}{most}; got {abbreviated(value)}."
        )


@attrs.frozen(kw_only=True)
class RetryPolicy:
    """The rule for trying a failed ``parse`` again; ``fetch`` is never tried again.

    Only errors that the adapter's ``is_retryable`` accepts (without it, ``OSError``
    and ``TimeoutError``) are tried again.

    Args:
        attempts: how often a record is tried in all; the default 1 means never again.
        base_seconds: the longest delay before the first retry, 0.5 by default; it
            doubles each time.
        max_seconds: the longest delay of all, 30 by default.
        seed: of the jitter; the default None draws a new one for each run.

    Raises:
        SetupError: when a number is out of range.
    """

    __module__ = "trio_ingest"

    attempts: int = 1
    base_seconds: float = 0.5
    max_seconds: float = 30.0
    seed: int | str | None = None

    def __attrs_post_init__(self) -> None:
        _number(self.attempts, "RetryPolicy.attempts", 1, whole=True)
        _number(self.base_seconds, "RetryPolicy.base_seconds", 0)
        _number(self.max_seconds, "RetryPolicy.max_seconds", 0)


def _random_pipeline_id() -> str:
    return os.urandom(16).hex()


@attrs.define
class Defaults:
    """The clock and the ids of a pipeline that was not given any; the test kit changes them.

    Args:
        clock: returns seconds since the epoch.
        new_pipeline_id: returns a name for a run.
    """

    clock: Callable[[], float] = time.time
    new_pipeline_id: Callable[[], str] = _random_pipeline_id


DEFAULTS = Defaults()


@attrs.frozen(kw_only=True, eq=False)
class Policy:
    """The options of a pipeline, for all its runs."""

    workers: int = 1
    ordered: bool = True
    retry: RetryPolicy = attrs.field(factory=RetryPolicy)
    cleanup_grace_seconds: float = 5.0
    clock: Callable[[], float] = attrs.field(factory=lambda: DEFAULTS.clock)
    new_pipeline_id: Callable[[], str] = attrs.field(factory=lambda: DEFAULTS.new_pipeline_id)
    on_error: Callable[[Exception, str], object] | None = None

    def __attrs_post_init__(self) -> None:
        _number(self.workers, "workers", 1, whole=True)
        _number(self.cleanup_grace_seconds, "cleanup_grace_seconds", 0)
        if not isinstance(self.retry, RetryPolicy):
            raise SetupError(
                f"retry must be a RetryPolicy, like RetryPolicy(attempts=3); "
                f"got {abbreviated(self.retry)}."
            )
        hook = () if self.on_error is None else ("on_error",)
        for name in ("clock", "new_pipeline_id", *hook):
            if not callable(getattr(self, name)):
                raise SetupError(
                    f"{name} must be callable; got {abbreviated(getattr(self, name))}."
                )
        if inspect.iscoroutinefunction(self.on_error):
            raise SetupError(
                "on_error must be a plain function: it is called where an attempt fails, and "
                "never awaited. Write it as `def`; it may hand what it gets to a task."
            )


def _mappings(params: Any) -> tuple[dict[str, Any], ...]:
    hint = 'pass a list of mappings, like params=[{"since": "2026-01-01"}]'
    if isinstance(params, Mapping | str) or not isinstance(params, Iterable):
        raise SetupError(f"params must be a list; got {abbreviated(params)}: {hint}.")
    mappings = tuple(params)
    if not mappings:
        raise SetupError(f"params is an empty list, so nothing would run: {hint}.")
    for mapping in mappings:
        if not isinstance(mapping, Mapping) or any(type(k) is not str for k in mapping):
            raise SetupError(
                f"Each of params must be a mapping with string keys; got "
                f"{abbreviated(mapping)}: {hint}."
            )
        if "cursor" in mapping:
            raise SetupError(
                "params must not name `cursor`: the engine passes it to fetch when a "
                "run is resumed; pass the checkpoint as resume_from instead."
            )
    # Deep, so that no caller can change what the checkpoint's key was made of.
    return tuple(deepcopy(dict(mapping)) for mapping in mappings)


def _own(checkpoint: Checkpoint | None) -> Checkpoint | None:
    return deepcopy(checkpoint)


@attrs.frozen(kw_only=True, eq=False)
class RunOptions:
    """The options of one run, shared by every call that starts one."""

    params: tuple[dict[str, Any], ...] = attrs.field(default=({},), converter=_mappings)
    buffer_size: int = DEFAULT_BUFFER_SIZE
    progress_interval: int = DEFAULT_PROGRESS_INTERVAL
    checkpoint_interval: int = DEFAULT_CHECKPOINT_INTERVAL
    completed_ids: Container[str] | None = None
    resume_from: Checkpoint | None = attrs.field(default=None, converter=_own)
    estimated_total: int | None = None

    def __attrs_post_init__(self) -> None:
        _number(self.buffer_size, "buffer_size", 1, whole=True)
        _number(self.progress_interval, "progress_interval", 1, whole=True)
        _number(self.checkpoint_interval, "checkpoint_interval", 1, whole=True)
        if self.estimated_total is not None:
            _number(self.estimated_total, "estimated_total", 0, whole=True)
        if isinstance(self.completed_ids, str) or (
            self.completed_ids is not None and not hasattr(self.completed_ids, "__contains__")
        ):
            raise SetupError(
                f"completed_ids must support `in`, like a set or a ledger; "
                f"got {abbreviated(self.completed_ids)}."
            )
        contains = getattr(type(self.completed_ids), "__contains__", None)
        if inspect.iscoroutinefunction(contains):
            raise SetupError(
                "completed_ids has an async __contains__, which `in` cannot await, so every "
                "document would count as completed. Load the ids into a set."
            )
        if isinstance(self.completed_ids, set | frozenset | list | tuple | dict):
            for doc_id in self.completed_ids:
                if not isinstance(doc_id, str):
                    raise SetupError(
                        f"completed_ids holds {abbreviated(doc_id)}, and document ids are "
                        f"strings, so it would match nothing. Convert them with str."
                    )
                break  # a look at one is enough to see the mistake
        if self.resume_from is not None and not isinstance(self.resume_from, Checkpoint):
            raise SetupError(
                f"resume_from must be a Checkpoint; got {abbreviated(self.resume_from)}. "
                f"Read a stored one with Checkpoint.from_dict(...)."
            )


@attrs.frozen(eq=False)
class Shaping:
    """The caller's filter and transformer of events; they touch no bookkeeping."""

    event_filter: Callable[[PipelineEvent], bool] | None
    event_transformer: Callable[[PipelineEvent], Any] | None

    def __attrs_post_init__(self) -> None:
        for name in ("event_filter", "event_transformer"):
            given = getattr(self, name)
            if given is not None and (
                not callable(given) or inspect.iscoroutinefunction(given)
            ):
                raise SetupError(
                    f"{name} must be a plain function of one event, which is not "
                    f"awaited; got {abbreviated(given)}."
                )

    def passes(self, event: PipelineEvent) -> bool:
        return self.event_filter is None or self.event_filter(event)

    def shaped(self, event: PipelineEvent) -> Any:
        return event if self.event_transformer is None else self.event_transformer(event)
