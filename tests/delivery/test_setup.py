"""A delivery that cannot keep its word is refused before anything of the stream happens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from tests.delivery.memory_sinks import (
    Forgetful,
    Table,
    deliver_case,
    live,
    rows_of,
)
from tests.promises.scripts import Case
from tests.worlds import run
from trio_ingest import SetupError
from trio_ingest.delivery import Batch, deliver
from trio_ingest.stores import FileCheckpointStore, SqliteCheckpointStore
from trio_ingest.testing import Fail

CASE = Case(scripts=[["a", Fail(), "b", "c", "d", "e"]])


def refused_unbegun(*sinks: Any, match: str) -> str:
    """What is said to such sinks; nothing of the stream has happened by then."""
    adapters = CASE.adapters()
    stream = CASE.pipeline(adapters).stream_events(**CASE.options())
    with pytest.raises(SetupError, match=match) as caught:
        run(deliver, stream, *sinks)
    assert not stream.was_begun
    assert adapters[0].opened == 0
    assert [sink.batches for sink in sinks] == [[]] * len(sinks)
    return str(caught.value)


# -- the order of sinks ----------------------------------------------------------------------


@pytest.mark.parametrize("front", [0, 1])
@pytest.mark.parametrize("between", [0, 1])
def test_sink_without_a_checkpoint_after_one_with_it_is_refused_before_any_event(
    front: int, between: int
) -> None:
    sinks: list[Any] = [Forgetful(name="in front")][:front]
    sinks += [Table(), *[Table(name="another")][:between], Forgetful()]
    keeper = "another" if between else "table"
    message = refused_unbegun(
        *sinks, match=f"^forgetful keeps no checkpoint and comes after {keeper}, which does"
    )
    assert message.endswith("Put forgetful first.")


@pytest.mark.parametrize("fails", range(3))
@pytest.mark.parametrize("store", [FileCheckpointStore, SqliteCheckpointStore])
def test_sinks_without_a_checkpoint_in_front_and_a_store_at_the_end_lose_nothing(
    tmp_path: Path, store: Any, fails: int
) -> None:
    one, two, table = Forgetful(name="one"), Forgetful(name="two"), Table()
    (one, two, table)[fails].trouble = {1: "fail"}

    async def main() -> bool:
        async with store(tmp_path / "kept") as kept:
            return await live(CASE, one, two, table, kept, batch_size=2)

    # Threads take time, so no clock may jump here.
    assert not trio.run(main)
    for sink in (one, two, table):
        sink.trouble = {}
    assert trio.run(main)
    wanted = rows_of(CASE)
    assert sorted(table.rows) == wanted
    for sink in (one, two):
        assert sorted(set(sink.rows)) == wanted
    # The batch that somebody behind it did not get came again, and no other.
    assert len(one.rows) == len(wanted) + (2 if fails else 0)


# -- what a sink may have --------------------------------------------------------------------


class LoadOnly(Forgetful):
    async def load(self) -> None:
        raise AssertionError


class ForgetOnly(Forgetful):
    async def forget(self) -> None:
        raise AssertionError


@pytest.mark.parametrize("kind", [LoadOnly, ForgetOnly])
def test_sink_with_one_half_of_the_checkpoint_protocol_is_refused(kind: Any) -> None:
    refused_unbegun(kind(), match=r"forgetful has one of `load` and `forget`.*needs both")


@pytest.mark.parametrize("word", ["at-most-once", "Exactly-Once", "", None, True])
@pytest.mark.parametrize("kind", [Table, Forgetful])
def test_guarantee_of_another_word_is_refused(kind: Any, word: Any) -> None:
    sink = kind(guarantee=word)
    message = refused_unbegun(sink, match=f"guarantee of {sink.name} must be 'at-least-once'")
    assert f"got {word!r}." in message


def test_exactly_once_without_a_checkpoint_is_refused() -> None:
    refused_unbegun(Forgetful(guarantee="exactly-once"), match="forgetful says exactly-once")


@pytest.mark.parametrize("result", [None, (), [], 7], ids=repr)
def test_plain_write_is_refused_and_the_message_says_async_def(result: Any) -> None:
    class Plain(Table):
        def write(self, batch: Batch) -> Any:  # type: ignore[override]
            return result

    one, plain = Table(name="one"), Plain(name="plain")
    with pytest.raises(SetupError, match=r"write of plain must be .*`async def write`"):
        run(lambda: deliver_case(CASE, one, plain, batch_size=2))
    assert len(one.batches) == 1
