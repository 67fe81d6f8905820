"""The requirements of every sink, as small tests."""

from __future__ import annotations

import datetime
import inspect
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, get_args

import attrs
import trio

from trio_ingest import Document
from trio_ingest.delivery import Batch, Guarantee
from trio_ingest.testing.cancellation import cancel_everywhere

from ._check import Check, make_check, no_thread_left, run_strictly
from ._sink_runs import (
    SAMPLE_SIZE,
    AdapterFailed,
    ListAdapter,
    SinkUnderTest,
    check_rejections,
    ids_of,
    load_state,
    make_batches,
    read_state,
    run_delivery,
    sample,
    write_each,
)

_NESTED: Final[list[Any]] = []
for _ in range(2_000):
    _NESTED[:] = [list(_NESTED)]

# Oddities of real sources. Each text is tried as an id, a content, a key and a value.
_ODD_TEXTS: Final = (
    *("", " ", "\n", "a\0b", "\ud800", "\udc80broken", "\ufeffmark", "\u202eturned", "🌍"),
    *("'; DROP TABLE documents; --", '{"json": 1}', "\\", "%s %(x)s {x}", "x" * 100_000),
)
_ODD_RAWS: Final = (
    *(b"\xff\x00", float("nan"), 10**5_000, {1: 2}, {"a", "b"}, object(), _NESTED, ...),
    *(datetime.datetime.now(datetime.UTC), "\ud800", lambda: None),
)


def check_sink(
    factory: Callable[[Path], Any],
    contents: Callable[[Path], Iterable[str]] | None = None,
) -> list[Check]:
    """Make the checks that a sink must pass.

    Each is a function without arguments with a name, so that a test is one line::

        @pytest.mark.parametrize("check", check_sink(make_sink, ids_in))
        def test_my_sink(check):
            check()

    A check raises an ``AssertionError`` that says what the sink does wrong, or
    ``unittest.SkipTest`` if it needs ``contents`` or an ability that the sink does not have.
    Interrupted, it removes its folders; its memory is some dozens of small documents.
    ``crash_everywhere`` tries a process that is killed.

    Args:
        factory: makes a sink in a folder, an empty one or one that it had before; a sink
            on a server can take the name of the folder for the name of a table.
        contents: lists the ids of the documents in the sink of a folder, each as often as
            it is there. Without it, only the results of ``load`` can be checked.

    Returns:
        the checks, in the order in which they are best run.
    """
    subject = SinkUnderTest(factory, contents)
    return [make_check(function, subject) for function in _CHECKS]


# -- the checks ----------------------------------------------------------------------------


def has_its_parts(subject: SinkUnderTest) -> None:
    """It has a name, a guarantee that there is, and the methods of a sink."""
    with subject.folder() as folder:
        sink = subject.factory(folder)
    for name in ("__aenter__", "__aexit__", "write"):
        if not inspect.iscoroutinefunction(getattr(sink, name, None)):
            raise AssertionError(f"It needs a method `async def {name}`.")
    if not isinstance(getattr(sink, "name", None), str) or not sink.name:
        raise AssertionError("It needs a `name`, a text that messages call it by.")
    if getattr(sink, "guarantee", None) not in get_args(Guarantee):
        raise AssertionError(
            f"It needs a `guarantee`: one of {', '.join(map(repr, get_args(Guarantee)))}."
        )
    has = [hasattr(sink, name) for name in ("load", "forget")]
    if any(has) and not all(has):
        raise AssertionError("It must have both `load` and `forget`, or neither of them.")
    if sink.guarantee == "exactly-once" and not all(has):
        raise AssertionError(
            "It says exactly-once and has no `load`: without the checkpoint, every run "
            "begins at the beginning. Say at-least-once, or keep the checkpoint."
        )


def opens_and_closes(subject: SinkUnderTest) -> None:
    """Opened and closed twice without a batch, it is empty and has left no thread."""
    with subject.folder() as folder:
        with no_thread_left("__aexit__"):
            for _ in range(2):
                found = run_strictly(read_state, subject.factory(folder))
                if found is not None:
                    raise AssertionError(
                        f"`load` gave {found!r:.80} before anything was written. Give None."
                    )
        if subject.contents is not None and subject.found(folder):
            raise AssertionError("It has documents before anything was written.")


def keeps_its_name(subject: SinkUnderTest) -> None:
    """Every sink of the same place has the same name: reports and totals are under it."""
    with subject.folder() as folder:
        names = {subject.factory(folder).name for _ in range(2)}
    if len(names) > 1:
        raise AssertionError(f"Two sinks of one place are called {sorted(names)}.")


