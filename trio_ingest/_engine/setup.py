"""The set-up of one run: checked, and placed at the start or where a checkpoint says."""

from __future__ import annotations

import inspect
import math
import random
import warnings
from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import partial

import attrs

from trio_ingest._core.adapter_run import AdapterRun
from trio_ingest._core.adapters import AdapterPlan, check_params
from trio_ingest._core.checkpoints import CHECKPOINT_VERSION, Checkpoint
from trio_ingest._core.errors import CheckpointError, SetupError, described
from trio_ingest._core.options import Policy, RunOptions
from trio_ingest._core.positions import Position, canonical_parameters
from trio_ingest._core.run import Run
from trio_ingest._core.watermark import Watermark

from .records import RecordProcessor
from .runtime import Runtime


@attrs.define(eq=False)
class RunSetup:
    """Adapters, policy and options of one run, checked against each other."""

    plans: Sequence[AdapterPlan]
    policy: Policy
    options: RunOptions

    def __attrs_post_init__(self) -> None:
        for plan in self.plans:
            for params in self.options.params:
                check_params(plan, params)
        self.check_checkpoint()

    def check_checkpoint(self) -> None:
        """Refuse a checkpoint that does not fit, before the stream begins.

        Raises:
            CheckpointError: when an adapter run is missing, unknown or cannot resume.
        """
        adapter_runs_of(self.plans, self.options)

    def begin(self, now: float, new_run: Callable[..., Run] = Run) -> Run:
        """Return the state machine of a new run."""
        options = self.options
        return new_run(
            self.policy.new_pipeline_id(),
            adapter_runs_of(self.plans, options),
            now,
            buffer_size=options.buffer_size,
            progress_interval=options.progress_interval,
            checkpoint_interval=options.checkpoint_interval,
            estimated_total=options.estimated_total,
        )

    def processors(self, run: Run, index: int, runtime: Runtime) -> list[RecordProcessor]:
        """Return the record processors of one adapter, one for each of its runs."""
        size = len(self.options.params)
        seed = self.policy.retry.seed
        if seed is None:
            seed = random.getrandbits(64)
        return [
            RecordProcessor(
                run,
                adapter_run,
                self.plans[index],
                self.policy,
                self.options.completed_ids,
                seed,
                runtime,
            )
            for adapter_run in run.adapter_runs[index * size : (index + 1) * size]
        ]


def adapter_runs_of(plans: Sequence[AdapterPlan], options: RunOptions) -> list[AdapterRun]:
    """Return an adapter run for each adapter and each of ``params``, in that order.

    Raises:
        SetupError: when two of ``params`` are equal.
        CheckpointError: when the checkpoint does not fit.
    """
    keys = [canonical_parameters(params) for params in options.params]
    if len(set(keys)) != len(keys):
        raise SetupError(
            "Two of params are equal, so their checkpoints could not be told apart. "
            "Pass each set of params once."
        )
    positions = _positions_by_key(options.resume_from)
    known = {(plan.source, key) for plan in plans for key in keys}
    if options.resume_from is not None and set(positions) != known:
        raise CheckpointError(_mismatch(set(positions), known))
    return [
        _begin(plan, params, key, positions.get((plan.source, key)), options)
        for plan in plans
        for params, key in zip(options.params, keys, strict=True)
    ]


def _positions_by_key(checkpoint: Checkpoint | None) -> dict[tuple[str, str], Position]:
    if checkpoint is None:
        return {}
    if checkpoint.version > CHECKPOINT_VERSION:
        raise CheckpointError(
            f"The checkpoint has version {checkpoint.version}; this release of trio_ingest "
            f"reads up to version {CHECKPOINT_VERSION}. Upgrade trio_ingest to resume from it."
        )
    return {(p.source, p.parameters): p for p in checkpoint.positions}


