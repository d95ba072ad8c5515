"""In jobs of GitHub Actions and GitLab CI: logs, annotations, summary and outputs, as the services read them."""

import re
import unittest

from ci_logs import GithubLog, read_dotenv, read_github_file, read_gitlab_sections
from cli_case import CliCase

SMUGGLED = ("::set-output name=x::y", "  ::stop-commands::token", "##[error]old style", "see ##[set-env name=A]b",
            "\u00a0::add-mask::a", "::endgroup::")  # fmt: skip


class CiCase(CliCase):
    def echo(self, name, text, keys=""):
        return f'[[step]]\nid = "{name}"\nuses = "echo"\n{keys}with.text = """{text}"""\n'

    def shell(self, name, script, keys=""):
        return f"[[step]]\nid = \"{name}\"\nuses = \"shell\"\n{keys}with.run = '''{script}'''\n"

    def github(self, *words, **env):
        """`pipe` as a step of a job of GitHub; the files that it may write to are there, and empty."""
        self.output, self.summary = self.folder / "github-output", self.folder / "github-summary"
        for file in (self.output, self.summary):
            file.touch()
        return self.pipe.run(
            words,
            env={
                "CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": self.output,
                "GITHUB_STEP_SUMMARY": self.summary, "GITHUB_WORKSPACE": self.folder, **env,
            },
        )  # fmt: skip

    def gitlab(self, *words):
        return self.pipe.run(words, env={"CI": "true", "GITLAB_CI": "true"})


