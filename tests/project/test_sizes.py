from __future__ import annotations

from pathlib import Path

import pytest

from tests.project.tree import PACKAGE, module_name, sources


@pytest.mark.parametrize("path", sources(), ids=module_name)
def test_no_file_is_longer_than_400_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def test_there_are_at_most_25_private_files() -> None:
    private = [path for path in PACKAGE.glob("_*.py") if not path.stem.startswith("__")]
    assert len(private) <= 25
