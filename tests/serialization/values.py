"""Values that JSON has no form for, and what it is for two of them to be the same."""

from __future__ import annotations

import datetime
import math
import pathlib
from importlib.util import find_spec
from typing import Any

import attrs
import hypothesis.strategies as st

from trio_ingest import Document, DocumentCompleted, DocumentFailed, PipelineEvent
from trio_ingest.serialization import EventCodec, OpaqueValue

# What a user has: without the extra `json`, the standard library alone.
BACK_ENDS: list[Any] = ["json"] if find_spec("orjson") is None else ["json", "orjson"]


@attrs.frozen
class Place:
    name: str
    width: float | None = None
    inside: Any = None


@attrs.frozen(kw_only=True)
class PageRead(PipelineEvent):
    page: int
    notes: Any = None


@attrs.frozen(kw_only=True)
class Visited(PipelineEvent):
    """An event with every kind of field."""

    when: datetime.datetime
    place: Place
    former: Place | None
    path: pathlib.Path
    sizes: list[int]
    corner: tuple[int, int]
    words: frozenset[str]
    number_or_text: int | str
    ratio: float
    is_open: bool
    data: bytes
    error: ValueError | None


EXTRA = (Place, PageRead, Visited)
CODECS = {choice: EventCodec(EXTRA, json=choice) for choice in BACK_ENDS}
CODEC = CODECS["json"]


def completed(raw: Any = None, **metadata: Any) -> DocumentCompleted:
    return DocumentCompleted(
        document=Document("a", "feed", "text", raw, metadata),
        duration=0.5,
        adapter_metadata={"adapter": "feed", "parameters": {}},
        record_number=0,
        retry_count=0,
    )


def failed(error: str = "no such thing", raw: Any = None) -> DocumentFailed:
    return DocumentFailed(
        doc_id=None,
        error=error,
        error_type="KeyError",
        retry_count=0,
        is_retryable=False,
        traceback=None,
        adapter="feed",
        record_number=3,
        raw=raw,
    )


def same(one: Any, other: Any) -> bool:
    """Equal, of the same type at every depth, and NaN equals NaN."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return one == other or (math.isnan(one) and math.isnan(other))
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        pairs = zip(one.items(), other.items(), strict=False)
        return len(one) == len(other) and all(
            same(a, c) and same(b, d) for (a, b), (c, d) in pairs
        )
    if attrs.has(type(one)):
        return same(attrs.asdict(one, recurse=False), attrs.asdict(other, recurse=False))
    return bool(one == other)


# Halves of surrogate pairs as well, which st.text() leaves out, and what we escape them with.
texts = st.text(max_size=10) | st.text(st.characters(categories=["Cs", "Ll"]), max_size=5)
texts |= st.text("\\$u0\ud800", max_size=6)
_offsets = st.timedeltas(datetime.timedelta(hours=-23), datetime.timedelta(hours=23))
_zones = st.none() | st.builds(datetime.timezone, _offsets)
hashables = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(2**63 - 2, 2**65)
    | st.floats(allow_nan=False)
    | texts
    | st.binary(max_size=5)
    | st.datetimes(timezones=_zones)
    | st.dates()
    | st.times(timezones=_zones)
    | st.timedeltas()
    | st.decimals(allow_nan=False)
    | st.uuids()
    | texts.map(lambda text: pathlib.Path(text.replace("\0", "")))
    | st.builds(pathlib.PureWindowsPath, st.sampled_from(["c:/a", "a\\b", ""]))
    | st.builds(OpaqueValue, texts, texts),
    lambda inner: (
        st.tuples(inner, inner) | st.frozensets(inner, max_size=3) | st.builds(Place, texts)
    ),
    max_leaves=4,
)
anything = st.recursive(
    hashables | st.floats() | st.sets(hashables, max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner)
        | st.dictionaries(texts | st.just("$") | hashables, inner, max_size=3)
        | st.builds(Place, texts, st.none() | st.floats(), inner)
    ),
    max_leaves=8,
)
