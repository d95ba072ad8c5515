"""`pipe runs`, `pipe log`, `pipe run --resume`, `--from`, `--only`, `--explain`."""

import json
import signal
import time
import unittest

from cli_case import CliCase


class HistoryCase(CliCase):
    def run_file(self, path, *words, **kwargs):
        return self.pipe.run(["run", path, *words], **kwargs)

    def runs(self, *words):
        return self.pipe.run(["runs", "--output", "json", *words]).json

    def ended(self, journal=-1):
        """The last word on each step in a journal."""
        events = [json.loads(line) for line in self.pipe.journals()[journal].read_text().splitlines()]
        return {e["step"]: e for e in events if e["type"] == "step_ended"}


class Runs(HistoryCase):
    def test_the_table(self):
        self.run_file(self.pipeline(self.scripted("a")))
        self.run_file(self.pipeline(self.scripted("b", fail=1, status='"denied"') + self.scripted("c"), name="u.toml"))
        self.pipe.run(["down", self.folder / "p.toml"])
        self.pipe.run(["step", "echo", "--text", "x"])
        table = self.pipe.run(["runs"]).out.splitlines()
        self.assertEqual(table[0].split(), ["RUN", "WHEN", "PIPELINE", "RESULT", "TIME"])
        self.assertRegex(table[1], r"^\d{8}T\d{6}\.\d{3}Z-step-echo +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d +step echo +ok +\d\.\ds +unchanged=1$")
        self.assertRegex(table[2], r"-t +\S+ \S+ +t \(down\) +ok .*undone=1$")
        self.assertRegex(table[3], r" t +failed .*failed=1 not_run=1$")
        self.assertRegex(table[4], r" t +ok .*changed=1$")
        self.assertEqual(len(table), 5)

    def test_json_filter_and_limit(self):
        for _ in range(3):
            self.run_file(self.pipeline(self.scripted("a")))
        self.pipe.run(["step", "echo", "--text", "x"])
        runs = self.runs("t")
        self.assertEqual([(r["pipeline"], r["status"], r["operation"]) for r in runs], [("t", "ok", "run")] * 3)
        self.assertGreater(runs[0]["id"], runs[1]["id"])
        self.assertEqual(runs[0]["counts"]["changed"], 1)
        result = self.pipe.run(["runs", "--limit", "2"])
        self.assertEqual(len(result.out.splitlines()), 3)
        self.assertIn("and 2 older", result.err)
        self.assertEqual(len(self.runs("--limit", "0")), 4)
        self.assert_code(self.pipe.run(["runs", "--limit", "some"]), 2)

    def test_one_that_runs_and_one_that_was_killed(self):
        process = self.pipe.start(["run", self.pipeline(self.scripted("a", wait='"120s"'))])
        try:
            self.wait_for_note("begin a")
            self.assertEqual(self.runs()[0]["status"], "running")
            self.assertIn("still under way", self.pipe.run(["log"]).err)
            self.assertIn("still under way", self.pipe.run(["run", "--resume"]).err)
        finally:
            process.kill()
            process.communicate()
        self.wait_until(lambda: self.runs()[0]["status"] == "killed", "its end")
        self.assertIn("was killed", self.pipe.run(["log"]).err)