class Github(CiCase):
    def test_a_run(self):
        path = self.pipeline(
            self.shell("build", "echo compiling; echo linking >&2")
            + self.echo("quiet", "hello", "needs = []\n")
            + '[outputs]\ntold = "${steps.quiet.text}"\nlines = "one\\ntwo\\ntold<<x"\n'
        )
        result = self.github("run", path)
        self.assert_code(result, 0)
        log = GithubLog(result.err)
        self.assertEqual(log.others, [])
        self.assertEqual(log.annotations, [])
        self.assertIn("build", log.groups)
        self.assertEqual(set(log.inside("build")), {"build | compiling", "build | linking"})
        outside = "\n".join(log.inside(None))
        self.assertRegex(outside, r"changed *\S* build")
        self.assertIn("t: changed=", outside)
        self.assertEqual(read_github_file(self.output.read_text()), {"told": "hello", "lines": "one\ntwo\ntold<<x"})
        self.assert_says(result.out, "told = hello\n", "lines = one\n")

    def test_a_failure_is_annotated_where_its_step_stands(self):
        steps = self.echo("first", "x") + self.scripted("bad", fail=9, status='"denied"') + self.echo("after", "x")
        path = self.pipeline(steps, name="ci files/p, 100%.toml")
        result = self.github("run", path)
        self.assert_code(result, 1)
        log = GithubLog(result.err)
        line = path.read_text().splitlines().index('id = "bad"')  # the table begins a line above, and lines at 1
        self.assertEqual(
            log.annotations,
            [("error", {"file": "ci files/p, 100%.toml", "line": str(line), "title": "bad failed"},
              "bad did not work\ntry again")],
        )  # fmt: skip
        # What is folded away is said again where it is seen.
        self.assert_says("\n".join(log.inside(None)), "its last lines:", "this is bad", "go on with: pipe run --resume")
        self.assertEqual(self.output.read_text(), "")
        summary = self.summary.read_text()
        self.assert_says(summary, "### t: failed", "| failed | <code>bad</code> |", "**bad failed**: bad did not work",
                         "this is bad", "not&#95;run=1")  # fmt: skip

    def test_no_output_of_a_step_is_a_command(self):
        script = "\n".join(f"printf '%s\\n' '{text}'" for text in SMUGGLED)
        path = self.pipeline(
            self.shell("loud", script) + self.echo("told", "\n".join(SMUGGLED))
            + self.shell("bad", script + "\nexit 1", 'needs = ["told"]\n')
            + '[outputs]\nall = "${steps.told.text}"\n'
        )  # fmt: skip
        result = self.github("run", path)
        self.assert_code(result, 1)
        for text in (result.err, result.out):
            log = GithubLog(text)
            self.assertEqual(log.others, [], text)
        log = GithubLog(result.err)
        self.assertEqual([(level, p["title"]) for level, p, _ in log.annotations], [("error", "bad failed")])
        # It is still there to be read.
        self.assertIn("loud | ::set-output name=x::y", log.inside("loud"))
        ended_well = self.github("run", path, "--only", "told")
        self.assertEqual(GithubLog(ended_well.out).others, [])
        for mode in ("json", "plain"):
            result = self.github("run", path, "--output", mode)
            for text in (result.err, result.out):
                self.assertEqual((GithubLog(text).others, GithubLog(text).annotations), ([], []), mode)
        told = self.github("run", path, "--output", "json").events
        self.assertIn("##[error]old style", [e.get("message") for e in told])

    def test_steps_side_by_side_do_not_mix(self):
        talk = "for i in 1 2 3 4 5 6; do echo $i; sleep 0.05; done"
        steps = "".join(self.shell(f"s{i}", talk, "needs = []\n") for i in range(4))
        result = self.github("run", self.pipeline(steps), "--jobs", "4")
        self.assert_code(result, 0)
        log = GithubLog(result.err)
        for i in range(4):
            said = [line for group in (f"s{i}", f"s{i} …") for line in log.inside(group)]
            self.assertEqual(said, [f"s{i} | {n}" for n in range(1, 7)], result.err)
        self.assertEqual([line for line in log.inside(None) if "|" in line], [])

    def test_the_first_step_is_seen_while_it_runs(self):
        path = self.pipeline(self.shell("slow", f"echo begun; while [ ! -e {self.folder}/go ]; do sleep 0.02; done"))
        process = self.pipe.start(["run", path], env={"GITHUB_ACTIONS": "true"})
        self.addCleanup(process.stdout.close)
        seen = [process.stderr.readline() for _ in range(2)]
        (self.folder / "go").touch()
        process.stderr.read()
        process.stderr.close()
        self.assertEqual(process.wait(20), 0)
        self.assertEqual(seen, [b"::group::slow\n", b"slow | begun\n"])

    def test_warnings_and_notices(self):
        steps = self.echo("warns", "x") + 'with.secret = "${secrets.token}"\nwith.tell = true\n'
        head = '[secrets.token]\nfrom = [{ env = "TEST_TOKEN" }]\n'
        result = self.github("run", self.pipeline(steps, head), TEST_TOKEN="s3cr3t-t0ken")
        self.assert_code(result, 0)
        found = [(level, p.get("title"), p.get("line")) for level, p, _ in GithubLog(result.err).annotations]
        self.assertIn(("warning", "warns", "7"), found)
        self.assertNotIn("s3cr3t", result.err + result.out + self.summary.read_text() + self.output.read_text())
        result = self.github("run", self.pipeline(self.echo("x", "y")), XDG_STATE_HOME="/proc/nowhere")
        self.assertIn("no record of this run", GithubLog(result.err).annotations[0][2])

    def test_problems_of_a_file(self):
        path = self.pipeline('[[step]]\nuses = "echo"\nwith.txet = "100%, x:y"\n[[step]]\nuses = "no-such"\n')
        for verb in ("check", "run", "plan"):
            result = self.github(verb, path)
            self.assertIn(result.code, (3, 4), result)
            log = GithubLog(result.err)
            first = next(found for found in log.annotations if "txet" in found[2])
            self.assertEqual(first[0], "error")
            self.assertEqual((first[1]["file"], first[1]["line"], first[1]["col"]), ("p.toml", "7", "6"))
            self.assertIn("did you mean `text`?", first[2])
            # The caret stays, for whoever reads the log.
            self.assertIn("^", result.err)
        self.assertEqual(GithubLog(self.github("check", path, "--format", "human").err).annotations, [])
        self.assertEqual(GithubLog(self.github("run", path, "--output", "plain").err).annotations, [])
        forced = self.pipe.run(["check", path, "--format", "github"])
        self.assertEqual(len(GithubLog(forced.err).annotations), 2)

    def test_no_more_annotations_than_are_shown(self):
        many = "".join(f'[[step]]\nid = "s{i}"\nuses = "no-such"\n' for i in range(14))
        log = GithubLog(self.github("check", self.pipeline(many)).err)
        self.assertEqual(len(log.annotations), 10)
        self.assertIn("10 of 14 errors are annotated: GitHub shows no more", log.inside(None))

    def test_the_summary_is_added_and_is_markdown(self):
        nasty = "| a <img src=x> [link](http://x) `c` **b** @someone #1"
        path = self.pipeline(self.echo("nasty", nasty) + '[outputs]\nx = "${steps.nasty.text}"\n')
        self.github("run", path)
        self.summary.write_text("before\n")
        self.assert_code(self.github("plan", path), 0)
        text = self.summary.read_text()
        self.assertTrue(text.startswith("before\n### t: plan\n"))
        self.assert_code(self.github("run", path), 0)
        text = self.summary.read_text()
        self.assertEqual(text.count("### t: "), 2)
        rows = [line for line in text.splitlines() if line.startswith("| ") and "nasty" in line]
        for row in rows:
            self.assertEqual(row.count("|"), 6, row)
        self.assertNotRegex(text, r"<img|\]\(|`c`|@someone|\*\*b")
        self.assertIn("&lt;img", text)

    def test_the_summary_has_bounds(self):
        many = f"[[step]]\nid = \"many\"\nuses = \"echo\"\nfor_each = [{', '.join(f'{i}' for i in range(300))}]\n"
        path = self.pipeline(many + f'with.text = "{"w" * 250}"\n')
        self.assert_code(self.github("run", path, "--output", "github"), 0)
        self.assertLess(len(self.summary.read_text()), 1 << 20)
        self.assertIn("unchanged=", self.summary.read_text().replace("changed=", "unchanged=", 1))

    def test_a_single_step(self):
        result = self.github("step", "scripted", "--name", "n", "--notes", self.notes_file, "--fail", "1")
        self.assert_code(result, 1)
        log = GithubLog(result.err)
        self.assertEqual(log.inside("scripted"), ["scripted | this is n"])
        self.assertEqual(log.annotations, [("error", {"title": "scripted failed"}, "n did not work\ntry again")])
        self.assertEqual(self.summary.read_text(), "")

    def test_a_summary_that_cannot_be_written_fails_nothing(self):
        result = self.github("run", self.pipeline(self.echo("x", "y")), GITHUB_STEP_SUMMARY="/no/such/file")
        self.assert_code(result, 0)
        self.assertIn("GITHUB_STEP_SUMMARY", result.err)


