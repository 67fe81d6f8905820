"""A log that the engine has written is never accused, however its run went."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from tests.eventlog.recorded import Dying, Feed, Named, Pages, lines_of, record
from trio_ingest import Checkpoint
from trio_ingest.eventlog import verify

KINDS = (Feed, Pages, Named, Dying)


def some_adapters(chance: random.Random) -> list[Any]:
    return [
        chance.choice(KINDS)(chance.choice([0, 1, 7, 30, 60]), f"source {place}")
        for place in range(chance.choice([1, 1, 2, 3]))
    ]


def test_the_last_of_a_run_is_known(tmp_path: Path) -> None:
    record(tmp_path / "log.ndjson")
    report = verify(tmp_path / "log.ndjson", ordered=True)
    assert report.is_good
    assert not report.is_torn
    [run] = report.runs
    assert (run.is_finished, run.in_flight, run.missing, run.first_line) == (True, 0, 0, 1)
    assert (run.completed, run.failed) == (26, 4)


@pytest.mark.one_in(4)
@pytest.mark.parametrize("seed", range(40))
def test_random_runs_are_good(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    path = tmp_path / "log.ndjson"
    adapters = some_adapters(chance)
    ordered = chance.random() < 0.5
    options: dict[str, Any] = {
        "progress_interval": chance.choice([1, 3, 10]),
        "checkpoint_interval": chance.choice([1, 4, 25]),
        "buffer_size": chance.choice([1, 3, 100]),
    }
    if chance.random() < 0.3:
        options["params"] = [{"page": 1}, {"page": 2}]
    done = {str(number) for number in range(0, 60, 3)} if chance.random() < 0.5 else None
    point: Checkpoint | None = None
    several = chance.random() < 0.5
    for _ in range(chance.choice([1, 2, 4])):
        stopping = chance.choice(["no", "no", "stop", "drain"])
        if not several:
            # Each in a log of its own: so the first ones of some were resumed.
            path.unlink(missing_ok=True)
        point = record(
            path,
            *adapters,
            policy={"workers": chance.choice([1, 4]), "ordered": ordered},
            stop_after=chance.randrange(1, 90) if stopping == "stop" else None,
            drain_after=chance.randrange(1, 90) if stopping == "drain" else None,
            resume_from=point,
            completed_ids=done,
            **options,
        )
        report = verify(path, ordered=ordered)
        assert report.findings == ()


@pytest.mark.parametrize("kind", [Feed, Pages, Named])
def test_the_bare_form_is_good(tmp_path: Path, kind: Any) -> None:
    record(tmp_path / "log.ndjson", kind(), kind(5, "other"), bare=True)
    report = verify(tmp_path / "log.ndjson", ordered=True)
    assert report.findings == ()
    assert report.runs[0].is_finished


def test_a_log_that_is_cut_anywhere_is_cut_and_not_broken(tmp_path: Path) -> None:
    path, cut = tmp_path / "log.ndjson", tmp_path / "cut.ndjson"
    record(path, Feed(), Pages(20, "other"), policy={"workers": 4, "ordered": False})
    data = path.read_bytes()
    ends = [place + 1 for place, byte in enumerate(data) if byte == 10]
    over = max(n for n, line in enumerate(lines_of(path)) if "new_state" in line)
    for count, end in enumerate(ends[:-1]):
        cut.write_bytes(data[:end])
        report = verify(cut)
        assert report.findings == ()
        # Behind the last change of a state may be more than one progress event.
        assert report.runs[0].is_finished == (count > over)
        assert not report.is_torn
    cut.write_bytes(data[: ends[20] + 10])
    assert verify(cut).is_torn
    assert verify(cut).findings == ()


def test_what_the_first_run_was_resumed_from_can_be_said(tmp_path: Path) -> None:
    first, second = tmp_path / "first.ndjson", tmp_path / "second.ndjson"
    point = record(first, stop_after=40)
    record(second, resume_from=point)
    assert verify(second).findings == ()
    assert verify(second, resumed_from=point).findings == ()
    # With less of it, what the run did not do itself is not accounted for.
    assert not verify(second, resumed_from=record(tmp_path / "third", stop_after=5)).is_good


def test_an_empty_log_never_looks_like_a_good_one(tmp_path: Path) -> None:
    (tmp_path / "log.ndjson").touch()
    report = verify(tmp_path / "log.ndjson")
    assert report.runs == ()
    [finding] = report.findings
    assert "nothing was recorded" in finding.message