class Log(HistoryCase):
    def test_of_a_run_and_of_a_step(self):
        printed = self.run_file(self.pipeline(self.scripted("a") + self.scripted("b", fail=1, status='"denied"')))
        shown = self.pipe.run(["log", "last"])
        self.assert_code(shown, 0)
        self.assertEqual(shown.out, printed.err.replace(printed.err.splitlines(keepends=True)[-1], ""))
        self.assertEqual(self.pipe.run(["log", "t", "a"]).out, "this is a\n")
        self.assertEqual(self.pipe.run(["log", "t", "b"]).out, "this is b\nfailed: b did not work\n")

    def test_how_a_run_is_named(self):
        self.run_file(self.pipeline(self.scripted("a")))
        time.sleep(0.01)
        self.run_file(self.pipeline(self.scripted("b")))
        first, second = sorted(r["id"] for r in self.runs())
        for word in ("last", "t", second, second[:-2]):
            self.assertEqual(self.pipe.run(["log", word, "b"]).out, "this is b\n", word)
        self.assertEqual(self.pipe.run(["log", first, "a"]).out, "this is a\n")
        several = self.pipe.run(["log", first[:5]])
        self.assert_code(several, 2)
        self.assert_says(several.err, "2 runs begin with", first, second)
        unknown = self.pipe.run(["log", "nothing"])
        self.assert_code(unknown, 2)
        self.assert_says(unknown.err, "there is no run `nothing`", "`pipe runs`")
        step = self.pipe.run(["log", "last", "bb"])
        self.assert_code(step, 2)
        self.assert_says(step.err, "has no step `bb`", "did you mean `b`?")

    def test_a_run_is_named_by_its_file_too(self):
        first, second = (self.pipeline(self.scripted(name), name=f"{name}.toml") for name in ("first", "second"))
        self.run_file(first)
        self.run_file(second)
        self.assertEqual(self.pipe.run(["log", first, "first"]).out, "this is first\n")
        self.assertEqual(len(self.runs("t")), 2)
        self.assertEqual(len(self.runs(first)), 1)
        self.assert_says(self.pipe.run(["log", self.pipeline("", name="third.toml")]).err, "no run of", "third.toml")
        for words in (["log"], ["runs"], ["report"], ["run", "--resume"]):
            said = self.pipe.run([*words, self.folder / "secnd.toml"])
            self.assert_says(said.err, "secnd.toml: there is no such file", f"did you mean `{second}`?")
            self.assertNotEqual(said.code, 0)

    def test_nothing_takes_over_the_terminal(self):
        self.run_file(self.pipeline(self.scripted("a")))
        log = next(self.pipe.runs.glob("*/a.log"))
        log.write_bytes(b"\x1b[31mred\x1b[0m \x1b]0;title\x07plain\n" + b"x" * 3_000_000)
        log.with_suffix(".log.old").write_bytes(b"older\n")
        self.assertEqual(self.pipe.run(["log", "last", "a"]).out, "older\nred plain\n" + "x" * 3_000_000)

    def test_all_instances(self):
        self.run_file(self.pipeline(
            f'[[step]]\nid = "a"\nuses = "scripted"\nfor_each = ["x", "y"]\nwith.name = "${{each.key}}"\nwith.notes = "{self.notes_file}"\n'
        ))
        self.assertEqual(self.pipe.run(["log", "last", "a"]).out, '==> a["x"] <==\nthis is x\n==> a["y"] <==\nthis is y\n')
        self.assertEqual(self.pipe.run(["log", "last", 'a["y"]']).out, "this is y\n")


