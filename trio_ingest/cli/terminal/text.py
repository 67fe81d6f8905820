"""Figures and foreign texts as words on one line."""

from __future__ import annotations

from trio_ingest.cli.jobs.run_stats import RunStats


def counted(figures: RunStats) -> str:
    """The count of documents that have ended, and of all."""
    noun = "document" if (known_total(figures) or figures.done) == 1 else "documents"
    total = known_total(figures)
    if total is None:
        return f"{figures.done:,} {noun}"
    return f"{figures.done:,} of {total:,} {noun}"


def known_total(figures: RunStats) -> int | None:
    """The total, unless it has shown itself to be wrong."""
    total = figures.total
    return None if total is None or figures.done > total else total


def details(figures: RunStats) -> list[str]:
    """The other figures, the most important first."""
    parts = [f"{figures.documents_per_second:,.0f} documents/s", f"{figures.failed:,} failed"]
    if figures.eta_seconds is not None:
        parts.append(f"{span(figures.eta_seconds)} to go")
    if figures.bottleneck is not None:
        parts.append(f"slowest: {figures.bottleneck}")
    parts.append(f"{figures.retried:,} retried")
    parts.append(f"{figures.in_flight:,} in flight")
    parts.append(f"buffer {figures.queue_depth:,} of {figures.buffer_size:,}")
    return parts


def span(seconds: float) -> str:
    """A time in the two largest units that it has."""
    whole = round(seconds)
    days, hours, minutes = whole // 86400, whole // 3600 % 24, whole // 60 % 60
    if days:
        return f"{days:,} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"


def row(parts: list[str], columns: int, between: str) -> list[str]:
    """As many of the first parts as have room on one line."""
    fit: list[str] = []
    for part in parts:
        if len(between.join([*fit, part])) > columns:
            break
        fit.append(part)
    return fit


def fitting(parts: list[str], columns: int, between: str = ", ") -> str:
    """The first parts that have room, as a line; the very first is cut when it has none."""
    return between.join(row(parts, columns, between)) or parts[0][: max(columns, 0)]


def encodable(text: str, encoding: str) -> str:
    """The text with what the encoding lacks spelled out."""
    return text.encode(encoding, errors="backslashreplace").decode(encoding)


def printable(text: str) -> str:
    """The text with whatever a terminal would obey, and what cannot be written, spelled out.

    File names and documents are foreign: they may hold escape sequences.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text
    )
