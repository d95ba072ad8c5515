"""`pipe run`: order, failure, retries, finally, rollback, outputs, events, journal."""

import json
import time
import unittest

from cli_case import CliCase
from pipe import AS_PERMITTED, normalised


class Run(CliCase):
    def run_file(self, path, *words, **kwargs):
        return self.pipe.run(["run", path, *words], **kwargs)

    def test_the_whole_output_of_a_run(self):
        path = self.pipeline(
            '[vars.text]\ndefault = "hello"\n'
            f'[[step]]\nid = "greet"\nuses = "echo"\nwith.text = "${{vars.text}}"\nwith.file = "{self.folder}/out"\n'
            '[[step]]\nid = "rest"\nuses = "noop"\n'
            '[outputs]\nsaid = "${steps.greet.text}"\nnumber = "${steps.greet.number}"\n'
        )
        first = self.run_file(path)
        self.assert_code(first, 0)
        self.assertEqual(first.out, "said = hello\nnumber = 7\n")
        self.assertEqual(
            normalised(first.err),
            f"  changed   greet  <time>  wrote {self.folder}/out\n".replace("  <time>", "    <time>")
            + "  unchanged rest     <time>\n"
            + "t: changed=1 unchanged=1 failed=0 skipped=0   <time>\n",
        )
        second = self.run_file(path)
        self.assertIn("t: changed=0 unchanged=2 failed=0 skipped=0", second.err)

    def test_set_and_var_file(self):
        path = self.pipeline(
            '[vars.text]\ndefault = "hello"\n[vars.other]\ndefault = "o"\n'
            '[[step]]\nuses = "echo"\nwith.text = "${vars.text} ${vars.other}"\n[outputs]\nt = "${steps.echo.text}"\n'
        )
        values = self.pipe.write("values.toml", 'text = "from file"\nother = "from file"\n')
        result = self.run_file(path, "--set", "text=a=b", "--var-file", values)
        self.assertEqual(result.out, "t = a=b from file\n")

    def test_a_duration_keeps_its_unit_wherever_it_goes(self):
        path = self.pipeline(
            '[vars.wait]\ntype = "duration"\ndefault = "1ms"\n[vars.more]\ntype = "list<duration>"\ndefault = ["90s"]\n'
            + self.scripted("a", wait='"${vars.wait}"')
            + '[outputs]\nwait = "${vars.wait}"\nmore = "${vars.more}"\nsame = "in ${vars.wait}"\ndown = "${pipeline.down}"\n'
        )
        for words in (["--set", "wait=2ms"], ["--var-file", self.pipe.write("values.toml", 'wait = "2ms"\n')]):
            result = self.run_file(path, *words)
            self.assert_code(result, 0)
            self.assertEqual(
                result.out,
                f'wait = 2ms\nmore = ["1m30s"]\nsame = in 2ms\ndown = pipe down {path} --set wait=2ms\n',
            )
        self.assertIn("wait = 1ms\n", self.run_file(path).out)

    def test_one_error_a_variable(self):
        path = self.pipeline('[vars.count]\ntype = "integer"\n[[step]]\nuses = "noop"\n')
        for name, content, message in (
            ("wrong.toml", 'count = "x"\n', 'variable `count` takes an integer, not "x"'),
            ("broken.toml", "count =\n", "invalid TOML"),
        ):
            result = self.run_file(path, "--var-file", self.pipe.write(name, content))
            self.assert_code(result, 3)
            self.assertIn(message, result.err)
            self.assertEqual(result.err.count("error["), 1, result)

    def test_a_var_file_that_cannot_be_read(self):
        path = self.pipeline('[vars.text]\ndefault = "x"\n[[step]]\nuses = "noop"\n')
        missing = self.run_file(path, "--var-file", "/nowhere/values.toml")
        self.assert_code(missing, 3)
        self.assert_says(missing.err, "/nowhere/values.toml: there is no such file", "help: name a TOML file")

        values = self.pipe.write("values.toml", 'text = "y"\n')
        values.chmod(0)
        self.pipe.before = AS_PERMITTED
        denied = self.run_file(path, "--var-file", values)
        self.assert_code(denied, 3)
        self.assert_says(denied.err, str(values), "Permission denied", "help:")
        self.assertEqual(denied.out, "")

    def test_an_unknown_variable(self):
        path = self.pipeline('[vars.text]\ndefault = "x"\n[[step]]\nuses = "noop"\n')
        result = self.run_file(path, "--set", "tekst=x")
        self.assertIn(result.code, (2, 3), result)
        self.assert_says(result.err, "tekst", "text")

    def test_steps_follow_each_other(self):
        self.run_file(self.pipeline("".join(self.scripted(name) for name in "abc")))
        self.assertEqual(self.notes(), ["begin a", "end a", "begin b", "end b", "begin c", "end c"])

    def test_independent_steps_run_at_the_same_time(self):
        all_there = " && ".join(f"[ -e {name} ]" for name in "abcd")
        script = f": >$me; until {all_there}; do sleep 0.02; done"
        steps = "".join(f'[[step]]\nid = "{n}"\nuses = "shell"\nneeds = []\nwith.run = "me={n}; {script}"\n' for n in "abcd")
        self.assert_code(self.run_file(self.pipeline(steps), "--jobs", "4"), 0)

    def test_jobs_limits_them(self):
        steps = "".join(self.scripted(name, keys={"needs": "[]"}, wait='"50ms"') for name in "abc")
        self.run_file(self.pipeline(steps), "--jobs", "1")
        self.assertEqual(self.notes(), ["begin a", "end a", "begin b", "end b", "begin c", "end c"])

    def test_a_failure_names_the_step_and_where_its_log_is(self):
        result = self.run_file(
            self.pipeline(self.scripted("a", fail=1, status='"denied"') + self.scripted("b") + self.scripted("f", table="finally"))
        )
        self.assert_code(result, 1)
        self.assertEqual(self.notes(), ["begin a", "failed a", "begin f", "end f"])
        self.assert_says(result.err, "a | this is a\n", "error: a: a did not work\n  hint: try again\n")
        self.assertEqual(result.err.count("this is a\n"), 1, "once, where it was said")
        self.assertIn("t: changed=1 unchanged=0 failed=1 skipped=0 not_run=1", result.err)
        log = next(self.pipe.runs.glob("*/a.log"))
        self.assertIn(f"  log: {log}\n", result.err)
        self.assertIn("this is a\n", log.read_text())

    def test_a_transient_failure_is_retried(self):
        result = self.run_file(
            self.pipeline(self.scripted("a", fail=2, keys={"retry": '{ attempts = 3, delay = "10ms" }'}))
        )
        self.assert_code(result, 0)
        self.assertEqual(self.notes().count("failed a"), 2)
        self.assert_says(result.err, "a | try 2 of 3 in ", ": a did not work", "s  try 3: ", "retried=2")

    def test_no_other_failure_is(self):
        result = self.run_file(
            self.pipeline(self.scripted("a", fail=1, status='"denied"', keys={"retry": '{ attempts = 3, delay = "10ms" }'}))
        )
        self.assert_code(result, 1)
        self.assertEqual(self.notes(), ["begin a", "failed a"])

    def test_retry_waits_as_long_as_the_other_side_asks(self):
        begin = time.monotonic()
        self.run_file(
            self.pipeline(
                self.scripted("a", fail=1, retry_after='"600ms"', keys={"retry": '{ attempts = 2, delay = "1ms" }'})
            )
        )
        self.assertGreaterEqual(time.monotonic() - begin, 0.6)

    def test_old_runs_are_removed(self):
        old = [self.pipe.runs / f"202001{day:02}T{hour:02}0000.000Z-t" for day in range(1, 6) for hour in range(21)]
        other = self.pipe.runs / "20200101T000000.000Z-other-t"
        for folder in [*old, other]:
            folder.mkdir(parents=True)
            (folder / "events.jsonl").touch()
        self.assert_code(self.run_file(self.pipeline(self.scripted("a"))), 0)
        self.assertEqual([folder for folder in old if folder.exists()], old[5:])
        self.assertTrue(other.exists())
        self.assertEqual(len(list(self.pipe.runs.iterdir())), 102)

    def test_a_timeout_ends_an_attempt(self):
        result = self.run_file(self.pipeline(self.scripted("a", wait='"60s"', keys={"timeout": '"2s"'})))
        self.assert_code(result, 1)
        self.assertIn("error: a: took longer than its timeout of 2s", result.err)
        self.assertEqual(self.notes(), ["begin a", "cancelled a"])

    def test_rollback_takes_back_newest_first(self):
        steps = "".join(self.scripted(name, keys={"rollback": "true"}) for name in "ab")
        result = self.run_file(self.pipeline(steps + self.scripted("c", fail=1, status='"denied"') + self.scripted("f", table="finally")))
        self.assert_code(result, 1)
        self.assertEqual(
            self.notes(),
            ["begin a", "end a", "begin b", "end b", "begin c", "failed c", "undo b", "undo a", "begin f", "end f"],
        )
        self.assertIn("undone=2", result.err)

    def test_a_step_whose_if_is_false_is_skipped(self):
        path = self.pipeline(
            "[vars.wanted]\ndefault = false\n" + self.scripted("a", keys={"if": '"vars.wanted"'}) + self.scripted("b")
        )
        result = self.run_file(path)
        self.assert_code(result, 0)
        self.assertEqual(self.notes(), ["begin b", "end b"])
        self.assertIn("skipped=1", result.err)

    def test_reading_an_output_of_a_skipped_step_fails(self):
        path = self.pipeline(
            "[vars.wanted]\ndefault = false\n"
            + self.scripted("a", keys={"if": '"vars.wanted"'})
            + '[[step]]\nuses = "echo"\nwith.text = "${steps.a.name}"\n'
        )
        result = self.run_file(path)
        self.assert_code(result, 1)
        self.assertIn("text", result.err)

    def test_an_output_that_a_step_did_not_give_is_named(self):
        maker = '[[step]]\nid = "maker"\nuses = "misbehave"\nwith.how = "nothing"\n'
        reader = '[[step]]\nid = "reader"\nuses = "echo"\n'
        for keys in ('with.text = "${steps.maker.text}"\n', 'if = "steps.maker.text == \'x\'"\nwith.text = "a"\n'):
            result = self.run_file(self.pipeline(maker + reader + keys))
            self.assert_code(result, 1)
            self.assert_says(result.err, "step `maker` ended without its output `text`")

    def test_for_each_makes_named_instances(self):
        path = self.pipeline(
            '[[step]]\nid = "say"\nuses = "echo"\nfor_each = ["x/1", "y"]\nwith.text = "${each.value}!"\n'
            '[outputs]\nall = "${steps.say[*].text}"\n'
        )
        result = self.run_file(path)
        self.assert_code(result, 0)
        self.assertEqual(result.out, 'all = ["x/1!","y!"]\n')
        self.assertIn('say["x/1"]', result.err)

    def test_run_status_is_there_for_finally(self):
        path = self.pipeline(
            self.scripted("a", fail=1, status='"denied"')
            + '[[finally]]\nuses = "echo"\nwith.text = "x"\n'
            + f'with.file = "{self.folder}/${{run.status}}"\n'
        )
        self.run_file(path)
        self.assertTrue((self.folder / "failed").exists())

    def test_dry_run_changes_nothing(self):
        path = self.pipeline(f'[[step]]\nuses = "echo"\nwith.text = "hi"\nwith.file = "{self.folder}/out"\n')
        result = self.run_file(path, "--dry-run")
        self.assert_code(result, 0)
        self.assertEqual(
            result.out, f"  + echo  create      {self.folder}/out\nPlan: 1 to create.\n"
        )
        self.assertFalse((self.folder / "out").exists())
        self.assertEqual(self.pipe.journals(), [])

    def test_parameters_and_outputs_of_megabytes(self):
        text = "m" * 3_000_000
        path = self.pipeline(
            f'[[step]]\nid = "a"\nuses = "echo"\nwith.text = "{text}"\n'
            '[[step]]\nid = "b"\nuses = "echo"\nwith.text = "${steps.a.text}"\n[outputs]\nt = "${steps.b.text}"\n'
        )
        result = self.run_file(path)
        self.assert_code(result, 0)
        self.assertEqual(len(result.out), len("t = \n") + len(text))

    def test_isolation_none_does_the_same(self):
        path = self.pipeline(self.scripted("a", fail=1, keys={"retry": '{ attempts = 2, delay = "10ms" }'}) + self.scripted("b"))
        for env, words in (({"PIPE_ISOLATION": "none"}, []), ({}, ["--isolation", "none"])):
            result = self.run_file(path, *words, env=env)
            self.assert_code(result, 0)
        self.assertEqual(self.notes()[:6], ["begin a", "failed a", "begin a", "end a", "begin b", "end b"])

    def test_two_runs_of_one_pipeline_do_not_interleave(self):
        wait, gate = self.gate("go")
        path = self.pipeline(self.scripted("a") + f'[[step]]\nuses = "shell"\nwith.run = "{wait}"\n' + self.scripted("b"))
        first = self.pipe.start(["run", path])
        self.wait_for_note("end a")
        second = self.pipe.start(["run", path])
        self.assertIn(b"another run of `t` is under way", second.stderr.readline())
        self.open_gate(gate)
        for process in (first, second):
            process.communicate()
            self.assertEqual(process.returncode, 0)
        self.assertEqual(self.notes(), ["begin a", "end a", "begin b", "end b"] * 2)

    def test_without_a_place_for_state_it_runs_and_says_so(self):
        blocked = self.pipe.write("blocked", "a file, not a folder")
        path = self.pipeline('[[step]]\nuses = "noop"\n')
        result = self.run_file(path, env={"XDG_STATE_HOME": blocked})
        self.assert_code(result, 0)
        self.assert_says(result.err, "warning: there will be no record of this run", "XDG_STATE_HOME")

    def test_a_step_that_must_remember_fails_without_a_place_for_it(self):
        blocked = self.pipe.write("blocked", "a file, not a folder")
        result = self.run_file(self.pipeline(self.scripted("a")), env={"XDG_STATE_HOME": blocked})
        self.assert_code(result, 1)
        self.assertIn("cannot keep 'name' for a later undo", result.err)