class Resume(HistoryCase):
    def test_what_ended_well_is_kept_with_its_outputs(self):
        path = self.pipeline(
            self.scripted("a") + self.scripted("b", fail=1, status='"denied"', after='["${steps.a.name}"]') + self.scripted("c"),
        )
        failed = self.run_file(path)
        run = self.runs()[0]["id"]
        self.assertTrue(failed.err.endswith(f"go on with: pipe run --resume {run}\n"), failed)
        result = self.pipe.run(["run", "--resume", run, "--explain"])
        self.assert_code(result, 0)
        self.assertEqual(self.notes(), ["begin a", "end a", "begin b", "failed b", "begin b", "end b", "begin c", "end c"])
        self.assert_says(
            result.err, f"going on with run {run}", "  kept      a ", "t: changed=2 unchanged=1",
            f"  a  kept: it ended well in run {run}, and nothing before it has changed\n",
            "  b  ran: it had failed\n", "  c  ran: that run did not get to it\n",
        )
        self.assertEqual(self.ended()["a"]["kept"], run)
        again = self.pipe.run(["run", "--resume"])
        self.assert_code(again, 0)
        self.assertIn("ended well: there is nothing to go on with", again.err)

    def test_one_that_was_killed(self):
        path = self.pipeline(self.scripted("a") + self.scripted("b", wait='"${vars.wait}"'), '[vars.wait]\ndefault = "60s"\n')
        process = self.pipe.start(["run", path])
        self.wait_for_note("begin b")
        process.kill()
        process.communicate()
        self.assert_code(self.pipe.run(["run", "--resume", path, "--set", "wait=0s"]), 0)
        self.assertEqual([n for n in self.notes() if n.startswith("end")], ["end a", "end b"])

    def test_settings_plugins_and_folder_are_those_of_the_run(self):
        head = '[vars.text]\ndefault = "d"\n[vars.other]\ndefault = "o"\nenv = "OTHER"\n'
        self.pipeline(
            '[[step]]\nid = "e"\nuses = "echo"\nwith.text = "${vars.text} ${vars.other}"\nwith.file = "out"\n'
            + self.scripted("b", fail=1, status='"denied"') + '[outputs]\nt = "${steps.e.text}"\n', head)
        plugins = self.pipe.env.pop("PIPE_PLUGIN_PATH")
        work = self.folder / "work"
        work.mkdir()
        self.run_file("../p.toml", "--set", "text=it's", "--plugin-path", plugins, cwd=work, env={"OTHER": "x y"})
        result = self.pipe.run(["run", "--resume"])
        self.assert_code(result, 0)
        self.assertEqual(result.out, "t = it's x y\n")
        self.assertIn(f"in {work}", result.err)
        self.assertTrue((work / "out").exists())

    def test_a_step_that_would_be_given_something_else_runs(self):
        head = '[vars.text]\ndefault = "d"\n'
        path = self.pipeline(
            self.scripted("a") + '[[step]]\nid = "e"\nuses = "echo"\nwith.text = "${vars.text}"\n'
            f'[[step]]\nid = "f"\nuses = "echo"\nwith.text = "${{steps.e.text}}"\nwith.file = "{self.folder}/out"\n'
            + '[[step]]\nid = "g"\nuses = "noop"\n' + self.scripted("b", fail=1, status='"denied"'), head)
        self.run_file(path)
        result = self.pipe.run(["run", "--resume", "--set", "text=other", "--explain"])
        self.assert_code(result, 0)
        self.assert_says(result.err, "  a  kept: ", "  e  ran: its `text` is not what it was", "  f  ran: its `text` is not what it was",
                         "  g  ran: `f` before it changed something")

    def test_a_secret_is_made_again(self):
        head = '[secrets.token]\nfrom = [{ env = "TEST_TOKEN" }]\n'
        path = self.pipeline(
            '[[step]]\nid = "e"\nuses = "echo"\nwith.text = "x"\nwith.secret = "${secrets.token}"\nwith.tell = true\n'
            + self.scripted("b", fail=1, status='"denied"')
            + f'[[step]]\nid = "f"\nuses = "echo"\nwith.text = "${{steps.e.text}}"\nwith.file = "{self.folder}/out"\n', head)
        env = {"TEST_TOKEN": "s3cr3t-t0ken"}
        self.run_file(path, env=env)
        result = self.pipe.run(["run", "--resume", "--explain"], env=env)
        self.assert_code(result, 0)
        self.assertIn("  e  ran: it is given a secret, which may have been replaced since", result.err)
        self.assertEqual((self.folder / "out").read_text(), "was s3cr3t-t0ken")
        for file in self.pipe.state.rglob("*"):
            if file.is_file():
                self.assertNotIn("s3cr3t-t0ken", file.read_text(), file)

    def test_a_setting_that_held_a_secret_is_asked_for(self):
        head = '[secrets.token]\nfrom = [{ env = "TEST_TOKEN" }]\n[vars.text]\ndefault = "x"\n'
        path = self.pipeline(
            '[[step]]\nid = "e"\nuses = "echo"\nwith.text = "${vars.text}"\nwith.secret = "${secrets.token}"\n'
            + self.scripted("b", fail=1, status='"denied"'), head)
        env = {"TEST_TOKEN": "s3cr3t-t0ken"}
        self.run_file(path, "--set", "text=s3cr3t-t0ken", env=env)
        result = self.pipe.run(["run", "--resume"], env=env)
        self.assert_code(result, 2)
        self.assert_says(result.err, "`text` held a secret", "--set text=VALUE")
        self.assert_code(self.pipe.run(["run", "--resume", "--set", "text=s3cr3t-t0ken"], env=env), 0)

    def test_what_was_rolled_back_runs(self):
        path = self.pipeline(self.scripted("a", keys={"rollback": "true"}) + self.scripted("b", fail=1, status='"denied"'))
        self.run_file(path)
        result = self.pipe.run(["run", "--resume", "--explain"])
        self.assert_code(result, 0)
        self.assertIn("  a  ran: it was rolled back", result.err)

    def test_what_cannot_go_on(self):
        path = self.pipeline(self.scripted("a"))
        self.assertIn("no run is on record", self.pipe.run(["run", "--resume"]).err)
        self.run_file(path)
        self.pipe.run(["down", path])
        for words, says in ((["--resume", self.runs()[0]["id"]], "it was no `pipe run`"), (["--resume", "--dry-run"], "do not go together"),
                            (["--resume", "--only", "a"], "do not go together"), (["--resume", "x", "y"], "one word too many"),
                            (["--resume", "--var-file", "x"], "the settings of the run")):
            result = self.pipe.run(["run", *words])
            self.assert_code(result, 2)
            self.assertIn(says, result.err)


    def test_what_was_edited_since_is_said(self):
        path = self.pipeline(self.scripted("a") + self.scripted("b", fail=1, status='"denied"'))
        self.run_file(path)
        self.pipeline(self.scripted("a") + self.scripted("new") + self.scripted("b", fail=1, status='"denied"'))
        result = self.pipe.run(["run", "--resume", path, "--explain"])
        self.assert_code(result, 0)
        self.assert_says(result.err, f"{path} was edited since: what is new in it runs", "  a    kept: ",
                         "  new  ran: that run did not get to it")
        self.run_file(self.pipeline(self.scripted("c", fail=1, status='"denied"')))
        self.assertNotIn("was edited", self.pipe.run(["run", "--resume"]).err)

    def test_what_goes_on_with_a_down_that_was_cancelled(self):
        path = self.pipeline(
            "[[step]]\nid = 's'\nuses = 'echo'\nwith.text = '${vars.text}'\n" + self.scripted("a"), '[vars.text]\ndefault = "d"\n')
        self.assert_code(self.run_file(path, "--set", "text=it's"), 0)
        (self.folder / "p.toml").write_text(path.read_text().replace(str(self.notes_file), "/nonexistent/notes"))
        result = self.pipe.run(["down", path, "--set", "text=it's"])
        self.assert_code(result, 1)
        self.assertTrue(result.err.endswith(f"go on with: pipe down {path} --set 'text=it'\\''s'\n"), result.err)


