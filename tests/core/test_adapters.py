"""An adapter is looked up once: what it lacks is refused, and what it can do is found."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import attrs
import pytest
import trio

from trio_ingest import (
    Closes,
    Document,
    EstimatesTotal,
    HasStableOrder,
    Identifies,
    JudgesErrors,
    PipelineEvent,
    SetupError,
)
from trio_ingest._core.adapters import check_params, plan_of, refuse_engine_event
from trio_ingest._core.events import ENGINE_EVENTS


class Minimal:
    """The three that an adapter must have."""

    source = "feed"

    async def fetch(self) -> AsyncIterator[Any]:
        yield 1

    def parse(self, record: Any) -> Document:
        return Document(str(record), self.source, "")


class Able(Minimal):
    """Everything that an adapter may have."""

    stable_order = True

    def identify(self, record: Any) -> str:
        return str(record)

    def estimate_total(self) -> int:
        return 1

    def is_retryable(self, error: Exception) -> bool:
        return True

    async def aclose(self) -> None: ...


def test_minimal_adapter_has_no_ability() -> None:
    adapter = Minimal()
    plan = plan_of(adapter)
    assert plan.source == "feed"
    assert plan.fetch == adapter.fetch
    assert plan.parse == adapter.parse
    assert plan.identify is plan.estimate_total is plan.aclose is plan.is_retryable is None
    assert plan.stable_order is False
    for ability in (Identifies, EstimatesTotal, HasStableOrder, JudgesErrors, Closes):
        assert not isinstance(adapter, ability)


def test_every_ability_is_found() -> None:
    adapter = Able()
    plan = plan_of(adapter)
    assert plan.identify == adapter.identify
    assert plan.estimate_total == adapter.estimate_total
    assert plan.is_retryable == adapter.is_retryable
    assert plan.aclose == adapter.aclose
    assert plan.stable_order is True
    for ability in (Identifies, EstimatesTotal, HasStableOrder, JudgesErrors, Closes):
        assert isinstance(adapter, ability)


def test_abilities_are_looked_up_once() -> None:
    class Counting(Able):
        looked_up: list[str] = []  # noqa: RUF012

        def __getattribute__(self, name: str) -> Any:
            if not name.startswith("__") and name != "looked_up":
                self.looked_up.append(name)
            return super().__getattribute__(name)

    plan_of(Counting())
    assert len(Counting.looked_up) == len(set(Counting.looked_up))


# -- what is refused ----------------------------------------------------------------------


def test_class_in_the_place_of_an_object_is_refused() -> None:
    with pytest.raises(SetupError, match="Minimal is a class: pass an instance"):
        plan_of(Minimal)


@pytest.mark.parametrize("source", [None, "", 3, b"feed", ["feed"]])
def test_source_must_be_a_string_that_names_something(source: Any) -> None:
    adapter = Minimal()
    adapter.source = source
    with pytest.raises(SetupError, match=r"needs a `source`.*Minimal has"):
        plan_of(adapter)


@pytest.mark.parametrize("name", ["fetch", "parse"])
def test_part_of_the_protocol_that_is_missing_is_named(name: str) -> None:
    adapter = Minimal()
    setattr(adapter, name, None)
    with pytest.raises(SetupError, match=f"needs a method `{name}`.*Minimal has none"):
        plan_of(adapter)


@pytest.mark.parametrize(
    "name", ["fetch", "parse", "identify", "estimate_total", "is_retryable", "aclose"]
)
def test_attribute_in_the_place_of_a_method_is_refused(name: str) -> None:
    adapter = Able()
    setattr(adapter, name, 3)
    with pytest.raises(SetupError, match=rf"Able\.{name} must be a method; it is 3"):
        plan_of(adapter)


@pytest.mark.parametrize("name", ["identify", "is_retryable"])
def test_method_that_nobody_would_await_is_refused(name: str) -> None:
    async def later(self: Any, thing: Any) -> Any: ...

    adapter = type("Late", (Able,), {name: later})()
    with pytest.raises(SetupError, match=rf"Late\.{name} must be a plain method"):
        plan_of(adapter)


def test_fetch_that_returns_everything_is_refused() -> None:
    class Eager(Minimal):
        async def fetch(self) -> Any:
            return [1]

    with pytest.raises(SetupError, match=r"coroutine function.*`yield` each record"):
        plan_of(Eager())


def test_fetch_that_is_a_plain_generator_is_refused() -> None:
    class Plain(Minimal):
        def fetch(self) -> Any:
            yield 1

    with pytest.raises(SetupError, match="plain generator; make it `async def fetch`"):
        plan_of(Plain())


@pytest.mark.parametrize("thing", [None, 3, "feed", [Minimal()], object()])
def test_thing_that_is_no_adapter_is_refused(thing: Any) -> None:
    with pytest.raises(SetupError, match=r"(?i)an adapter needs"):
        plan_of(thing)


# -- params and cursors -------------------------------------------------------------------


class Picky(Minimal):
    async def fetch(self, *, since: str, until: str = "") -> AsyncIterator[Any]:
        yield since + until


class Open(Minimal):
    async def fetch(self, **params: Any) -> AsyncIterator[Any]:
        yield params


class Resumable(Minimal):
    async def fetch(self, *, cursor: Any = None) -> AsyncIterator[Any]:
        yield cursor


@pytest.mark.parametrize("params", [{"since": "a"}, {"since": "a", "until": "b"}])
def test_params_that_fetch_takes_are_allowed(params: dict[str, Any]) -> None:
    check_params(plan_of(Picky()), params)
    check_params(plan_of(Open()), params)


@pytest.mark.parametrize(
    ("params", "what"),
    [
        ({}, "since"),
        ({"until": "b"}, "since"),
        ({"since": "a", "sinse": "b"}, "sinse"),
    ],
)
def test_params_that_fetch_does_not_take_are_refused_before_the_run(
    params: dict[str, Any], what: str
) -> None:
    with pytest.raises(SetupError, match=f"'feed' cannot fetch with the params.*{what}"):
        check_params(plan_of(Picky()), params)


@pytest.mark.parametrize(
    ("adapter", "offers", "takes"),
    [
        (Minimal(), False, False),
        (Picky(), False, False),
        (Open(), False, True),  # it would take one, and has promised nothing
        (Resumable(), True, True),
    ],
    ids=lambda value: type(value).__name__,
)
def test_cursor_is_offered_by_name_and_taken_by_all_keywords_too(
    adapter: Minimal, offers: bool, takes: bool
) -> None:
    plan = plan_of(adapter)
    assert (plan.offers_cursor, plan.takes_cursor) == (offers, takes)


def test_signature_behind_a_decorator_is_the_one_that_counts() -> None:
    class Safe(Minimal):
        @trio.as_safe_channel
        async def fetch(self, *, cursor: Any = None) -> AsyncIterator[Any]:
            yield cursor

    plan = plan_of(Safe())
    assert plan.offers_cursor
    check_params(plan, {"cursor": 1})
    with pytest.raises(SetupError, match="since"):
        check_params(plan, {"since": 1})


# -- own events --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ENGINE_EVENTS)
def test_own_event_of_an_engine_class_is_refused(kind: type[PipelineEvent]) -> None:
    with pytest.raises(SetupError, match=f"yielded a {kind.__name__}"):
        refuse_engine_event(object.__new__(kind))


def test_own_event_of_a_class_of_its_own_is_not_refused() -> None:
    @attrs.frozen(kw_only=True)
    class Page(PipelineEvent):
        number: int

    refuse_engine_event(Page(number=1))
    refuse_engine_event(PipelineEvent())