def keeps_what_it_is_given(subject: SinkUnderTest) -> None:
    """Every document of a run is there afterwards, once."""
    with subject.folder() as folder:
        report = run_strictly(run_delivery, ListAdapter(sample()), subject.factory(folder))
        [totals] = report.totals.values()
        if totals.rejected:
            raise AssertionError(
                f"It rejected {totals.rejected} of {SAMPLE_SIZE - 1} ordinary documents: "
                f"short ids, short texts, nothing else."
            )
        _check_contents(subject.found(folder), ids_of(make_batches(sample())), is_exact=True)


def remembers_each_batch(subject: SinkUnderTest) -> None:
    """Opened anew after each batch, `load` gives what that batch left."""
    with subject.folder() as folder:
        for number, batch in enumerate(make_batches(sample())):
            [state] = run_strictly(write_each, subject.resumable(folder), [batch])
            found = run_strictly(read_state, subject.resumable(folder))
            if found != state:
                raise AssertionError(
                    f"After batch {number}, `load` gave {found!r:.300} instead of "
                    f"{state!r:.300}. Commit `batch.delivered(rejections)` with the documents."
                )


def has_it_after_the_write(subject: SinkUnderTest) -> None:
    """The documents are there when `write` returns, without waiting for the end."""

    async def main(folder: Path) -> None:
        written: list[Batch] = []
        async with subject.factory(folder) as sink:
            await load_state(sink)
            for batch in batches:
                check_rejections(batch, await sink.write(batch))
                written.append(batch)
                _check_contents(subject.found(folder), ids_of(written), is_exact=False)

    batches = make_batches(sample())
    with subject.folder() as folder:
        run_strictly(main, folder)


def takes_a_batch_without_documents(subject: SinkUnderTest) -> None:
    """A batch without documents brings a newer checkpoint, which is kept."""
    first, second, *_ = make_batches(sample())
    empty = attrs.evolve(second, completed=(), failed=(), skipped=())
    with subject.folder() as folder:
        [_, state] = run_strictly(write_each, subject.resumable(folder), [first, empty])
        found = run_strictly(read_state, subject.resumable(folder))
    if found != state:
        raise AssertionError(
            f"A batch without documents was not kept: `load` gave {found!r:.300} instead "
            f"of {state!r:.300}."
        )


def takes_any_document(subject: SinkUnderTest) -> None:
    """Any document is stored or rejected, and its neighbours in the batch are stored."""

    async def main(folder: Path) -> list[str]:
        stored: list[str] = []
        async with subject.factory(folder) as sink:
            await load_state(sink)
            for batch in batches:
                try:
                    rejections = check_rejections(batch, await sink.write(batch))
                except AssertionError:
                    raise
                except Exception as error:
                    raise AssertionError(
                        f"`write` raised {type(error).__name__}: {error!s:.200} for the "
                        f"document {batch.documents[1].doc_id!r:.80}, "
                        f"{_oddities(batch.documents[1])}. A document that can never be "
                        f"stored is to be rejected: `return [Rejection(document, why)]`."
                    ) from error
                refused = {id(rejection.document) for rejection in rejections}
                stored += [d.doc_id for d in batch.documents if id(d) not in refused]
        return stored

    batches = make_batches(list(_among_plain_ones(_odd_documents())))
    with subject.folder() as folder:
        stored = run_strictly(main, folder)
        plain = [name for name in ids_of(batches) if name.startswith("plain ")]
        refused = set(plain) - set(stored)
        if refused:
            raise AssertionError(
                f"It rejected {min(refused)!r}, an ordinary document, because of another one "
                f"in its batch. Store all but the one at fault."
            )
        if subject.contents is not None:
            lost = Counter(stored) - subject.found(folder)
            if lost:
                raise AssertionError(
                    f"It took {len(lost)} documents and does not have them, the first "
                    f"{min(lost)!r:.80}. Store what is not rejected."
                )


def lets_exceptions_pass(subject: SinkUnderTest) -> None:
    """An exception inside its block comes out of it, and it is closed, threads and all."""

    async def main(folder: Path) -> None:
        async with subject.factory(folder):
            raise AdapterFailed

    with subject.folder() as folder, no_thread_left("__aexit__"):
        try:
            run_strictly(main, folder)
        except AdapterFailed:
            run_strictly(run_delivery, ListAdapter(sample()), subject.factory(folder))
            return
    raise AssertionError(
        "An exception inside its block did not come out. Let `__aexit__` return None."
    )


