"""What a sink is given, and what it is to keep: counted, and read back as it was."""

from __future__ import annotations

import copy
import json
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.test_checkpoints import positions
from trio_ingest import (
    Checkpoint,
    CheckpointError,
    Document,
    DocumentCompleted,
    DocumentFailed,
    DocumentSkipped,
    Position,
)
from trio_ingest.delivery import Batch, Rejection, SinkError, SinkState, Totals

COUNTS = st.integers(0, 10**15)
TOTALS = st.builds(Totals, completed=COUNTS, failed=COUNTS, skipped=COUNTS, rejected=COUNTS)
POINT = Checkpoint((Position("feed", "{}", 3),))


def completed(number: int, document: Document | None = None, **fields: Any) -> Any:
    return DocumentCompleted(
        timestamp=number / 2,
        pipeline_id="run",
        sequence=number,
        document=document or Document(f"d{number}", "feed", "text", raw={"n": number}),
        duration=0.0,
        adapter_metadata={"adapter": "feed", "parameters": {}},
        record_number=number,
        retry_count=1,
    )


def failed(number: int, raw: Any = None) -> Any:
    return DocumentFailed(
        timestamp=0.5,
        pipeline_id="run",
        sequence=number,
        doc_id=None,
        error="no title",
        error_type="ValueError",
        retry_count=2,
        is_retryable=True,
        traceback="Traceback",
        adapter="feed",
        record_number=number,
        raw=raw,
    )


def skipped(number: int) -> Any:
    return DocumentSkipped(
        timestamp=0.5,
        pipeline_id="run",
        sequence=number,
        doc_id="x",
        adapter="feed",
        record_number=number,
        reason="already completed",
    )


# -- totals ------------------------------------------------------------------------------


@given(TOTALS, TOTALS)
def test_totals_add_up(ours: Totals, more: Totals) -> None:
    total = ours.plus(**attrs.asdict(more))
    for name in ("completed", "failed", "skipped", "rejected", "delivered", "bad"):
        assert getattr(total, name) == getattr(ours, name) + getattr(more, name)
    assert ours.plus() == ours


def test_rejected_documents_are_completed_not_delivered_and_bad() -> None:
    totals = Totals(completed=5, failed=2, skipped=1, rejected=3)
    assert (totals.delivered, totals.bad) == (2, 5)


# -- what was delivered --------------------------------------------------------------------


@given(st.lists(positions(), max_size=3, unique_by=lambda p: (p.source, p.parameters)), TOTALS)
def test_delivered_comes_back_from_json_as_it_was(items: Any, totals: Totals) -> None:
    delivered = SinkState(Checkpoint(tuple(items)), totals)
    assert SinkState.from_dict(json.loads(json.dumps(delivered.to_dict()))) == delivered
    assert SinkState.from_dict(delivered.to_dict()) == delivered


GOOD = SinkState(POINT, Totals(completed=3, rejected=1)).to_dict()


def changed(path: str, value: Any) -> dict[str, Any]:
    data = inner = copy.deepcopy(GOOD)
    *outer, last = path.split(".")
    for key in outer:
        inner = inner[key]
    inner[last] = value
    return data


@pytest.mark.parametrize(
    "data",
    [None, [], "text", 7, {}, {"version": 1}]
    + [changed("version", wrong) for wrong in (None, "1", 0, -1, True, 1.0)]
    + [changed("totals", wrong) for wrong in (None, [], {}, 5, "x", {"completed": 1})]
    + [changed("totals.failed", wrong) for wrong in (None, -1, "2", 1.0, True)]
    + [changed("checkpoint", wrong) for wrong in (None, [], {}, "x", {"version": 1})],
    ids=repr,
)
def test_damaged_delivered_is_refused(data: Any) -> None:
    with pytest.raises(CheckpointError, match="damaged"):
        SinkState.from_dict(data)


