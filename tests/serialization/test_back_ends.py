"""Which library makes the text, and what happens without orjson."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from typing import Any

import pytest

from tests.serialization.values import CODECS, completed
from trio_ingest import MissingExtraError, SetupError
from trio_ingest.serialization import EventCodec

WITHOUT_ORJSON = """
import sys
sys.modules["orjson"] = None
from trio_ingest import Cursor, MissingExtraError
from trio_ingest.serialization import EventCodec
codec = EventCodec()
assert codec.decode(codec.encode(Cursor({1: b"x"}))) == Cursor({1: b"x"})
try:
    EventCodec(json="orjson")
except MissingExtraError as error:
    print(error)
"""


def test_orjson_is_here_unless_extras_are_left_out(pytestconfig: pytest.Config) -> None:
    assert find_spec("orjson") or pytestconfig.getoption("--without-extras")


def test_without_orjson_all_works_and_asking_for_it_says_what_to_install() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", WITHOUT_ORJSON], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert "pip install 'trio-ingest[json]'" in ran.stdout


def test_the_codec_is_loaded_without_orjson() -> None:
    code = "import sys, trio_ingest.serialization; print('orjson' in sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert ran.stdout == "False\n"


def test_asking_for_what_is_not_here_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "orjson", None)
    with pytest.raises(MissingExtraError, match="needs the orjson package"):
        EventCodec(json="orjson")
    assert EventCodec().encode(completed()) == CODECS["json"].encode(completed())


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"json": "simplejson"}, "json must be 'auto', 'orjson' or 'json'; got 'simplejson'"),
        ({"unknown_events": "drop"}, "unknown_events must be 'error' or 'keep'; got 'drop'"),
    ],
)
def test_an_argument_that_is_none_of_these_is_refused(arguments: Any, why: str) -> None:
    with pytest.raises(SetupError, match=why):
        EventCodec(**arguments)


def test_both_write_the_same_bytes_but_for_floats() -> None:
    event = completed({"a": ["café \u2028\x7f\0", 1, None]}, b=b"x")
    assert len({codec.encode(event) for codec in CODECS.values()}) == 1
