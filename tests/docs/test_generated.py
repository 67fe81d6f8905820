"""What the pages say of the program is what the program says."""

from pathlib import Path

import pytest

from tests.docs.generated import PAGES, generated, names_in, parts


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_page_is_what_the_program_would_write(path: Path) -> None:
    page = path.read_text("utf-8")
    assert page == generated(page), "Run: python -m tests.docs.generated"


def test_everything_is_on_one_of_the_pages() -> None:
    names = [name for path in PAGES for name in names_in(path.read_text("utf-8"))]
    assert sorted(names) == sorted(parts())
