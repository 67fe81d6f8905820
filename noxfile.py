"""Everything that is checked, by name: `nox -l` lists the sessions.

`ci` is what .ci/run and the README's test command run, in the environment that nox
itself lives in. `slow` runs all the rest. The other sessions make their own
environments and can be run one by one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nox
from nox.command import CommandFailed

ROOT = Path(__file__).parent
PYTHONS = ["3.11", "3.12", "3.13"]
OLDEST, *NEWER = PYTHONS

# The tests of what is installed, and not of the project around it: these also run
# without extras, with the lowest versions, and against the wheel.
OF_THE_PACKAGE = ["tests", "--ignore=tests/project", "--ignore=tests/docs"]
CHECKED_BY_MYPY = [
    *("trio_ingest", "examples", "noxfile.py"),
    *("tests/typing", "tests/docs/blocks.py"),
]

# What `slow` runs beside its own tests and those on the newer Pythons.
OTHERS = [
    "lint",
    "minimal",
    "lowest",
    "wheel",
    "readme",
    "coverage",
    "mutants",
    "memory",
    "corpora",
]

# How benches/pubmed.py ends when there is no corpus to be had.
CANNOT_BE_HAD = 77

nox.needs_version = ">=2025.2"
nox.options.sessions = ["ci"]
# A Python that is not here is a failure, never a session silently skipped.
nox.options.error_on_missing_interpreters = True


def _let_pyenv_answer() -> None:
    """Make every Python that pyenv has reachable by name, the current one first.

    Its ``python3.12`` is on the PATH even while only another version is selected,
    and then fails when it is run.
    """
    if "PYENV_VERSION" in os.environ or not shutil.which("pyenv"):
        return
    try:
        current = _words("pyenv", "version-name")
        installed = _words("pyenv", "versions", "--bare", "--skip-aliases")
    except (OSError, subprocess.CalledProcessError):
        return
    others = [name for name in installed if name not in current and "/" not in name]
    newest_last = sorted(others, key=_numbers, reverse=True)
    os.environ["PYENV_VERSION"] = ":".join([*current, *newest_last])


def _words(*command: str) -> list[str]:
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return text.replace(":", " ").split()


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".") if part.isdigit()]


_let_pyenv_answer()


# What each check is: modules that a Python runs, with their arguments.

RUFF = [("ruff", "check", "."), ("ruff", "format", "--check", ".")]
LINT = [*RUFF, ("flake8", ".")]
# Hundreds of tests start processes, each of which would compile the package anew where
# Python may write nothing down by itself.
COMPILE = ("compileall", "-q", "trio_ingest", "tests/crash", "tests/testing")
# Side by side: many tests wait for processes of their own. A few are enough for that.
TESTS = ("pytest", "-q", "--numprocesses=auto", "--maxprocesses=4", "--dist=worksteal")


def _types(python: str, folder: str) -> list[tuple[str, ...]]:
    """The checks of types; the documentation's programs are written to ``folder``."""
    pyright = ("pyright", "--warnings", "--pythonpath", python, "tests/typing", folder)
    return [
        ("mypy", *CHECKED_BY_MYPY),
        ("tests.docs.blocks", folder),
        ("mypy", folder),
        pyright,
    ]


def _each(
    session: nox.Session,
    python: str,
    *checks: tuple[str, ...],
    beside: Sequence[tuple[str, ...]] = (),
) -> None:
    """Run all of them, whatever fails: one run shows everything there is to mend.

    Those ``beside`` run one after another while the others do, and are shown afterwards.
    """
    failed = []
    with ThreadPoolExecutor(1) as lane:
        quiet = [lane.submit(_heard, python, check) for check in beside]
        for check in checks:
            try:
                session.run(python, "-m", *check, external=True)
            except CommandFailed:
                failed.append(_name(check))
        for check, ended in zip(beside, quiet, strict=True):
            status, said = ended.result()
            session.log(
                f"{_name(check)}: {'passed' if status == 0 else f'ended with {status}'}"
            )
            print(said, end="", flush=True)
            if status:
                failed.append(_name(check))
    if failed:
        session.error(f"Failed: {', '.join(failed)}. Each says why above.")


