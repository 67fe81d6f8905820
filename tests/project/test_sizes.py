"""One idea a file, and no folder that has to be searched."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.project.tree import module_name, sources


@pytest.mark.parametrize("path", sources(), ids=module_name)
def test_no_file_is_longer_than_400_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def test_no_folder_has_more_than_20_files() -> None:
    counts = Counter(path.parent for path in sources())
    assert [folder for folder, count in counts.items() if count > 20] == []
