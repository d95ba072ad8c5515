"""Ctrl-C once, twice, three times; SIGTERM; kill -9."""

import contextlib
import os
import pathlib
import re
import signal
import subprocess
import time
import unittest

from cli_case import CliCase


class Signals(CliCase):
    def setUp(self):
        super().setUp()
        self.started = []

    def start(self, path, *words):
        process = self.pipe.start(["run", path, *words])
        self.addCleanup(self.end, process)
        return process

    @staticmethod
    def end(process):
        if process.poll() is None:
            process.kill()
        process.communicate()

    def interrupted(self, process, *signals, gap=0.3):
        for number in signals:
            process.send_signal(number)
            time.sleep(gap)
        out, err = process.communicate(timeout=60)
        return err.decode()

    def children(self, pid):
        """All processes below one, by their numbers."""
        found = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True)
        parents = [tuple(map(int, line.split())) for line in found.stdout.splitlines()]
        below, last = {pid}, 0
        while len(below) != last:
            last = len(below)
            below |= {child for child, parent in parents if parent in below}
        return below - {pid}

    def ignoring_sigterm(self, pid):
        """Of the processes below it, those that do."""
        ignored = re.compile(r"SigIgn:\s*(\w+)")
        masks = {child: ignored.search(self.proc(child, "status")) for child in self.children(pid)}
        return [child for child, mask in masks.items() if mask and int(mask[1], 16) >> signal.SIGTERM - 1 & 1]

    def test_once_asks_to_stop_and_runs_finally(self):
        process = self.start(
            self.pipeline(self.scripted("a", wait='"60s"') + self.scripted("b") + self.scripted("f", table="finally"))
        )
        self.wait_for_note("begin a")
        err = self.interrupted(process, signal.SIGINT)
        self.assertEqual(process.returncode, 130)
        self.assertEqual(self.notes(), ["begin a", "cancelled a", "begin f", "end f"])
        self.assertIn("cancelled a", err)
        self.assertIn("cancelled=1 not_run=1", err)

    def test_sigterm_does_the_same_with_its_own_exit_code(self):
        process = self.start(self.pipeline(self.scripted("a", wait='"60s"') + self.scripted("f", table="finally")))
        self.wait_for_note("begin a")
        self.interrupted(process, signal.SIGTERM)
        self.assertEqual(process.returncode, 143)
        self.assertEqual(self.notes(), ["begin a", "cancelled a", "begin f", "end f"])

    def test_twice_kills_and_runs_finally(self):
        path = self.pipeline(
            '[[step]]\nid = "bad"\nuses = "misbehave"\nwith.how = "ignore-term"\n' + self.scripted("f", table="finally")
        )
        process = self.start(path, "--output", "json")
        self.wait_until(lambda: self.ignoring_sigterm(process.pid), "the step to ignore SIGTERM")
        self.interrupted(process, signal.SIGINT, signal.SIGINT)
        self.assertEqual(process.returncode, 130)
        self.assertEqual(self.notes(), ["begin f", "end f"])

    def test_three_times_is_out(self):
        path = self.pipeline(
            self.scripted("a", wait='"60s"')
            + '[[finally]]\nid = "stuck"\nuses = "misbehave"\nwith.how = "ignore-term"\n'
            + self.scripted("after", table="finally")
        )
        process = self.start(path)
        self.wait_for_note("begin a")
        process.send_signal(signal.SIGINT)
        self.wait_until(lambda: self.ignoring_sigterm(process.pid), "the step of `finally` to ignore SIGTERM")
        # The second kills what runs of `finally`; the third ends the rest.
        self.interrupted(process, signal.SIGINT, signal.SIGINT, gap=0.01)
        self.assertEqual(process.returncode, 130)

    def test_a_terminals_ctrl_c_does_not_reach_the_steps_themselves(self):
        path = self.pipeline(self.scripted("a", wait='"60s"') + self.scripted("f", table="finally"))
        process = self.pipe.start(["run", path], start_new_session=True)
        self.addCleanup(self.end, process)
        self.wait_for_note("begin a")
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130)
        self.assertEqual(self.notes(), ["begin a", "cancelled a", "begin f", "end f"])

    def test_kill_9_leaves_no_step_and_the_next_run_completes(self):
        steps = self.scripted("a", wait='"60s"') + self.scripted("b", keys={"needs": "[]"}, wait='"60s"')
        process = self.start(self.pipeline(steps))
        self.wait_for_note("begin a")
        self.wait_for_note("begin b")
        below = self.children(process.pid)
        self.assertGreaterEqual(len(below), 3)
        process.kill()
        process.communicate()
        self.wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in below), "the steps to die")
        again = self.pipe.run(["run", self.pipeline(steps.replace("60s", "0s"))])
        self.assert_code(again, 0)
        self.assertEqual(self.notes()[-4:].count("end a"), 1)

    def test_kill_9_at_many_moments(self):
        steps = "".join(self.scripted(name, wait='"5ms"') for name in "abcdef")
        path = self.pipeline(steps)
        for moment in range(0, 60, 6):
            process = self.start(path)
            time.sleep(moment / 1000)
            below = self.children(process.pid)
            process.kill()
            process.communicate()
            self.wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in below), "the steps to die")
        result = self.pipe.run(["run", path])
        self.assert_code(result, 0)
        self.assertIn("t: changed=6", result.err)

    def test_the_death_of_the_process_that_waits_for_a_step_costs_nothing(self):
        wait, gate = self.gate("go")
        held = f'[[step]]\nid = "held"\nuses = "shell"\nwith.run = "{wait}"\n'
        process = self.start(self.pipeline(self.scripted("a") + held + self.scripted("b")), "--jobs", "1")
        self.wait_for_note("end a")

        def steps():
            return [pid for pid in self.children(process.pid) if "pipe-step" in self.proc(pid, "comm")]

        def loaded():
            return [pid for pid in steps() if "pipe-shell.so" in self.proc(pid, "maps")]

        self.wait_until(lambda: loaded() and len(steps()) > len(loaded()), "a step to run, and a process to wait")
        os.kill(min(set(steps()) - set(loaded())), signal.SIGKILL)
        self.open_gate(gate)
        process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0)
        self.assertEqual(self.notes(), ["begin a", "end a", "begin b", "end b"])

    @staticmethod
    def proc(pid, name):
        """Of a process that may have ended: nothing."""
        with contextlib.suppress(OSError):
            return pathlib.Path(f"/proc/{pid}/{name}").read_text()
        return ""

    def test_the_death_of_the_zygote_is_told(self):
        process = self.start(self.pipeline(self.scripted("a", wait='"60s"')))
        self.wait_for_note("begin a")
        below = self.children(process.pid)
        zygote = next(pid for pid in below if "pipe-zygote" in pathlib.Path(f"/proc/{pid}/comm").read_text())
        os.kill(zygote, signal.SIGKILL)
        err = self.interrupted(process)
        self.assertEqual(process.returncode, 1)
        self.assertIn("the process that starts the steps is gone", err)
        self.wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in below), "the steps to die")


if __name__ == "__main__":
    unittest.main()