@pytest.mark.parametrize("path", ["version", "checkpoint.version"])
def test_newer_delivered_is_refused_by_its_version(path: str) -> None:
    with pytest.raises(CheckpointError, match=r"version 2; .*Upgrade trio_ingest"):
        SinkState.from_dict(changed(path, 2))


@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda i: (
            st.lists(i)
            | st.dictionaries(st.sampled_from(["version", "totals", "checkpoint"]), i)
        ),
    )
)
def test_any_json_is_delivered_or_a_checkpoint_error(data: Any) -> None:
    with pytest.raises(CheckpointError):
        SinkState.from_dict(data)


# -- batches -----------------------------------------------------------------------------


def test_batch_counts_what_it_holds_on_top_of_what_was_before() -> None:
    batch = Batch(
        checkpoint=POINT,
        completed=[completed(0), completed(1), completed(2)],
        failed=[failed(3)],
        skipped=[skipped(4), skipped(5)],
        before=Totals(completed=10, failed=20, skipped=30, rejected=4),
    )
    assert [document.doc_id for document in batch.documents] == ["d0", "d1", "d2"]
    assert batch.delivered() == SinkState(
        POINT, Totals(completed=13, failed=21, skipped=32, rejected=4)
    )
    rejections = [Rejection(batch.documents[1], "No.")]
    assert batch.delivered(rejections).totals == Totals(
        completed=13, failed=21, skipped=32, rejected=5
    )


def test_document_that_two_sinks_reject_is_one_rejected_document() -> None:
    first, second = completed(0), completed(1)
    before = Rejection(first.document, "Not here.")
    batch = Batch(checkpoint=POINT, completed=[first, second], rejected=[before])
    assert batch.delivered().totals.rejected == 1
    assert batch.delivered([Rejection(first.document, "Nor here.")]).totals.rejected == 1
    assert batch.delivered([Rejection(second.document, "No.")]).totals.rejected == 2


def test_empty_batch_carries_its_checkpoint() -> None:
    batch = Batch(checkpoint=POINT, before=Totals(failed=1))
    assert batch.delivered() == SinkState(POINT, Totals(failed=1))
    assert batch.documents == []
    assert batch.dead_letters() == []


def test_dead_letters_are_of_failed_records_and_of_rejected_documents() -> None:
    batch = Batch(
        checkpoint=POINT, completed=[completed(0), completed(1)], failed=[failed(2, b"{")]
    )
    one, two = batch.dead_letters([Rejection(batch.documents[1], "It has no title.")])
    assert (one.stage, one.error_type, one.error) == ("parse", "ValueError", "no title")
    assert (one.doc_id, one.adapter, one.record_number, one.raw) == (None, "feed", 2, '"{"')
    assert (one.retry_count, one.is_retryable, one.traceback) == (2, True, "Traceback")
    assert (two.stage, two.error_type, two.error) == ("sink", "Rejected", "It has no title.")
    assert (two.doc_id, two.adapter, two.record_number) == ("d1", "feed", 1)
    assert (two.retry_count, two.is_retryable, two.traceback) == (1, False, None)
    assert (json.loads(two.raw), two.timestamp) == ({"n": 1}, 0.5)


def test_one_document_for_several_records_has_a_letter_for_each() -> None:
    document = Document("same", "feed", "text")
    batch = Batch(checkpoint=POINT, completed=[completed(4, document), completed(7, document)])
    rejections = [Rejection(document, "No.")] * 2
    assert batch.delivered(rejections).totals == Totals(completed=2, rejected=2)
    letters = batch.dead_letters(rejections)
    assert [letter.record_number for letter in letters] == [4, 7]


def test_rejection_of_a_copy_is_refused_in_words() -> None:
    batch = Batch(checkpoint=POINT, completed=[completed(0)])
    with pytest.raises(SinkError, match=r"'d0'.*itself, not a copy"):
        batch.dead_letters([Rejection(attrs.evolve(batch.documents[0]), "No.")])
