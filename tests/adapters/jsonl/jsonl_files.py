"""What the tests of the JSON Lines adapter share: ways to read a file, and to make one."""

import contextlib
import os

import pytest

from trio_ingest import Cursor, Document
from trio_ingest.adapters import BadFileError, JsonLinesAdapter, LineRecord


async def items_of(
    adapter: JsonLinesAdapter, *, cursor: object = None
) -> list[LineRecord | Cursor]:
    async with contextlib.aclosing(adapter.fetch(cursor=cursor)) as items:
        return [item async for item in items]


async def lines_of(adapter: JsonLinesAdapter, *, cursor: object = None) -> list[LineRecord]:
    items = await items_of(adapter, cursor=cursor)
    return [item for item in items if isinstance(item, LineRecord)]


async def documents_of(adapter: JsonLinesAdapter) -> list[Document]:
    return [adapter.parse(record) for record in await lines_of(adapter)]


async def read_until_it_fails(adapter: JsonLinesAdapter) -> tuple[list[LineRecord], Exception]:
    records = []
    async with contextlib.aclosing(adapter.fetch()) as items:
        with pytest.raises((OSError, BadFileError)) as caught:
            async for item in items:
                if isinstance(item, LineRecord):
                    records.append(item)  # noqa: PERF401 - what came before the failure counts
    return records, caught.value


def numbered(count: int) -> bytes:
    # Numbers without a pattern keep gzip from folding everything into one chunk.
    return b"".join(
        b'{"id": %d, "x": %d}\n' % (n, pow(3, n, 2**127 - 1)) for n in range(count)
    )


def open_files() -> int:
    return len(os.listdir("/dev/fd"))  # noqa: PTH208 - iterdir would hold one open itself
