"""One short line about an object, and a small table of it for notebooks.

A repr is read where something has gone wrong already, so it never raises; and whatever a
record holds, it stays short.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable


def in_one_line(text: str, most: int = 120) -> str:
    """Return a text in one line, without control characters and cut at ``most``."""
    line = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[: most + 1])
    return line if len(line) <= most else line[: most - 3] + "..."


def one_line(value: object, most: int = 120) -> str:
    """Return ``repr(value)`` in one line, cut at ``most`` characters."""
    try:
        return in_one_line(repr(value), most)
    except Exception:  # noqa: BLE001 -- whatever a user's repr does
        return f"<{type(value).__name__}, whose repr failed>"


def class_name(kind: type) -> str:
    """Return a class by its name, with its module unless built in; never raises."""
    try:
        return f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
    except Exception:  # noqa: BLE001 -- a metaclass may do anything
        return "object"


def summary(value: object, details: Callable[[], str]) -> str:
    """Return ``<Class details>``; ``<Class>`` alone when the details cannot be told."""
    try:
        text = in_one_line(details(), 200)
    except Exception:  # noqa: BLE001 -- an object may hold anything, or be half made
        text = ""
    return f"<{type(value).__name__}{text}>"


def listed(names: list[str]) -> str:
    """Return the first three names, and how many more there are."""
    first = ", ".join(one_line(name, 40) for name in names[:3])
    return first if len(names) <= 3 else f"{first} and {len(names) - 3:,} more"


def html_table(caption: str, rows: Iterable[tuple[str, object]]) -> str:
    """Return a small HTML table with everything in it escaped."""
    from html import escape  # noqa: PLC0415 -- it has a large table, and few programs need it

    cells = (
        (name, f"{value:,}" if type(value) is int else in_one_line(str(value)))
        for name, value in rows
    )
    body = "".join(f"<tr><th>{escape(n)}</th><td>{escape(v)}</td></tr>" for n, v in cells)
    return f"<table><caption>{escape(caption)}</caption>{body}</table>"