class Events(CliCase):
    def test_json_lines_tell_the_whole_run(self):
        path = self.pipeline(
            self.scripted("a") + '[[step]]\nuses = "noop"\n[outputs]\nname = "${steps.a.name}"\n'
        )
        result = self.pipe.run(["run", path, "--output", "json"])
        self.assert_code(result, 0)
        events = result.events
        self.assertEqual(events[0]["type"], "version")
        self.assertEqual(events[0]["schema"], "1.3")
        self.assertEqual(events[1]["type"], "run_started")
        self.assertEqual([s["id"] for s in events[1]["steps"]], ["a", "noop"])
        self.assertEqual(
            [(e["type"], e.get("step")) for e in events[2:-1]],
            [("step_started", "a"), ("log", "a"), ("step_ended", "a"), ("step_started", "noop"), ("step_ended", "noop")],
        )
        self.assertEqual(events[-1]["type"], "run_ended")
        self.assertEqual(events[-1]["outputs"], {"name": "a"})
        self.assertEqual(events[-1]["counts"]["changed"], 1)

    def test_the_journal_holds_the_same_events(self):
        path = self.pipeline(self.scripted("a", fail=1, status='"denied"'))
        shown = self.pipe.run(["run", path, "--output", "json"]).events
        (journal,) = self.pipe.journals()
        kept = [json.loads(line) for line in journal.read_text().splitlines()]
        self.assertEqual(kept, shown)

    def test_the_run_folder_is_private_and_named_after_time_and_pipeline(self):
        self.pipe.run(["run", self.pipeline('[[step]]\nuses = "noop"\n')])
        (journal,) = self.pipe.journals()
        self.assertRegex(journal.parent.name, r"^\d{8}T\d{6}\.\d{3}Z-t$")
        self.assertEqual(journal.stat().st_mode & 0o077, 0)


if __name__ == "__main__":
    unittest.main()