def begins_again(subject: SinkUnderTest) -> None:
    """After `forget` the job can begin again, and gets every document."""

    async def forget(folder: Path) -> None:
        async with subject.resumable(folder) as sink:
            await load_state(sink)
            await sink.forget()

    with subject.folder() as folder:
        run_strictly(run_delivery, ListAdapter(sample()), subject.resumable(folder))
        run_strictly(forget, folder)
        found = run_strictly(read_state, subject.resumable(folder))
        if found is not None:
            raise AssertionError(f"After `forget`, `load` gave {found!r:.200}. Give None.")
        # Other ones: the documents may have stayed when the job was forgotten.
        other = sample("another")
        run_strictly(run_delivery, ListAdapter(other), subject.resumable(folder))
        _check_contents(subject.found(folder), ids_of(make_batches(other)), is_exact=False)


def resumes_after_a_failure(subject: SinkUnderTest) -> None:
    """A run that died anywhere and is resumed loses nothing, and keeps the guarantee."""
    expected = ids_of(make_batches(sample()))
    for place in range(SAMPLE_SIZE):
        with subject.folder() as folder:
            with suppress(AdapterFailed):
                failing = ListAdapter(sample(), fails_at=place)
                run_strictly(run_delivery, failing, subject.factory(folder))
            run_strictly(run_delivery, ListAdapter(sample()), subject.factory(folder))
            _check_contents(subject.found(folder), expected, is_exact=subject.is_exact(folder))


def can_be_cancelled_anywhere(subject: SinkUnderTest) -> None:
    """Cancelled at any point, it has what `load` says, and nothing is left hanging."""
    batches = make_batches(sample())[:2]
    with subject.folder() as top:
        states = [None, *run_strictly(write_each, subject.factory(top), batches)]

    async def check_folder(folder: Path) -> None:
        await trio.lowlevel.checkpoint()
        sink = subject.factory(folder)
        if not hasattr(sink, "load"):
            return
        found = await read_state(sink)
        if found not in states:
            raise AssertionError(
                f"`load` gave {found!r:.300}, which no batch has left. Commit a batch whole, "
                f"or not at all."
            )
        if subject.contents is not None:
            claimed = ids_of(batches[: states.index(found)])
            is_exact = subject.is_exact(folder)
            _check_contents(subject.found(folder), claimed, is_exact=is_exact)

    async def attempt() -> None:
        folder = Path(tempfile.mkdtemp(dir=top))
        try:
            await write_each(subject.factory(folder), batches)
        finally:
            with trio.CancelScope(shield=True):
                await check_folder(folder)

    with subject.folder() as top:
        cancel_everywhere(attempt)


_CHECKS: Final = (
    *(has_its_parts, opens_and_closes, keeps_its_name, keeps_what_it_is_given),
    *(remembers_each_batch, has_it_after_the_write, takes_a_batch_without_documents),
    *(takes_any_document, lets_exceptions_pass, begins_again, resumes_after_a_failure),
    can_be_cancelled_anywhere,
)


# -- shared by them -----------------------------------------------------------------------


def _check_contents(found: Counter[str], claimed: Iterable[str], *, is_exact: bool) -> None:
    """Check that the claimed documents are there, and nothing else when that is promised.

    Raises:
        AssertionError: they are not, or something else is.
    """
    lost = Counter(claimed) - found
    if lost:
        raise AssertionError(
            f"{sum(lost.values())} documents are missing, the first {min(lost)!r:.80}. Never "
            f"keep a checkpoint before the documents that it covers."
        )
    more = found - Counter(claimed)
    if more and is_exact:
        raise AssertionError(
            f"{sum(more.values())} documents are there that the checkpoint does not cover, or "
            f"twice, the first {min(more)!r:.80}. Commit both in one transaction, or say "
            f"at-least-once."
        )


def _oddities(document: Document) -> str:
    """Name the odd parts of a document, without its repr, which may be impossible."""
    parts = {
        "content": document.content,
        "raw": document.raw,
        **{f"metadata[{key!r:.20}]": value for key, value in document.metadata.items()},
    }
    odd = [f"{name} a {type(value).__name__}" for name, value in parts.items() if value]
    return f"which has as {', as '.join(odd)}"


def _odd_documents() -> Iterable[Document]:
    for number, text in enumerate(_ODD_TEXTS):
        yield Document(text, "check", "text")
        yield Document(f"odd content {number}", "check", text)
        yield Document(f"odd key {number}", "check", "text", metadata={text: text})
    for number, raw in enumerate(_ODD_RAWS):
        yield Document(f"odd raw {number}", "check", "text", raw=raw)
        yield Document(f"odd value {number}", "check", "text", metadata={"value": raw})


def _among_plain_ones(documents: Iterable[Document]) -> Iterable[Document]:
    """Put each between two ordinary ones, so that they make a batch."""
    for number, document in enumerate(documents):
        yield Document(f"plain {number} before", "check", "text")
        yield document
        yield Document(f"plain {number} after", "check", "text")
