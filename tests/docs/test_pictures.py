"""Pictures need nothing from elsewhere, and say in words what they show."""

import re
from xml.etree import ElementTree

import pytest

from tests.docs.blocks import ROOT, pages

PICTURES = sorted((ROOT / "docs").rglob("*.svg"))
SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.name)
def test_a_picture_is_whole_by_itself(path: object) -> None:
    text = (ROOT / str(path)).read_text("utf-8")
    root = ElementTree.fromstring(text)
    assert root.findtext(f"{SVG}title")
    assert root.findtext(f"{SVG}desc")
    addresses = set(re.findall(r"https?://[^\s\"'<)]+", text))
    assert addresses == {"http://www.w3.org/2000/svg"}
    assert "<script" not in text
    assert len(text) < 200_000


def test_every_picture_is_shown_with_words_for_those_who_cannot_see_it() -> None:
    shown = {
        (page.parent / target).resolve(): words
        for page in pages()
        for words, target in re.findall(r"!\[([^]]*)\]\(([^)]+)\)", page.read_text("utf-8"))
    }
    assert set(shown) == set(PICTURES)
    assert all(len(words) > 20 for words in shown.values())
