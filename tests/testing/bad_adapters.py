"""An adapter for each mistake that ``check_adapter`` finds, and what is said of it."""

from __future__ import annotations

import itertools
import random
import threading
import warnings
from collections.abc import AsyncIterator
from typing import Any

import attrs
import trio

from trio_ingest import Cursor, Document

COUNT = 9


class Good:
    """Nothing is wrong with it; each of the others changes one thing."""

    source = "good"

    async def fetch(self, *, cursor: int = 0) -> AsyncIterator[Any]:
        for number in range(cursor, COUNT):
            await trio.lowlevel.checkpoint()
            yield [number]
            yield Cursor(number + 1)

    def identify(self, record: list[int]) -> str:
        return str(record[0])

    def estimate_total(self) -> int | None:
        return COUNT

    def is_retryable(self, error: Exception) -> bool:
        return isinstance(error, OSError)

    def parse(self, record: list[int]) -> Any:
        if record[0] == 4:
            raise ValueError("bad on purpose")
        return Document(str(record[0]), self.source, f"text {record[0]}")


class HasNoParse:
    source = "bad"
    fetch = Good.fetch


class NeverEnds(Good):
    async def fetch(self) -> AsyncIterator[Any]:
        for number in itertools.count():
            await trio.lowlevel.checkpoint()
            yield [number + 10]


class GivesNothing(Good):
    async def fetch(self) -> AsyncIterator[Any]:
        await trio.lowlevel.checkpoint()
        yield [4]


class Dies(Good):
    async def fetch(self) -> AsyncIterator[Any]:
        await trio.lowlevel.checkpoint()
        yield [1]
        raise ConnectionError("gone")


class HasANewName(Good):
    names = itertools.count()

    def __init__(self) -> None:
        self.source = f"feed {next(self.names)}"


class UsesUpTheRecord(Good):
    def parse(self, record: list[int]) -> Any:
        number = record.pop()
        return Document(str(number), self.source, "text")

    identify = None


class NamesItOtherwise(Good):
    def identify(self, record: list[int]) -> str:
        return f"#{record[0]}"


class EstimatesText(Good):
    def estimate_total(self) -> Any:
        return "9"


class CannotJudge(Good):
    def is_retryable(self, error: Any) -> bool:
        return bool(error.errno == 5)


class JudgesVaguely(Good):
    def is_retryable(self, error: Exception) -> Any:
        return str(error)


class CanBeReadOnce(Good):
    def __init__(self) -> None:
        self.records = iter(range(COUNT))

    async def fetch(self) -> AsyncIterator[Any]:
        for number in self.records:
            await trio.lowlevel.checkpoint()
            yield [number]


class Shuffles(Good):
    stable_order = True
    chance = random.Random(1)

    async def fetch(self) -> AsyncIterator[Any]:
        for number in self.chance.sample(range(COUNT), COUNT):
            await trio.lowlevel.checkpoint()
            yield [number]


class ChangesItsRecords(Good):
    stable_order = True
    batches = itertools.count()

    async def fetch(self) -> AsyncIterator[Any]:
        first = 100 * next(self.batches)
        for number in range(first, first + COUNT):
            await trio.lowlevel.checkpoint()
            yield [number]


class HasTuplesForCursors(Good):
    async def fetch(self, *, cursor: Any = (0,)) -> AsyncIterator[Any]:
        for number in range(cursor[0], COUNT):
            await trio.lowlevel.checkpoint()
            yield [number]
            yield Cursor((number + 1,))


class HasObjectsForCursors(HasTuplesForCursors):
    async def fetch(self, *, cursor: Any = None) -> AsyncIterator[Any]:
        await trio.lowlevel.checkpoint()
        yield [1]
        yield Cursor(object())


class PassesOverOne(Good):
    async def fetch(self, *, cursor: int = 0) -> AsyncIterator[Any]:
        for number in range(cursor, COUNT):
            await trio.lowlevel.checkpoint()
            yield [number]
            yield Cursor(number + 2)


class GoesWrongWhenResumed(Good):
    async def fetch(self, *, cursor: int = 0) -> AsyncIterator[Any]:
        for place, number in enumerate(range(cursor, COUNT), cursor):
            await trio.lowlevel.checkpoint()
            yield [number]
            yield Cursor(cursor + place + 1)


class UsesUpATag(Good):
    def parse(self, record: list[int]) -> Any:
        tags = [record.pop()] if len(record) > 1 else []
        return Document(str(record[0]), self.source, "text", metadata={"tags": tags})

    async def fetch(self) -> AsyncIterator[Any]:
        await trio.lowlevel.checkpoint()
        yield [1, 7]


class Warns(Good):
    def parse(self, record: list[int]) -> Any:
        warnings.warn("it will be gone", DeprecationWarning, stacklevel=1)
        return super().parse(record)


