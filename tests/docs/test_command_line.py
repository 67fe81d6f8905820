"""The page "Command line" says what the program says."""

from tests.docs.command_line import PAGE, generated, names_in, parts


def test_the_page_is_what_the_program_would_write() -> None:
    page = PAGE.read_text("utf-8")
    assert page == generated(page), "Run: python -m tests.docs.command_line"


def test_every_command_is_on_the_page() -> None:
    assert sorted(names_in(PAGE.read_text("utf-8"))) == sorted(parts())
