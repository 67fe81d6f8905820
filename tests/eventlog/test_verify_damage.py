"""Whatever is wrong in a log is found, at its line, and once."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from tests.eventlog.recorded import Dying, Feed, Pages, lines_of, record, write
from trio_ingest.eventlog import EventLogError, Recorder, verify
from trio_ingest.serialization import EventCodec

Events: TypeAlias = list[dict[str, Any]]
# Changes the events, and gives the line at which that must be found.
Damage: TypeAlias = Callable[[Events], int]


def place_of(events: Events, kind: str, number: int = 0, **fields: Any) -> int:
    """Which event is the one with this number among those of a kind."""
    places = [
        place
        for place, event in enumerate(events)
        if event["type"] == kind
        and all(event[name] == value for name, value in fields.items())
    ]
    return places[number]


def with_checkpoint(events: Events, number: int) -> int:
    places = [place for place, event in enumerate(events) if event.get("checkpoint")]
    return places[number]


def position(event: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = event["checkpoint"]["positions"][0]
    return found


# -- what changes the numbers, so that they are put right again ------------------------------


def start_without_end(events: Events) -> int:
    start = place_of(events, "DocumentStarted", record_number=29)
    del events[place_of(events, "DocumentCompleted", record_number=29)]
    return start + 1


def end_without_start(events: Events) -> int:
    del events[place_of(events, "DocumentStarted", record_number=4)]
    return place_of(events, "DocumentCompleted", record_number=4) + 1


def failed_without_start(events: Events) -> int:
    del events[place_of(events, "DocumentStarted", record_number=3)]
    return place_of(events, "DocumentFailed", record_number=3) + 1


def two_ends(events: Events) -> int:
    place = place_of(events, "DocumentCompleted", record_number=4)
    events.insert(place + 1, events[place])
    return place + 2


def completed_and_failed(events: Events) -> int:
    failed = events[place_of(events, "DocumentFailed", record_number=3)]
    place = place_of(events, "DocumentCompleted", record_number=4)
    events.insert(place + 1, {**failed, "record_number": 4})
    return place + 2


def two_starts(events: Events) -> int:
    place = place_of(events, "DocumentStarted", record_number=4)
    events.insert(place + 1, events[place])
    return place + 2


def begins_again(events: Events) -> int:
    place = place_of(events, "DocumentCompleted", record_number=9)
    events.insert(place + 1, events[place - 1])
    events.insert(place + 2, events[place])
    return place + 2


def retry_of_what_is_not_open(events: Events) -> int:
    place = place_of(events, "DocumentRetrying", record_number=6)
    events.insert(place + 3, events[place])
    return place + 4


def retry_too_few(events: Events) -> int:
    place = place_of(events, "DocumentRetrying", record_number=6)
    del events[place]
    return place_of(events, "DocumentCompleted", record_number=6) + 1


def source_order(events: Events) -> int:
    first = place_of(events, "DocumentStarted", record_number=7)
    second = place_of(events, "DocumentStarted", record_number=8)
    events[first : first + 2], events[second : second + 2] = (
        events[second : second + 2],
        events[first : first + 2],
    )
    return second + 1


def work_after_the_end(events: Events) -> int:
    place = place_of(events, "AdapterStateChange", -1)
    start = {**events[place_of(events, "DocumentStarted")], "record_number": 30}
    end = {**events[place_of(events, "DocumentCompleted")], "record_number": 30}
    events[place + 1 : place + 1] = [start, end]
    events[-1]["completed"] += 1
    position(events[-1])["watermark"] += 1
    return place + 2


RENUMBERED: list[tuple[Damage, str, str]] = [
    (start_without_end, "shape", "Record 29 of 'feed' begins here and never ends"),
    (end_without_start, "shape", "Record 4 ends, and is not in flight"),
    (failed_without_start, "shape", "Record 3 ends, and is not in flight"),
    (two_ends, "shape", "Record 4 ends, and is not in flight"),
    (completed_and_failed, "shape", "Record 4 ends, and is not in flight"),
    (two_starts, "shape", "Record 4 begins a second time"),
    (begins_again, "shape", "Record 9 begins again, and has ended before"),
    (retry_of_what_is_not_open, "shape", "Record 6 is retried, and is not in flight"),
    (retry_too_few, "counts", "retry_count is 1, and 0 retries were announced"),
    (source_order, "order", "Record 7 begins after 8"),
    (work_after_the_end, "state", "Record 30 begins, and 'feed' is finished"),
]


@pytest.mark.parametrize(("damage", "kind", "words"), RENUMBERED)
def test_a_broken_shape_is_found(
    tmp_path: Path, damage: Damage, kind: str, words: str
) -> None:
    check(tmp_path, damage, kind, words, renumber=True)


# -- what leaves the numbers -----------------------------------------------------------------


def a_gap(events: Events) -> int:
    del events[10]
    return 11


def a_long_gap(events: Events) -> int:
    del events[10:14]
    return 11


def the_head(events: Events) -> int:
    del events[:3]
    return 1


def a_repeat(events: Events) -> int:
    events.insert(11, events[10])
    return 12


def another_run_in_the_middle(events: Events) -> int:
    events[10]["pipeline_id"] = "another"
    return 11


def another_run_from_the_middle(events: Events) -> int:
    for event in events[10:]:
        event["pipeline_id"] = "another"
    return 11


def field(kind: str, number: int, name: str, value: Any) -> Damage:
    def damage(events: Events) -> int:
        place = place_of(events, kind, number)
        events[place][name] = value(events[place][name]) if callable(value) else value
        return place + 1

    damage.__name__ = f"{kind}-{name}"
    return damage


def backwards(name: str) -> Damage:
    def damage(events: Events) -> int:
        place = place_of(events, "BatchProgress", 2)
        events[place_of(events, "BatchProgress", 1)][name] = 5.0
        for later in events[place + 1 :]:
            if later["type"] == "BatchProgress":
                later[name] = 6.0
        events[place][name] = 4.0
        return place + 1

    damage.__name__ = f"{name}-backwards"
    return damage


def claims_the_next_record(events: Events) -> int:
    place = with_checkpoint(events, 1)
    position(events[place])["watermark"] += 1
    return place + 1


def claims_one_far_ahead(events: Events) -> int:
    place = with_checkpoint(events, 1)
    position(events[place])["ended"] = [[100, 105]]
    return place + 1


def claims_too_much_at_first(events: Events) -> int:
    place = with_checkpoint(events, 0)
    position(events[place])["ended"] = [[20, 22]]
    return place + 1


def claims_what_never_comes_at_first(events: Events) -> int:
    place = with_checkpoint(events, 0)
    for event in events:
        if event.get("checkpoint"):
            position(event)["ended"] = [[100, 105]]
    return place + 1


def claims_too_little(events: Events) -> int:
    place = with_checkpoint(events, 1)
    position(events[place])["watermark"] -= 3
    return place + 1


def claims_the_end(events: Events) -> int:
    place = with_checkpoint(events, 1)
    position(events[place])["finished"] = True
    return place + 1


def another_position(events: Events) -> int:
    place = with_checkpoint(events, 1)
    positions = events[place]["checkpoint"]["positions"]
    positions.append({**positions[0], "source": "another", "watermark": 0})
    del events[place + 1 :]
    return place + 1


def no_json(events: Events) -> int:
    events[10] = "nonsense"  # type: ignore[call-overload]
    return 11


def no_event(events: Events) -> int:
    events[10] = {"type": "Checkpoint", "version": 1, "positions": []}
    return 11


# What they break is wrong in other lines as well.
WITH_MORE = (start_without_end, claims_too_much_at_first)

KEPT: list[tuple[Damage, str, str]] = [
    (a_gap, "sequence", "Event 10 is missing before it. Either a filter"),
    (a_long_gap, "sequence", "Events 10 to 13 are missing before it"),
    (the_head, "sequence", "Events 0 to 2 are missing before it"),
    (a_repeat, "sequence", "The sequence is 10, and 11 should come next"),
    (another_run_in_the_middle, "sequence", "is 'another' in the middle of the run"),
    (another_run_from_the_middle, "sequence", "is 'another' in the middle of the run"),
    (field("BatchProgress", 2, "completed", 99), "counts", "completed is 99, and by what"),
    (field("BatchProgress", 2, "failed", 0), "counts", "failed is 0, and by what"),
    (field("BatchProgress", 2, "in_flight", 7), "counts", "in_flight is 7, and by what"),
    (field("BatchProgress", 2, "queue_depth", -1), "telemetry", "queue_depth is -1"),
    (field("BatchProgress", 2, "queue_depth", 101), "telemetry", "the buffer has 100"),
    (
        field("BatchProgress", 2, "buffer_size", 7),
        "telemetry",
        "buffer_size is 7, and was 100",
    ),
    (field("BatchProgress", 2, "eta_seconds", -1.0), "telemetry", "eta_seconds is -1"),
    (field("BatchProgress", 0, "fetch_seconds", -1.0), "telemetry", "fetch_seconds is -1"),
    (field("DocumentCompleted", 2, "duration", -1.0), "telemetry", "duration is -1"),
    (field("DocumentRetrying", 1, "delay_seconds", -1.0), "telemetry", "delay_seconds is -1"),
    (field("DocumentRetrying", 1, "retry_count", 3), "counts", "retry_count is 3, and 1 is"),
    (field("DocumentCompleted", 2, "retry_count", 5), "counts", "retry_count is 5, and 0"),
    (
        field("AdapterStateChange", 1, "old_state", "paused"),
        "state",
        "said to have been paused",
    ),
    (backwards("fetch_seconds"), "telemetry", "fetch_seconds runs backwards: it is 4"),
    (backwards("consumer_seconds"), "telemetry", "consumer_seconds runs backwards"),
    (claims_the_next_record, "checkpoint", "The checkpoint claims record"),
    (claims_one_far_ahead, "checkpoint", "claims record 100 of 'feed' and 4 more"),
    (
        claims_too_much_at_first,
        "checkpoint",
        "claims record 20 of 'feed', which has not ended",
    ),
    (claims_what_never_comes_at_first, "checkpoint", "claims 5 records that have neither"),
    (claims_too_little, "checkpoint", "The checkpoint lacks record"),
    (claims_the_end, "checkpoint", "says that 'feed' has come to its end, and line"),
    (another_position, "checkpoint", "The checkpoint has a new position of 'another'"),
    (no_json, "line", "the line is 'nonsense', not a JSON object"),
    (no_event, "line", "this is a Checkpoint, and a log has events only"),
]


@pytest.mark.one_in(3)
@pytest.mark.parametrize(("damage", "kind", "words"), KEPT)
def test_a_wrong_line_is_found(tmp_path: Path, damage: Damage, kind: str, words: str) -> None:
    check(tmp_path, damage, kind, words)


def check(
    folder: Path, damage: Damage, kind: str, words: str, *, renumber: bool = False
) -> None:
    path = folder / "log.ndjson"
    record(path)
    assert verify(path).findings == ()
    events = lines_of(path)
    line = damage(events)
    write(path, events, renumber=renumber)
    findings = verify(path).findings
    found = [(one.line, one.kind) for one in findings]
    if damage in WITH_MORE:
        findings = tuple(one for one in findings if (one.line, one.kind) == (line, kind))
    else:
        # Of two records that were claimed and begin later, each is told.
        assert set(found) == {(line, kind)}, findings
    assert words in findings[0].message
    # The same, however it is kept.
    packed = folder / "log.ndjson.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert verify(packed) == verify(path)


# -- several adapters, workers and runs ------------------------------------------------------


def test_documents_that_leave_out_of_order_are_found_where_order_was_asked_for(
    tmp_path: Path,
) -> None:
    path = tmp_path / "log.ndjson"
    record(path)
    events = lines_of(path)
    first = place_of(events, "DocumentStarted", record_number=7)
    one, two, three, four = events[first : first + 4]
    events[first : first + 4] = [one, three, four, two]
    write(path, events, renumber=True)
    [finding] = verify(path, ordered=True).findings
    assert (finding.line, finding.kind) == (first + 4, "order")
    assert verify(path).is_good


def test_a_checkpoint_that_claims_what_is_in_flight_is_found(tmp_path: Path) -> None:
    path = tmp_path / "log.ndjson"
    record(path, Feed(60), policy={"workers": 4, "ordered": False}, progress_interval=1)
    events = lines_of(path)
    place = next(n for n, e in enumerate(events) if e.get("checkpoint") and e["in_flight"])
    event = events[place]
    begun = {e["record_number"] for e in events[:place] if e["type"] == "DocumentStarted"}
    ended = {
        e["record_number"]
        for e in events[:place]
        if e["type"] in ("DocumentCompleted", "DocumentFailed")
    }
    number = min(begun - ended)
    position(event)["watermark"], position(event)["ended"] = max(ended) + 1, []
    write(path, events)
    findings = verify(path).findings
    assert {finding.line for finding in findings} == {place + 1}
    assert f"claims record {number} of 'feed', which has begun" in findings[0].message


@pytest.mark.parametrize("kind", [Feed, Pages])
def test_a_resumed_run_may_claim_what_the_earlier_one_had_and_no_more(
    tmp_path: Path, kind: Any
) -> None:
    path = tmp_path / "log.ndjson"
    point = record(path, kind(), drain_after=40)
    first = len(lines_of(path))
    record(path, kind(), resume_from=point)
    assert verify(path).findings == ()
    events = lines_of(path)
    place = next(n for n, e in enumerate(events) if n >= first and e.get("checkpoint"))
    position(events[place])["ended"] = [[200, 300]]
    write(path, events)
    [finding] = verify(path).findings
    assert (finding.line, finding.kind) == (place + 1, "checkpoint")
    assert "claims record 200" in finding.message


def test_a_cursor_that_goes_back_is_found(tmp_path: Path) -> None:
    path = tmp_path / "log.ndjson"
    record(path, Pages())
    events = lines_of(path)
    place = with_checkpoint(events, 1)
    position(events[place])["cursor_record"] = 1
    write(path, events)
    [finding] = verify(path).findings
    assert (finding.line, finding.kind) == (place + 1, "checkpoint")
    assert "cursor of 'feed' goes back from record" in finding.message


def test_a_dead_adapter_that_works_on_is_found(tmp_path: Path) -> None:
    path = tmp_path / "log.ndjson"
    record(path, Dying())
    events = lines_of(path)
    place = place_of(events, "AdapterStateChange", new_state="failed")
    events.insert(place + 1, {**events[place], "old_state": "failed", "new_state": "running"})
    write(path, events, renumber=True)
    [finding] = verify(path).findings
    assert (finding.line, finding.kind) == (place + 2, "state")


def test_state_that_may_not_follow_is_found_once(tmp_path: Path) -> None:
    path = tmp_path / "log.ndjson"
    record(path)
    events = lines_of(path)
    place = place_of(events, "AdapterStateChange", new_state="finished")
    before = {**events[place], "old_state": "running", "new_state": "paused"}
    events[place : place + 1] = [before, {**events[place], "old_state": "paused"}]
    write(path, events, renumber=True)
    [finding] = verify(path).findings
    assert (finding.line, finding.kind) == (place + 2, "state")
    assert "was paused and cannot be finished" in finding.message


def test_skipped_may_not_become_less(tmp_path: Path) -> None:
    path = tmp_path / "log.ndjson"
    record(path, completed_ids={"2", "4"})
    events = lines_of(path)
    place = place_of(events, "BatchProgress", 2)
    assert events[place]["skipped"] == 2
    events[place]["skipped"] = 1
    write(path, events)
    [finding] = verify(path).findings
    assert (finding.line, finding.kind) == (place + 1, "counts")


def test_of_a_filtered_log_one_thing_is_said(tmp_path: Path) -> None:
    path = tmp_path / "log.ndjson"
    record(path, event_filter=lambda event: not hasattr(event, "parameters"))
    report = verify(path)
    [finding] = report.findings
    assert (finding.line, finding.kind) == (2, "sequence")
    assert "a filter was at work" in finding.message
    assert report.runs[0].missing == 30


def test_the_first_hundred_are_kept_and_all_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "log.ndjson"
    path.write_bytes(b"nonsense\n" * 250)
    report = verify(path)
    assert report.found == 250
    assert len(report.findings) == 100
    assert not report.is_good
    assert str(report.findings[0]).startswith("line 1: ")


@pytest.mark.parametrize("value", ["x", None, [], {}, -5, 2**70, 1e300, True])
def test_no_value_of_any_field_makes_it_fail(tmp_path: Path, value: Any) -> None:
    path = tmp_path / "log.ndjson"
    record(path, Pages(12))
    events = lines_of(path)
    codec = EventCodec(unknown_events="keep")
    chosen = {event["type"]: place for place, event in enumerate(events)}
    for place in chosen.values():
        for name in events[place]:
            write(
                path, [*events[:place], {**events[place], name: value}, *events[place + 1 :]]
            )
            verify(path, codec=codec)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(EventLogError, match="No such file"):
        verify(tmp_path / "missing.ndjson")
    with pytest.raises(EventLogError, match="cannot be read"):
        verify(tmp_path)


def test_a_compressed_log_that_is_damaged_in_the_middle_is_no_torn_one(tmp_path: Path) -> None:
    path = tmp_path / "log.ndjson.gz"
    record(path)
    first = path.stat().st_size
    record(path)
    data = bytearray(path.read_bytes())
    data[first // 2] ^= 0x55
    path.write_bytes(data)
    report = verify(path)
    assert not report.is_torn
    assert report.findings[-1].kind == "line"
    assert "is damaged from byte" in report.findings[-1].message
    # Mending it would throw away the second run.
    with pytest.raises(EventLogError, match="has more behind that"), Recorder(path):
        pass
    assert path.read_bytes() == data
