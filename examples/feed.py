"""An adapter of your own, small enough to read at once: numbered notes from a server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import trio

from trio_ingest import Cursor, Document

PAGES = [["tea", "rice", ""], ["salt", "bread"], ["oil"]]


class Feed:
    """An adapter that yields the notes of each page, and a cursor behind each page."""

    source = "feed"
    stable_order = True

    async def fetch(self, *, cursor: int = 0) -> AsyncIterator[tuple[str, str] | Cursor]:
        """Fetch page by page, from the one that the cursor names."""
        for page, notes in enumerate(PAGES[cursor:], cursor):
            await trio.sleep(0.01)  # here a request would be made
            for place, note in enumerate(notes):
                yield f"{page}/{place}", note
            yield Cursor(page + 1)

    def identify(self, record: tuple[str, str]) -> str:
        """Return the id before the record is parsed, so that a known document is skipped."""
        return record[0]

    def parse(self, record: tuple[str, str]) -> Document:
        """Make a document of a note; an empty one fails alone."""
        doc_id, note = record
        if not note:
            raise ValueError("the note is empty")
        return Document(doc_id, self.source, f"Buy {note}.")
