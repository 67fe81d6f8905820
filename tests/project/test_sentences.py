"""Sentences and words: how docstrings begin, what they list, and one meaning a name."""

from __future__ import annotations

import ast
import copy
import importlib
import inspect
import pkgutil
import re
import types
from collections.abc import Callable, Iterator
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import trio_ingest
from tests.project.tree import NAME, PACKAGE, module_name, parsed, sources

BEGINNINGS = re.compile(r"(What|Whether|How|Where|When|Why|Who|As above|The same)\b")
PERSONS = re.compile(r"\b(whoever|somebody|nobody|anybody)", re.IGNORECASE)

# Functions whose names others know, each for its own: checks of adapters and of sinks, and
# the two ends of the program.
IDS = {"keeps_its_name", "can_be_cancelled_anywhere", "main"}

# The left column of the words table, where it had such a name. Words that are also in use
# for something else ("window", "pending", "settle") are told by their spelling.
OLD_NAMES = {
    *("Claims", "Delivered", "End", "Figures", "Known", "LinesFile", "Meter", "Pace"),
    *("Pending", "Remembers", "Shape", "Stop", "Telemetry", "Tries", "Watch", "Window"),
    *("Work", "book", "claims", "in_thread", "lent", "pace", "press", "telemetry", "told"),
    *("tries",),
}
# Old words that give an identifier away wherever they stand in it.
OLD_WORDS = {
    *("crew", "deliverable", "desk", "forgo", "give_way", "hurry", "lane", "leg", "lend"),
    *("obey", "own_event", "parking", "passed_over", "replay_book", "run_book", "shelter"),
    *("solo", "unasked", "untold"),
}
OLD_FILES = {
    *("_apart", "_bridge", "_explain", "_far", "_look", "_owner", "_parking", "_replace"),
    *("_words",),
}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


FILES = pytest.mark.parametrize("path", sources(), ids=module_name)


# -- sentences --------------------------------------------------------------------------------


