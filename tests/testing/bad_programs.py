"""A program whose sink makes one mistake, of those that ``crash_everywhere`` is to find.

    python -m tests.testing.bad_programs MISTAKE

It writes the numbers 0 to 3, two at a time, and how many there are, and goes on from there.
"""

from __future__ import annotations

import _sqlite3
import os
import sqlite3
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from trio_ingest.delivery import crash_point

COUNT = 4
OUT, DONE, LOCK = Path("out"), Path("done"), Path("lock")


def done() -> int:
    return int(DONE.read_text()) if DONE.exists() else 0


def keep_done(count: int) -> None:
    beside = Path("done.new")
    with beside.open("w") as file:
        file.write(str(count))
        file.flush()
        os.fsync(file.fileno())
    beside.replace(DONE)


def append(numbers: Iterable[int]) -> None:
    with OUT.open("a") as file:
        file.write("".join(f"{number}\n" for number in numbers))
        file.flush()
        os.fsync(file.fileno())


def checkpoint_first() -> None:
    for start in range(done(), COUNT, 2):
        keep_done(start + 2)
        append(range(start, start + 2))


def documents_first() -> None:
    for start in range(done(), COUNT, 2):
        append(range(start, start + 2))
        keep_done(start + 2)


def by_pieces() -> None:
    """At least once, but each line is written in two pieces, and never cut back."""
    for start in range(done(), COUNT, 2):
        with OUT.open("ab", buffering=0) as file:
            for number in range(start, start + 2):
                file.write(f"{number}{number}".encode())
                file.write(b"\n")
            os.fsync(file.fileno())
        keep_done(start + 2)


def checkpoint_alone_is_synced() -> None:
    for start in range(done(), COUNT, 2):
        with OUT.open("a") as file:
            file.write(f"{start}\n{start + 1}\n")
        keep_done(start + 2)


def resumes_in_place() -> None:
    """Cuts what it has back to its checkpoint, and a crash in between loses all of it."""
    count = done()
    if OUT.exists():
        kept = OUT.read_text().splitlines()[:count]
        OUT.unlink()
        append(int(line) for line in kept)
    for start in range(count, COUNT, 2):
        append(range(start, start + 2))
        keep_done(start + 2)


def by_keywords() -> None:
    """As good as any; it calls what it calls in ways that are seen less often."""
    for start in range(done(), COUNT, 2):
        kept = OUT.read_bytes() if OUT.exists() else b""
        new = "".join(f"{number}\n" for number in range(start, start + 2)).encode()
        descriptor = os.open(path="new", flags=os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.write(descriptor, kept[: 2 * start] + new)
        os.fsync(fd=descriptor)
        os.closerange(descriptor, descriptor + 64)
        os.replace(src="new", dst=OUT)  # noqa: PTH105
        keep_done(start + 2)


def with_helpers() -> None:
    """Forks, and leaves a process behind that would wait for ever."""
    if os.fork() == 0:
        time.sleep(60)
        os._exit(0)
    by_keywords()


def not_synced() -> None:
    for start in range(done(), COUNT, 2):
        with OUT.open("a") as file:
            file.write(f"{start}\n{start + 1}\n")
        DONE.write_text(str(start + 2))


def locked() -> None:
    LOCK.touch(exist_ok=False)
    documents_first()
    LOCK.unlink()


def far_away() -> None:
    """Documents and checkpoint, each in its transaction, where no statement is seen."""
    database = _sqlite3.connect("out.db", isolation_level=None)
    database.execute("CREATE TABLE IF NOT EXISTS numbers (number)")
    database.execute("CREATE TABLE IF NOT EXISTS done (number)")
    [(begin,)] = database.execute("SELECT coalesce(max(number), 0) FROM done").fetchall()
    for start in range(begin, COUNT, 2):
        rows = [(number,) for number in range(start, start + 2)]
        database.execute("BEGIN")
        database.executemany("INSERT INTO numbers VALUES (?)", rows)
        database.execute("COMMIT")
        crash_point("the numbers are stored")
        database.execute("INSERT INTO done VALUES (?)", (start + 2,))


def in_two_transactions() -> None:
    database = sqlite3.connect("out.db")
    database.execute("CREATE TABLE IF NOT EXISTS numbers (number)")
    database.execute("CREATE TABLE IF NOT EXISTS done (number)")
    cursor = database.cursor()
    [(begin,)] = cursor.execute("SELECT coalesce(max(number), 0) FROM done").fetchall()
    for start in range(begin, COUNT, 2):
        with database:
            database.execute("INSERT INTO done VALUES (?)", (start + 2,))
        rows = [(number,) for number in range(start, start + 2)]
        cursor.executemany("INSERT INTO numbers VALUES (?)", rows)
        database.commit()


def breaks_when_done() -> None:
    if done() == COUNT:
        print("there is nothing to do")
        sys.exit(7)
    documents_first()


def never_ends() -> None:
    if OUT.exists() and not DONE.exists():
        time.sleep(600)
    documents_first()


def writes_nothing() -> None:
    pass


def fails() -> None:
    print("no such thing")
    sys.exit(3)


MISTAKES: dict[str, Callable[[], None]] = {
    one.__name__: one
    for one in (
        *(checkpoint_first, documents_first, by_pieces, not_synced, locked, far_away),
        *(checkpoint_alone_is_synced, resumes_in_place, by_keywords, with_helpers),
        *(in_two_transactions, breaks_when_done, never_ends, writes_nothing, fails),
    )
}


if __name__ == "__main__":
    MISTAKES[sys.argv[1]]()
