"""The live display, through a pseudo-terminal."""

import fcntl
import os
import pty
import struct
import subprocess
import termios
import unittest

from cli_case import CliCase
from pipe import PROGRAM


class Screen:
    """As much of a terminal as the display needs: what a person would see in the end, and on the way."""

    def __init__(self):
        self.lines, self.row, self.seen = [""], 0, []

    def feed(self, text):
        at = 0
        while at < len(text):
            c = text[at]
            if c == "\x1b" and text[at + 1 : at + 2] == "[":
                end = at + 2
                while not text[end].isalpha():
                    end += 1
                self.control(text[at + 2 : end], text[end])
                at = end + 1
                continue
            if c == "\n":
                self.row += 1
                while len(self.lines) <= self.row:
                    self.lines.append("")
            elif c != "\r":
                self.lines[self.row] += c
            at += 1

    def control(self, number, kind):
        if kind == "A":
            self.row -= int(number or 1)
        elif kind == "J":
            self.seen.append("\n".join(self.lines))
            self.lines = self.lines[: self.row] + [""]
        elif kind != "m":
            raise AssertionError(f"unexpected control sequence {number}{kind}")

    @property
    def text(self):
        return "\n".join(self.lines)


class Terminal(CliCase):
    def run_on_terminal(self, words, columns=70, env=None):
        """Runs `pipe` with its stderr on a terminal; gives the exit code, the screen and the raw bytes."""
        outside, inside = pty.openpty()
        fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 12, columns, 0, 0))
        process = subprocess.Popen(
            [PROGRAM, *map(str, words)],
            env={**self.pipe.env, "TERM": "xterm", **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=inside,
        )
        os.close(inside)
        raw = b""
        while True:
            try:
                piece = os.read(outside, 65536)
            except OSError:
                break
            if not piece:
                break
            raw += piece
        os.close(outside)
        out = process.communicate()[0]
        screen = Screen()
        screen.feed(raw.decode().replace("\r\n", "\n"))
        return process.returncode, screen, raw.decode(), out.decode()

    def test_running_steps_are_redrawn_and_ended_ones_stay(self):
        path = self.pipeline(self.scripted("slow", wait='"700ms"') + '[[step]]\nuses = "noop"\n')
        code, screen, raw, _ = self.run_on_terminal(["run", path])
        self.assertEqual(code, 0)
        self.assertTrue(any("[+] t  0/2  1 running" in seen and "running   slow" in seen for seen in screen.seen), raw)
        self.assertRegex(
            screen.text,
            r"^  changed   slow    0\.\ds  slow\n  unchanged noop    0\.0s\nt: changed=1 unchanged=1 failed=0 skipped=0   \d\.\ds\n$",
        )

    def test_colours_only_where_they_are_wanted(self):
        path = self.pipeline('[[step]]\nuses = "noop"\n')
        self.assertIn("\x1b[32m", self.run_on_terminal(["run", path])[2])
        self.assertNotRegex(self.run_on_terminal(["run", path], env={"NO_COLOR": "1"})[2], r"\x1b\[\d+m")

    def test_a_dumb_terminal_gets_plain_lines(self):
        path = self.pipeline('[[step]]\nuses = "noop"\n')
        _, _, raw, _ = self.run_on_terminal(["run", path], env={"TERM": "dumb"})
        self.assertNotIn("\x1b", raw)

    def test_no_line_is_wider_than_the_terminal(self):
        path = self.pipeline(self.scripted("a-step-with-a-rather-long-name", wait='"400ms"'))
        _, screen, _, _ = self.run_on_terminal(["run", path], columns=40)
        for seen in screen.seen:
            for line in seen.splitlines():
                if "running" in line:
                    self.assertLess(len(line), 40)

    def test_a_failure_ends_with_its_reason(self):
        path = self.pipeline(self.scripted("a", fail=1, status='"denied"'))
        code, screen, _, _ = self.run_on_terminal(["run", path])
        self.assertEqual(code, 1)
        self.assertIn("error: a: a did not work\n  hint: try again\n", screen.text)
        self.assertIn("    | this is a\n", screen.text)

    def test_outputs_go_to_stdout_and_nothing_else_does(self):
        path = self.pipeline(self.scripted("a") + '[outputs]\nname = "${steps.a.name}"\n')
        self.assertEqual(self.run_on_terminal(["run", path])[3], "name = a\n")


if __name__ == "__main__":
    unittest.main()
