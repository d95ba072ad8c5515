"""The command line itself: verbs, help, options, exit codes of misuse."""

import re
import unittest

from cli_case import CliCase
from pipe import SOURCE, Pipe

VERBS = ["run", "plan", "check", "step", "down", "plugins", "help", "version"]


class Verbs(CliCase):
    def test_version(self):
        for words in (["--version"], ["version"]):
            result = self.pipe.run(words)
            self.assert_code(result, 0)
            self.assertRegex(result.out, r"^pipe \d+\.\d+\.\d+\n$")

    def test_help_lists_every_verb(self):
        for words in (["help"], ["--help"]):
            result = self.pipe.run(words)
            self.assert_code(result, 0)
            for verb in [*VERBS, "image", "debug"]:
                self.assertIn(f"  {verb}", result.out)

    def test_help_of_each_verb_is_what_its_option_gives(self):
        for verb in VERBS:
            by_verb, by_option = self.pipe.run(["help", verb]), self.pipe.run([verb, "--help"])
            self.assert_code(by_verb, 0)
            self.assertEqual(by_verb.out, by_option.out)
            self.assertTrue(by_verb.out.startswith(f"usage: pipe {verb}"), by_verb)
            self.assertIn("options:\n", by_verb.out)

    def test_nothing_is_usage(self):
        result = self.pipe.run([])
        self.assert_code(result, 2)
        self.assertIn("usage: pipe VERB", result.out)

    def test_an_unknown_verb_gets_a_suggestion(self):
        result = self.pipe.run(["rum"])
        self.assert_code(result, 2)
        self.assertEqual(result.err, "error: there is no verb `rum`\n  hint: did you mean `run`?\n")

    def test_an_unknown_option_gets_a_suggestion(self):
        result = self.pipe.run(["run", "x.toml", "--job", "3"])
        self.assert_code(result, 2)
        self.assertEqual(result.err, "error: there is no option `--job`\n  hint: did you mean `--jobs`?\n")

    def test_options_are_never_guessed_from_their_beginning(self):
        self.assert_code(self.pipe.run(["run", "x.toml", "--dry"]), 2)
        self.assert_code(self.pipe.run(["run", "x.toml", "-j", "3"]), 2)

    def test_a_missing_value(self):
        result = self.pipe.run(["run", "x.toml", "--set"])
        self.assert_code(result, 2)
        self.assertIn("option `--set` needs a value", result.err)

    def test_a_value_for_a_switch(self):
        result = self.pipe.run(["run", "x.toml", "--dry-run=yes"])
        self.assert_code(result, 2)
        self.assertIn("option `--dry-run` takes no value", result.err)

    def test_bad_values_of_options(self):
        for words, message in [
            (["--jobs", "0"], "expected a number from 1 to 512"),
            (["--jobs", "many"], "expected a number from 1 to 512"),
            (["--output", "xml"], "expected auto, terminal, plain, json, github or gitlab"),
            (["--isolation", "vm"], "expected process or none"),
            (["--set", "novalue"], "expected NAME=VALUE"),
        ]:
            result = self.pipe.run(["run", self.pipeline('[[step]]\nuses = "noop"\n'), *words])
            self.assert_code(result, 2)
            self.assertIn(message, result.err)

    def test_a_word_too_many(self):
        for words, usage in [
            (["version", "x"], "usage: pipe version\n"),
            (["schema", "x"], "usage: pipe schema\n"),
            (["runs", "t", "x"], "usage: pipe runs [PIPELINE]"),
            (["log", "last", "a", "x"], "usage: pipe log"),
            (["report", "last", "x"], "usage: pipe report"),
        ]:
            result = self.pipe.run(words)
            self.assert_code(result, 2)
            self.assert_says(result.err, f"error: `x` is one word too many for `pipe {words[0]}`", usage)

    def test_a_file_is_needed_and_only_one(self):
        self.assertIn("which pipeline file?", self.pipe.run(["run"]).err)
        result = self.pipe.run(["run", "a.toml", "b.toml"])
        self.assert_code(result, 2)
        self.assertIn("`b.toml` is one too many", result.err)

    def test_a_missing_file(self):
        for verb in ("run", "plan", "check", "down"):
            result = self.pipe.run([verb, "nowhere.toml"])
            self.assert_code(result, 3)
            self.assertIn("nowhere.toml", result.err)

    def test_a_folder_in_place_of_a_file(self):
        result = self.pipe.run(["run", self.folder])
        self.assert_code(result, 3)
        self.assertIn(str(self.folder), result.err)

    def test_a_file_that_is_spelled_otherwise(self):
        self.pipeline(self.scripted("a"), name="sub/site.toml")
        self.pipe.write("other.txt", "")
        for word in ("sub/stie.toml", self.folder / "sub/sit.toml"):
            self.assertIn("help: did you mean `" + str(word).rsplit("/", 1)[0] + "/site.toml`?", self.pipe.run(["check", word]).err)
        self.assertIn("help: check the path", self.pipe.run(["check", "othr.txt"]).err)

    def test_what_a_step_has_none_of(self):
        steps = '[[step]]\nid = "a"\nuses = "noop"\nwith.x = 1\n[[step]]\nuses = "echo"\nwith.text = "${steps.a.x}"\n'
        self.assert_says(self.pipe.run(["check", self.pipeline(steps)]).err, "note: parameters of noop 0.1.0: none\n", "note: outputs of noop 0.1.0: none\n")

    def test_words_that_are_too_many(self):
        for words in (["version", "x"], ["schema", "x"], ["runs", "a", "b"], ["report", "a", "b"], ["log", "a", "b", "c"]):
            self.assert_code(self.pipe.run(words), 2)

    def test_a_pipeline_without_runs(self):
        self.assertEqual(self.pipe.run(["runs"]).err, "no run is on record\n")
        self.pipe.run(["run", self.pipeline(self.scripted("a"), name="p.toml")])
        self.assertEqual(self.pipe.run(["runs", "registyr"]).err, "no run of `registyr` is on record\n")
        self.assertEqual(self.pipe.run(["runs", "step-a"]).err, "no run of `step-a` is on record\n")
        self.pipe.run(["step", "noop"])
        self.assertEqual(self.pipe.run(["runs", "step-nop"]).err, "no run of `step-nop` is on record; did you mean `step-noop`?\n")

    def test_a_shell_that_is_none(self):
        self.assertIn("did you mean `bash`?", self.pipe.run(["completion", "bahs"]).err)

    def test_colours_where_they_are_asked_for(self):
        path = self.pipeline(self.scripted("a"))
        for env, coloured in (({}, False), ({"CLICOLOR_FORCE": "1"}, True), ({"CLICOLOR_FORCE": "0"}, False),
                              ({"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}, False)):  # fmt: skip
            for words in (["plan", path], ["log", "x"]):
                said = self.pipe.run(words, env=env)
                self.assertEqual("\x1b[" in said.out + said.err, coloured, said)

    def test_without_proc(self):
        """Where /proc is not mounted, pipe knows by its own name where its plugins are."""
        hidden = ["unshare", "--map-root-user", "--mount", "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh"]
        found = Pipe(self.folder, before=hidden).run(["plugins", "list"])
        self.assertRegex(found.out, r"(?m)^push ")
        self.assertRegex(Pipe(self.folder, before=hidden).run(["image", "ls"]).err, "there is no image")


class Hints(CliCase):
    def test_a_usage_without_words_ends_behind_the_verb(self):
        self.assertEqual(self.pipe.run(["version", "--help"]).out.splitlines()[0], "usage: pipe version")

    def test_a_plugin_path_that_is_not_there(self):
        path = self.pipeline(self.scripted("a"))
        for args in ["run", path], ["check", path], ["plugins"], ["step", "echo", "--text", "x"]:
            result = self.pipe.run([*args, "--plugin-path", "nowhere"])
            self.assert_code(result, 2)
            self.assert_says(result.err, "`--plugin-path nowhere`: there is no such folder", "pipe-NAME.so")

    def test_a_var_file_that_is_a_folder(self):
        result = self.pipe.run(["run", self.pipeline(self.scripted("a")), "--var-file", self.folder])
        self.assert_code(result, 3)
        self.assert_says(result.err, f"cannot read {self.folder}: it is a folder", "name a TOML file that can be read")


class Types(CliCase):
    def test_the_reference_and_the_errors_name_the_same_types(self):
        page = (SOURCE / "docs/reference/pipeline-file.md").read_text()
        row = next(line for line in page.splitlines() if line.startswith("| `type` |"))
        documented = re.findall(r"`([a-z<>]+)`", row.split("|")[2].split(";")[0])
        result = self.pipe.run(["check", self.pipeline(self.scripted("a"), head='[vars.x]\ntype = "whole"\n')])
        self.assert_code(result, 3)
        named = re.search("types are: (.*)", result.err)[1].split(", ")
        self.assertEqual(sorted(documented), sorted(named))
        for name in named:
            path = self.pipeline(self.scripted("a"), head=f'[vars.x]\ntype = "{name}"\n')
            self.assert_code(self.pipe.run(["check", path]), 0)


class Stdout(CliCase):
    """What is asked for and cannot be given is an error; a reader who has seen enough is none."""

    def to_full_disk(self, *args):
        with open("/dev/full", "w") as full:
            process = self.pipe.start(args, stdout=full)
            err = process.communicate(timeout=60)[1].decode()
        return process.returncode, err

    def test_a_stdout_that_cannot_be_written_is_an_error(self):
        path = self.pipeline(self.scripted("a"))
        for args in ["run", "--output", "json"], ["plan", "--output", "json"], ["plan"]:
            code, err = self.to_full_disk(*args, path)
            self.assertEqual(code, 1, err)
            self.assertEqual(err.count("cannot write to standard output: No space left on device"), 1, err)
        self.assertEqual(self.notes(), ["begin a", "end a"])  # the run itself went on to its end

    def test_a_reader_that_goes_away_is_no_error(self):
        path = self.pipeline(self.scripted("a"))
        for verb in "run", "plan":
            process = self.pipe.start([verb, path, "--output", "json"])
            process.stdout.close()
            process.stdout = None
            err = process.communicate(timeout=60)[1].decode()
            self.assertEqual((process.returncode, err), (0, ""))


class Check(CliCase):
    def test_a_good_file(self):
        path = self.pipeline('[[step]]\nuses = "noop"\n')
        result = self.pipe.run(["check", path])
        self.assert_code(result, 0)
        self.assertEqual(result.out, f"{path}: fine\n")

    def test_several_files_in_one_pass(self):
        good = self.pipeline('[[step]]\nuses = "noop"\n', name="good.toml")
        bad = self.pipeline('[[step]]\nuses = "noop"\nwhith.x = 1\n', name="bad.toml")
        worse = self.pipe.write("worse.toml", "schema = 1\n[[step]\n")
        result = self.pipe.run(["check", good, bad, worse])
        self.assert_code(result, 3)
        self.assertIn(f"{good}: fine", result.out)
        self.assert_says(result.err, "bad.toml:7:1", "whith", "worse.toml:2")

    def test_every_problem_of_a_file_at_once(self):
        path = self.pipeline(
            '[[step]]\nuses = "echo"\nwith.txt = "x"\nwith.number = "three"\n'
            '[[step]]\nid = "b"\nuses = "echo"\nwith.text = "${steps.echo.digest}"\n'
        )
        result = self.pipe.run(["check", path])
        self.assert_code(result, 3)
        self.assert_says(result.err, "txt", "did you mean", "number", "digest")

    def test_json(self):
        result = self.pipe.run(["check", self.pipeline('[[step]]\nuses = "nop"\n'), "--format", "json"])
        self.assert_code(result, 4)
        self.assertIsInstance(result.json, (list, dict))
        self.assertIn("nop", result.out)

    def test_a_secret_need_not_be_there(self):
        path = self.pipeline(
            '[secrets.pw]\nfrom = [{ env = "NOT_SET_ANYWHERE" }]\n'
            '[[step]]\nuses = "echo"\nwith.text = "x"\nwith.secret = "${secrets.pw}"\n'
        )
        self.assert_code(self.pipe.run(["check", path]), 0)
        self.assert_code(self.pipe.run(["run", path]), 3)


if __name__ == "__main__":
    unittest.main()
