"""The live display, through a pseudo-terminal."""

import os
import re
import select
import signal
import unittest

from cli_case import CliCase
from terminal import run_on_terminal, set_size


class LiveDisplay(CliCase):
    def run_on_terminal(self, words, columns=70, rows=12, **more):
        return run_on_terminal(self.pipe, words, columns, rows, **more)

    def shell(self, name, script, keys=""):
        """A step that runs a script of the shell."""
        return f"[[step]]\nid = '{name}'\nuses = 'shell'\n{keys}\nwith.run = '''{script}'''\n"

    def fan_out(self, name, items, keys=None, **params):
        listed = "[" + ", ".join(f'"{item}"' for item in items) + "]"
        text = self.scripted(name, keys={"for_each": listed, **(keys or {})}, **params)
        return text.replace(f'with.name = "{name}"', 'with.name = "${each.key}"')

    def assert_fits(self, screen, columns):
        for frame in screen.live:
            for line in frame:
                self.assertLess(len(line), columns, line)

    def test_running_steps_are_redrawn_and_ended_ones_stay(self):
        path = self.pipeline(self.scripted("slow", wait='"700ms"') + '[[step]]\nuses = "noop"\n')
        screen = self.run_on_terminal(["run", path])
        self.assertEqual(screen.code, 0)
        pattern = r"\[\+\] t  0/2  1 running  \d\.\ds\n  running   slow    \d\.\ds\n    \| this is slow"
        self.assertTrue(any(re.fullmatch(pattern, "\n".join(frame)) for frame in screen.live), screen.raw)
        self.assertRegex(
            screen.text,
            r"^  changed   slow    \d\.\ds  slow\n  unchanged noop    \d\.\ds\nt: changed=1 unchanged=1 failed=0 skipped=0   \d\.\ds\n$",
        )

    def blobs(self, time='"2s"', sizes=(20_000_000, 100_000_000, 5_000_000)):
        return self.pipeline(f'[[step]]\nid = "move"\nuses = "blobs"\nwith.sizes = {list(sizes)}\nwith.time = {time}\n')

    def test_blobs_have_bars_that_fit_and_go_when_they_have_ended(self):
        figures = r" +\d+\.\d .?B / +%s   +\d+\.\d .B/s +\d+s"
        for columns, width, locale, bar in (
            (80, 13, "C", r"\[=*>? *\]"),
            (200, 40, "C", r"\[=*>? *\]"),
            (80, 13, "C.UTF-8", "[█▏▎▍▌▋▊▉·]+"),
        ):
            with self.subTest(columns=columns, locale=locale):
                env = {"LC_ALL": locale, "NO_COLOR": "1"}
                screen = self.run_on_terminal(["run", self.blobs()], columns, env=env)
                self.assertEqual(screen.code, 0, screen.raw)
                counts = [len(frame) for frame in screen.live]
                self.assertIn(5, counts, screen.raw)
                last = len(counts) - counts[::-1].index(5) - 1  # with all three
                middle = screen.live[last]
                self.assertRegex(middle[0], r"^\[\+\] t  0/1  1 running  \d\.\ds$")
                whole = r"^  running   move    \d\.\ds  \d+\.\d MB / 125\.0 MB  \d+\.\d MB/s  \d+s left$"
                self.assertRegex(middle[1], whole)
                for line, name, size in zip(middle[2:], "123", (r"20\.0 MB", r"100\.0 MB", r"5\.0 MB"), strict=True):
                    pattern = rf"^    sha256:00000000000{name}  ({bar}){figures % size}$"
                    self.assertRegex(line, pattern)
                    self.assertEqual(len(re.match(pattern, line)[1]), width)
                self.assertIn(4, counts[last:], screen.raw)
                self.assert_fits(screen, columns)
                self.assertRegex(screen.text, r"^  changed   move    \d\.\ds  moved\nt: changed=1 .*\n$")
                self.assertNotIn("\x1b[3", screen.raw)

    def test_on_a_small_screen_the_bars_give_way(self):
        screen = self.run_on_terminal(["run", self.blobs()], rows=5)
        self.assertTrue(any("running   move" in "\n".join(frame) for frame in screen.live), screen.raw)
        for frame in screen.live:
            self.assertLessEqual(len(frame), 3, frame)

    def test_piped_a_short_step_is_one_line_and_a_long_one_tells_its_tenths(self):
        self.assertEqual(len(self.pipe.run(["run", self.blobs()]).err.splitlines()), 2)
        said = self.pipe.run(["run", self.blobs('"12s"')]).err
        self.assertRegex(said, r"\Amove \| \d+\.\d MB / 125\.0 MB  \d+\.\d MB/s  \d+s left\n")
        self.assertIn(said.count("move |"), (2, 3), said)

    def test_json_tells_the_bytes_of_each_blob_and_its_end(self):
        events = self.pipe.run(["run", "--output", "json", self.blobs('"1s"')]).events
        elapsed = next(e["elapsed_ms"] for e in events if e["type"] == "step_ended")
        for blob, size in ((1, 20_000_000), (2, 100_000_000), (3, 5_000_000)):
            told = [e for e in events if e["type"] == "progress" and e["id"] == blob]
            self.assertLessEqual(len(told), 2 + elapsed // 100)
            self.assertGreater(len(told), 3)
            self.assertEqual({(e["total"], e["unit"], e["label"]) for e in told},
                             {(size, "bytes", f"sha256:00000000000{blob}")})  # fmt: skip
            self.assertEqual(told[-1]["done"], size)

    def test_instances_are_one_line_and_only_those_that_fail_have_their_own(self):
        bad = "[[step]]\nid = 'bad'\nuses = 'shell'\nneeds = []\nfor_each = ['a', 'b', 'c']\nwith.run = 'sleep 0.4; test ${each.key} != b'\n"
        path = self.pipeline(self.fan_out("many", [f"i{n}" for n in range(6)], wait='"1s"') + bad)
        screen = self.run_on_terminal(["run", path, "--jobs", "3"], columns=80, rows=30)
        self.assertEqual(screen.code, 1, screen.text)
        pattern = r"  running   many    \d\.\ds  [0-6]/6 done, 3 running\n    \| \[\"i\d\"\] this is i\d\n"
        self.assertTrue(any(re.search(pattern, "\n".join(frame)) for frame in screen.live), screen.live)
        self.assertIn('failed    bad["b"]', screen.text)
        self.assertNotRegex(screen.text, r'changed   (many|bad)\["')

    def test_instances_end_as_one_line(self):
        screen = self.run_on_terminal(["run", self.pipeline(self.fan_out("many", "abcdef"))])
        self.assertRegex(screen.text, r"^  changed   many    \d\.\ds  6 changed\nt: changed=6 unchanged=0 ")
        said = self.pipe.run(["run", self.pipeline(self.fan_out("more", "abcdef"))]).err
        self.assertEqual(said.count("  changed   more["), 6, said)

    def test_the_last_lines_of_what_runs_stand_below_it(self):
        path = self.pipeline(self.shell("build", "for i in 1 2 3 4 5 6 7 8 9; do echo line $i; done; sleep 1"))
        screen = self.run_on_terminal(["run", path], rows=30)
        whole = next(frame for frame in screen.live if frame[-1] == "    | line 9")
        self.assertRegex(whole[1], r"^  running   build    \d\.\ds$")
        self.assertEqual(whole[2:], [f"    | line {i}" for i in range(4, 10)])
        self.assertNotIn("| line", screen.text)
        narrow = self.run_on_terminal(["run", path], rows=4)
        self.assertTrue(any(re.search(r"^  running   build    \d\.\ds  line 9$", frame[1]) for frame in narrow.live), narrow.raw)

    def test_wide_characters_take_two_columns(self):
        path = self.pipeline(self.shell("build", "for i in 1 2 3; do printf '이미지를 가져오는 중 🐳 %.0s' 1 2 3 4 5; echo; done; sleep 1"))
        for columns in (40, 41, 80):
            screen = self.run_on_terminal(["run", path], columns, rows=20)
            self.assertEqual(screen.code, 0)
            for frame in screen.live:
                self.assertLessEqual(len(frame), 5, frame)  # none has wrapped
            self.assertTrue(any("이미지를 가져오는" in line for frame in screen.live for line in frame), screen.raw)
            self.assertNotIn("running", screen.text)

    def test_more_steps_than_rows(self):
        wait, gate = self.gate("go")
        steps = "".join(self.shell(f"s{n:02}", wait, "needs = []") for n in range(30))

        def go(terminal, process, fd):
            if terminal.frames and "  and 25 more" in terminal.frames[-1]:
                self.open_gate(gate)

        screen = self.run_on_terminal(["run", self.pipeline(steps), "--jobs", "30"], rows=8, meanwhile=go)
        self.assertEqual(screen.code, 0)
        self.assertTrue(any(frame[-1] == "  and 25 more" for frame in screen.live), screen.live)
        for frame in screen.live:
            self.assertLessEqual(len(frame), 7)
        self.assertEqual(len(re.findall(r"^  changed   s\d\d ", screen.text, re.M)), 30, screen.text)
        self.assertEqual(screen.text.count("[+]"), 0)

    def test_a_frame_is_one_write_of_what_has_changed(self):
        path = self.pipeline(self.shell("build", "for i in 1 2 3; do echo line $i; done; sleep 1"))
        screen = self.run_on_terminal(["run", path], rows=20)
        frames = screen.raw.split("\x1b[?2026h")
        self.assertEqual(len(frames) - 1, screen.raw.count("\x1b[?2026l"))
        self.assertEqual(sum("line 2" in frame for frame in frames), 1, screen.raw)
        self.assertIn("running", frames[-2])
        self.assertNotIn("\x1b[?25l", screen.raw)  # the cursor is never hidden: nothing has to bring it back

    def test_another_size(self):
        wide = "0123456789" * 12
        wait, gate = self.gate("go")
        path = self.pipeline(self.scripted("first") + self.shell("build", f"x={wide}; for i in 1 2 3; do echo $x; done; {wait}"))
        sizes = [(50, 20), (120, 20), (90, 9)]

        def resize(terminal, process, fd):
            if len(terminal.frames) % 4 != 3:
                return
            if not sizes:
                return self.open_gate(gate)
            columns, rows = sizes.pop(0)
            terminal.resize(columns, rows)
            set_size(fd, columns, rows)

        screen = self.run_on_terminal(["run", path], columns=120, rows=20, meanwhile=resize)
        self.assertEqual((screen.code, sizes), (0, []))
        self.assertEqual(max(map(len, screen.live[-2])), 89)
        self.assertRegex(screen.text, r"changed   build  .*\n(.*…\n)?t: changed=2 .*\n$")

    def test_ctrl_c_leaves_a_clean_screen(self):
        path = self.pipeline(self.shell("build", "echo one; sleep 30; echo two") + self.scripted("f", table="finally"))
        pressed = []

        def press(terminal, process, fd):
            if not pressed and terminal.frames and "| one" in terminal.frames[-1]:
                pressed.append(os.write(fd, b"\x03"))

        screen = self.run_on_terminal(["run", path], columns=120, meanwhile=press)
        self.assertEqual(screen.code, 130)
        self.assertRegex(
            screen.text,
            r"^  cancelled build    \d\.\ds  .*\n  changed   f        \d\.\ds  f\nt: changed=1 .* cancelled=1   \d\.\ds\n"
            r"go on with: pipe run --resume \S+\n$")  # fmt: skip
        self.assertEqual(screen.screen.cursor.x, 0)
        self.assertFalse(screen.screen.cursor.hidden)

    def test_ctrl_z_leaves_what_the_shell_writes_meanwhile(self):
        path = self.pipeline(self.shell("build", "echo one; sleep 2"))
        stopped = []

        def stop(terminal, process, fd):
            if stopped or not terminal.frames or "| one" not in terminal.frames[-1]:
                return
            stopped.append(True)
            process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
            while select.select([fd], [], [], 0)[0]:
                terminal.feed(os.read(fd, 65536))
            terminal.stream.feed(b"^Z\r\n[1]+  Stopped\r\n$ fg\r\npipe run\r\n")
            process.send_signal(signal.SIGCONT)

        screen = self.run_on_terminal(["run", path], meanwhile=stop, rows=30)
        self.assertEqual((screen.code, stopped), (0, [True]))
        self.assertRegex(
            screen.text,
            r"^\[\+\] t  0/1 .*\n  running   build .*\n    \| one\n\^Z\n\[1\]\+  Stopped\n\$ fg\npipe run\n  changed   build .*\nt: changed=1 .*\n$")

    def test_three_times_ctrl_c_too(self):
        path = self.pipeline(self.shell("build", "trap '' TERM INT; echo one; sleep 30"))
        presses = []

        def press(terminal, process, fd):
            if terminal.frames and "| one" in terminal.frames[-1] and len(presses) < 3:
                presses.append(os.write(fd, b"\x03"))

        screen = self.run_on_terminal(["run", path], meanwhile=press)
        self.assertEqual(screen.code, 130)
        self.assertNotIn("running", screen.text)
        self.assertNotIn("^C", screen.text)

    def test_colours_only_where_they_are_wanted(self):
        path = self.pipeline('[[step]]\nuses = "noop"\n')
        self.assertIn("\x1b[32m", self.run_on_terminal(["run", path]).raw)
        self.assertNotRegex(self.run_on_terminal(["run", path], env={"NO_COLOR": "1"}).raw, r"\x1b\[\d+m")

    def test_a_dumb_terminal_gets_plain_lines(self):
        path = self.pipeline('[[step]]\nuses = "noop"\n')
        self.assertNotIn("\x1b", self.run_on_terminal(["run", path], env={"TERM": "dumb"}).raw)

    def test_no_line_is_wider_than_the_terminal(self):
        path = self.pipeline(self.scripted("a-step-with-a-rather-long-name", wait='"1s"'))
        screen = self.run_on_terminal(["run", path], columns=40)
        self.assertTrue(screen.live)
        self.assert_fits(screen, 40)

    def test_a_failure_ends_with_its_reason(self):
        path = self.pipeline(self.scripted("a", fail=1, status='"denied"'))
        screen = self.run_on_terminal(["run", path], columns=200)
        self.assertEqual(screen.code, 1)
        self.assertIn("error: a: a did not work\n  hint: try again\n  it was given:\n    name   = a\n", screen.text)
        self.assertIn("    | this is a\n", screen.text)

    def test_outputs_go_to_stdout_and_nothing_else_does(self):
        path = self.pipeline(self.scripted("a") + '[outputs]\nname = "${steps.a.name}"\n')
        self.assertEqual(self.run_on_terminal(["run", path]).out, "name = a\n")

    def test_quiet_says_how_it_ended_and_what_went_wrong(self):
        path = self.pipeline(self.scripted("a") + self.shell("b", "echo one; echo two >&2; exit 3"))
        for words in (["--quiet"], ["--quiet", "--output", "plain"]):
            screen = self.run_on_terminal(["run", path, *words], columns=200, rows=60)
            self.assertEqual(screen.code, 1)
            self.assertRegex(
                screen.text,
                r"^error: b: .*\n(  hint: .*\n)?  it was given:\n(    .*\n)+  its last lines:\n    \| one\n    \| two\n  log: .*\nt: changed=1 ")
        self.assertEqual(self.pipe.run(["run", "--quiet", self.pipeline(self.scripted("c"))]).err.count("\n"), 1)

    def test_verbose_says_every_line_with_its_time(self):
        path = self.pipeline(self.scripted("a") + self.shell("b", "echo one; sleep 0.3; echo two"))
        screen = self.run_on_terminal(["run", path, "--verbose"])
        self.assertRegex(screen.text, r"a   \d\.\ds \| this is a\n  changed   a .*\nb   \d\.\ds \| one\nb   \d\.\ds \| two\n  changed   b ")
        said = self.pipe.run(["run", path, "--verbose"]).err
        self.assertRegex(said, r"\Aa   \d\.\ds \| run `scripted`\na   \d\.\ds \| this is a\n  changed   a ")
        together = self.pipe.run(["run", path, "--verbose", "--quiet"])
        self.assert_code(together, 2)
        self.assertIn("do not go together", together.err)


class Plain(CliCase):
    def test_what_runs_at_the_same_time_is_said_one_after_the_other(self):
        def all_have(what):  # done `what`
            there = " && ".join(f"[ -e {self.folder}/{what}-{n} ]" for n in "abc")
            return f": >{self.folder}/{what}-$n; until {there}; do sleep 0.02; done"

        talk = f"{all_have('begun')}; for i in 1 2 3 4 5; do echo $n$i; sleep 0.05; done; {all_have('talked')}"
        steps = "".join(f"[[step]]\nid = '{n}'\nuses = 'shell'\nneeds = []\nwith.run = 'n={n}; {talk}'\n" for n in "abc")
        said = self.pipe.run(["run", self.pipeline(steps)]).err
        speakers = [line.split()[0] for line in said.splitlines() if " | " in line]
        self.assertEqual(len(speakers), 15, said)
        others = "".join(s for s in speakers if s != speakers[0])
        self.assertEqual(len(re.findall(r"(.)\1*", others)), 2, said)


if __name__ == "__main__":
    unittest.main()
