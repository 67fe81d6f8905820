"""Where each adapter run begins: at the start, or where a checkpoint says."""

from __future__ import annotations

from collections.abc import Sequence

from ._adapters import AdapterPlan, check_cursor
from ._checkpoints import CHECKPOINT_VERSION, Checkpoint, Position, canonical_parameters
from ._errors import CheckpointError, SetupError
from ._options import RunOptions
from ._run import AdapterRun
from ._watermark import Watermark


def adapter_runs_of(plans: Sequence[AdapterPlan], options: RunOptions) -> list[AdapterRun]:
    """One adapter run for each adapter and each of ``params``, in that order.

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
    if position is None:
        return AdapterRun(plan.source, params, key)
    watermark = Watermark(position.watermark)
    for start, stop in position.ended:
        watermark.end_range(start, stop)
    watermark.cursor, watermark.cursor_record = position.cursor, position.cursor_record
    if position.finished:
        return AdapterRun(plan.source, params, key, watermark, finished=True)
    if position.cursor_record is not None:
        check_cursor(plan)
        if not plan.stable_order:
            # What follows the cursor may come in another order this time: counting
            # off what had ended there could pass over a record nobody has seen.
            watermark = Watermark(position.cursor_record)
            watermark.cursor, watermark.cursor_record = position.cursor, position.cursor_record
        return AdapterRun(
            plan.source, params, key, watermark, first_record=position.cursor_record
        )
    if plan.stable_order:
        return AdapterRun(plan.source, params, key, watermark)
    if options.completed_ids is None and (position.watermark or position.ended):
        raise CheckpointError(
            f"The adapter {plan.source!r} cannot resume: it yields no Cursor and does not "
            f"declare stable_order. Give it one of these, or pass completed_ids."
        )
    return AdapterRun(plan.source, params, key)


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