def _heard(python: str, check: tuple[str, ...]) -> tuple[int, str]:
    """Its exit status, and what it said."""
    ended = subprocess.run(
        [python, "-m", *check],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return ended.returncode, ended.stdout


def _name(check: tuple[str, ...]) -> str:
    return " ".join(check[:2])


def _flake8_where_it_matters() -> tuple[str, ...]:
    """flake8-async on what awaits, outside the tests: the whole tree takes a minute.

    The whole tree is what the session ``lint`` looks at.
    """
    folders = [ROOT / name for name in ("trio_ingest", "examples", "benches")]
    paths = [path for folder in folders for path in sorted(folder.rglob("*.py"))]
    awaiting = [path for path in paths if "async def" in path.read_text(encoding="utf-8")]
    return ("flake8", *(str(path.relative_to(ROOT)) for path in awaiting))


@nox.session(venv_backend="none")
def ci(session: nox.Session) -> None:
    """Lint, types, docs examples and fast tests, on the Python that nox runs on."""
    python = sys.executable
    tests = (*TESTS, "--durations=5", *session.posargs)
    with tempfile.TemporaryDirectory() as folder:
        # The tests wait a part of their time: lint and types are done in it.
        beside = [*RUFF, _flake8_where_it_matters(), *_types(python, folder)]
        _each(session, python, COMPILE, tests, beside=beside)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """The fast tests; give pytest's arguments after `--`."""
    session.install("-e", ".[all,test]")
    _each(session, "python", (*TESTS, *session.posargs))


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff with all rules, and flake8-async with the optional 900s."""
    session.install("-e", ".[lint]")
    _each(session, "python", *LINT)


@nox.session
def types(session: nox.Session) -> None:
    """Mypy and pyright, both strict, on package, type tests and documentation."""
    session.install("-e", ".[all,test,types]", "nox")
    python = str(Path(session.bin) / "python")
    with tempfile.TemporaryDirectory() as folder:
        _each(session, python, *_types(python, folder))


@nox.session
def docs(session: nox.Session) -> None:
    """Run every code block of README.md and docs/."""
    session.install("-e", ".[all,test]")
    _each(session, "python", (*TESTS, "tests/docs"))


@nox.session(python=OLDEST)
def minimal(session: nox.Session) -> None:
    """No extras: the core imports and works; the command line says what to install."""
    session.install(".", *_extra("test"))
    chosen = ("--without-extras", *OF_THE_PACKAGE, "tests/project/test_extras.py")
    _each(session, "python", (*TESTS, *chosen))


@nox.session(python=OLDEST)
def lowest(session: nox.Session) -> None:
    """The lower bound of everything a user can install, on the oldest Python."""
    session.install(".", *_lower_bounds(), *_extra("test"))
    session.run("python", "-m", "pip", "check")
    _each(session, "python", (*TESTS, *OF_THE_PACKAGE))


@nox.session(python=OLDEST)
def wheel(session: nox.Session) -> None:
    """The built wheel alone, away from the source; built from a tree without .git."""
    session.install("build")
    place = Path(session.create_tmp()).resolve()
    tree, dist, away = place / "tree", place / "dist", place / "away"
    for folder in (tree, dist, away):
        shutil.rmtree(folder, ignore_errors=True)
    _copy_tree(tree)
    # With neither --sdist nor --wheel, the wheel is made from the sdist.
    session.run("python", "-m", "build", "--outdir", str(dist), str(tree))
    [built] = dist.glob("*.whl")
    session.install(f"{built}[all]", *_extra("test"))
    away.mkdir()
    for name in ("tests", "examples", "pyproject.toml"):
        shutil.move(tree / name, away / name)
    shutil.rmtree(tree)
    session.chdir(away)
    session.run("python", "-W", "error", "tests/project/smoke.py")
    _each(session, "python", (*TESTS, *OF_THE_PACKAGE))


@nox.session
def readme(session: nox.Session) -> None:
    """The README's first command, word for word, in a copy of the tree."""
    place = Path(session.create_tmp()).resolve() / "tree"
    shutil.rmtree(place, ignore_errors=True)
    _copy_tree(place)
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    command = next(line for line in lines if "trio-ingest demo" in line and "venv" in line)
    session.chdir(place)
    session.run("bash", "-euo", "pipefail", "-c", command, external=True)


@nox.session
def coverage(session: nox.Session) -> None:
    """The fast tests under coverage; the floor is in pyproject.toml."""
    session.install("-e", ".[all,test]")
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", "-q", *session.posargs)
    session.run("coverage", "combine", "-q")
    session.run("coverage", "report")


@nox.session
def mutants(session: nox.Session) -> None:
    """A patch for each promise that breaks it: that promise's own test must fail."""
    session.install("-e", ".[all,test]")
    session.run("python", "tests/mutants/run.py", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """The benches but for memory: they print tables, and only the tables judge."""
    session.install("-e", ".[all,test]")
    _benches(session, "bench_[!m]*.py", *session.posargs)


@nox.session
def memory(session: nox.Session) -> None:
    """Peak memory at 1,000,000 documents against 10,000."""
    session.install("-e", ".[all,test]")
    _benches(session, "bench_memory.py", *session.posargs)


@nox.session
def corpora(session: nox.Session) -> None:
    """30,000 real MEDLINE articles through the command line."""
    session.install("-e", ".[all,test]")
    script = [str(Path(session.bin) / "python"), "benches/pubmed.py", *session.posargs]
    code = subprocess.run(script, cwd=ROOT, check=False).returncode
    if code == CANNOT_BE_HAD:
        session.skip("SKIPPED: the corpus cannot be had here, so nothing was tried on it.")
    if code:
        session.error(f"The corpus did not come through as expected (exit status {code}).")


@nox.session(python=OLDEST)
def slow(session: nox.Session) -> None:
    """Everything that .ci/run does not run; before an issue is called resolved."""
    session.install("-e", ".[all,test]")
    for version in NEWER:
        session.notify(f"tests-{version}")
    for name in OTHERS:
        session.notify(name)
    env = {"HYPOTHESIS_PROFILE": "slow"}
    session.run("python", "-m", "pytest", "-q", "-m", "slow or not slow", env=env)


def _extra(name: str) -> list[str]:
    """What an extra of ours asks for."""
    extras: dict[str, list[str]] = _project_table()["optional-dependencies"]
    return extras[name]


def _lower_bounds() -> list[str]:
    dependencies: list[str] = _project_table()["dependencies"]
    needed = [*dependencies, *_extra("cli"), *_extra("display"), *_extra("json")]
    return [item.replace(">=", "==") for item in needed]


def _project_table() -> dict[str, Any]:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    table: dict[str, Any] = tomllib.loads(text)["project"]
    return table


def _copy_tree(target: Path) -> None:
    """The tree as a stranger gets it: without .git, environments and caches."""
    made_here = (".git", ".nox", ".venv*", ".*_cache", ".hypothesis", "__pycache__", "dist")
    shutil.copytree(ROOT, target, ignore=shutil.ignore_patterns(*made_here))


def _benches(session: nox.Session, pattern: str, *arguments: str) -> None:
    found = sorted((ROOT / "benches").glob(pattern))
    if not found:
        session.error(f"No file matches benches/{pattern}: there is nothing to run.")
    for path in found:
        session.run("python", str(path), *arguments)
