"""Record a command in a real terminal, as one animated SVG.

    python docs/pictures/record.py --speed 0.4 docs/pictures/demo.svg trio-ingest demo

The command runs in tmux, whose screen is captured some thirty times a second. The picture
needs nothing from elsewhere: no script, no font, no address. It shows the last frame alone
where the reader wants no motion.
"""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
import time
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import NamedTuple

COLUMNS, ROWS = 104, 40
INTERVAL_SECONDS = 0.02
# How long the reader has for the end.
REST_SECONDS = 8.0
# Nobody wants to see for longer that nothing moves.
LONGEST_SECONDS = 1.5
CHARACTER_WIDTH, LINE_HEIGHT, MARGIN, BAR = 7.8, 17, 14, 30

SESSION = "trio-ingest-recording"
# Readable on the picture's own dark background, whatever the page's is.
COLOURS = {
    30: "#6e7681",
    31: "#ff7b72",
    32: "#7ee787",
    33: "#e3b341",
    34: "#79c0ff",
    35: "#d2a8ff",
    36: "#56d4dd",
    37: "#e6edf3",
}
ESCAPE = re.compile(r"\x1b\[([\d;]*)m")


class Frame(NamedTuple):
    """What the screen showed, from a moment on."""

    at_seconds: float
    lines: tuple[str, ...]


def tmux(*words: str) -> str:
    # A server of our own, so that nobody's settings or sessions are in the picture.
    program = ["tmux", "-L", SESSION, "-f", "/dev/null"]
    ran = subprocess.run([*program, *words], check=True, capture_output=True, text=True)
    return ran.stdout


def record(command: list[str]) -> list[Frame]:
    """The frames of one run; equal ones that follow each other are one."""
    shown = shlex.join(command)
    script = f"sleep 1; clear; printf '$ {shown}\\n'; sleep 0.7; {shown}; printf '$ '; sleep 2"
    size = ["-x", str(COLUMNS), "-y", str(ROWS)]
    tmux(
        "new-session",
        "-d",
        "-s",
        SESSION,
        *size,
        "env",
        "TERM=xterm-256color",
        "sh",
        "-c",
        script,
    )
    tmux("set-option", "-t", SESSION, "status", "off")
    frames: list[Frame] = []
    began = None
    while True:
        try:
            screen = tmux("capture-pane", "-e", "-p", "-t", SESSION)
        except subprocess.CalledProcessError:
            return frames  # the session is over
        lines = tuple(screen.rstrip("\n").split("\n"))
        if began is None and lines[0].startswith("$"):
            began = time.monotonic()
        if began is not None and (not frames or lines != frames[-1].lines):
            frames.append(Frame(time.monotonic() - began, lines))
        time.sleep(INTERVAL_SECONDS)


def paced(frames: list[Frame], speed: float) -> list[Frame]:
    """The frames with the times at which they are shown."""
    shown: list[Frame] = []
    at_seconds, before = 0.0, frames[0].at_seconds
    for frame in frames:
        at_seconds += min((frame.at_seconds - before) / speed, LONGEST_SECONDS)
        before = frame.at_seconds
        shown.append(frame._replace(at_seconds=at_seconds))
    return shown


def spans(line: str) -> Iterator[tuple[str, str]]:
    """The line as pieces of text, each with its style."""
    styles: dict[str, str] = {}
    place = 0
    for found in [*ESCAPE.finditer(line), None]:
        text = line[place : len(line) if found is None else found.start()]
        if text:
            yield text, ";".join(styles.values())
        if found is not None:
            place = found.end()
            for code in found[1].split(";"):
                restyle(styles, int(code or 0))


def restyle(styles: dict[str, str], code: int) -> None:
    """Apply one code of an escape sequence."""
    if code == 0:
        styles.clear()
    elif code == 1:
        styles["weight"] = "font-weight:bold"
    elif code == 2:
        styles["dim"] = "opacity:.6"
    elif code == 22:
        styles.pop("weight", None)
        styles.pop("dim", None)
    elif code == 39:
        styles.pop("colour", None)
    elif code in COLOURS or code - 60 in COLOURS:
        styles["colour"] = f"fill:{COLOURS.get(code) or COLOURS[code - 60]}"


