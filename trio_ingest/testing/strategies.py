"""Hypothesis strategies: documents, events, checkpoints, scripts of records and faults."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from trio_ingest import (
    AdapterStateChange,
    BatchProgress,
    Checkpoint,
    Cursor,
    Document,
    DocumentCompleted,
    DocumentFailed,
    DocumentRetrying,
    DocumentSkipped,
    DocumentStarted,
    Position,
)

from ._hypothesis import st
from .scripted import BadParse, Crash, Fail, FailTimes, Pause, SlowParse

__all__ = ["checkpoints", "documents", "events", "json_values", "script_steps", "scripts"]

_STATES = ("pending", "running", "paused", "draining", "finished", "failed", "cancelled")
_ENDS: Sequence[list[Any]] = [[], [], [], [], [Crash()]]
_NAMES = st.text(min_size=1, max_size=12)
_NUMBERS = st.integers(0, 10**9)
_SECONDS = st.floats(0, 1e6, allow_nan=False)
_ERRORS = st.builds(
    lambda kind, text: kind(text),
    st.sampled_from([ValueError, KeyError, OSError, TimeoutError, RuntimeError]),
    st.text(max_size=20),
)


def json_values(*, finite: bool = True) -> st.SearchStrategy[Any]:
    """Any JSON value: numbers, texts, lists and mappings, nested a little.

    Args:
        finite: whether to leave out NaN and the infinities, which JSON has no form for.
    """
    return st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=not finite, allow_infinity=not finite)
        | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.text(max_size=8), inner, max_size=3)
        ),
        max_leaves=6,
    )


def documents(*, source: str | None = None) -> st.SearchStrategy[Document]:
    """Documents with any text, and JSON values for what else they carry.

    Args:
        source: of all of them; any when None.
    """
    return st.builds(
        Document,
        doc_id=st.text(max_size=20),
        source=_NAMES if source is None else st.just(source),
        content=st.text(max_size=50),
        raw=json_values(),
        metadata=st.dictionaries(st.text(max_size=8), json_values(), max_size=3),
    )


def checkpoints(*, max_positions: int = 3) -> st.SearchStrategy[Checkpoint]:
    """Checkpoints as the engine mints them: gaps between ranges, cursors behind them.

    Args:
        max_positions: the most adapter runs that one has.
    """
    positions = st.lists(
        _positions(),
        max_size=max_positions,
        unique_by=lambda position: (position.source, position.parameters),
    )
    return st.builds(Checkpoint, positions.map(tuple))


@st.composite
def _positions(draw: st.DrawFn) -> Position:
    watermark = draw(_NUMBERS)
    ended, edge = [], watermark
    for gap, length in draw(
        st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), max_size=4)
    ):
        ended.append((edge + gap, edge + gap + length))
        edge += gap + length
    cursor_record = draw(st.none() | st.integers(0, watermark))
    params = draw(st.dictionaries(st.text(max_size=8), json_values(), max_size=2))
    return Position(
        source=draw(_NAMES),
        parameters=json.dumps(params, sort_keys=True, separators=(",", ":")),
        watermark=watermark,
        ended=tuple(ended),
        cursor=None if cursor_record is None else draw(json_values()),
        cursor_record=cursor_record,
        finished=draw(st.booleans()),
        stable_order=draw(st.booleans()),
    )


def events() -> st.SearchStrategy[Any]:
    """Any event that the engine can emit, each for itself: no run gives them in this order."""
    base: dict[str, Any] = {
        "timestamp": _SECONDS,
        "pipeline_id": _NAMES,
        "sequence": _NUMBERS,
    }
    record: dict[str, Any] = {**base, "adapter": _NAMES, "record_number": _NUMBERS}
    failure: dict[str, Any] = {"error": _ERRORS, "error_type": _NAMES, "retry_count": _NUMBERS}
    params = st.dictionaries(st.text(max_size=8), json_values(), max_size=2)
    doc_id = st.text(max_size=20)
    return st.one_of(
        st.builds(DocumentStarted, **record, doc_id=doc_id, parameters=params),
        st.builds(
            DocumentCompleted,
            **base,
            record_number=_NUMBERS,
            document=documents(),
            duration=_SECONDS,
            adapter_metadata=st.fixed_dictionaries({"adapter": _NAMES, "parameters": params}),
            retry_count=_NUMBERS,
        ),
        st.builds(
            DocumentFailed,
            **record,
            **failure,
            doc_id=st.none() | doc_id,
            is_retryable=st.booleans(),
            traceback=st.none() | st.text(max_size=30),
            raw=json_values(),
        ),
        st.builds(DocumentSkipped, **record, doc_id=doc_id, reason=st.text(max_size=20)),
        st.builds(
            DocumentRetrying, **record, **failure, doc_id=doc_id, delay_seconds=_SECONDS
        ),
        _progress(base),
        st.builds(
            AdapterStateChange,
            **base,
            adapter=_NAMES,
            old_state=st.sampled_from(_STATES),
            new_state=st.sampled_from(_STATES),
            reason=st.none() | st.text(max_size=20),
        ),
    )


def _progress(base: dict[str, Any]) -> st.SearchStrategy[BatchProgress]:
    counts = ("completed", "failed", "in_flight", "skipped", "queue_depth", "buffer_size")
    times = ("fetch_seconds", "parse_seconds", "consumer_seconds", "throttle_seconds")
    return st.builds(
        BatchProgress,
        **base,
        **dict.fromkeys(counts, _NUMBERS),
        **dict.fromkeys(times, _SECONDS),
        estimated_total=st.none() | _NUMBERS,
        eta_seconds=st.none() | _SECONDS,
        checkpoint=st.none() | checkpoints(),
    )


def scripts(
    *,
    steps: st.SearchStrategy[Any] | None = None,
    max_size: int = 12,
    crash: bool = True,
) -> st.SearchStrategy[list[Any]]:
    """Scripts for ``ScriptedAdapter``: records and faults.

    Args:
        steps: what they are made of; ``script_steps()`` when None.
        max_size: the most steps.
        crash: whether the adapter may die at the end of one.

    The value of each ``Cursor`` is its place in the script, so that no two are alike.
    """
    chosen = script_steps() if steps is None else steps
    script = st.lists(chosen, max_size=max_size).map(_numbered)
    if not crash:
        return script
    return st.builds(lambda steps, end: [*steps, *end], script, st.sampled_from(_ENDS))


def script_steps() -> st.SearchStrategy[Any]:
    """Single steps: records, bad ones, slow ones, ones to try again, pauses and cursors."""
    seconds = st.sampled_from([0, 0, 0.5, 3])
    return st.one_of(
        st.just("record"),
        st.just("record"),
        st.builds(Fail),
        st.builds(Fail, st.builds(RecursionError, st.just("too deep"))),
        st.builds(FailTimes, st.integers(1, 3)),
        st.builds(BadParse),
        st.builds(SlowParse, seconds),
        st.builds(Pause, seconds),
        st.just(Cursor(0)),
    )


def _numbered(script: list[Any]) -> list[Any]:
    return [Cursor(n) if isinstance(step, Cursor) else step for n, step in enumerate(script)]