def bad_sentences(text: str) -> list[str]:
    """Docstrings that begin like a question or lean on another, and words for no one."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | Function):
            docstring = ast.get_docstring(node) or ""
            if BEGINNINGS.match(docstring):
                found.append(f"{getattr(node, 'lineno', 1)}: {docstring.splitlines()[0]}")
    for number, line in enumerate(text.splitlines(), 1):
        found += [f"{number}: {word}" for word in PERSONS.findall(line)]
    return found


def bad_arguments(function: Callable[..., Any]) -> list[str]:
    """Arguments that the docstring leaves out, and others that there are not."""
    taken = set(inspect.signature(function).parameters) - {"self", "cls"}
    docstring = inspect.cleandoc(function.__doc__ or "")
    section = re.search(r"^Args:((?:\n +.*|\n)*)", docstring, re.MULTILINE)
    lines = section[1] if section else ""
    heads = re.findall(r"^    (\*{0,2}\w+(?:, \*{0,2}\w+)*):", lines, re.MULTILINE)
    named = {name.lstrip("*") for head in heads for name in head.split(", ")}
    return sorted(taken ^ named)


@cache
def public_functions() -> dict[str, dict[str, Callable[..., Any]]]:
    """The functions and methods that ``__all__`` leads to, by the file that they are in."""
    found: dict[str, dict[str, Callable[..., Any]]] = {}
    inner = pkgutil.walk_packages(trio_ingest.__path__, f"{NAME}.")
    for module_path in [NAME, *(info.name for info in inner)]:
        if any(part.startswith("_") for part in module_path.split(".")):
            continue
        module = importlib.import_module(module_path)
        for name in getattr(module, "__all__", ()):
            for qualified, function in functions_of(getattr(module, name), name):
                file = inspect.unwrap(function).__code__.co_filename
                found.setdefault(file, {})[qualified] = function
    return found


def functions_of(export: Any, name: str) -> Iterator[tuple[str, Callable[..., Any]]]:
    if isinstance(export, types.FunctionType):
        yield name, export
    elif isinstance(export, type):
        for cls in export.__mro__:
            for attribute, value in vars(cls).items():
                function = getattr(value, "__func__", value)
                if any(
                    mark.startswith("hypothesis_") for mark in getattr(value, "__dict__", ())
                ):
                    continue  # a rule of a state machine, which Hypothesis calls
                if isinstance(function, types.FunctionType) and attribute[0] != "_":
                    yield f"{name}.{attribute}", function


@FILES
def test_docstrings_begin_plainly_and_name_every_argument(path: Path) -> None:
    assert bad_sentences(path.read_text(encoding="utf-8")) == []
    functions = public_functions().get(str(path), {})
    bad = {name: bad_arguments(function) for name, function in functions.items()}
    assert {name: arguments for name, arguments in bad.items() if arguments} == {}


# -- names ------------------------------------------------------------------------------------


def identifiers_in(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        for field in ("id", "attr", "arg", "name", "asname"):
            name = getattr(node, field, None)
            if isinstance(name, str):
                yield getattr(node, "lineno", 0), name


def is_old(identifier: str) -> bool:
    snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", identifier).lower()
    words = f"_{snake}_"
    if identifier == "End":  # of the scripts of the test kit, where it is public
        return False
    return identifier.strip("_") in OLD_NAMES or any(
        f"_{old}{end}_" in words for old in OLD_WORDS for end in ("", "s")
    )


def old_words(tree: ast.Module) -> list[str]:
    """Identifiers that the words table has replaced."""
    return sorted({f"{line}: {name}" for line, name in identifiers_in(tree) if is_old(name)})


class Definition(NamedTuple):
    """A class or function at the top of a file, its name without leading underscores."""

    file: str
    name: str
    node: ast.ClassDef | Function
    is_private: bool = False

    @property
    def is_class(self) -> bool:
        return isinstance(self.node, ast.ClassDef)


def definitions_in(file: str, statements: list[ast.stmt]) -> Iterator[Definition]:
    """Also those inside ``if`` and ``try``; two in one file are alternatives or overloads."""
    for node in statements:
        if isinstance(node, ast.ClassDef | Function) and not node.name.endswith("__"):
            name = node.name.lstrip("_")
            yield Definition(file, name, node, is_private=name != node.name)
        elif isinstance(node, ast.If | ast.Try | ast.ExceptHandler):
            for block in ("body", "orelse", "handlers", "finalbody"):
                yield from definitions_in(file, getattr(node, block, []))


def form_of(function: ast.AST) -> str:
    """Arguments and body, however names are spelled and whatever the docstring says."""
    tree = copy.deepcopy(function)
    assert isinstance(tree, Function)
    if ast.get_docstring(tree) is not None:
        del tree.body[0]
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    arguments = [node for node in ast.walk(tree) if isinstance(node, ast.arg)]
    local = [node.arg for node in arguments]
    local += [node.id for node in names if isinstance(node.ctx, ast.Store)]
    spelled = {name: f"name_{number}" for number, name in enumerate(dict.fromkeys(local))}
    for argument in arguments:
        argument.arg, argument.annotation = spelled[argument.arg], None
    for name in names:
        name.id = spelled.get(name.id, name.id)
    return ast.dump(tree.args) + ast.dump(ast.Module(tree.body, []))


def may_be_mixed_up(one: Definition, other: Definition) -> bool:
    """A private function is read beside its definition: others of its folder count alone."""
    same_folder = one.file.rpartition(".")[0] == other.file.rpartition(".")[0]
    return same_folder or not (one.is_private or other.is_private)


def name_clashes(mine: list[Definition], others: list[Definition]) -> list[str]:
    """Names that stand for one thing in one file and for another, or a copy, elsewhere."""
    found = []
    for one, other in product(mine, others):
        if one.name != other.name or one.file == other.file or one.is_class != other.is_class:
            continue
        what = "another class"
        if not one.is_class:
            what = "a copy" if form_of(one.node) == form_of(other.node) else "another function"
        if what == "another function" and (one.name in IDS or not may_be_mixed_up(one, other)):
            continue
        found.append(f"{one.name}: {what} in {other.file}")
    return found


@cache
def definitions_of(path: Path) -> list[Definition]:
    return list(definitions_in(module_name(path), parsed(path).body))


@cache
def definitions_by_name() -> dict[str, list[Definition]]:
    found: dict[str, list[Definition]] = {}
    for definition in (one for path in sources() for one in definitions_of(path)):
        found.setdefault(definition.name, []).append(definition)
    return found


@FILES
def test_a_name_has_one_meaning_and_old_words_are_gone(path: Path) -> None:
    mine = definitions_of(path)
    same = {other for one in mine for other in definitions_by_name()[one.name]}
    assert sorted(name_clashes(mine, [*same])) == []
    assert old_words(parsed(path)) == []
    assert path.stem not in OLD_FILES


# -- the rules can fail -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "planted",
    [
        '"""What a file holds."""',
        'class A:\n    """Whether it rains."""',
        'async def _a():\n    """The same, later."""',
        'def a():\n    def b():\n        """As above."""',
        "# Nobody waits here.",
        'raise ValueError("Somebody\'s file")',
        'x = f"{y} for whoever asks"',
    ],
)
def test_a_bad_sentence_is_found(planted: str) -> None:
    assert len(bad_sentences(planted)) == 1


def test_a_good_sentence_is_left_alone() -> None:
    assert bad_sentences('"""Whole lines of a file.\n\nWhat is torn is left out.\n"""') == []


def test_an_argument_that_is_not_named_is_found() -> None:
    def all_named(self: object, a: int, *rest: int, b: int = 0) -> None:
        """Do it.

        Args:
            a: one thing,
                and more of it: really.
            *rest: others.

            b: the last.

        Raises:
            c: never.
        """

    def left_out(a: int) -> None:
        """Do it.

        Raises:
            a: no argument.
        """

    def too_many() -> None:
        """Do it.

        Args:
            a: gone.
        """

    assert bad_arguments(all_named) == []
    assert bad_arguments(left_out) == bad_arguments(too_many) == ["a"]


def test_public_functions_are_found() -> None:
    names = {name for functions in public_functions().values() for name in functions}
    assert {"replay", "Recorder.take", "SqliteSink.write", "EventStream.drain"} <= names


@pytest.mark.parametrize(
    "planted",
    [
        "class Lane: pass",
        "import a as own_events",
        "def f(give_way): pass",
        "self._book = 1",
        "f(passed_over=1)",
        "class _Work: pass",
    ],
)
def test_an_old_word_is_found(planted: str) -> None:
    assert len(old_words(ast.parse(planted))) == 1


def test_words_that_only_look_old_are_left_alone() -> None:
    assert old_words(ast.parse("window = planes.network + JsonLinesFile.legacy")) == []


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        ("class A: x = 1", "if y:\n    class _A: x = 1", ["A: another class in b"]),
        ("def _f(a): return a", "def f(b): return -b", ["f: another function in b"]),
        ("def f(a): return a", "def f(b: int):\n    'It'\n    return b", ["f: a copy in b"]),
        ("def f(a): return g(a)", "def f(a): return h(a)", ["f: another function in b"]),
        ("def main(): return 1", "def main(): return 2", []),
        ("def __dir__(): return a", "def __dir__(): return b", []),
        ("class A: pass\ndef f(): pass", "def A(): pass\nclass f: pass", []),
    ],
)
def test_a_name_with_two_meanings_is_found(one: str, other: str, found: list[str]) -> None:
    a, b = (list(definitions_in(n, ast.parse(s).body)) for n, s in (("a", one), ("b", other)))
    assert name_clashes(a, a + b) == found
