"""A sink for each mistake that ``check_sink`` finds, and what is said of it."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import trio

from trio_ingest import Document
from trio_ingest.delivery import Batch, Rejection, SinkState


def ids_in(folder: Path) -> list[str]:
    return [json.loads(name) for name in _content(folder)["ids"]]


def _content(folder: Path) -> Any:
    path = folder / "all.json"
    return json.loads(path.read_text()) if path.exists() else {"ids": [], "state": None}


class Good:
    """Nothing is wrong with it: all in one file, replaced as a whole. The others change it."""

    name: Any = "folder"
    guarantee: Any = "exactly-once"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def __aenter__(self) -> Any:
        await trio.lowlevel.checkpoint()
        return self

    async def __aexit__(self, *_: object) -> Any:
        pass

    async def write(self, batch: Batch) -> Sequence[Any] | None:
        await trio.lowlevel.checkpoint()
        bad = [d for d in batch.documents if not d.content.isprintable()]
        rejections = [Rejection(document, "Its text is not printable.") for document in bad]
        good = [d for d in batch.documents if d not in bad]
        self.keep(good, batch.delivered(rejections))
        return rejections

    def keep(self, documents: Sequence[Document], state: SinkState | None) -> None:
        content = _content(self.folder)
        content["ids"] += [json.dumps(document.doc_id) for document in documents]
        content["state"] = None if state is None else state.to_dict()
        beside = self.folder / "new.json"
        beside.write_text(json.dumps(content))
        beside.replace(self.folder / "all.json")

    async def load(self) -> Any:
        await trio.lowlevel.checkpoint()
        state = _content(self.folder)["state"]
        return None if state is None else SinkState.from_dict(state)

    async def forget(self) -> None:
        await trio.lowlevel.checkpoint()
        self.keep([], None)


class KeepsNoCheckpoint:
    """As good as any, in its own way."""

    name, guarantee = "folder", "at-least-once"
    __init__, write, keep = Good.__init__, Good.write, Good.keep
    __aenter__, __aexit__ = Good.__aenter__, Good.__aexit__


class HasNoName(Good):
    name = None


class PromisesNonsense(Good):
    guarantee = "at-most-once"


class WritesPlainly(Good):
    def write(self, batch: Batch) -> None:  # type: ignore[override]
        pass


class OnlyLoads:
    """Has ``load`` and no ``forget``."""

    name, guarantee = "folder", "at-least-once"
    __init__, write, load = Good.__init__, Good.write, Good.load
    __aenter__, __aexit__ = Good.__aenter__, Good.__aexit__


class PromisesTooMuch:
    """Has no ``load``, and says exactly-once."""

    name, guarantee = "folder", "exactly-once"
    __init__, write = Good.__init__, Good.write
    __aenter__, __aexit__ = Good.__aenter__, Good.__aexit__


class RemembersWhatNeverWas(Good):
    async def load(self) -> Any:
        await trio.lowlevel.checkpoint()
        return {"version": 1}


class LeavesAThread(Good):
    event = threading.Event()

    async def __aenter__(self) -> Any:
        threading.Thread(target=self.event.wait, name="left", daemon=True).start()
        return await super().__aenter__()


class BeginsWithADocument(Good):
    async def __aenter__(self) -> Any:
        if not _content(self.folder)["ids"]:
            self.keep([Document("header", "x", "")], None)
        return await super().__aenter__()


class HasANewName(Good):
    numbers = itertools.count()

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.name = f"folder {next(self.numbers)}"


class DropsTheLast(Good):
    def keep(self, documents: Sequence[Document], state: SinkState | None) -> None:
        super().keep(documents[:2], state)


class KeepsThemTwice(Good):
    def keep(self, documents: Sequence[Document], state: SinkState | None) -> None:
        super().keep([*documents, *documents], state)


class RejectsOrdinaryOnes(Good):
    async def write(self, batch: Batch) -> Sequence[Any] | None:
        await trio.lowlevel.checkpoint()
        rejections = [Rejection(d, "It has a 2.") for d in batch.documents if "2" in d.doc_id]
        self.keep([d for d in batch.documents if "2" not in d.doc_id], None)
        return rejections


class ForgetsToCount(Good):
    async def write(self, batch: Batch) -> Sequence[Any] | None:
        await trio.lowlevel.checkpoint()
        self.keep(batch.documents, SinkState(batch.checkpoint))
        return None


class PassesOverEmptyOnes(Good):
    async def write(self, batch: Batch) -> Sequence[Any] | None:
        return await super().write(batch) if batch.documents else None


class ChokesOnOddOnes(Good):
    async def write(self, batch: Batch) -> Sequence[Any] | None:
        for document in batch.documents:
            document.content.encode()
        return await super().write(batch)


class RejectsTheWholeBatch(Good):
    async def write(self, batch: Batch) -> Sequence[Any] | None:
        if all(document.content.isprintable() for document in batch.documents):
            return await super().write(batch)
        await trio.lowlevel.checkpoint()
        rejections = [Rejection(d, "One of them is odd.") for d in batch.documents]
        self.keep([], batch.delivered(rejections))
        return rejections


class DropsOddOnes(Good):
    async def write(self, batch: Batch) -> Sequence[Any] | None:
        await trio.lowlevel.checkpoint()
        good = [d for d in batch.documents if d.content.isprintable()]
        self.keep(good, batch.delivered())
        return None


class RejectsACopy(Good):
    async def write(self, batch: Batch) -> Sequence[Any] | None:
        await super().write(batch)
        return [Rejection(attrs.evolve(d), "Why not.") for d in batch.documents]


class RejectsById(Good):
    async def write(self, batch: Batch) -> Sequence[Any] | None:
        await super().write(batch)
        return [document.doc_id for document in batch.documents]


class GivesNoReason(Good):
    async def write(self, batch: Batch) -> Sequence[Any] | None:
        await super().write(batch)
        return [Rejection(document, " ") for document in batch.documents]


class SwallowsExceptions(Good):
    async def __aexit__(self, *_: object) -> Any:
        return True


class ForgetsNothing(Good):
    async def forget(self) -> None:
        await trio.lowlevel.checkpoint()


class ForgetsForEver(Good):
    """After ``forget`` it takes no document any more."""

    def keep(self, documents: Sequence[Document], state: SinkState | None) -> None:
        marker = self.folder / "forgotten"
        if not documents and state is None:
            marker.touch()
        super().keep([] if marker.exists() else documents, state)


class BeginsAnewEachTime(Good):
    async def __aenter__(self) -> Any:
        state = _content(self.folder)["state"]
        (self.folder / "all.json").unlink(missing_ok=True)
        if state is not None:
            self.keep([], SinkState.from_dict(state))
        return await super().__aenter__()


class PromisesWhatItCannot(Good):
    """Says exactly-once, and its ``load`` remembers nothing."""

    async def load(self) -> Any:
        await trio.lowlevel.checkpoint()


class CommitsInTwoSteps(Good):
    async def write(self, batch: Batch) -> Sequence[Any] | None:
        before = await self.load()
        self.keep(batch.documents, before)
        await trio.lowlevel.checkpoint()
        self.keep([], batch.delivered())
        return None


class CheckpointFirst(Good):
    async def write(self, batch: Batch) -> Sequence[Any] | None:
        self.keep([], batch.delivered())
        await trio.lowlevel.checkpoint()
        self.keep(batch.documents, batch.delivered())
        return None


class WritesAtTheEnd(Good):
    """Keeps the checkpoint with each batch, and the documents when it is closed."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.waiting: list[Document] = []

    async def write(self, batch: Batch) -> Sequence[Any] | None:
        await trio.lowlevel.checkpoint()
        self.waiting += batch.documents
        self.keep([], batch.delivered())
        return None

    async def __aexit__(self, *_: object) -> Any:
        self.keep(self.waiting, await self.load())  # noqa: ASYNC102


