"""A document is a value: immutable, comparable, and free to hold anything."""

from __future__ import annotations

import copy
import pickle

import attrs
import pytest

from trio_ingest import Document


def test_document_needs_an_id_a_source_and_a_content() -> None:
    document = Document("1", "feed", "text")
    assert (document.doc_id, document.source, document.content) == ("1", "feed", "text")
    assert document.raw is None
    assert document.metadata == {}
    with pytest.raises(TypeError):
        Document("1", "feed")  # type: ignore[call-arg]


@pytest.mark.parametrize("name", ["doc_id", "content", "metadata", "anything"])
def test_document_cannot_be_changed(name: str) -> None:
    document = Document("1", "feed", "text")
    with pytest.raises(AttributeError):
        setattr(document, name, "other")
    with pytest.raises(AttributeError):
        delattr(document, name)
    assert document == Document("1", "feed", "text")


def test_documents_are_equal_when_all_fields_are() -> None:
    document = Document("1", "feed", "text", raw=[1], metadata={"a": 1})
    assert document == Document("1", "feed", "text", raw=[1], metadata={"a": 1})
    for other in (
        Document("2", "feed", "text", raw=[1], metadata={"a": 1}),
        Document("1", "feed", "text", raw=[2], metadata={"a": 1}),
        Document("1", "feed", "text", raw=[1], metadata={"a": 2}),
    ):
        assert document != other


def test_no_two_documents_share_the_default_metadata() -> None:
    assert Document("1", "a", "").metadata is not Document("1", "a", "").metadata


def test_metadata_and_raw_are_kept_as_they_are() -> None:
    raw, metadata = object(), {"a": 1}
    document = Document("1", "feed", "", raw=raw, metadata=metadata)
    assert document.raw is raw
    assert document.metadata is metadata


def test_document_can_be_copied_pickled_and_evolved() -> None:
    document = Document("1", "feed", "text", raw={"n": 1}, metadata={"a": [1]})
    assert copy.copy(document) == document
    assert copy.deepcopy(document) == document
    assert pickle.loads(pickle.dumps(document)) == document
    assert attrs.evolve(document, content="new").content == "new"


def test_document_carries_no_dictionary_of_its_own() -> None:
    assert not hasattr(Document("1", "feed", ""), "__dict__")
