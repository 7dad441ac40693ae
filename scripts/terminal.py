"""A command in a real terminal, recorded: what its screen shows, as text, as a picture and as a picture that moves."""

import codecs
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fcntl import ioctl
from html import escape
from pathlib import Path

import pyte

WIDTH, HEIGHT = 8.43, 18  # pixels of a letter of 14 pixels
MARGIN, LAST_FRAME_S = 14, 5.0  # pixels around the letters; how long the last frame stays
# Of a dark terminal; red and green differ in lightness as well.
COLOURS = {"default": "#d8dee9", "black": "#4c566a", "red": "#e06c75", "green": "#8fbf6a", "brown": "#e5c07b"}
COLOURS |= {"blue": "#81a1c1", "magenta": "#b48ead", "cyan": "#7fb7c4", "white": "#eceff4"}
BACKGROUND = "#1e222a"

Segment = tuple[str, str, bool]  # text, colour, and whether it is bold


@dataclass(frozen=True)
class Frame:
    """What a screen shows from a moment on.

    Attributes:
        seconds: since the command began.
        lines: of the screen, each made of texts in one colour.
    """

    seconds: float
    lines: tuple[tuple[Segment, ...], ...]

    def to_text(self) -> list[str]:
        """Leave the letters, without what is empty below them."""
        lines = ["".join(text for text, _, _ in line).rstrip() for line in self.lines]
        while lines and not lines[-1]:
            lines.pop()
        return lines


def record(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    *,
    columns: int = 80,
    rows: int = 24,
    expected: Sequence[int] = (0,),
) -> list[Frame]:
    """Run a command in a terminal of its own and record every change of its screen.

    Args:
        command: program and arguments.
        folder: in which it runs.
        environment: beside the variables of a terminal.
        columns: letters of a line.
        rows: lines of the screen.
        expected: codes that it may end with.

    Raises:
        CalledProcessError: it ended with another code.
    """
    frames: list[Frame] = []
    screen = pyte.Screen(columns, rows)
    stream, decoder = pyte.Stream(screen), codecs.getincrementaldecoder("utf-8")("replace")
    reader, writer = pty.openpty()
    ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    variables = {**environment, "TERM": "xterm-256color"}
    variables = {name: value for name, value in variables.items() if name not in ("COLUMNS", "LINES", "CI", "NO_COLOR")}
    began = time.perf_counter()
    with subprocess.Popen(command, cwd=folder, env=variables, stdin=writer, stdout=writer, stderr=writer) as process:
        os.close(writer)
        while True:
            ready, _, _ = select.select([reader], [], [], 0.05)
            try:
                content = os.read(reader, 65536) if ready else b""
            except OSError:  # the terminal's other side is closed
                break
            stream.feed(decoder.decode(content))
            if content and (not frames or frames[-1].lines != _read(screen)):
                frames.append(Frame(time.perf_counter() - began, _read(screen)))
            if not ready and process.poll() is not None:
                break
    os.close(reader)
    if process.returncode not in expected:
        raise subprocess.CalledProcessError(
            process.returncode, list(command), "\n".join(frames[-1].to_text() if frames else [])
        )
    return frames


def _read(screen: pyte.Screen) -> tuple[tuple[Segment, ...], ...]:
    lines = []
    for row in range(screen.lines):
        segments: list[Segment] = []
        for column in range(screen.columns):
            letter = screen.buffer[row][column]
            if segments and segments[-1][1:] == (letter.fg, letter.bold):
                segments[-1] = (segments[-1][0] + letter.data, letter.fg, letter.bold)
            else:
                segments.append((letter.data, letter.fg, letter.bold))
        if segments and not segments[-1][0].strip():
            segments.pop()
        lines.append(tuple(segments))
    return tuple(lines)


def draw(frames: Sequence[Frame], command: str, *, speed: float = 1.0) -> str:
    """Draw frames as an SVG: one as a picture, several as a picture that moves, in a loop.

    Args:
        frames: of the same terminal.
        command: typed above them.
        speed: how many times faster than it was; the last frame stays.
    """
    rows = 1 + max(len(frame.to_text()) for frame in frames)
    columns = max(len(line) for frame in frames for line in [*frame.to_text(), f"$ {command}"])
    width, height = columns * WIDTH + 2 * MARGIN, rows * HEIGHT + 2 * MARGIN
    ends = [frame.seconds / speed for frame in frames[1:]] + [frames[-1].seconds / speed + LAST_FRAME_S]
    total, start = ends[-1], 0.0
    rules, groups = [], []
    for index, (frame, end) in enumerate(zip(frames, ends, strict=True)):
        groups.append(f'<g class="f f{index}">{_draw_lines(frame)}</g>')
        if len(frames) > 1:
            first, last = 100 * start / total, 100 * end / total
            steps = f"0%{{opacity:0}}{first:.3f}%{{opacity:1}}{last:.3f}%{{opacity:0}}"
            rules.append(f"@keyframes k{index}{{{steps}}}.f{index}{{animation-name:k{index}}}")
        start = end
    moving = f".f{{opacity:0;animation:{total:.2f}s step-end infinite}}" if len(frames) > 1 else ""
    # Who wants no movement sees the end.
    still = f"@media (prefers-reduced-motion:reduce){{.f{{animation:none}}.f{len(frames) - 1}{{opacity:1}}}}"
    style = "text{white-space:pre;font:14px ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace}"
    prompt = f'<text x="0" y="{HEIGHT - 5}" fill="{COLOURS["white"]}" textLength="{(len(command) + 2) * WIDTH:.1f}">'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" width="{width:.0f}">'
        f"<style>{style}{moving}{''.join(rules)}{still if moving else ''}</style>"
        f'<rect width="100%" height="100%" rx="8" fill="{BACKGROUND}"/><g transform="translate({MARGIN} {MARGIN})">'
        f"{prompt}$ {escape(command)}</text>{''.join(groups)}</g></svg>\n"
    )


def _draw_lines(frame: Frame) -> str:
    parts = []
    for row, line in enumerate(frame.lines[: len(frame.to_text())]):
        column = 0
        for text, colour, is_bold in line:
            if text.strip():
                place = f'x="{column * WIDTH:.1f}" y="{(row + 2) * HEIGHT - 5}" textLength="{len(text) * WIDTH:.1f}"'
                fill = COLOURS.get(colour, f"#{colour}" if len(colour) == 6 else COLOURS["default"])
                bold = ' font-weight="bold"' if is_bold else ""
                parts.append(f'<text {place} fill="{fill}"{bold}>{escape(text)}</text>')
            column += len(text)
    return "".join(parts)
