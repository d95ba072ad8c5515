"""A plugin that misbehaves costs one step: the run goes on to `finally` and ends in order."""

import os
import signal
import subprocess
import unittest

from cli_case import CliCase


class Misbehaviour(CliCase):
    before = 0  # steps of the plugin that do not misbehave yet

    def misbehave(self, how, amount=0, timeout=None, **kwargs):
        """Runs a pipeline whose first step misbehaves and whose `finally` notes that it ran."""
        keys = f'timeout = "{timeout}"\n' if timeout else ""
        path = self.pipeline(
            "".join(f'[[step]]\nid = "b{n}"\nuses = "misbehave"\nwith.how = "nothing"\n' for n in range(self.before))
            + f'[[step]]\nid = "bad"\nuses = "misbehave"\n{keys}with.how = "{how}"\nwith.amount = {amount}\n'
            + self.scripted("f", table="finally")
        )
        return self.pipe.run(["run", path], **kwargs)

    def assert_costs_one_step(self, result, *messages):
        self.assert_code(result, 1)
        self.assertEqual(self.notes(), ["begin f", "end f"], result)
        self.assert_says(result.err, f"t: changed={self.before + 1} unchanged=0 failed=1", *messages)

    def left(self):
        """Processes of this test that live."""
        found = subprocess.run(["pgrep", "-f", str(self.folder)], capture_output=True, text=True, check=False)
        return [int(pid) for pid in found.stdout.split() if int(pid) != os.getpid()]

    def assert_no_steps_left(self):
        self.wait_until(lambda: not self.left(), "steps to be gone")

    def test_crashes_name_plugin_signal_and_last_words(self):
        for how, end in [
            ("segfault", "crashed (SIGSEGV)"),
            ("abort", "crashed (SIGABRT)"),
            ("throw", "crashed (SIGABRT)"),
            ("overflow", "crashed (SIGSEGV)"),
            ("kill", "was killed (SIGKILL)"),
        ]:
            with self.subTest(how):
                self.notes_file.unlink(missing_ok=True)
                result = self.misbehave(how)
                self.assert_costs_one_step(
                    result, f"error: bad: plugin 'misbehave' {end}", "bad | about to misbehave\n", "bad | last words\n"
                )

    def test_exit(self):
        for how, code in (("exit", 0), ("exit-code", 7)):
            with self.subTest(how):
                self.notes_file.unlink(missing_ok=True)
                self.assert_costs_one_step(
                    self.misbehave(how), f"plugin 'misbehave' exited (code {code}) without finishing"
                )

    def test_hangs_end_at_their_timeout(self):
        for how in ("hang", "spin"):
            with self.subTest(how):
                self.notes_file.unlink(missing_ok=True)
                result = self.misbehave(how, timeout="200ms")
                self.assert_costs_one_step(result, "took longer than its timeout of 200ms")

    def test_a_hang_that_ignores_sigterm_is_killed(self):
        self.assert_costs_one_step(self.misbehave("ignore-term", timeout="2s"), "took longer than its timeout")

    def test_a_flood_of_output_is_bounded(self):
        result = self.misbehave("flood", amount=100, timeout=None)
        self.assert_code(result, 0)
        self.assertLess(len(result.err), 10 << 20)
        self.assertIn("it says too much: the rest is only in", result.err)
        kept = sum(path.stat().st_size for path in self.pipe.runs.rglob("*") if path.is_file())
        self.assertLess(kept, 64 << 20)

    def test_a_line_without_end_is_bounded(self):
        result = self.misbehave("long-line", amount=50_000_000)
        self.assert_code(result, 0)
        self.assertLess(len(result.err), 10 << 20)

    def test_a_flood_of_log_messages_is_bounded(self):
        result = self.misbehave("log-flood", amount=200_000)
        self.assert_code(result, 0)
        self.assertLess(len(result.err), 10 << 20)

    def test_a_grandchild_that_holds_stdout_does_not_hold_the_run(self):
        self.assert_code(self.misbehave("grandchild"), 0)
        self.wait_until(lambda: len(self.left()) == 1, "all but the grandchild to be gone")
        os.kill(self.left()[0], signal.SIGKILL)

    def test_what_a_crashed_step_started_is_killed(self):
        self.assert_costs_one_step(self.misbehave("grandchild-then-crash"), "crashed (SIGABRT)")
        self.assert_no_steps_left()

    def test_closed_descriptors(self):
        for how in ("close-all", "close-and-reopen"):
            with self.subTest(how):
                self.notes_file.unlink(missing_ok=True)
                self.assert_costs_one_step(
                    self.misbehave(how), "closed the descriptor by which it talks to the runner"
                )

    def test_garbage_on_the_socket(self):
        for how in ("garbage", "endless-message", "huge-packet"):
            with self.subTest(how):
                self.notes_file.unlink(missing_ok=True)
                self.assert_costs_one_step(self.misbehave(how), "plugin 'misbehave' wrote garbage to the runner's socket")

    def test_outputs_that_break_the_contract(self):
        for how, message in [
            ("undeclared-output", "gave an output 'nobody-said-so' that it does not declare"),
            ("wrong-output-type", "gave its output 'text' as integer, but declares it as string"),
            (
                "wrong-item-type",
                "gave its output 'texts' with an item of type integer, but declares it as list of strings",
            ),
            ("malformed-value", "failed (internal) and did not say why"),
            ("silent-failure", "failed (denied) and did not say why"),
            ("no-such-status", "failed (internal) and did not say why"),
        ]:
            with self.subTest(how):
                self.notes_file.unlink(missing_ok=True)
                self.assert_costs_one_step(self.misbehave(how), message)

    def test_too_many_open_files_is_the_plugins_own_trouble(self):
        self.assert_code(self.misbehave("many-descriptors"), 0)

    def test_escape_sequences_do_not_reach_the_terminal(self):
        result = self.misbehave("escape-codes")
        self.assertNotIn("\x1b", result.err)
        self.assertIn("bad | warning: red alert", result.err)

    def test_a_big_output_arrives(self):
        result = self.pipe.run(
            ["step", "misbehave", "--how", "big-output", "--amount", "8000000", "--output", "json"]
        )
        self.assert_code(result, 0)
        self.assertEqual(len(result.json["text"]), 8_000_000)

    def test_a_reader_that_goes_away_does_not_end_the_run(self):
        path = self.pipeline(self.scripted("a", wait='"300ms"') + self.scripted("b"))
        process = self.pipe.start(["run", path, "--output", "json"])
        process.stdout.readline()
        process.stdout.close()
        process.stderr.close()
        self.assertEqual(process.wait(30), 0)
        self.assertEqual(self.notes(), ["begin a", "end a", "begin b", "end b"])


class MisbehaviourOfALoadedPlugin(Misbehaviour):
    """The same of a process that is forked from one which has the plugin loaded (test_loading.py)."""

    before = 40


if __name__ == "__main__":
    unittest.main()
