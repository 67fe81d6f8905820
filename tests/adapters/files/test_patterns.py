"""Which files a pattern means: those that pathlib finds, without hidden ones."""

import os
from pathlib import Path

import pytest

from trio_ingest.adapters.files import _walk
from trio_ingest.adapters.files._pattern import Pattern

NAMES = [
    "a.txt", "b.md", "A.TXT", "[x].txt", "docs/a.txt", "docs/a.txt.bak", "docs/deep/b.md",
    "docs/deep/er/c.md", "other/docs/d.md", "other/docs/docs/e.md", "x/y/z/a.txt",
]  # fmt: skip
HIDDEN = [".env", ".git/config", ".git/objects/a.txt", "docs/.draft.md", "docs/.d/e.md"]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tree")
    for name in NAMES + HIDDEN:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def found(tree: Path, pattern: str) -> list[str]:
    return [path for path in _walk.walk(str(tree), Pattern(pattern)) if isinstance(path, str)]


def by_pathlib(tree: Path, pattern: str) -> set[str]:
    paths = {path for path in tree.glob(pattern) if path.is_file()}
    return {path.relative_to(tree).as_posix() for path in paths}


@pytest.mark.parametrize(
    "pattern",
    [
        "*", "**/*", "*.txt", "**/*.txt", "**/*.md", "docs/*", "docs/**/*", "*/*", "*/*/*.md",
        "**/docs/*", "**/docs/**/*", "**/docs/**/*.md", "**/**/*", "docs/deep/b.md", "?.md",
        "[ab].*", "[!a].*", "**/[a-c].txt", "[[]x].txt", "nothing", "docs", "x/**/a.txt",
        "**/deep/**/*", "./docs//*.txt",
    ],
)  # fmt: skip
@pytest.mark.skipif(os.path.normcase("A") == "a", reason="pathlib minds the case here")
def test_a_pattern_means_what_pathlib_finds_without_hidden_files(
    tree: Path, pattern: str
) -> None:
    paths = found(tree, pattern)
    assert set(paths) == by_pathlib(tree, pattern) - set(HIDDEN)
    assert len(paths) == len(set(paths))


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (".*", {".env"}),
        ("**/.*", {".env", "docs/.draft.md"}),
        (".git/**", {".git/config", ".git/objects/a.txt"}),
        (".git/*", {".git/config"}),
        ("docs/.d/*", {"docs/.d/e.md"}),
        ("**/.d/*", {"docs/.d/e.md"}),
        ("docs/**", {"docs/a.txt", "docs/a.txt.bak", "docs/deep/b.md", "docs/deep/er/c.md"}),
    ],
)
def test_hidden_files_are_found_when_the_pattern_says_so(
    tree: Path, pattern: str, expected: set[str]
) -> None:
    assert set(found(tree, pattern)) == expected


def test_two_stars_alone_mean_all_files(tree: Path) -> None:
    assert found(tree, "**") == found(tree, "**/*")


@pytest.mark.parametrize(
    ("pattern", "most"), [("*.txt", 1), ("docs/*", 2), ("x/**/a.txt", 4), ("*/*", 4)]
)
def test_directories_that_can_hold_no_match_are_not_listed(
    tree: Path, pattern: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = []
    scandir = os.scandir
    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", lambda path: (listed.append(path), scandir(path))[1])
        found(tree, pattern)
    assert len(listed) == most


@pytest.mark.parametrize("pattern", ["**/*", "docs/**", "**/*.md", "*/*"])
def test_a_walk_can_begin_behind_any_path(tree: Path, pattern: str) -> None:
    paths = found(tree, pattern)
    places = {
        *NAMES,
        *HIDDEN,
        "0",
        "docs",
        "docs/deep",
        "docs/zz",
        "docs/a.txt/x",
        "zz",
        "x/y",
    }
    for place in places:
        rest = [
            path
            for path in _walk.walk(str(tree), Pattern(pattern), place)
            if isinstance(path, str)
        ]
        assert rest == [path for path in paths if path.split("/") > place.split("/")], place
