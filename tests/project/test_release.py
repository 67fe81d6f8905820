"""Version, change log, packaging and commands say the same thing everywhere."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import trio_ingest
from tests.project.tree import ROOT, project
from trio_ingest import _legacy

MADE_HERE = {".git", ".nox", ".hypothesis", "build", "dist", "__pycache__"}
TEXT = {"", ".jsonl", ".md", ".patch", ".py", ".toml", ".yaml"}


def text_files() -> Iterator[Path]:
    """The files of the tree that people wrote, without asking git."""
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        made = [
            p for p in parts if p.startswith((".venv", ".coverage")) or p.endswith("_cache")
        ]
        if path.is_file() and path.suffix in TEXT and not made and MADE_HERE.isdisjoint(parts):
            yield path


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def line_with(name: str, part: str) -> str:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    [line] = [line for line in lines if part in line]
    return line


def test_version_is_the_same_in_package_project_and_changelog() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    top = re.search(r"^## \[(.+?)\]", changelog, re.MULTILINE)
    assert top is not None
    assert trio_ingest.__version__ == project()["version"] == top[1]


def test_the_legacy_call_is_removed_in_a_later_version() -> None:
    assert numbers(_legacy.REMOVED_IN) > numbers(trio_ingest.__version__), (
        "This release was to remove run_async_legacy."
    )


def test_the_core_needs_five_packages_each_with_a_lower_bound() -> None:
    split = [re.split(r"(>=)", item) for item in project()["dependencies"]]
    assert {name for name, *_ in split} == {"trio", "trio-util", "attrs", "cattrs", "anyio"}
    assert all(len(parts) == 3 for parts in split)


def test_all_holds_every_extra_that_is_for_users() -> None:
    extras = dict(project()["optional-dependencies"])
    for_developers = {"testing", "test", "lint", "types", "dev", "all"}
    named = re.fullmatch(r"trio-ingest\[(.+)\]", *extras["all"])
    assert named is not None
    assert set(named[1].split(",")) == set(extras) - for_developers


def test_ci_runs_the_readme_command_and_no_other() -> None:
    command = line_with("README.md", "nox -s ci")
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    searched = "nox -s ci$"
    assert f"grep -m 1 -e '{searched}' README.md" in ci
    assert re.search(searched, command)
    assert command.startswith("python3 -m venv .venv && ")
    assert "nox -s" not in ci.replace(searched, "")


def test_ci_is_executable_and_stops_at_the_first_failure() -> None:
    path = ROOT / ".ci" / "run"
    assert path.stat().st_mode & 0o111
    assert "set -euo pipefail" in path.read_text(encoding="utf-8").splitlines()
    subprocess.run(["bash", "-n", path], check=True)


def test_pre_commit_uses_the_pinned_linters() -> None:
    pinned = set(project()["optional-dependencies"]["lint"])
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    assert set(re.findall(r'"([^"]+==[^"]+)"', hooks)) == pinned


def test_links_between_pages_lead_somewhere() -> None:
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}."


@pytest.mark.parametrize("folder", ["work", "root", "tmp", "home/[a-z]", "opt", "Users"])
def test_no_file_names_a_place_on_somebodys_machine(folder: str) -> None:
    place = re.compile(rf"(?<![\w.)}}\]*~-])/{folder}(?![\w-])")
    naming = [
        str(path.relative_to(ROOT))
        for path in text_files()
        if place.search(path.read_text(encoding="utf-8", errors="replace"))
    ]
    assert naming == []


def test_every_promise_has_a_mutant() -> None:
    # The first part of the name: a promise may be tested in several files.
    names = [path.name for path in (ROOT / "tests" / "promises").glob("test_[0-9]*.py")]
    promises = {"_".join(name.split("_")[:2]) for name in names}
    patches = (ROOT / "tests" / "mutants").glob("*.patch")
    heads = "".join(path.read_text("utf-8").partition("\n--- ")[0] for path in patches)
    assert [name for name in sorted(promises) if name not in heads] == []
