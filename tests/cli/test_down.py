"""`pipe plan` and `pipe down`."""

import unittest

from cli_case import CliCase


class PlanAndDown(CliCase):
    def setUp(self):
        super().setUp()
        self.out = self.folder / "out"
        self.path = self.pipeline(
            '[vars.text]\ndefault = "hello"\n'
            '[[step]]\nid = "first"\nuses = "echo"\nwith.text = "${vars.text}"\n'
            f'[[step]]\nid = "keep"\nuses = "echo"\nwith.text = "${{steps.first.text}}"\nwith.file = "{self.out}"\n'
            + self.scripted("last")
        )

    def test_plan_goes_from_create_to_change_to_up_to_date(self):
        result = self.pipe.run(["plan", self.path])
        self.assert_code(result, 0)
        self.assertEqual(
            result.out,
            "  = first  up to date  hello\n"
            f"  + keep   create      {self.out}\n"
            "  ? last   unknown     `scripted` cannot tell before it runs\n"
            "Plan: 1 to create, 1 unknown, 1 up to date.\n",
        )
        self.assertFalse(self.out.exists())
        self.pipe.run(["run", self.path])
        self.assertIn("  = keep   up to date  hello\n", self.pipe.run(["plan", self.path]).out)
        changed = self.pipe.run(["plan", self.path, "--set", "text=bye"])
        self.assertIn(f"  ~ keep   change      {self.out}\n        text  hello -> bye\n", changed.out)

    def test_exit_code_tells_of_changes(self):
        self.assert_code(self.pipe.run(["plan", self.path, "--exit-code"]), 10)
        quiet = self.pipeline('[[step]]\nuses = "noop"\n', name="quiet.toml")
        result = self.pipe.run(["plan", quiet, "--exit-code"])
        self.assert_code(result, 0)
        self.assertIn("No changes", result.out)

    def test_plan_as_json(self):
        events = self.pipe.run(["plan", self.path, "--output", "json"]).events
        ends = {e["step"]: e for e in events if e["type"] == "step_ended"}
        self.assertEqual(ends["first"]["state"], "unchanged")
        self.assertEqual(ends["keep"]["verdict"], "create")
        self.assertEqual(ends["last"]["verdict"], "unknown")

    def test_a_step_after_an_unknown_one_is_unknown(self):
        path = self.pipeline(
            self.scripted("a") + '[[step]]\nuses = "echo"\nwith.text = "${steps.a.name}"\n'
        )
        result = self.pipe.run(["plan", path])
        self.assert_code(result, 0)
        self.assertIn("  ? echo  unknown", result.out)

    def test_down_takes_back_what_run_made_and_then_nothing(self):
        self.pipe.run(["run", self.path])
        self.assertTrue(self.out.exists())
        result = self.pipe.run(["down", self.path])
        self.assert_code(result, 0)
        self.assertFalse(self.out.exists())
        self.assertEqual(self.notes()[-1], "undo last")
        self.assertIn("undone=2", result.err)
        self.assertLess(result.err.index("undone    last"), result.err.index("undone    keep"))
        again = self.pipe.run(["down", self.path])
        self.assert_code(again, 0)
        self.assertNotIn("undone", again.err)
        self.assertEqual(self.notes().count("undo last"), 1)

    def test_down_leaves_what_was_there_before(self):
        self.out.write_text("mine")
        self.pipe.run(["run", self.path])
        self.pipe.run(["down", self.path])
        self.assertTrue(self.out.exists())

    def test_down_keeps_data_unless_asked(self):
        self.pipe.run(["run", self.path])
        self.assertNotIn("and data", self.pipe.run(["down", self.path]).err)
        self.pipe.run(["run", self.path])
        self.assertIn("and data", self.pipe.run(["down", self.path, "--data"]).err)

    def two_settings(self):
        """A step whose undo depends on an output, run with two settings."""
        names = [self.folder / "one", self.folder / "two and more"]
        path = self.pipeline(
            '[vars.file]\ndefault = ""\n'
            '[[step]]\nid = "name"\nuses = "echo"\nwith.text = "${vars.file}"\n'
            '[[step]]\nid = "keep"\nuses = "echo"\nwith.text = "x"\nwith.file = "${steps.name.text}"\n'
            '[outputs]\nstop = "${pipeline.down}"\n',
            name="two.toml",
        )
        for name in names:
            ran = self.pipe.run(["run", path, "--set", f"file={name}"])
            self.assert_code(ran, 0)
        self.assertEqual(ran.out, f"stop = pipe down {path} --set 'file={names[1]}'\n")
        return path, names

    def test_down_takes_back_what_was_made_with_its_settings(self):
        path, (one, two) = self.two_settings()
        self.assert_code(self.pipe.run(["down", path, "--set", f"file={one}"]), 0)
        self.assertFalse(one.exists())
        self.assertTrue(two.exists())
        self.assert_code(self.pipe.run(["down", path, "--set", f"file={two}"]), 0)
        self.assertFalse(two.exists())

    def test_down_says_which_settings_there_are(self):
        path, (one, two) = self.two_settings()
        for words in [], ["--set", "file=/nowhere"]:
            result = self.pipe.run(["down", path, *words])
            self.assert_code(result, 2)
            self.assert_says(result.err, "made nothing with these settings", f"\n    pipe down {path} --set file={one}\n")
            self.assert_says(result.err, f"\n    pipe down {path} --set 'file={two}'\n")
        self.assertTrue(one.exists() and two.exists())

    def test_down_without_words_takes_back_the_only_thing_that_stands(self):
        path, (one, two) = self.two_settings()
        self.assert_code(self.pipe.run(["down", "--data", path, "--set", f"file={one}"]), 0)
        result = self.pipe.run(["down", "--data", path])
        self.assert_code(result, 0)
        self.assert_says(result.err, f"pipe down {path} --set 'file={two}'")
        self.assertFalse(two.exists())
        self.assert_code(self.pipe.run(["down", path]), 0)

    def test_dry_run_says_what_would_go_and_touches_nothing(self):
        before = self.pipe.run(["down", self.path, "--dry-run"])
        self.assert_code(before, 0)
        self.assertNotIn("remove", before.out)
        self.pipe.run(["run", self.path])
        journals = len(self.pipe.journals())
        result = self.pipe.run(["down", self.path, "--dry-run"])
        self.assert_code(result, 0)
        self.assertRegex(result.out, r"- keep +remove +\S")
        self.assertLess(result.out.index("last"), result.out.index("keep"))
        self.assertIn("2 to remove", result.out)
        self.assertTrue(self.out.exists())
        self.assertNotIn("undo last", self.notes())
        self.assertEqual(len(self.pipe.journals()), journals)
        self.pipe.run(["down", self.path])
        self.assertNotIn("remove", self.pipe.run(["down", self.path, "--dry-run"]).out)

    def test_dry_run_says_what_it_cannot_know(self):
        """The undo of a step is told what runs with other settings made, and may take that away."""
        path = self.pipeline(
            '[vars.text]\ndefault = "x"\n'
            f'[[step]]\nid = "keep"\nuses = "echo"\nwith.text = "${{vars.text}}"\nwith.file = "{self.out}"\n',
            name="same.toml",
        )
        self.assert_code(self.pipe.run(["run", path, "--set", "text=one"]), 0)
        self.assert_code(self.pipe.run(["run", path]), 0)
        result = self.pipe.run(["down", path, "--dry-run"])
        self.assertRegex(result.out, rf"\? keep +unknown +made with other settings, and goes if these name it, too: {self.out}\n")
        self.assertNotIn("No changes", result.out)
        self.assert_code(self.pipe.run(["down", path]), 0)
        self.assertFalse(self.out.exists())
        self.assertIn("No changes", self.pipe.run(["down", path, "--dry-run"]).out)

    def test_dry_run_skips_what_down_skips(self):
        result = self.pipe.run(["down", self.path, "--dry-run"])
        self.assertRegex(result.out, r"keep +skip +it has not run")
        self.assert_says(self.pipe.run(["down", self.path]).err, "skipped=1")

    def test_dry_run_keeps_to_the_settings(self):
        path, (one, two) = self.two_settings()
        result = self.pipe.run(["down", "--dry-run", path, "--set", f"file={one}"])
        self.assertRegex(result.out, rf"- keep +remove +{one}; made with other settings, and .*: {two}\n")
        nothing = self.pipe.run(["down", "--dry-run", path, "--set", "file=/nowhere"])
        self.assert_code(nothing, 2)
        self.assert_says(nothing.err, f"--set file={one}\n", f"--set 'file={two}'\n")
        self.assertTrue(one.exists() and two.exists())

    def failing_first(self):
        """Its first run fails at its first step; what it makes is named by a setting."""
        return self.pipeline(
            '[vars.file]\ndefault = "/nowhere/x"\n'
            + self.scripted("first", fail=1, status='"denied"')
            + '[[step]]\nid = "keep"\nuses = "echo"\nwith.text = "${steps.first.name}"\n'
            'with.file = "${vars.file}"\n',
            name="failing.toml",
        )

    def test_settings_that_failed_before_they_made_anything_do_not_count(self):
        path = self.failing_first()
        self.assert_code(self.pipe.run(["run", path]), 1)
        self.assert_code(self.pipe.run(["run", path, "--set", f"file={self.out}"]), 0)
        result = self.pipe.run(["down", path])
        self.assert_code(result, 0)
        self.assert_says(result.err, f"pipe down {path} --set file={self.out}", "undone=2")
        self.assertFalse(self.out.exists())

    def test_what_was_rolled_back_does_not_count(self):
        path = self.pipeline(
            '[vars.file]\ndefault = "/nowhere/x"\n'
            + self.scripted("gone", keys={"rollback": "true"})
            + self.scripted("first", fail=1, status='"denied"')
            + '[[step]]\nuses = "echo"\nwith.text = "${steps.first.name}"\nwith.file = "${vars.file}"\n',
            name="rolled.toml",
        )
        self.assert_says(self.pipe.run(["run", path]).err, "changed=1", "undone=1")
        self.assert_code(self.pipe.run(["run", path, "--set", f"file={self.out}"]), 0)
        self.assert_code(self.pipe.run(["down", path]), 0)
        self.assertFalse(self.out.exists())

    def test_settings_that_failed_after_they_were_taken_back_do_not_count_either(self):
        path = self.failing_first()
        self.pipe.run(["run", path])
        one = self.folder / "one"
        self.assert_code(self.pipe.run(["run", path, "--set", f"file={one}"]), 0)
        self.assert_code(self.pipe.run(["down", path, "--set", f"file={one}"]), 0)
        (self.folder / f"{self.notes_file.name}.first").unlink()  # it fails once more
        self.assert_code(self.pipe.run(["run", path, "--set", f"file={one}"]), 1)
        self.assert_code(self.pipe.run(["run", path, "--set", f"file={self.out}"]), 0)
        result = self.pipe.run(["down", path, "--set", f"file={one}"])
        self.assert_code(result, 2)
        self.assert_says(result.err, f"pipe down {path} --set file={self.out}\n")
        self.assertTrue(self.out.exists())

    def test_what_a_killed_run_made_is_taken_back(self):
        path = self.pipeline(
            f'[[step]]\nid = "keep"\nuses = "echo"\nwith.text = "x"\nwith.file = "{self.out}"\n'
            + self.scripted("slow", wait='"60s"'),
            name="killed.toml",
        )
        run = self.pipe.start(["run", path])
        self.wait_for_note("begin slow")
        run.kill()
        run.communicate()
        self.assertTrue(self.out.exists())
        self.assert_code(self.pipe.run(["down", path]), 0)
        self.assertFalse(self.out.exists())

    def test_where_only_data_is_left_it_is_said(self):
        path = self.pipeline(
            '[vars.folder]\ndefault = "/nowhere/x"\n'
            '[[step]]\nuses = "certificate"\nwith.names = ["localhost"]\nwith.folder = "${vars.folder}"\n',
            name="pki.toml",
        )
        one, two = self.folder / "one", self.folder / "two"
        for place in one, two:
            self.assert_code(self.pipe.run(["run", path, "--set", f"folder={place}"]), 0)
        self.assert_code(self.pipe.run(["down", path, "--set", f"folder={one}"]), 0)
        result = self.pipe.run(["down", path])
        self.assert_code(result, 2)
        for place in one, two:
            self.assert_says(result.err, f"\n    pipe down {path} --set folder={place} --data   # only data is left\n")
        self.assert_code(self.pipe.run(["down", path, "--set", f"folder={one}", "--data"]), 0)
        result = self.pipe.run(["down", path])
        self.assert_code(result, 0)
        self.assert_says(result.err, "what is left was made with other settings", f"folder={two} --data ")
        self.assertTrue(two.exists())
        self.assert_code(self.pipe.run(["down", path, "--data"]), 0)
        self.assertFalse(two.exists())

    def test_only_what_stands_is_listed(self):
        path, (one, two) = self.two_settings()
        result = self.pipe.run(["down", path, "--set", f"file={one}"])
        self.assert_code(result, 0)
        self.assert_says(result.err, f"made with other settings, and still there:\n    pipe down {path} --set 'file={two}'\n")
        result = self.pipe.run(["down", path, "--set", "file=/nowhere"])
        self.assert_code(result, 2)
        self.assertNotIn(str(one), result.err)
        self.assert_says(result.err, f"\n    pipe down {path} --set 'file={two}'\n")

    def test_what_needs_a_step_goes_before_it_wherever_it_stands(self):
        path = self.pipeline(
            self.scripted("user", keys={"needs": '["maker"]'}) + self.scripted("maker", keys={"needs": "[]"}),
            name="order.toml",
        )
        self.assert_code(self.pipe.run(["run", path]), 0)
        self.assert_code(self.pipe.run(["down", path]), 0)
        self.assertEqual([n for n in self.notes() if n.startswith("undo")], ["undo user", "undo maker"])

    def test_a_step_that_its_if_rules_out_is_not_asked(self):
        path = self.pipeline(
            '[vars.probe]\ndefault = ""\n' + self.scripted("first")
            + '[[step]]\nuses = "pull"\nif = \'vars.probe != ""\'\nwith.image = "localhost:1/${vars.probe}"\n',
            name="guarded.toml",
        )  # fmt: skip
        self.assert_code(self.pipe.run(["run", path]), 0)
        result = self.pipe.run(["down", path])
        self.assert_code(result, 0)
        self.assertIn("its `if` is false", result.out + result.err)
        self.assert_says(result.err, "skipped=1 undone=1")
        self.assert_code(self.pipe.run(["run", path]), 0)
        foreseen = self.pipe.run(["down", path, "--dry-run"])
        self.assertRegex(foreseen.out, r"skip +its `if` is false")

    def test_down_before_any_run(self):
        result = self.pipe.run(["down", self.path])
        self.assert_code(result, 0)

    def test_pipelines_of_one_name_do_not_share_their_memory(self):
        self.pipe.run(["run", self.path])
        other = self.pipe.write("elsewhere/p.toml", self.path.read_text())
        self.pipe.run(["down", other])
        self.assertTrue(self.out.exists())


if __name__ == "__main__":
    unittest.main()
