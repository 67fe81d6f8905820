"""One run, checked and ready to begin, before anything runs."""

from __future__ import annotations

import inspect
import random
import warnings
from collections.abc import Callable, Sequence

import attrs

from ._adapter_run import AdapterRun
from ._adapters import AdapterPlan, check_params
from ._options import Policy, RunOptions
from ._resume import adapter_runs_of
from ._run import Run
from ._work import Work


@attrs.define
class RunSetup:
    """What a stream needs to begin, in either form."""

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
            CheckpointError: saying what does not fit.
        """
        adapter_runs_of(self.plans, self.options)

    def begin(self, now: float) -> Run:
        """The book of a new run."""
        options = self.options
        return Run(
            self.policy.new_pipeline_id(),
            adapter_runs_of(self.plans, options),
            now,
            buffer_size=options.buffer_size,
            progress_interval=options.progress_interval,
            checkpoint_interval=options.checkpoint_interval,
            estimated_total=options.estimated_total,
        )

    def works(self, run: Run, index: int, clock: Callable[[], float]) -> list[Work]:
        """The work of each adapter run of one adapter."""
        size = len(self.options.params)
        retry = self.policy.retry
        seed = random.random() if retry.seed is None else retry.seed  # noqa: S311
        return [
            Work(
                run,
                adapter_run,
                self.plans[index],
                completed_ids=self.options.completed_ids,
                retry=retry,
                seed=seed,
                wall=self.policy.clock,
                clock=clock,
            )
            for adapter_run in run.adapter_runs[index * size : (index + 1) * size]
        ]


async def estimate_totals(setup: RunSetup, run: Run) -> int | None:
    """How many records to expect in all: as told, else as the adapters say, else None."""
    if run.estimated_total is not None:
        return run.estimated_total
    total = 0
    for plan in setup.plans:
        if plan.estimate_total is None:
            return None
        for params in setup.options.params:
            try:
                estimate = plan.estimate_total(**params)
                if inspect.isawaitable(estimate):
                    estimate = await estimate
            except Exception as error:
                # An estimate is a courtesy: without it there is no ETA, and still a run.
                warnings.warn(
                    f"estimate_total of {plan.source!r} failed, so there is no ETA: {error!r}",
                    RuntimeWarning,
                    stacklevel=1,
                )
                return None
            if type(estimate) is not int or estimate < 0:
                return None
            total += estimate
    return total


def failure_of(failures: Sequence[Exception]) -> Exception | None:
    """What to raise at the end: one adapter's failure as itself, several in a group."""
    if len(failures) < 2:
        return failures[0] if failures else None
    return ExceptionGroup(f"{len(failures)} adapters failed", failures)


def where(adapter_run: AdapterRun) -> str:
    """The note that a dead adapter's failure carries."""
    text = f"In the adapter {adapter_run.source!r}, after {adapter_run.next_record} records"
    if adapter_run.parameters:
        text += f", with the params {adapter_run.parameters_key}"
    return text + "."
