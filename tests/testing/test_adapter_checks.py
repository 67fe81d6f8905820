"""``check_adapter``: our adapters pass, and each mistake is found by the check for it."""

from __future__ import annotations

import gc
import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import SkipTest

import pytest
import trio

from tests.testing.bad_adapters import BAD, COUNT, Good
from trio_ingest import Cursor
from trio_ingest.adapters import FilesAdapter, JsonLinesAdapter
from trio_ingest.testing import Check, Fail, Pause, ScriptedAdapter, SlowParse, check_adapter
from trio_ingest.testing.conformance import _check

NAMES = [check.name for check in check_adapter(Good)]
SCRIPT = [1, Fail(), Cursor(2), SlowParse(1), Pause(3), 2, Cursor(6), 3, 4]


def scripted(_: Path) -> Any:
    return ScriptedAdapter(SCRIPT)


def unstable(_: Path) -> Any:
    return ScriptedAdapter(SCRIPT, stable_order=False)


def lines(folder: Path) -> Any:
    return JsonLinesAdapter(written(folder))


def zipped_lines(folder: Path) -> Any:
    path = folder / "lines.jsonl.gz"
    if not path.exists():
        path.write_bytes(gzip.compress(written(folder).read_bytes()))
    return JsonLinesAdapter(path)


def files(folder: Path) -> Any:
    if not (folder / "bad.txt").exists():  # the factory is called for each of many runs
        for number in range(20):
            (folder / f"{number}.txt").write_text("text")
        (folder / "bad.txt").write_bytes(b"\xff")
    return FilesAdapter(folder, pattern="*.txt")


def written(folder: Path) -> Path:
    path = folder / "lines.jsonl"
    if path.exists():
        return path
    good = [f'{{"id": {number}, "text": "text"}}\n' for number in range(30)]
    path.write_text("".join([*good[:7], "bad\n", *good[7:]]))
    return path


OURS = pytest.mark.parametrize(
    ("name", "factory"),
    [
        pytest.param(
            name,
            factory,
            marks=[pytest.mark.slow]
            if name == "can_be_cancelled_anywhere" and factory in {unstable, zipped_lines}
            else [],
        )
        for name in NAMES
        for factory in (scripted, unstable, lines, zipped_lines, files)
    ],
    ids=lambda value: getattr(value, "__name__", value),
)


# A loop that is torn apart by the deadline leaves coroutines that cannot end well, and say so
# whenever they are collected.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    yield
    gc.collect()  # here, and not in another test


def check_of(name: str, factory: Callable[[], Any]) -> Check:
    return next(c for c in check_adapter(factory, limit=100) if c.name == name)


@pytest.mark.one_in(3)
@OURS
def test_our_adapters_pass(name: str, factory: Callable[[Path], Any], tmp_path: Path) -> None:
    check_of(name, lambda: factory(tmp_path))()


@pytest.mark.parametrize("check", check_adapter(Good))
def test_a_good_adapter_passes_every_check(check: Check) -> None:
    try:
        check()
    except SkipTest:
        assert check.name == "keeps_its_order"  # it promises none
        pytest.skip("there is nothing to check")
    assert check.name != "keeps_its_order"


@pytest.mark.parametrize(("name", "kind", "message"), BAD, ids=[k.__name__ for _, k, _ in BAD])
def test_a_mistake_is_found(
    name: str, kind: type, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_check, "_REAL_SECONDS", 1)
    monkeypatch.setattr(_check, "_THREAD_ENDS_SECONDS", 0.1)
    with pytest.raises(AssertionError, match=message):
        check_of(name, kind)()


def test_each_check_has_a_mistake_that_it_finds() -> None:
    assert {name for name, _, _ in BAD} == set(NAMES)


def test_a_check_says_what_must_hold() -> None:
    check = check_adapter(Good)[0]
    assert check.__name__ == check.name == "can_be_set_up"
    assert check.sentence == "It has a source, an async generator `fetch` and a `parse`."
    for one in check_adapter(Good):
        assert one.sentence.endswith((".", "does so."))


def test_params_are_given_to_fetch() -> None:
    class Parts(Good):
        stable_order = True
        estimate_total = None

        async def fetch(self, *, part: int) -> Any:
            for number in range(part, COUNT, 2):
                await trio.lowlevel.checkpoint()
                yield [number]

    checks = check_adapter(Parts, params=[{"part": 0}, {"part": 1}])
    for check in checks:
        if check.name != "has_cursors_of_json":
            check()
    with pytest.raises(AssertionError, match=r"missing .* argument: 'part'"):
        check_adapter(Parts)[0]()


def test_an_adapter_under_a_safe_channel_is_checked() -> None:
    class Safe(Good):
        @trio.as_safe_channel
        async def fetch(self) -> Any:
            for number in range(COUNT):
                await trio.lowlevel.checkpoint()
                yield [number]

    for check in check_adapter(Safe):
        if check.name not in {
            "has_cursors_of_json",
            "keeps_its_order",
            "resumes_from_anywhere",
        }:
            check()
