"""Break each promise on purpose and see that its own test notices.

A patch in this folder breaks one thing. Its first lines name the test file that must
fail, and how, when it is not by a failing test::

    # kills: tests/promises/test_3_bounded.py
    # by: timeout

Each patch is applied to a copy of the tree, and only the named file is run there.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
TIMEOUT_SECONDS = 120
# pytest's own exit codes: tests failed, and everything passed. All others mean that it
# never came to run the tests, which proves nothing.
PASSED, FAILED = 0, 1
COPIED = ["trio_ingest", "tests", "benches", "examples", "pyproject.toml", "README.md"]


@dataclass
class Mutant:
    """One patch: the file that breaks something, and the test that must notice."""

    patch: Path
    kills: str
    by_timeout: bool


def read(patch: Path) -> Mutant:
    """What the first lines of a patch say.

    Raises:
        SystemExit: when they do not name a test file.
    """
    head = patch.read_text(encoding="utf-8").partition("\n--- ")[0]
    said = dict(
        line.removeprefix("#").strip().split(": ", 1)
        for line in head.splitlines()
        if line.startswith("#") and ": " in line
    )
    kills = said.get("kills", "").strip()
    if not (ROOT / kills).is_file():
        sys.exit(f"{patch.name}: `# kills:` names {kills!r}, which is not a test file.")
    return Mutant(patch, kills, said.get("by", "").strip() == "timeout")


def copy_to(folder: Path) -> None:
    ignored = shutil.ignore_patterns("__pycache__", ".*", "mutants")
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=ignored)
        elif source.is_file():
            shutil.copy2(source, folder / name)


def run(test: str, tree: Path) -> int | None:
    """pytest's exit code, or None when it had to be stopped."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", test],
        cwd=tree,
        # The copy is found before the tree that is installed for editing.
        env={**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return None
    if process.returncode not in {PASSED, FAILED}:
        print(output)
    return process.returncode


def verdict(mutant: Mutant) -> str:
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        copy_to(tree)
        applied = subprocess.run(
            ["patch", "-p1", "--no-backup-if-mismatch", "-i", str(mutant.patch)],
            cwd=tree,
            capture_output=True,
            text=True,
            check=False,
        )
        if applied.returncode:
            print(applied.stdout + applied.stderr)
            return "DID NOT APPLY"
        code = run(mutant.kills, tree)
    if code is None:
        return "killed by timeout" if mutant.by_timeout else "HUNG, and does not say so"
    if code == FAILED:
        return "killed"
    return "SURVIVED" if code == PASSED else f"DID NOT RUN (pytest exit code {code})"


def unpatched_failures(tests: list[str]) -> list[str]:
    """Those that fail anyway, so that a patch would prove nothing."""
    with tempfile.TemporaryDirectory() as folder:
        copy_to(Path(folder))
        return [test for test in tests if run(test, Path(folder)) != PASSED]


def main() -> int:
    parser = argparse.ArgumentParser(description="Apply each mutant and run its test.")
    parser.add_argument("names", nargs="*", help="parts of patch names; all when left out")
    names = parser.parse_args().names
    patches = sorted(Path(__file__).parent.glob("*.patch"))
    chosen = [p for p in patches if not names or any(name in p.name for name in names)]
    if not chosen:
        print("There is no patch to apply: a run without mutants proves nothing.")
        return 1
    mutants = [read(patch) for patch in chosen]
    broken = unpatched_failures(sorted({mutant.kills for mutant in mutants}))
    if broken:
        print(f"These fail without any patch, so nothing was tried: {', '.join(broken)}")
        return 1
    alive = 0
    for mutant in mutants:
        result = verdict(mutant)
        alive += not result.startswith("killed")
        print(f"{mutant.patch.name:50} {mutant.kills:45} {result}", flush=True)
    print(f"{len(mutants) - alive} of {len(mutants)} mutants killed")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main())
