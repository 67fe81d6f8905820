"""Every message of our own errors is a whole sentence that says what to do."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.project.tree import PACKAGE, parsed, sources

LEAST_WORDS = 6


def error_names() -> set[str]:
    tree = parsed(PACKAGE / "_core" / "errors.py")
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}


class Message(NamedTuple):
    """One text that an error may be given; a placeholder reads as one word."""

    where: str
    text: str | None

    def __str__(self) -> str:
        return self.where


Known = dict[str, list[ast.expr]]


def texts(node: ast.expr, known: Known) -> list[str | None]:
    """What an expression may read like; None for what cannot be read here."""
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.JoinedStr(values=parts):
            options = [_placeholder(part, known) for part in parts]
            return ["".join(chosen) for chosen in product(*options)]
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            pairs = product(texts(left, known), texts(right, known))
            return [None if a is None or b is None else a + b for a, b in pairs]
        case ast.IfExp(body=body, orelse=orelse):
            return texts(body, known) + texts(orelse, known)
        case ast.Name(id=name):
            return _given(name, known)
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
            return _given(f"{name}()", known)
        case _:
            return [None]


def _given(name: str, known: Known) -> list[str | None]:
    """What a name of the file holds, or one of its functions returns."""
    rest = {other: values for other, values in known.items() if other != name}
    return [text for value in known.get(name, ()) for text in texts(value, rest)] or [None]


def _placeholder(part: ast.expr, known: Known) -> list[str]:
    """What a piece of an f-string may read like; a sentence kept elsewhere is read too."""
    value = part.value if isinstance(part, ast.FormattedValue) else part
    return ["X" if text is None else text for text in texts(value, known)]


def expressions_of(tree: ast.Module) -> Known:
    """What names of a file are given, and under ``name()`` what its functions return."""
    found: Known = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found.setdefault(node.targets[0].id, []).append(node.value)
        elif isinstance(node, ast.FunctionDef):
            found.setdefault(f"{node.name}()", []).extend(_returned(node))
    return found


def _returned(node: ast.AST) -> Iterator[ast.expr]:
    """What a function itself returns, not the functions inside it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Return) and child.value is not None:
            yield child.value
        elif not isinstance(child, ast.FunctionDef):
            yield from _returned(child)


def messages_in(path: Path) -> list[Message]:
    names, tree = error_names(), parsed(path)
    known = expressions_of(tree)
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "id", None) or getattr(node.func, "attr", None)
        if name in names:
            where = f"{path.relative_to(PACKAGE)}:{node.lineno}:{name}"
            given = sorted(set(texts(node.args[0], known)), key=str) if node.args else [None]
            found += [Message(where, text) for text in given]
    return found


MESSAGES = [message for path in sources() for message in messages_in(path)]


@pytest.mark.parametrize("message", MESSAGES, ids=str)
def test_message_is_a_whole_sentence(message: Message) -> None:
    assert message.text is not None, "Write the message where the error is made."
    # A command to copy stands last, with nothing after it that is not part of it.
    assert message.text.endswith((".", "[cli]'", "[json]'", "[testing]'")), message.text
    assert len(message.text.split()) >= LEAST_WORDS, message.text
    assert "  " not in message.text, message.text
    assert "!" not in message.text, message.text


def test_messages_are_found() -> None:
    assert len(MESSAGES) >= 10
