"""The requirements of every adapter, as small tests."""

from __future__ import annotations

import copy
import inspect
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any, Final

import trio

from trio_ingest import Checkpoint, Cursor, Document, IngestionPipeline
from trio_ingest.testing.cancellation import cancel_everywhere

from ._adapter_runs import AdapterUnderTest, compare, describe, parse, spread
from ._check import Check, make_check, no_thread_left, run_strictly, skip

# The most documents of a run that is cancelled at every point.
_CANCELLED_AFTER: Final = 5

_ERRORS: Final = (
    *(ValueError("bad"), KeyError("missing"), RecursionError("deep"), Exception()),
    *(OSError(5, "Input/output error"), OSError(), TimeoutError(), ConnectionError("gone")),
)


def check_adapter(
    factory: Callable[[], Any],
    *,
    params: Sequence[Mapping[str, Any]] = ({},),
    limit: int = 1_000,
) -> list[Check]:
    """Make the checks that an adapter must pass.

    Each is a function without arguments with a name, so that a test is one line::

        @pytest.mark.parametrize("check", check_adapter(lambda: Feed("small.xml")))
        def test_my_adapter(check):
            check()

    A check raises an ``AssertionError`` that says what the adapter does wrong, or
    ``unittest.SkipTest`` for an ability that the adapter does not have. Interrupted, it leaves
    what the adapter leaves; its memory is the outcomes of some runs.

    Args:
        factory: makes a new adapter each time, of the same small source: some dozens of
            records, a few of them bad. Called when a check is run.
        params: keyword mappings for ``fetch``, as ``stream_events`` takes them; one without
            keywords by default.
        limit: the most records that a run may have; 1,000 by default.

    Returns:
        the checks, in the order in which they are best run.
    """
    subject = AdapterUnderTest(factory, list(params), limit)
    return [make_check(function, subject) for function in _CHECKS]


# -- the checks ----------------------------------------------------------------------------


async def can_be_set_up(subject: AdapterUnderTest) -> None:
    """It has a source, an async generator `fetch` and a `parse`."""
    pipeline = IngestionPipeline(subject.factory())
    async with pipeline.stream_events(params=subject.params):
        pass


def ends_by_itself(subject: AdapterUnderTest) -> None:
    """A run of its small source comes to an end, and gives some documents."""
    subject.outcomes()


def keeps_its_name(subject: AdapterUnderTest) -> None:
    """Every adapter of the source has the same name: checkpoints are kept under it."""
    names = {subject.factory().source for _ in range(2)}
    if len(names) > 1:
        raise AssertionError(
            f"Two adapters of one source are called {sorted(names)}, so no run could be "
            f"resumed. Let `source` be the same each time."
        )


async def parses_a_record_twice(subject: AdapterUnderTest) -> None:
    """Parsing a record once more gives the same document: a retry does so."""
    adapter = subject.factory()
    for number, record in enumerate(await subject.records(adapter)):
        first = await parse(adapter, record)
        if first is None:
            continue
        second = await parse(adapter, record)
        if second is None or first != second:
            raise AssertionError(
                f"`parse` gave something else the second time for record {number}: "
                f"{second!r:.200} instead of {first!r:.200}. A retry parses the same "
                f"object again, so leave the record as it is."
            )


def leaves_documents_alone(subject: AdapterUnderTest) -> None:
    """It changes no document that it has given: a sink may hold hundreds of them."""

    async def main() -> None:
        stream = IngestionPipeline(subject.factory()).iter_results(params=subject.params)
        async with stream as documents:
            held = [(document, _contents_of(document)) async for document in documents]
        for document, before in held:
            after = _contents_of(document)
            if after != before:
                raise AssertionError(
                    f"A document was {before!r:.200} when it came, and is {after!r:.200} at "
                    f"the end of the run. Give each document metadata and a `raw` of its own."
                )

    subject.outcomes()
    run_strictly(main)


async def identifies_as_it_parses(subject: AdapterUnderTest) -> None:
    """`identify` names the id that the document will have."""
    adapter = subject.factory()
    if getattr(adapter, "identify", None) is None:
        skip("It has no `identify`.")
    for number, record in enumerate(await subject.records(adapter)):
        document = await parse(adapter, record)
        if document is None:
            continue
        name = adapter.identify(record)
        if name != document.doc_id:
            raise AssertionError(
                f"`identify` said {name!r:.80} for record {number}, and its document has "
                f"the id {document.doc_id!r:.80}. What is done already is passed over by "
                f"the first, so both must be the same."
            )


async def estimates_a_count(subject: AdapterUnderTest) -> None:
    """`estimate_total` gives a whole number from 0 on, or None."""
    await trio.lowlevel.checkpoint()
    adapter = subject.factory()
    if getattr(adapter, "estimate_total", None) is None:
        skip("It has no `estimate_total`.")
    for params in subject.params:
        total = adapter.estimate_total(**params)
        if inspect.isawaitable(total):
            total = await total
        if total is not None and (type(total) is not int or total < 0):
            raise AssertionError(
                f"`estimate_total` gave {total!r:.80}. Give a whole number from 0 on, or "
                f"None when it is unknown."
            )


def judges_any_error(subject: AdapterUnderTest) -> None:
    """`is_retryable` answers yes or no, whatever has happened."""
    adapter = subject.factory()
    if getattr(adapter, "is_retryable", None) is None:
        skip("It has no `is_retryable`.")
    for error in _ERRORS:
        try:
            answer = adapter.is_retryable(error)
        except Exception as raised:
            raise AssertionError(
                f"`is_retryable` raised {raised!r:.80} when it was asked about {error!r}. It "
                f"is asked about whatever `parse` may raise; answer False to what is unknown."
            ) from raised
        if not isinstance(answer, bool):
            raise AssertionError(  # noqa: TRY004 -- it is what a check raises
                f"`is_retryable` answered {answer!r:.80} to {error!r}. Answer True or False."
            )