def text_of(line: str) -> str:
    pieces = []
    column = 0
    for text, style in spans(line):
        # Where each piece begins is said, since no two fonts are equally wide.
        x = f"{column * CHARACTER_WIDTH:.1f}"
        width = f"{len(text) * CHARACTER_WIDTH:.1f}"
        column += len(text)
        if not text.strip():
            continue
        styled = f' style="{style}"' if style else ""
        pieces.append(f'<tspan x="{x}" textLength="{width}"{styled}>{escape(text)}</tspan>')
    return "".join(pieces)


def picture(frames: list[Frame], title: str) -> str:
    """The whole recording."""
    names: dict[str, str] = {}
    for frame in frames:
        for line in frame.lines:
            if text_of(line):
                names.setdefault(line, f"l{len(names)}")
    defined = [f'<text id="{name}">{text_of(line)}</text>' for line, name in names.items()]
    ends = [frame.at_seconds for frame in frames[1:]]
    whole = frames[-1].at_seconds + REST_SECONDS
    rules, groups = [], []
    for number, (frame, end) in enumerate(zip(frames, [*ends, whole], strict=True)):
        begin, stop = frame.at_seconds / whole * 100, end / whole * 100
        hidden = "visibility:hidden"
        steps = f"0%{{{hidden}}}" if begin else ""
        steps += f"{begin:.2f}%{{visibility:visible}}"
        steps += f"{stop:.2f}%{{{hidden}}}" if stop < 99.99 else ""
        rules.append(f"@keyframes f{number}{{{steps}}}")
        last = " last" if frame is frames[-1] else ""
        uses = "".join(
            f'<use href="#{names[line]}" y="{row * LINE_HEIGHT}"/>'
            for row, line in enumerate(frame.lines)
            if line in names
        )
        groups.append(f'<g class="f{last}" style="animation-name:f{number}">{uses}</g>')
    rows = max(len(frame.lines) for frame in frames)
    width = round(COLUMNS * CHARACTER_WIDTH + 2 * MARGIN)
    height = rows * LINE_HEIGHT + 2 * MARGIN + BAR
    style = (
        "text{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',"
        "monospace;font-size:13px;fill:#e6edf3;white-space:pre}"
        f".f{{visibility:hidden;animation:{whole:.2f}s step-end infinite}}"
        "@media (prefers-reduced-motion:reduce){.f{animation:none!important}"
        ".last{visibility:visible}}"
    )
    dots = "".join(
        f'<circle cx="{22 + 18 * n}" cy="{BAR / 2 + 2}" r="5.5" fill="{colour}"/>'
        for n, colour in enumerate(("#ff5f57", "#febc2e", "#28c840"))
    )
    size = f'width="{width}" height="{height}"'
    place = f'x="{width / 2}" y="{BAR / 2 + 6}" text-anchor="middle"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {size}>',
            f"<title>{escape(title)}</title>",
            f"<desc>A recording of a terminal that runs: {escape(title)}</desc>",
            f"<style>{style}{''.join(rules)}</style>",
            f"<defs>{''.join(defined)}</defs>",
            f'<rect {size} rx="8" fill="#0d1117" stroke="#30363d"/>',  # dark pages
            dots,
            f'<text {place} style="fill:#8b949e">{escape(title)}</text>',
            f'<g transform="translate({MARGIN},{BAR + MARGIN + 10})">',
            *groups,
            "</g>",
            "</svg>",
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Record a command as an animated SVG.")
    parser.add_argument("--speed", type=float, default=1.0, help="0.5 shows it half as fast")
    parser.add_argument("target", type=Path)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    frames = paced(record(given.command), given.speed)
    given.target.write_text(picture(frames, shlex.join(given.command)), encoding="utf-8")
    seconds = frames[-1].at_seconds
    print(
        f"{len(frames)} frames, {seconds:.1f} seconds, {given.target.stat().st_size:,} bytes"
    )


if __name__ == "__main__":
    main()
