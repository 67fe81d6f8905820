"""Hypothesis strategies: documents, events, checkpoints, scripts of records and faults."""

from __future__ import annotations

import json
from collections.abc import Sequence
from types import UnionType
from typing import Any, get_args

import attrs

from trio_ingest import AdapterState, Checkpoint, Cursor, Document, EngineEvent, Position

from ._hypothesis import st
from .scripted import BadParse, Crash, Fail, FailTimes, Pause, SlowParse

__all__ = ["checkpoints", "documents", "events", "json_values", "script_steps", "scripts"]

_ENDS: Sequence[list[Any]] = [[], [], [], [], [Crash()]]
_NAMES = st.text(min_size=1, max_size=12)
_NUMBERS = st.integers(0, 10**9)
_SECONDS = st.floats(0, 1e6, allow_nan=False)


def json_values(*, finite: bool = True) -> st.SearchStrategy[Any]:
    """Generate JSON values: numbers, texts, lists and mappings, nested a little.

    Args:
        finite: whether to leave out NaN and the infinities, which JSON has no form for; True
            by default.
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
    """Generate documents with any text, and JSON values as ``raw`` and metadata.

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
    """Generate checkpoints as the engine mints them: gaps between ranges, cursors behind.

    Args:
        max_positions: the most adapter runs in one; 3 by default.
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
    """Generate single events of the engine: no run emits them in this order."""
    params = st.dictionaries(st.text(max_size=8), json_values(), max_size=2)
    metadata = st.fixed_dictionaries({"adapter": _NAMES, "parameters": params})
    # For a field of this name, or else of this type.
    fields: dict[Any, st.SearchStrategy[Any]] = {
        **dict.fromkeys(("pipeline_id", "adapter", "error_type"), _NAMES),
        "adapter_metadata": metadata,
        "parameters": params,
        int: _NUMBERS,
        float: _SECONDS,
        str: st.text(max_size=30),
        bool: st.booleans(),
        Any: json_values(),
        AdapterState: st.sampled_from(get_args(AdapterState)),
        Checkpoint: checkpoints(),
        Document: documents(),
    }

    def values(field: attrs.Attribute[Any]) -> st.SearchStrategy[Any]:
        is_union = isinstance(field.type, UnionType)
        kind = get_args(field.type)[0] if is_union else field.type
        found = fields[field.name if field.name in fields else kind]
        return st.none() | found if is_union else found

    return st.one_of(
        *(
            st.builds(event, **{field.name: values(field) for field in attrs.fields(event)})
            for event in get_args(EngineEvent)
        )
    )


def scripts(
    *,
    steps: st.SearchStrategy[Any] | None = None,
    max_size: int = 12,
    crash: bool = True,
) -> st.SearchStrategy[list[Any]]:
    """Generate scripts for ``ScriptedAdapter``: records and faults.

    The value of each ``Cursor`` is its index in the script, so that no two are alike.

    Args:
        steps: generates a step; ``script_steps()`` when None.
        max_size: the most steps; 12 by default.
        crash: whether the adapter may die at the end of one; True by default.
    """
    chosen = script_steps() if steps is None else steps
    script = st.lists(chosen, max_size=max_size).map(_numbered)
    if not crash:
        return script
    return st.builds(lambda steps, end: [*steps, *end], script, st.sampled_from(_ENDS))


def script_steps() -> st.SearchStrategy[Any]:
    """Generate single steps: records, good, bad, slow or retried; pauses and cursors."""
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