class Follow(HistoryCase):
    def following(self, *words):
        process = self.pipe.start(["log", "--follow", *words])
        self.addCleanup(lambda: (process.kill(), process.communicate()))
        return process

    def test_what_is_said_is_shown_before_the_run_ends(self):
        run = self.pipe.start(["run", self.pipeline(self.scripted("a") + self.scripted("b", wait='"120s"'))])
        self.addCleanup(lambda: (run.kill(), run.communicate()))
        self.wait_for_note("begin b")
        process = self.following()
        lines = [process.stdout.readline().decode() for _ in range(3)]
        self.assertEqual((lines[0], lines[2]), ("a | this is a\n", "b | this is b\n"))
        self.assertIsNone(run.poll())
        run.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        self.assertEqual((process.returncode, err), (0, b""))
        self.assertIn("cancelled=1", out.decode().splitlines()[-1])

    def test_it_ends_with_its_reader(self):
        step = '[[step]]\nid = "a"\nuses = "shell"\nwith.run = "while sleep 0.1; do echo more; done"\n'
        run = self.pipe.start(["run", self.pipeline(step)])
        self.addCleanup(lambda: (run.kill(), run.communicate()))
        self.wait_until(lambda: any("more" in path.read_text() for path in self.pipe.journals()), "the first line")
        process = self.following()
        process.stdout.readline()
        process.stdout.close()  # as `| head -1` does
        process.stdout = None
        self.assertEqual(process.wait(timeout=60), -signal.SIGPIPE)
        self.assertIsNone(run.poll())

    def test_one_step_of_a_run_that_is_killed(self):
        run = self.pipe.start(["run", self.pipeline(self.scripted("a") + self.scripted("b", wait='"120s"'))])
        self.addCleanup(lambda: (run.kill(), run.communicate()))
        self.wait_for_note("begin b")
        process = self.following("last", "b")
        self.assertEqual(process.stdout.readline(), b"this is b\n")
        run.kill()
        run.communicate()
        out, err = process.communicate(timeout=60)
        self.assertEqual((process.returncode, out), (0, b""))
        self.assertIn(b"was killed: it has no end", err)

    def test_a_run_that_has_ended(self):
        self.run_file(self.pipeline(self.scripted("a")))
        self.assertEqual(self.pipe.run(["log", "--follow"]).out, self.pipe.run(["log"]).out)
        self.assert_code(self.pipe.run(["log", "--follow", "--explain"]), 2)


