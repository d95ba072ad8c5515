"""Runs `pipe` on a pseudo-terminal, and shows what a person would see there, in the end and on the way."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time

import pyte
from pipe import PATIENCE, PROGRAM

FRAME_END = b"\x1b[?2026l"  # of synchronized output


class Terminal:
    """How one call ended on a terminal: `code`, `raw` (what was written), `out` (stdout, where that is no
    terminal), `frames` (what stood on the screen behind each frame of a live display), `text` (all of it in
    the end, with what has scrolled away), `colours` (the same, each line as runs of (text, colour, bold))."""

    def __init__(self, columns=80, rows=24):
        self.columns, self.rows = columns, rows
        self.screen = pyte.HistoryScreen(columns, rows, history=100_000, ratio=1)
        self.stream = pyte.ByteStream(self.screen)
        self.raw, self.frames, self.out, self.code = "", [], "", None
        self._bytes, self._rest = b"", b""

    def feed(self, data):
        self._bytes += data
        *frames, self._rest = (self._rest + data).split(FRAME_END)
        for frame in frames:
            self.stream.feed(frame + FRAME_END)
            self.frames.append("\n".join(line.rstrip() for line in self.screen.display).rstrip("\n"))

    def resize(self, columns, rows):
        self.columns, self.rows = columns, rows
        self.screen.resize(rows, columns)

    def finish(self):
        self.stream.feed(self._rest)
        self.raw = self._bytes.decode(errors="replace")

    @property
    def live(self):
        """The part of each frame that is redrawn, as lines."""
        frames = [frame.splitlines() for frame in self.frames]
        starts = [next((i for i, line in enumerate(lines) if line.startswith("[+]")), None) for lines in frames]
        return [lines[start:] for lines, start in zip(frames, starts, strict=True) if start is not None]

    def _lines(self):
        return [*self.screen.history.top, *(self.screen.buffer[row] for row in range(self.screen.lines))]

    @property
    def text(self):
        lines = ["".join(line[x].data for x in range(self.columns)).rstrip() for line in self._lines()]
        return "\n".join(lines).rstrip("\n") + "\n"

    @property
    def colours(self):
        lines = []
        for line in self._lines():
            runs = []
            for char in (line[x] for x in range(self.columns)):
                if runs and runs[-1][1:] == (char.fg, char.bold):
                    runs[-1] = (runs[-1][0] + char.data, char.fg, char.bold)
                else:
                    runs.append((char.data, char.fg, char.bold))
            lines.append(runs)
        while lines and not "".join(text for text, _, _ in lines[-1]).strip():
            lines.pop()
        return lines


def run_on_terminal(pipe, words, columns=80, rows=24, env=None, cwd=None, stdout=False, meanwhile=None, timeout=PATIENCE):
    """Runs `pipe` with its stderr on a terminal (stdout, too, if asked for). `meanwhile(terminal, process, fd)`
    is called whenever something was written, to press keys, send signals or change the size."""
    terminal = Terminal(columns, rows)
    outside, inside = pty.openpty()
    set_size(inside, columns, rows)
    process = subprocess.Popen(
        [PROGRAM, *map(str, words)],
        env={**pipe.env, "TERM": "xterm", **(env or {})},
        cwd=cwd or pipe.folder,
        stdin=inside,
        stdout=inside if stdout else subprocess.PIPE,
        stderr=inside,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(inside)
    deadline = time.monotonic() + timeout
    try:
        while True:
            if not select.select([outside], [], [], max(0.0, deadline - time.monotonic()))[0]:
                terminal.finish()
                raise AssertionError(f"pipe {words} still ran after {timeout} s; it wrote\n{terminal.raw}")
            try:
                piece = os.read(outside, 65536)
            except OSError:  # nobody has it open any more
                break
            if not piece:
                break
            terminal.feed(piece)
            if meanwhile:
                meanwhile(terminal, process, outside)
        terminal.out = (process.communicate(timeout=timeout)[0] or b"").decode()
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
        os.close(outside)
    terminal.code = process.returncode
    terminal.finish()
    return terminal


def set_size(fd, columns, rows):
    """Tells whoever has the terminal (SIGWINCH)."""
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