def _begin(
    plan: AdapterPlan,
    params: dict[str, object],
    key: str,
    position: Position | None,
    options: RunOptions,
) -> AdapterRun:
    begin = partial(AdapterRun, plan.source, params, key, stable_order=plan.stable_order)
    if position is None:
        return begin()
    watermark = Watermark.of(position)
    if position.finished and not plan.is_open_ended:
        return begin(watermark, first_record=watermark.low, finished=True)
    if position.cursor_record is not None:
        if position.cursor is None:
            raise CheckpointError(
                f"The checkpoint's cursor for the adapter {plan.source!r} is None, which "
                f"fetch could not tell from the start: records would come twice. Start again "
                f"without the checkpoint."
            )
        if not plan.takes_cursor:
            raise CheckpointError(
                f"The checkpoint has a cursor for the adapter {plan.source!r}, whose fetch "
                f"takes none. Write `async def fetch(self, *, cursor=None, ...)`."
            )
        if not plan.stable_order:
            # What follows the cursor may come in another order this time: counting
            # off what had ended there could pass over a record that no run has had.
            past = position.cursor_record
            watermark = Watermark(past, cursor=watermark.cursor, cursor_record=past)
        return begin(watermark, first_record=position.cursor_record)
    if plan.stable_order:
        return begin(watermark)
    if plan.offers_cursor:
        # It was stopped before its first cursor, and so begins again.
        return begin()
    if options.completed_ids is None and (position.watermark or position.ended):
        raise CheckpointError(
            f"The adapter {plan.source!r} cannot resume: it yields no Cursor and does not "
            f"declare stable_order. Give it one of these, or pass completed_ids."
        )
    return begin()


def _mismatch(found: set[tuple[str, str]], known: set[tuple[str, str]]) -> str:
    def spelled(keys: set[tuple[str, str]]) -> str:
        return ", ".join(f"{source!r} with params {key}" for source, key in sorted(keys))

    extra, missing = found - known, known - found
    parts = []
    if extra:
        parts.append(f"it has {spelled(extra)}, which this run has not")
    if missing:
        parts.append(f"it lacks {spelled(missing)}")
    return (
        f"The checkpoint belongs to another pipeline or other params: {'; '.join(parts)}. "
        f"Run with what it was made with, or start again without resume_from."
    )


async def estimate_totals(setup: RunSetup, run: Run, runtime: Runtime) -> int | None:
    """Return how many records to expect: as given, else as the adapters say, else None."""
    if run.estimated_total is not None:
        return run.estimated_total
    total = 0
    for plan in setup.plans:
        if plan.estimate_total is None:
            return None
        for params in setup.options.params:
            try:
                estimate = plan.estimate_total(**deepcopy(params))
                if inspect.isawaitable(estimate):
                    estimate = await estimate
            except BaseException as error:  # noqa: ASYNC103 -- re-raised unless it is a failure
                if not runtime.is_failure(error):
                    raise
                # An estimate is a courtesy: without it there is no ETA, and still a run.
                warnings.warn(
                    f"estimate_total of {plan.source!r} failed, so there is no ETA: "
                    f"{described(error)}",
                    RuntimeWarning,
                    stacklevel=1,
                )
                return None  # noqa: ASYNC104 -- the same
            if not isinstance(estimate, int | float) or not 0 <= estimate < math.inf:
                return None
            total += round(estimate)
    return total


def failure_of(failures: Sequence[Exception]) -> Exception | None:
    """Return the error to raise at the end: one failure as itself, several in a group."""
    if len(failures) < 2:
        return failures[0] if failures else None
    return ExceptionGroup(f"{len(failures)} adapters failed", failures)


def failure_note(adapter_run: AdapterRun) -> str:
    """Return the note for the failure of a dead adapter."""
    text = f"In the adapter {adapter_run.source!r}, after {adapter_run.next_record} records"
    if adapter_run.parameters:
        text += f", with the params {adapter_run.parameters_key}"
    return text + "."
