"""A kind of source and of sink in a package of its own, as another author would add it."""

import os
import subprocess
import sys
from pathlib import Path

CONNECTOR = '''
"""The kind ``upper``: words in a place, and documents in capitals."""

import os
from pathlib import Path

import attrs
import trio

from trio_ingest import Document
from trio_ingest.connectors import AdapterConnector, SinkConnector, Touches, option


class UpperAdapter:
    source = "upper"
    stable_order = True

    def __init__(self, path, ending):
        self._path, self._ending = path, ending

    async def fetch(self):
        for word in Path(self._path).read_text().split():
            await trio.lowlevel.checkpoint()
            yield word

    def parse(self, record):
        if record == "bad":
            raise ValueError("a bad word")
        return Document(record, self.source, record.upper() + self._ending)


class UpperSink:
    guarantee = "at-least-once"

    def __init__(self, path):
        self._path, self.name = path, f"upper:{path}"

    async def __aenter__(self):
        return self

    async def __aexit__(self, *exc):
        pass

    async def write(self, batch):
        with Path(self._path).open("a") as file:
            file.writelines(f"{d.content}\\n" for d in batch.documents)


@attrs.frozen(kw_only=True)
class UpperOptions:
    ending: str = option("!", help="What stands behind each word.", metavar="TEXT")


class UpperAdapterConnector(AdapterConnector):
    name = "upper"
    form = "FILE"
    summary = "A file of words, each a document in capitals."
    options = UpperOptions
    resumes = "at its word"
    order = "as in the file"
    memory = "the file"

    def identity(self, place):
        return os.path.realpath(place)

    def touches(self, place):
        return Touches(files=[place])

    def make(self, place, options):
        return UpperAdapter(place, options.ending)

    def failure_text(self, failure, adapter):
        return f"word {failure.record_number + 1} of {adapter and adapter.source}"


class UpperSinkConnector(SinkConnector):
    name = "upper"
    form = "FILE"
    summary = "A file with a line for each document."
    guarantee = "at-least-once"

    def touches(self, place):
        return Touches(files=[place])

    def make(self, place, options, job):
        return UpperSink(place)
'''

ENTRY_POINTS = """
[trio_ingest.adapters]
upper = upper_kind.connector:UpperAdapterConnector

[trio_ingest.sinks]
upper = upper_kind.connector:UpperSinkConnector
"""


def install(folder: Path, entry_points: str = ENTRY_POINTS) -> Path:
    """Put the package where a path finds it, with its entry points."""
    package, metadata = folder / "upper_kind", folder / "upper-1.0.dist-info"
    package.mkdir(parents=True)
    metadata.mkdir()
    (package / "__init__.py").write_text("")
    (package / "connector.py").write_text(CONNECTOR)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: upper\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(entry_points)
    return folder


def python(
    folder: Path, *words: str, cwd: Path, path: str
) -> subprocess.CompletedProcess[str]:
    """Run Python with the package installed there."""
    return subprocess.run(
        [sys.executable, *words],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([path, str(folder)])},
        capture_output=True,
        text=True,
        check=False,
    )
