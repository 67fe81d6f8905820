"""What an import loads. How long it takes is a matter for benches/."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = ["anyio", "asyncio", "cattrs", "click", "hypothesis", "pytest", "sqlite3"]


def loaded_by(statement: str) -> set[str]:
    code = f"{statement}; import sys, json; print(json.dumps(sorted(sys.modules)))"
    printed = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout
    return set(json.loads(printed))


@pytest.fixture(scope="module")
def added() -> set[str]:
    """What the public face loads beyond ``import trio``."""
    return loaded_by("from trio_ingest import IngestionPipeline") - loaded_by("import trio")


@pytest.mark.parametrize("name", HEAVY)
def test_the_face_does_not_load(name: str, added: set[str]) -> None:
    assert name not in added


def test_the_face_loads_no_room_and_no_door(added: set[str]) -> None:
    ours = {name for name in added if name.startswith("trio_ingest.")}
    assert [name for name in ours if not name.split(".")[1].startswith("_")] == []
    assert "trio_ingest.__main__" not in ours


@pytest.mark.parametrize("module", ["trio_ingest", "trio_ingest.__main__"])
def test_a_program_hears_signals_before_it_loads_anything_heavy(module: str) -> None:
    # Beyond a program that does nothing: whoever measures it may load what he likes.
    loaded = loaded_by(f"import {module}") - loaded_by("pass")
    assert not {name.split(".")[0] for name in loaded} & {"attrs", "trio", *HEAVY}
