"""shell: commands, what they print, how they end, and what is left of them."""

import os
import pathlib
import signal
import tempfile
import time
import unittest

from pipe import Pipe, StepFailed

PIPELINE = """schema = 1
[pipeline]
name = "shell"
[[step]]
uses = "shell"
with.run = '''{run}'''
{more}
"""


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until(condition, what, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.02)


class Shell(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.pipe = Pipe(self.folder)

    def pipeline(self, run, more=""):
        return self.pipe.write("shell.toml", PIPELINE.format(run=run, more=more))

    def failed(self, **params):
        with self.assertRaises(StepFailed) as caught:
            self.pipe.step("shell", **params)
        self.assertEqual(caught.exception.result.code, 1, caught.exception.result)
        return caught.exception.result.out + caught.exception.result.err

    def test_stdout_is_an_output_without_its_last_line_end(self):
        self.assertEqual(self.pipe.step("shell", run="printf 'a\\nb\\n\\n'"), {"stdout": "a\nb\n", "exit_code": 0})

    def test_stderr_is_no_output(self):
        self.assertEqual(self.pipe.step("shell", run="echo out; echo err >&2")["stdout"], "out")

    def test_long_line_stays_whole(self):
        self.assertEqual(self.pipe.step("shell", run="head -c 50000 /dev/zero | tr '\\0' x")["stdout"], "x" * 50000)

    def test_output_of_more_than_a_mebibyte_is_an_error_that_helps(self):
        text = self.failed(run="head -c 1100000 /dev/zero | tr '\\0' x; touch ended")
        self.assertIn("the command printed more than 1 MiB", text)
        self.assertIn("send what it prints to a file", text)
        self.assertTrue((self.folder / "ended").exists(), "the command was cut off")

    def test_dir(self):
        (self.folder / "sub").mkdir()
        self.assertEqual(self.pipe.step("shell", run="pwd", dir="sub")["stdout"], str(self.folder / "sub"))

    def test_missing_dir(self):
        self.assertIn("cannot enter nowhere: No such file or directory", self.failed(run="pwd", dir="nowhere"))

    def test_stdin_is_empty(self):
        self.assertEqual(self.pipe.step("shell", run="cat; echo end")["stdout"], "end")

    def test_exit_code_fails_with_the_last_lines_of_stderr(self):
        text = self.failed(run="echo fine; for i in 1 2 3 4 5 6 7 8 9 10; do echo line$i >&2; done; exit 7")
        self.assertIn("exit code 7 from: echo fine; for i in", text)
        self.assertEqual(text.count("line10"), 1, "said while it ran, and not again")

    def test_a_command_may_begin_with_a_dash(self):
        text = self.failed(run="-x echo ran")
        self.assertIn("exit code 127", text)
        self.assertNotIn("ran", text.replace("echo ran", ""))  # -x was no option of sh
        self.assertEqual(self.pipe.step("shell", run="-x 2>/dev/null; echo ran")["stdout"], "ran")

    def test_an_empty_command_is_refused_before_anything_runs(self):
        for run in "", "  ", "\n":
            check = self.pipe.run(["check", self.pipeline(run)])
            self.assertEqual(check.code, 3, check)
            self.assertIn("run", check.err)
            self.assertEqual(self.pipe.try_step("shell", run=run).code, 2)

    def test_accepted_exit_code_is_an_output(self):
        self.assertEqual(self.pipe.step("shell", run="exit 7", accept=[0, 7])["exit_code"], 7)

    def test_signal_is_an_exit_code_above_128(self):
        self.assertIn("exit code 143", self.failed(run="kill -TERM $$"))

    def test_missing_command_is_explained(self):
        text = self.failed(run="no-such-command")
        self.assertIn("exit code 127", text)
        self.assertIn("a command was not found", text)

    def test_creates_makes_a_second_run_unchanged(self):
        pipeline = self.pipeline("echo x >> made", 'with.creates = "made"')
        for expected in ("changed=1 unchanged=0", "changed=0 unchanged=1"):
            run = self.pipe.run(["run", pipeline])
            self.assertEqual(run.code, 0, run)
            self.assertIn(expected, run.out + run.err)
        self.assertEqual((self.folder / "made").read_text(), "x\n")

    def test_creates_that_was_not_made(self):
        self.assertIn("did not make made", self.failed(run="true", creates="made"))

    def test_plan_runs_nothing(self):
        plan = self.pipe.run(["plan", self.pipeline("touch ran")])
        self.assertIn("runs a command: touch ran", plan.out, plan)
        self.assertFalse((self.folder / "ran").exists())

    def test_retry_tries_a_failed_command_again(self):
        pipeline = self.pipeline("test -e tried || { touch tried; exit 1; }", 'retry = { attempts = 2, delay = "10ms" }')
        run = self.pipe.run(["run", pipeline])
        self.assertEqual(run.code, 0, run)

    def test_secret_in_env_is_nowhere_to_be_seen(self):
        pipeline = self.pipe.write(
            "secret.toml",
            'schema = 1\n[pipeline]\nname = "secret"\n[secrets.token]\nfrom = [{ env = "TOKEN" }]\n'
            '[[step]]\nuses = "shell"\nwith.env = { T = "${secrets.token}" }\n'
            "with.run = 'echo \"it is $T\"; test \"$T\" = \"hush-$((40 + 2))-hush\"; echo \"equal: $?\"'\n",
        )
        run = self.pipe.run(["run", pipeline], env={"TOKEN": "hush-42-hush"})
        self.assertEqual(run.code, 0, run)
        self.assertIn("equal: 0", run.out + run.err)
        self.assertNotIn("hush-42", run.out + run.err)
        for journal in self.pipe.runs.rglob("*"):
            if journal.is_file():
                self.assertNotIn(b"hush-42", journal.read_bytes(), journal)

    def started(self, script):
        """A run of a script that writes the pid of a grandchild into `pid`, and that pid."""
        run = self.pipe.start(["run", self.pipeline(script)])
        self.addCleanup(run.communicate)
        self.addCleanup(run.kill)
        pid = self.folder / "pid"
        until(lambda: pid.exists() and pid.read_text().endswith("\n"), "the command has started")
        return run, int(pid.read_text())

    def test_cancelling_ends_all_that_the_command_started(self):
        run, pid = self.started("sh -c 'echo $$ >pid; exec sleep 600' | cat")
        run.send_signal(signal.SIGINT)
        self.assertEqual(run.wait(60), 130)
        until(lambda: not alive(pid), "the grandchild has ended")

    def test_command_that_ignores_sigterm_is_killed(self):
        run, pid = self.started("trap '' TERM; sh -c 'trap \"\" TERM; echo $$ >pid; while :; do sleep 1; done'")
        run.send_signal(signal.SIGINT)
        self.assertEqual(run.wait(60), 130)
        until(lambda: not alive(pid), "the grandchild has ended")

    def test_killing_pipe_ends_all_that_the_command_started(self):
        run, pid = self.started("sh -c 'trap \"\" TERM HUP; echo $$ >pid; while :; do sleep 1; done' | cat")
        os.kill(run.pid, signal.SIGKILL)
        run.wait()
        until(lambda: not alive(pid), "the grandchild has ended")

    def test_background_command_is_not_waited_for(self):
        begin = time.monotonic()
        self.assertEqual(self.pipe.step("shell", run="sleep 60 & echo started")["stdout"], "started")
        self.assertLess(time.monotonic() - begin, 50)


if __name__ == "__main__":
    unittest.main()