class LeavesAThread(Good):
    event = threading.Event()

    async def fetch(self) -> AsyncIterator[Any]:
        threading.Thread(target=self.event.wait, name="left", daemon=True).start()
        for number in range(COUNT):
            await trio.lowlevel.checkpoint()
            yield [number]


class GoesBackOne(Good):
    stable_order = True

    async def fetch(self, *, cursor: int = 0) -> AsyncIterator[Any]:
        for number in range(max(cursor - 1, 0), COUNT):
            await trio.lowlevel.checkpoint()
            yield [number]
            yield Cursor(number + 1)


class ResumesElsewhere(Good):
    async def fetch(self, *, cursor: int = 0) -> AsyncIterator[Any]:
        for number in range(cursor, COUNT):
            await trio.lowlevel.checkpoint()
            yield [number]
            yield Cursor(number + 1)
        if 0 < cursor < COUNT:
            yield [99]


class SharesItsRecord(Good):
    async def parse(self, record: list[int]) -> Any:
        self.current = record[0]
        await trio.lowlevel.checkpoint()
        return Document(str(self.current), self.source, "text")


class ComplainsWhenLeft(Good):
    async def fetch(self) -> AsyncIterator[Any]:
        try:
            for number in range(COUNT):
                await trio.lowlevel.checkpoint()
                yield [number]
        except GeneratorExit as error:
            raise ValueError("not yet") from error


class CleansUpUnshielded(Good):
    async def fetch(self) -> AsyncIterator[Any]:
        try:
            for number in range(COUNT):
                await trio.sleep(1)
                yield [number]
        finally:
            await trio.sleep(1)  # noqa: ASYNC102 -- the mistake that is to be found


class ReusesItsMetadata(Good):
    def __init__(self) -> None:
        self.metadata: dict[str, Any] = {"tags": []}

    def parse(self, record: list[int]) -> Any:
        document = super().parse(record)
        self.metadata["tags"][:] = record
        return attrs.evolve(document, metadata=self.metadata)


class Hangs(Good):
    def parse(self, record: list[int]) -> Any:
        while True:
            pass


# By the check that finds it.
BAD: list[tuple[str, type, str]] = [
    ("can_be_set_up", HasNoParse, "An adapter needs a method `parse`"),
    ("ends_by_itself", NeverEnds, "more than 100 records, which is limit"),
    ("ends_by_itself", GivesNothing, "No document was completed, of 1 records"),
    ("ends_by_itself", Dies, r"ConnectionError: gone \(raised at bad_adapters.py:\d+ in Dies"),
    ("keeps_its_name", HasANewName, r"are called \['feed \d+', 'feed \d+'\]"),
    ("parses_a_record_twice", UsesUpTheRecord, "something else the second time for record 0"),
    (
        "leaves_documents_alone",
        ReusesItsMetadata,
        r"was \['0', .* and is \['0', .* at the end",
    ),
    ("identifies_as_it_parses", NamesItOtherwise, "said '#0' for record 0, .* the id '0'"),
    ("estimates_a_count", EstimatesText, "`estimate_total` gave '9'"),
    ("judges_any_error", CannotJudge, "raised AttributeError.* asked about ValueError"),
    ("judges_any_error", JudgesVaguely, "answered 'bad' to ValueError"),
    ("can_be_run_again", CanBeReadOnce, "in its second run: 9 are missing, like the document"),
    ("keeps_its_order", Shuffles, r"record \d+ was .* in one run and .* in another"),
    ("keeps_its_order", ChangesItsRecords, r"9 are missing, like .*; 9 are there besides"),
    ("has_cursors_of_json", HasTuplesForCursors, r"\(1,\), stored as JSON, gives \[1\]"),
    ("has_cursors_of_json", HasObjectsForCursors, "stored as JSON, gives TypeError"),
    (
        "resumes_from_anywhere",
        PassesOverOne,
        "of 9 .* did not give a",
    ),
    ("resumes_from_anywhere", GoesWrongWhenResumed, "did not give the document"),
    ("parses_a_record_twice", UsesUpATag, "something else the second time for record 0"),
    ("ends_by_itself", Warns, "They failed with DeprecationWarning: it will be gone"),
    (
        "closes_when_it_is_left",
        LeavesAThread,
        "left the thread 'left' running. End it in `aclose`",
    ),
    ("resumes_from_anywhere", GoesBackOne, "gave the document '3' again, or what was never"),
    (
        "resumes_from_anywhere",
        ResumesElsewhere,
        "gave the document '99', which an",
    ),
    ("parses_several_at_once", SharesItsRecord, "With four workers it gave something else"),
    ("closes_when_it_is_left", ComplainsWhenLeft, "not yet"),
    ("can_be_cancelled_anywhere", CleansUpUnshielded, "fetch awaits while it cleans up"),
    ("ends_by_itself", Hangs, r"hangs: after 1 real seconds it was at .* in Hangs\.parse"),
]
