"""`pipe step`: options made from metadata, outputs, secrets."""

import subprocess
import unittest

from cli_case import CliCase
from pipe import PROGRAM, StepFailed


class Step(CliCase):
    def test_outputs_of_every_type_as_json(self):
        outputs = self.pipe.step(
            "echo", text="hi", number=12, flag=True, list=["a", "b,c"], map={"k": "v", "e": "a=b"}
        )
        self.assertEqual(
            outputs,
            {"text": "hi", "number": 12, "flag": True, "list": ["a", "b,c"], "map": {"k": "v", "e": "a=b"}},
        )

    def test_outputs_as_text(self):
        result = self.pipe.run(["step", "echo", "--text", "hi", "--list", "a", "--list", "b"])
        self.assert_code(result, 0)
        self.assertEqual(result.out, 'text = hi\nnumber = 7\nflag = false\nlist = ["a","b"]\nmap = {}\n')
        self.assertIn("echo: changed=0 unchanged=1 failed=0 skipped=0", result.err)

    def test_a_switch_may_stand_alone(self):
        result = self.pipe.run(["step", "echo", "--flag", "--text", "x", "--output", "json"])
        self.assertIs(result.json["flag"], True)

    def test_a_value_may_begin_with_a_dash(self):
        self.assertEqual(self.pipe.step("echo", text="-x --number 3")["text"], "-x --number 3")

    def test_names_with_underscores_are_understood_both_ways(self):
        for option in ("--retry-after", "--retry_after"):
            result = self.pipe.run(
                ["step", "scripted", "--name", "n", "--notes", self.notes_file, option, "1s", "--output", "json"]
            )
            self.assert_code(result, 0)

    def test_help_lists_parameters_and_outputs(self):
        result = self.pipe.run(["step", "echo", "--help"])
        self.assert_code(result, 0)
        self.assert_says(
            result.out,
            "usage: pipe step echo --text TEXT …",
            "Give back what it gets (echo 0.1.0)",
            "Any text (required; for example hello)",
            "--number INTEGER",
            "A number (0 to 100; default: 7)",
            "--color CHOICE",
            "one of: red, green, blue",
            "--flag[=true|false]",
            "--map KEY=VALUE",
            "--secret-file PATH",
            "--secret-env NAME",
            "outputs:",
        )

    def test_everything_that_is_wrong_is_said_at_once(self):
        result = self.pipe.run(["step", "echo", "--number", "300", "--color", "pink"])
        self.assert_code(result, 2)
        self.assertEqual(
            result.err,
            "error: step `echo`: `--text` is missing: Any text\n"
            "  `--number` takes 0 to 100, not 300\n"
            '  `--color` takes one of: red, green, blue, not "pink"\n'
            "  hint: `pipe step echo --help` lists its parameters\n",
        )

    def test_a_parameter_that_is_not_there(self):
        result = self.pipe.run(["step", "echo", "--txt", "x"])
        self.assert_code(result, 2)
        self.assertEqual(result.err, "error: there is no option `--txt`\n  hint: did you mean `--text`?\n")

    def test_a_word_that_belongs_to_nothing(self):
        result = self.pipe.run(["step", "echo", "hello"])
        self.assert_code(result, 2)
        self.assertIn("`hello` belongs to no option", result.err)

    def test_one_value_given_twice(self):
        result = self.pipe.run(["step", "echo", "--text", "a", "--text", "b"])
        self.assert_code(result, 2)
        self.assertIn("`--text` is given 2 times", result.err)

    def test_an_unknown_step_gets_a_suggestion(self):
        result = self.pipe.run(["step", "ecko", "--text", "x"])
        self.assert_code(result, 4)
        self.assertEqual(result.err, "error: there is no step `ecko`\n  hint: did you mean `echo`?\n")

    def test_no_step_at_all(self):
        self.assert_code(self.pipe.run(["step"]), 2)

    def test_dry_run(self):
        out = self.folder / "out"
        result = self.pipe.run(["step", "echo", "--text", "x", "--file", out, "--dry-run"])
        self.assert_code(result, 0)
        self.assertIn("+ echo  create", result.out)
        self.assertFalse(out.exists())

    def test_a_failure(self):
        with self.assertRaises(StepFailed) as caught:
            self.pipe.step("scripted", name="n", notes=self.notes_file, fail=1)
        self.assertEqual(caught.exception.result.code, 1)
        self.assertEqual(caught.exception.result.out, "")
        self.assertIn("error: scripted: n did not work\n  hint: try again\n", caught.exception.result.err)

    def test_writes_github_output(self):
        github = self.folder / "github"
        github.write_text("before=1\n")
        self.pipe.step("echo", text="two\nlines", list=["a"], env={"GITHUB_OUTPUT": github})
        lines = github.read_text().splitlines()
        self.assertEqual(lines[0], "before=1")
        name, delimiter = lines[1].split("<<")
        self.assertEqual(name, "text")
        self.assertEqual(lines[2:5], ["two", "lines", delimiter])
        self.assertIn(f"list<<{delimiter}", lines)
        self.assertIn('["a"]', lines)

    def test_outputs_that_cannot_be_written(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = subprocess.run([PROGRAM, "step", "tag", "--help"], env=self.pipe.env, stdout=full,
                                  stderr=subprocess.PIPE, text=True, check=False)  # fmt: skip
        self.assertEqual(done.returncode, 1, done)
        self.assertIn("cannot write to standard output: No space left on device", done.stderr)

    def test_closed_standard_streams(self):
        gone = self.folder / "made"
        command = 'exec "$0" step shell --run "$1" >&- 2>&- <&-'
        done = subprocess.run(["sh", "-c", command, PROGRAM, f"echo x; touch {gone}"], env=self.pipe.env, check=False)
        self.assertEqual(done.returncode, 0)
        self.assertTrue(gone.exists())

    def test_github_output_that_cannot_be_written(self):
        result = self.pipe.try_step("echo", text="x", env={"GITHUB_OUTPUT": self.folder / "no/such/folder"})
        self.assert_code(result, 1)
        self.assertIn("GITHUB_OUTPUT", result.err)

    def test_a_secret_is_refused_as_an_argument(self):
        result = self.pipe.run(["step", "echo", "--text", "x", "--secret", "hunter2000"])
        self.assert_code(result, 2)
        self.assertNotIn("hunter2000", result.err)
        self.assert_says(result.err, "would show a secret", "--secret-file PATH", "--secret-env NAME")

    def test_a_secret_comes_from_a_file_or_a_variable(self):
        path = self.pipe.write("secret", "hunter2000\n")
        for words, env in (["--secret-file", path], {}), (["--secret-env", "MY_SECRET"], {"MY_SECRET": "hunter2000"}):
            result = self.pipe.run(["step", "echo", "--text", "x", "--tell", *words, "--output", "json"], env=env)
            self.assert_code(result, 0)
            self.assertEqual(result.json["text"], "was ***")
            self.assertNotIn("hunter2000", result.out + result.err)

    def test_a_secret_that_is_not_there(self):
        result = self.pipe.run(["step", "echo", "--text", "x", "--secret-env", "NOT_SET"])
        self.assert_code(result, 2)
        self.assertIn("there is no such environment variable", result.err)
        result = self.pipe.run(["step", "echo", "--text", "x", "--secret-file", "nowhere"])
        self.assert_code(result, 2)
        self.assertEqual(result.err, "error: cannot read the secret in nowhere: there is no such file\n")
        result = self.pipe.run(["step", "echo", "--text", "x", "--secret-file", self.folder])
        self.assert_code(result, 2)
        self.assertEqual(result.err, f"error: cannot read the secret in {self.folder}: Is a directory\n")


if __name__ == "__main__":
    unittest.main()