def can_be_run_again(subject: AdapterUnderTest) -> None:
    """One adapter gives the same in a second run: pipelines are used more than once."""

    async def main() -> None:
        pipeline = IngestionPipeline(subject.factory())
        first, _ = await subject.run(pipeline)
        second, _ = await subject.run(pipeline)
        compare(first, second, "The same adapter gave something else in its second run")

    subject.outcomes()
    run_strictly(main)


def keeps_its_order(subject: AdapterUnderTest) -> None:
    """With `stable_order`, each run gives the same records in the same order."""
    if not getattr(subject.factory(), "stable_order", False):
        skip("It does not declare `stable_order`.")
    first, second = subject.outcomes(), subject.outcomes()
    compare(first, second, "It declares `stable_order`, and a second run gave something else")
    if first != second:
        place = next(number for number, one in enumerate(first) if one != second[number])
        raise AssertionError(
            f"It declares `stable_order`, and record {place} was {describe(first[place])} in "
            f"one run and {describe(second[place])} in another. Sort what the source gives, "
            f"or do not declare it."
        )


async def has_cursors_of_json(subject: AdapterUnderTest) -> None:
    """Each `Cursor` is the same after it was stored as JSON."""
    items = await subject.items(subject.factory())
    values = [item.value for item in items if isinstance(item, Cursor)]
    if not values:
        skip("It yields no `Cursor`.")
    for value in values:
        try:
            again = json.loads(json.dumps(value, allow_nan=False))
        except (TypeError, ValueError) as error:
            again = error
        if again != value:
            raise AssertionError(
                f"The cursor {value!r:.80}, stored as JSON, gives {again!r:.80}. Use "
                f"text, whole numbers, lists, and mappings with text as keys."
            )


def resumes_from_anywhere(subject: AdapterUnderTest) -> None:
    """Broken off anywhere and resumed, it gives what an undisturbed run gives."""
    expected = subject.outcomes()
    adapter = subject.factory()
    is_stable = bool(getattr(adapter, "stable_order", False))
    items = run_strictly(subject.items, adapter)
    if not is_stable and not any(isinstance(item, Cursor) for item in items):
        skip("It neither declares `stable_order` nor yields a `Cursor`: no run is resumed.")
    for place in spread(len(expected)):
        begun, point = run_strictly(partial(subject.run, most=place))
        # Broken off once more: a run that was resumed has cursors of its own.
        half = (len(expected) - place) // 2
        more, point = run_strictly(partial(subject.run, most=half, resume_from=_stored(point)))
        begun += more
        rest, _ = run_strictly(partial(subject.run, resume_from=_stored(point)))
        lost = Counter(expected) - Counter(begun + rest)
        besides = Counter(begun + rest) - Counter(expected)
        where = f"Broken off after {place} of {len(expected)} records and resumed, it"
        if lost:
            raise AssertionError(
                f"{where} did not give {describe(next(iter(lost)))}. A `Cursor` says that "
                f"everything before it is covered; yield it behind those records."
            )
        if besides and is_stable:
            raise AssertionError(
                f"{where} gave {describe(next(iter(besides)))} again, or what was never "
                f"there. With `stable_order`, `fetch(cursor=…)` must go on at the very next "
                f"record."
            )
        strange = set(besides) - set(expected)
        if strange:
            raise AssertionError(
                f"{where} gave {describe(next(iter(strange)))}, which an undisturbed run does "
                f"not give. Let `fetch(cursor=…)` read the same source."
            )


def parses_several_at_once(subject: AdapterUnderTest) -> None:
    """With several workers it gives the same documents."""
    expected = subject.outcomes()
    pipeline = IngestionPipeline(subject.factory(), workers=4, ordered=False)
    found, _ = run_strictly(subject.run, pipeline)
    problem = "With four workers it gave something else: `parse` is called from several tasks"
    compare(expected, found, problem)


def closes_when_it_is_left(subject: AdapterUnderTest) -> None:
    """Left in the middle, it closes: no error, no warning, and no thread is left of it."""
    count = len(subject.outcomes())
    with no_thread_left("aclose"):
        for place, seconds in product(spread(count), (0, 1)):
            run_strictly(partial(subject.run, most=place, linger_seconds=seconds))


def can_be_cancelled_anywhere(subject: AdapterUnderTest) -> None:
    """Cancelled at any point of its first five records, it lets go, and nothing hangs."""
    subject.outcomes()
    cancel_everywhere(partial(subject.run, most=_CANCELLED_AFTER))


_CHECKS: Final = (
    *(can_be_set_up, ends_by_itself, keeps_its_name, parses_a_record_twice),
    *(leaves_documents_alone, identifies_as_it_parses, estimates_a_count, judges_any_error),
    *(can_be_run_again, keeps_its_order, has_cursors_of_json, resumes_from_anywhere),
    *(parses_several_at_once, closes_when_it_is_left, can_be_cancelled_anywhere),
)


def _contents_of(document: Document) -> list[Any]:
    """Return what the document says now, as copies that are equal to what was copied."""
    return [document.doc_id, document.content, *map(_copy, (document.raw, document.metadata))]


def _copy(value: Any) -> Any:
    try:
        copied = copy.deepcopy(value)
    except Exception:  # noqa: BLE001 -- `raw` may be an object that cannot be copied
        return None
    return copied if copied == value else None


def _stored(point: Checkpoint) -> Checkpoint:
    """Return the checkpoint as a later run finds it."""
    return Checkpoint.from_dict(json.loads(json.dumps(point.to_dict())))