class Choice(HistoryCase):
    def chain(self):
        return self.pipeline(
            self.scripted("a") + self.scripted("b", after='["${steps.a.name}"]', keys={"needs": '["a"]'})
            + self.scripted("c", after='["${steps.b.name}"]', keys={"needs": '["b"]'}) + self.scripted("d", keys={"needs": "[]"})
            + self.scripted("f", table="finally") + '[outputs]\nlast = "${steps.c.name}"\n')

    def test_only_takes_the_rest_from_an_earlier_run(self):
        path = self.chain()
        self.run_file(path)
        self.notes_file.unlink()
        result = self.run_file(path, "--only", "b")
        self.assert_code(result, 0)
        self.assertEqual(self.notes(), ["begin b", "end b"])
        self.assertEqual(result.out, "last = c\n")
        self.assertIn("t: changed=1 unchanged=0 failed=0 skipped=0 ", result.err)

    def test_from(self):
        path = self.chain()
        self.run_file(path)
        self.notes_file.unlink()
        self.assert_code(self.run_file(path, "--from", "b"), 0)
        self.assertEqual(self.notes(), ["begin b", "end b", "begin c", "end c", "begin f", "end f"])

    def test_an_output_that_is_not_there(self):
        result = self.run_file(self.chain(), "--only", "b")
        self.assert_code(result, 2)
        self.assert_says(result.err, "`after` of `b` needs an output of `a`", "--from a")
        self.assertEqual(self.notes(), [])
        self.assertEqual(self.pipe.journals(), [])

    def test_a_secret_output_is_not_there_either(self):
        head = '[secrets.token]\nfrom = [{ env = "TEST_TOKEN" }]\n'
        path = self.pipeline('[[step]]\nid = "e"\nuses = "echo"\nwith.text = "x"\nwith.secret = "${secrets.token}"\nwith.tell = true\n'
                             '[[step]]\nid = "f"\nuses = "echo"\nwith.text = "${steps.e.text}"\n', head)
        env = {"TEST_TOKEN": "s3cr3t-t0ken"}
        self.assert_code(self.run_file(path, env=env), 0)
        result = self.run_file(path, "--only", "f", env=env)
        self.assert_code(result, 2)
        self.assertIn("`text` of `f` needs an output of `e`", result.err)

    def test_one_instance_of_many(self):
        path = self.pipeline(
            f'[[step]]\nid = "a"\nuses = "scripted"\nfor_each = ["x", "y"]\nwith.name = "${{each.key}}"\nwith.notes = "{self.notes_file}"\n'
            + self.scripted("b"))
        self.assert_code(self.run_file(path, "--only", 'a["y"]'), 0)
        self.assertEqual(self.notes(), ["begin y", "end y"])
        result = self.run_file(path, "--only", "aa")
        self.assert_code(result, 2)
        self.assert_says(result.err, "`t` has no step `aa`", "did you mean `a`?")

    def test_pools_are_let_go_of(self):
        path = self.pipeline("".join(self.scripted(n, keys={"needs": "[]", "pool": '"one"'}) for n in "abc"), "[pools]\none = 1\n")
        self.assert_code(self.run_file(path, "--only", "c", "--only", "b"), 0)
        self.assertEqual(self.notes(), ["begin b", "end b", "begin c", "end c"])

    def test_resume_keeps_the_choice(self):
        path = self.pipeline(self.scripted("a") + self.scripted("b", fail=1, status='"denied"') + self.scripted("c"))
        self.run_file(path, "--only", "b")
        self.assert_code(self.pipe.run(["run", "--resume"]), 0)
        self.assertEqual(self.notes(), ["begin b", "failed b", "begin b", "end b"])


class Explain(HistoryCase):
    def test_a_line_a_step(self):
        path = self.pipeline(
            self.scripted("a") + self.scripted("s", keys={"if": "\"'x' == 'y'\""}) + self.scripted("b", fail=1, status='"denied"')
            + self.scripted("c") + self.scripted("f", table="finally"))
        result = self.run_file(path, "--explain")
        said = result.err[result.err.index("why each step"):]
        expected = (
            "why each step ran, or did not:\n"
            "  a  ran: it waits for no other step\n"
            "  s  skipped: its `if` is false\n"
            "  b  ran: what it waits for had ended (s)\n"
            "  c  did not run: `b` failed\n"
            "  f  ran: [[finally]] runs however the steps before it ended\n"
        )
        self.assertTrue(said.startswith(expected), said)
        self.assertEqual(self.pipe.run(["log", "last", "--explain"]).out, expected)

    def test_after_ctrl_c(self):
        process = self.pipe.start(["run", self.pipeline(self.scripted("a", wait='"120s"') + self.scripted("b"))])
        self.wait_for_note("begin a")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        self.assertIn("  b  did not run: `a` cancelled\n", self.pipe.run(["log", "last", "--explain"]).out)


if __name__ == "__main__":
    unittest.main()
