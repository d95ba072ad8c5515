"""The live display, through a pseudo-terminal."""

import fcntl
import os
import pty
import re
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
    def run_on_terminal(self, words, columns=70, env=None, rows=12):
        """Runs `pipe` with its stderr on a terminal; gives the exit code, the screen and the raw bytes."""
        outside, inside = pty.openpty()
        fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
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

    def blobs(self, time='"2s"', sizes=(20_000_000, 100_000_000, 5_000_000)):
        return self.pipeline(f'[[step]]\nid = "move"\nuses = "blobs"\nwith.sizes = {list(sizes)}\nwith.time = {time}\n')

    def test_blobs_have_bars_that_fit_and_go_when_they_have_ended(self):
        figures = r" +\d+\.\d .?B / +%s   +\d+\.\d MB/s +\d+s"
        for columns, width, locale, bar in (
            (80, 13, "C", r"\[=*>? *\]"),
            (200, 40, "C", r"\[=*>? *\]"),
            (80, 13, "C.UTF-8", "[█▏▎▍▌▋▊▉·]+"),
        ):
            with self.subTest(columns=columns, locale=locale):
                env = {"LC_ALL": locale, "NO_COLOR": "1"}
                code, screen, raw, _ = self.run_on_terminal(["run", self.blobs()], columns=columns, env=env)
                self.assertEqual(code, 0, raw)
                middle = screen.seen[len(screen.seen) // 3].splitlines()
                self.assertRegex(middle[0], r"^\[\+\] t  0/1  1 running  \d\.\ds$")
                whole = r"^  running   move    \d\.\ds  \d+\.\d MB / 125\.0 MB  \d+\.\d MB/s  \ds left$"
                self.assertRegex(middle[1], whole)
                for line, name, size in zip(middle[2:], "123", (r"20\.0 MB", r"100\.0 MB", r"5\.0 MB"), strict=True):
                    pattern = rf"^    sha256:00000000000{name}  ({bar}){figures % size}$"
                    self.assertRegex(line, pattern)
                    self.assertEqual(len(re.match(pattern, line)[1]), width)
                late = screen.seen[-3].splitlines()
                self.assertEqual(len(late), 4, late)
                for seen in screen.seen:
                    self.assertLess(max(map(len, seen.splitlines())), columns)
                self.assertRegex(screen.text, r"^  changed   move    \d\.\ds  moved\nt: changed=1 .*\n$")
                self.assertNotIn("\x1b[3", raw)

    def test_on_a_small_screen_the_bars_give_way(self):
        _, screen, raw, _ = self.run_on_terminal(["run", self.blobs()], rows=5)
        self.assertTrue(any("running   move" in seen for seen in screen.seen), raw)
        for seen in screen.seen:
            self.assertLessEqual(len(seen.rstrip("\n").splitlines()), 3, seen)

    def test_piped_a_short_step_is_one_line_and_a_long_one_tells_its_tenths(self):
        self.assertEqual(len(self.pipe.run(["run", self.blobs()]).err.splitlines()), 2)
        said = self.pipe.run(["run", self.blobs('"12s"')]).err
        self.assertRegex(said, r"\Amove \| \d+\.\d MB / 125\.0 MB  \d+\.\d MB/s  \ds left\n")
        self.assertIn(said.count("move |"), (2, 3), said)

    def test_json_tells_the_bytes_of_each_blob_and_its_end(self):
        events = self.pipe.run(["run", "--output", "json", self.blobs('"1s"')]).events
        for blob, size in ((1, 20_000_000), (2, 100_000_000), (3, 5_000_000)):
            told = [e for e in events if e["type"] == "progress" and e["id"] == blob]
            self.assertLessEqual(len(told), 12)
            self.assertGreater(len(told), 3)
            self.assertEqual({(e["total"], e["unit"], e["label"]) for e in told},
                             {(size, "bytes", f"sha256:00000000000{blob}")})  # fmt: skip
            self.assertEqual(told[-1]["done"], size)

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
