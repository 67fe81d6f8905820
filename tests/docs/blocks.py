"""The code blocks of README.md and docs/, as programs.

A ``python`` block is a complete program. After ``<!-- continues -->`` it goes on where
the block before it stopped, and the two are one program. After ``<!-- output -->`` a
``text`` block is what the program has to print. A ``sh`` block is a list of commands,
one a line; ``<!-- exit 3 -->`` before it says how they end, when not with 0.
``<!-- not run: reason -->`` leaves a block out.

``python -m tests.docs.blocks FOLDER`` writes the programs to a folder, for type checkers.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
FENCE = "```"


@dataclass
class Block:
    """One fenced block, with the remark that stands directly before it."""

    page: str
    line: int
    language: str
    remark: str
    text: str


@dataclass
class Program:
    """Python blocks that are one program; ``output`` is empty when nothing is promised."""

    page: str
    line: int
    text: str
    output: str = ""

    @property
    def name(self) -> str:
        """Where it starts, as a name that a file may have."""
        return f"{self.page}:{self.line}"


@dataclass
class Page:
    """What one page asks to have run."""

    programs: list[Program] = field(default_factory=list)
    commands: list[Block] = field(default_factory=list)


def pages() -> list[Path]:
    """Every page whose blocks have to run."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks_of(path: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    page = path.relative_to(ROOT).as_posix()
    found: list[Block] = []
    current: Block | None = None
    remark = ""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if current is None and line.startswith(FENCE):
            current = Block(page, number + 1, line.removeprefix(FENCE).strip(), remark, "")
        elif current is not None and line.rstrip() == FENCE:
            found.append(current)
            current, remark = None, ""
        elif current is not None:
            current.text += line + "\n"
        elif line.strip():
            remark = line.strip().removeprefix("<!--").removesuffix("-->").strip()
    if current is not None:
        raise ValueError(f"{page}:{current.line}: this block is never closed.")
    return found


def read(path: Path) -> Page:
    """The programs and commands of a page.

    Raises:
        ValueError: for a block that could neither run nor be understood.
    """
    page = Page()
    for block in blocks_of(path):
        if block.remark.startswith("not run: "):
            continue
        if block.language == "python":
            _add(page, block)
        elif block.language == "sh":
            page.commands.append(block)
        elif block.language == "text":
            if block.remark == "output":
                page.programs[-1].output += block.text
        else:
            raise ValueError(
                f"{block.page}:{block.line}: a block is python, sh or text, "
                f"or says why it is not run; this one is {block.language!r}."
            )
    return page


def _add(page: Page, block: Block) -> None:
    if block.remark != "continues":
        page.programs.append(Program(block.page, block.line, block.text))
        return
    program = page.programs[-1]
    # Blank lines in between keep the line numbers of tracebacks those of the page.
    gap = block.line - program.line - program.text.count("\n")
    program.text += "\n" * gap + block.text


def main() -> None:
    """Write every program to the folder that is named on the command line."""
    folder = Path(sys.argv[1])
    for path in pages():
        for program in read(path).programs:
            stem = program.name.replace("/", "_").replace(".md:", "_").replace("-", "_")
            (folder / f"{stem}.py").write_text(program.text, encoding="utf-8")


if __name__ == "__main__":
    main()
