"""``check_sink``: our sinks and stores pass, and each mistake is found by the check for it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeAlias
from unittest import SkipTest

import pytest

from tests.testing.bad_sinks import BAD, Good, KeepsNoCheckpoint, ids_in
from trio_ingest.sinks import JsonLinesSink, SqliteSink
from trio_ingest.stores import FileCheckpointStore, SqliteCheckpointStore, SqliteLedger
from trio_ingest.testing import Check, check_sink

Factory: TypeAlias = Callable[[Path], Any]
Contents: TypeAlias = Callable[[Path], Iterable[str]] | None


def rows(folder: Path) -> list[str]:
    with closing(sqlite3.connect(folder / "out.db")) as database:
        if not database.execute("SELECT * FROM sqlite_schema").fetchall():
            return []
        return [doc_id for (doc_id,) in database.execute("SELECT doc_id FROM documents")]


def lines(folder: Path) -> list[str]:
    text = (folder / "out.jsonl").read_bytes()
    return [json.loads(line)["doc_id"] for line in text.splitlines()]


OURS: dict[str, tuple[Factory, Contents]] = {
    "replace": (lambda folder: SqliteSink(folder / "out.db"), rows),
    "keep": (lambda folder: SqliteSink(folder / "out.db", duplicates="keep"), rows),
    "fail": (lambda folder: SqliteSink(folder / "out.db", duplicates="fail"), rows),
    "allow": (lambda folder: SqliteSink(folder / "out.db", duplicates="allow"), rows),
    "full text": (lambda folder: SqliteSink(folder / "out.db", full_text=True), rows),
    "jsonl": (lambda folder: JsonLinesSink(folder / "out.jsonl"), lines),
    "file store": (lambda folder: FileCheckpointStore(folder / "point.json"), None),
    "sqlite store": (lambda folder: SqliteCheckpointStore(folder / "points.db"), None),
    "ledger": (lambda folder: SqliteLedger(folder / "ledger.db"), None),
}
NAMES = [check.name for check in check_sink(Good)]

# Cancelled anywhere, one rule for duplicates stands for all of them.
MUCH_ALIKE = {"keep", "fail", "allow", "full text", "sqlite store"}
CASES = [
    pytest.param(
        name,
        sink,
        marks=[pytest.mark.slow]
        if sink in MUCH_ALIKE and name == "can_be_cancelled_anywhere"
        else [],
    )
    for name in NAMES
    for sink in OURS
]

# What can be said of a sink only by what it has.
NEED_CONTENTS = {
    *("keeps_what_it_is_given", "has_it_after_the_write"),
    *("begins_again", "resumes_after_a_failure"),
}
NEED_LOAD = {"remembers_each_batch", "takes_a_batch_without_documents", "begins_again"}


def check_of(name: str, factory: Any, contents: Contents = ids_in) -> Check:
    return next(check for check in check_sink(factory, contents) if check.name == name)


def skipped(factory: Any, contents: Contents) -> set[str]:
    names = set()
    for check in check_sink(factory, contents):
        try:
            check()
        except SkipTest:
            names.add(check.name)
    return names


@pytest.mark.one_in(3)
@pytest.mark.parametrize(("name", "sink"), CASES)
def test_our_sinks_and_stores_pass(name: str, sink: str) -> None:
    factory, contents = OURS[sink]
    if contents is None and name in NEED_CONTENTS:
        with pytest.raises(SkipTest, match="No `contents` is given"):
            check_of(name, factory, contents)()
    else:
        check_of(name, factory, contents)()


def test_only_sinks_that_there_are_are_much_alike() -> None:
    assert set(OURS) > MUCH_ALIKE


def test_a_good_sink_passes_every_check() -> None:
    assert skipped(Good, ids_in) == set()


def test_what_a_sink_has_not_is_not_checked() -> None:
    assert skipped(KeepsNoCheckpoint, ids_in) == NEED_LOAD
    assert skipped(Good, None) == NEED_CONTENTS


@pytest.mark.parametrize(("name", "kind", "message"), BAD, ids=[k.__name__ for _, k, _ in BAD])
def test_a_mistake_is_found(
    name: str, kind: Any, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trio_ingest.testing.conformance._check._THREAD_ENDS_SECONDS", 0.1)
    with pytest.raises(AssertionError, match=message):
        check_of(name, kind)()


def test_each_check_has_a_mistake_that_it_finds() -> None:
    assert {name for name, _, _ in BAD} == set(NAMES)
