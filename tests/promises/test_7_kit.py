"""Promise 7, its proof: ``cancel_everywhere`` finds whatever does not clean up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio

from tests.promises.adapters import Plain
from tests.promises.closing_adapter import consume
from tests.worlds import ONLY_TRIO
from trio_ingest import IngestionPipeline, SetupError
from trio_ingest.testing import ScriptedAdapter, cancel_everywhere

pytestmark = ONLY_TRIO


async def test_cancel_everywhere_refuses_to_run_inside_a_loop() -> None:
    with pytest.raises(SetupError, match="inside"):
        cancel_everywhere(trio.lowlevel.checkpoint)


def test_cancel_everywhere_refuses_more_points_than_its_limit() -> None:
    async def long() -> None:
        for _ in range(50):
            await trio.lowlevel.checkpoint()

    with pytest.raises(SetupError, match=r"more than 20 .* raise limit"):
        cancel_everywhere(long, limit=20)
    assert cancel_everywhere(long, limit=60).points >= 50


class Forgetful(ScriptedAdapter):
    """Awaits in its ``finally`` without a shield, so that a cancellation skips the rest."""

    async def fetch(self, **params: Any) -> AsyncIterator[Any]:
        self.opened += 1
        try:
            yield "a"
            await trio.sleep(1)
            yield "b"
        finally:
            await trio.sleep(1)  # noqa: ASYNC102 -- the mistake that is to be found
            self.closed += 1

    def parse(self, record: Any) -> Any:
        return Plain("script").parse(record)


class Stubborn(Forgetful):
    """Swallows the cancellation and goes on waiting."""

    async def fetch(self, **params: Any) -> AsyncIterator[Any]:
        yield "a"
        try:
            await trio.sleep(1)
        except trio.Cancelled:  # noqa: ASYNC103, ASYNC104 -- the mistake to be found
            with trio.CancelScope(shield=True):
                await trio.sleep(2e6)  # noqa: ASYNC116 -- past what the kit takes for a hang


class Failing(Forgetful):
    """Raises when it is closed early."""

    async def fetch(self, **params: Any) -> AsyncIterator[Any]:
        try:
            yield "a"
            await trio.sleep(1)
        except trio.Cancelled as error:
            raise ValueError("not now") from error  # noqa: ASYNC104 -- the same


@pytest.mark.parametrize(
    ("adapter", "says"),
    [
        (Forgetful, "awaits while it cleans up"),
        (Stubborn, "the run hangs"),
        (Failing, "not now"),
    ],
)
def test_cancel_everywhere_finds_an_adapter_that_cleans_up_badly(
    adapter: type[Forgetful], says: str
) -> None:
    async def attempt() -> None:
        forgetful = adapter([])
        try:
            await consume(IngestionPipeline(forgetful).stream_events())
        finally:
            assert forgetful.opened == forgetful.closed

    with pytest.raises(AssertionError, match=rf"cancelled at .*point \d+ of \d+.*: .*{says}"):
        cancel_everywhere(attempt)