class ChokesOnRaws(Good):
    async def write(self, batch: Batch) -> Sequence[Any] | None:
        for document in batch.documents:
            json.dumps(document.raw)
        return await super().write(batch)


class ClosesUnshielded(Good):
    async def __aexit__(self, *_: object) -> Any:
        await trio.sleep(1)  # noqa: ASYNC102 -- the mistake that is to be found


# By the check that finds it.
BAD: list[tuple[str, Any, str]] = [
    ("has_its_parts", HasNoName, "It needs a `name`"),
    ("has_its_parts", PromisesNonsense, "one of 'at-least-once', 'exactly-once'"),
    ("has_its_parts", WritesPlainly, "It needs a method `async def write`"),
    ("has_its_parts", OnlyLoads, "both `load` and `forget`"),
    ("has_its_parts", PromisesTooMuch, "says exactly-once and has no `load`"),
    ("opens_and_closes", RemembersWhatNeverWas, "Give a SinkState"),
    ("opens_and_closes", LeavesAThread, "left the thread 'left' running"),
    ("opens_and_closes", BeginsWithADocument, "has documents before anything was written"),
    ("keeps_its_name", HasANewName, r"are called \['folder \d+', 'folder \d+'\]"),
    (
        "keeps_what_it_is_given",
        DropsTheLast,
        "1 documents are missing, .* 'document 2'",
    ),
    ("keeps_what_it_is_given", KeepsThemTwice, "7 documents are there that .* or twice"),
    ("keeps_what_it_is_given", RejectsOrdinaryOnes, "rejected 1 of 7 ordinary documents"),
    ("remembers_each_batch", ForgetsToCount, "After batch 0, `load` gave SinkState"),
    ("takes_a_batch_without_documents", PassesOverEmptyOnes, "was not kept: `load` gave"),
    ("takes_any_document", ChokesOnOddOnes, r"raised UnicodeEncodeError.*return \[Rejection"),
    ("has_it_after_the_write", WritesAtTheEnd, "3 documents are missing"),
    (
        "takes_any_document",
        ChokesOnRaws,
        r"raised TypeError: .* document 'odd raw \d+'",
    ),
    ("takes_any_document", RejectsTheWholeBatch, "rejected 'plain .* because of another one"),
    ("takes_any_document", DropsOddOnes, "It took .* documents and does not have them"),
    ("takes_any_document", RejectsACopy, "that is not in the batch"),
    ("takes_any_document", RejectsById, "returned 'plain 0 before' among its rejections"),
    ("takes_any_document", GivesNoReason, "for the reason ' '. Say why"),
    ("lets_exceptions_pass", SwallowsExceptions, "did not come out"),
    ("begins_again", ForgetsNothing, "After `forget`, `load` gave SinkState"),
    ("begins_again", ForgetsForEver, "7 documents are missing"),
    ("resumes_after_a_failure", BeginsAnewEachTime, "documents are missing"),
    ("resumes_after_a_failure", PromisesWhatItCannot, "does not cover, or twice"),
    ("can_be_cancelled_anywhere", CommitsInTwoSteps, "that the checkpoint does not cover"),
    ("can_be_cancelled_anywhere", CheckpointFirst, "Never keep a checkpoint before"),
    ("can_be_cancelled_anywhere", ClosesUnshielded, "without a shield"),
]
