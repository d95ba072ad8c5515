"""A plugin that is used again and again is loaded once for its steps, where that makes no difference to them."""

import os
import signal
import subprocess
import unittest

from cli_case import CliCase

# How many steps there are at most before one must have come from a process that has the plugin loaded.
MANY = 300


class Loading(CliCase):
    def setUp(self):
        super().setUp()
        # Programs of other tests run at the same time: those of this one have its folder in their environment.
        self.addCleanup(self.assert_nothing_left)

    def left(self):
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/environ", encoding="utf-8", errors="replace") as file:
                    if f"XDG_STATE_HOME={self.pipe.state}" in file.read():
                        yield int(pid)
            except OSError:
                continue

    def assert_nothing_left(self):
        self.wait_until(lambda: not list(self.left()), "all processes to be gone")

    def steps(self, count, keys="", **params):
        lines = "".join(f"with.{key} = {value}\n" for key, value in params.items())
        items = ", ".join(f'"{n}"' for n in range(count))
        return f'[[step]]\nid = "load"\nuses = "loading"\nneeds = []\nfor_each = [{items}]\n{keys}{lines}'

    def loading(self, how="", count=24, jobs=2):
        path = self.pipeline(self.steps(count))
        return self.pipe.run(["run", path, "--jobs", jobs, "--output", "json"], env={"PIPE_TEST_LOADING": how})

    def outputs(self, result):
        self.assert_code(result, 0)
        return [event["outputs"] for event in result.events if event["type"] == "step_ended"]

    def assert_independent(self, outputs):
        """Every step had a process and a process group of its own, as it should be."""
        self.assertEqual(len({each["pid"] for each in outputs}), len(outputs))
        for each in outputs:
            self.assertEqual(each["group"], each["pid"])
            self.assertFalse(each["core"])

    def test_steps_get_processes_of_their_own_from_one_that_has_loaded_the_plugin(self):
        for jobs in (1, 3):
            outputs = self.outputs(self.loading(count=MANY, jobs=jobs))
            self.assertEqual(len(outputs), MANY)
            self.assert_independent(outputs)
            self.assertFalse(any(each["blocked"] for each in outputs))
            # The first two load it themselves; so do those that follow, until it is ready.
            self.assertGreaterEqual(sum(each["loaded_here"] for each in outputs), 2)
            self.assertFalse(outputs[-1]["loaded_here"])
            self.assertLessEqual(len({each["parent"] for each in outputs}), 2)

    def test_two_steps_load_it_themselves(self):
        outputs = self.outputs(self.loading(count=2, jobs=1))
        self.assertTrue(all(each["loaded_here"] for each in outputs))

    def test_a_plugin_that_does_more_than_load_is_loaded_by_each_step(self):
        for how in ("thread", "descriptor", "shared-memory", "child", "output", "child-signal"):
            with self.subTest(how):
                outputs = self.outputs(self.loading(how))
                self.assert_independent(outputs)
                self.assertTrue(all(each["loaded_here"] for each in outputs))
                for pid in self.left():  # children that nobody waits for are the plugin's own affair
                    os.kill(pid, signal.SIGKILL)

    def test_what_is_said_while_loading_is_in_the_log_of_each_step(self):
        result = self.loading("output")
        said = [event["step"] for event in result.events if event["type"] == "output"]
        self.assertEqual(sorted(said), sorted({event["step"] for event in result.events if "step" in event}))

    def test_what_a_plugin_sets_for_its_process_holds_in_steps(self):
        outputs = self.outputs(self.loading("mask", count=MANY, jobs=1))
        self.assertTrue(all(each["blocked"] for each in outputs))
        self.assertFalse(outputs[-1]["loaded_here"])

    def test_a_plugin_that_cannot_be_loaded_ahead_costs_no_step(self):
        for how in ("crash", "exit", "hang", "child", "thread"):
            with self.subTest(how):
                outputs = self.outputs(self.loading("zygote:" + how))
                self.assertTrue(all(each["loaded_here"] for each in outputs))
                self.assert_nothing_left()

    def test_a_plugin_that_never_loads_fails_in_the_words_of_its_step(self):
        for how, message in (
            ("crash", "plugin 'loading' crashed (SIGABRT)"),
            ("exit", "plugin 'loading' exited (code 0) without finishing"),
        ):
            with self.subTest(how):
                result = self.loading(how, count=8, jobs=8)
                self.assert_code(result, 1)
                ends = [event for event in result.events if event["type"] == "step_ended"]
                self.assertEqual(len(ends), 8)
                for end in ends:
                    self.assertEqual(end["error"]["message"], message)

    def test_a_plugin_that_hangs_as_it_is_loaded_ends_at_the_timeout_of_its_step(self):
        path = self.pipeline(self.steps(6, 'timeout = "300ms"\n'))
        result = self.pipe.run(["run", path, "--jobs", "6"], env={"PIPE_TEST_LOADING": "hang"})
        self.assert_code(result, 1)
        self.assert_says(result.err, "took longer than its timeout of 300ms", "t: changed=0 unchanged=0 failed=6")

    def test_its_death_costs_the_steps_that_came_from_it_alone(self):
        path = self.pipeline(
            self.steps(MANY)
            + '[[step]]\nid = "kill"\nuses = "loading"\nneeds = ["load"]\nwith.kill_zygote = true\n'
            + '[[finally]]\nid = "after"\nuses = "loading"\n'
        )
        result = self.pipe.run(["run", path, "--jobs", "1"])
        self.assert_code(result, 1)
        self.assert_says(
            result.err, "error: kill: plugin 'loading' was killed (SIGKILL)", f"t: changed={MANY + 1} unchanged=0 failed=1"
        )

    def test_kill_9_leaves_nothing_of_what_came_from_it(self):
        path = self.pipeline(
            self.steps(MANY) + '[[step]]\nid = "end"\nuses = "misbehave"\nneeds = ["load"]\nwith.how = "hang"\n'
        )
        process = self.pipe.start(["run", path, "--jobs", "1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.wait_until(lambda: any("end" in journal.read_text() for journal in self.pipe.journals()), "a run")
        process.kill()
        process.wait()
        self.assert_nothing_left()


if __name__ == "__main__":
    unittest.main()
