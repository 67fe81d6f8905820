"""Every room has tests, in a folder of its name; a few folders of tests cross the rooms."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.project.tree import PACKAGE, ROOT

TESTS = ROOT / "tests"
# The face is the files beside the rooms; these folders are about more than one room.
FACE = "face"
ACROSS = {"crash", "docs", "mutants", "project", "promises", "traps", "typing"}
# A room whose kinds are folders has a folder of tests for each.
OF_KINDS = ["adapters", "sinks"]


def folders(place: Path) -> set[str]:
    files = [path.relative_to(place) for path in place.rglob("*.py")]
    return {path.parts[0] for path in files if len(path.parts) > 1}


def rooms() -> set[str]:
    return folders(PACKAGE)


def has_tests(place: Path) -> bool:
    return any(place.rglob("test_*.py"))


def test_a_folder_of_tests_is_of_a_room_or_crosses_them() -> None:
    of_rooms = {room.removeprefix("_") for room in rooms()}
    assert folders(TESTS) == of_rooms | ACROSS | {FACE}


@pytest.mark.parametrize("room", sorted(rooms()))
def test_a_room_has_tests(room: str) -> None:
    assert has_tests(TESTS / room.removeprefix("_"))


def test_the_face_and_the_folders_across_the_rooms_have_tests() -> None:
    assert [
        name for name in (FACE, *sorted(ACROSS - {"mutants"})) if not has_tests(TESTS / name)
    ] == []


@pytest.mark.parametrize("room", OF_KINDS)
def test_a_kind_has_a_folder_of_tests_and_the_other_way_round(room: str) -> None:
    kinds = {name for name in folders(PACKAGE / room) if not name.startswith("_")}
    assert {path.parent.name for path in (TESTS / room).glob("*/test_*.py")} == kinds


def test_a_public_file_beside_the_rooms_has_tests_of_its_name() -> None:
    files = {path.stem for path in PACKAGE.glob("*.py") if not path.name.startswith("_")}
    tested = {path.stem.removeprefix("test_") for path in TESTS.rglob("test_*.py")}
    assert files <= tested