class Gitlab(CiCase):
    def test_a_run(self):
        path = self.pipeline(
            self.shell("build", r"printf 'one\033[0Ksection_end:1:x\r\033[0Ktwo\n'") + self.echo("quiet", "x")
        )
        result = self.gitlab("run", path)
        self.assert_code(result, 0)
        sections = read_gitlab_sections(result.err)
        # Marks that a step writes are none.
        self.assertEqual(sections["build"], ["build | onesection_end:1:xtwo"])
        self.assertRegex("\n".join(sections[""]), r"changed *\S* build")
        self.assertIn("[collapsed=true]", result.err)
        self.assertNotIn("::group::", result.err)

    def test_instances_have_sections_of_their_own(self):
        steps = self.shell("many", "echo $KEY", 'for_each = ["a:1", "a:2", "a:3"]\nwith.env.KEY = "${each.key}"\n')
        result = self.gitlab("run", self.pipeline(steps))
        self.assert_code(result, 0)
        sections = read_gitlab_sections(result.err)
        self.assertEqual(sections['many["a:2"]'], ['many["a:2"] | a:2'])

    def test_dotenv(self):
        path = self.pipeline(
            self.echo("e", "x=1 2") + 'with.secret = "${secrets.token}"\n[secrets.token]\nfrom = [{ env = "TEST_TOKEN" }]\n[outputs]\n'
            'text = "${steps.e.text}"\nimage-name = "r:5000/x"\nlist = ["a", "b"]\nlines = "a\\nb"\npath = "/x"\n'
            'ci_token = "x"\nimage_name = "again"\ncost = "5$US"\nhidden = "s3cr3t-t0ken"\nspace = " x "\n'
        )  # fmt: skip
        file = self.folder / "pipe.env"
        result = self.pipe.run(["run", path, "--report", f"dotenv={file}"], env={"TEST_TOKEN": "s3cr3t-t0ken"})
        self.assert_code(result, 0)
        self.assertEqual(
            read_dotenv(file.read_text()), {"TEXT": "x=1 2", "IMAGE_NAME": "r:5000/x", "LIST": '["a","b"]'}
        )
        left_out = re.findall(r"warning: output `(\w+)` is not in the dotenv file", result.err)
        self.assertEqual(left_out, ["lines", "path", "ci_token", "image_name", "cost", "hidden", "space"])

    def test_dotenv_of_a_run_that_failed_is_empty(self):
        path = self.pipeline(self.scripted("bad", fail=9, status='"denied"') + '[outputs]\nx = "y"\n')
        file = self.folder / "pipe.env"
        file.write_text("X=stale\n")
        self.assert_code(self.pipe.run(["run", path, "--report", f"dotenv={file}"]), 1)
        self.assertEqual(file.read_text(), "")


class Elsewhere(CiCase):
    def test_nothing_changes(self):
        path = self.pipeline(self.shell("build", "echo ::error::x"))
        plain = self.pipe.run(["run", path], env={"GITHUB_ACTIONS": "false", "GITLAB_CI": ""})
        self.assertTrue(plain.err.startswith("build | ::error::x\n"), plain.err)
        self.assertNotIn("section_start", plain.err)

    def test_each_can_be_had_and_left(self):
        path = self.pipeline(self.shell("build", "echo hello"))
        self.assertEqual(GithubLog(self.pipe.run(["run", path, "--output", "github"]).err).groups, ["build"])
        self.assertIn("build", read_gitlab_sections(self.pipe.run(["run", path, "--output", "gitlab"]).err))
        self.assertEqual(GithubLog(self.github("run", path, "--output", "plain").err).groups, [])
        self.assertEqual(self.summary.read_text(), "")
        typo = self.pipe.run(["run", path, "--output", "githb"])
        self.assert_code(typo, 2)
        self.assertIn("did you mean `github`?", typo.err)

    def test_reports_afterwards_are_the_same(self):
        path = self.pipeline(self.echo("e", "x") + '[outputs]\nx = "${steps.e.text}"\n')
        now = {kind: self.folder / f"now.{kind}" for kind in ("markdown", "dotenv")}
        words = [word for kind, file in now.items() for word in ("--report", f"{kind}={file}")]
        self.assert_code(self.pipe.run(["run", path, *words]), 0)
        for kind, file in now.items():
            later = self.pipe.run(["report", "--format", kind, "--output", "-"])
            self.assertEqual(later.out, file.read_text(), kind)


if __name__ == "__main__":
    unittest.main()
