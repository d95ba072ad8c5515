"""`pipe export`: files of CI services, read by a YAML parser and held against the services' schemas."""

import subprocess
import unittest

import gitlab_ci
import yaml
from cli_case import CliCase
from pipe import PROGRAM, SOURCE

# `./dev test` puts it there.
VALIDATOR = SOURCE / "build/action-validator/node_modules/.bin/action-validator"
HEAD = """[vars.port]
default = 5000
env = "REGISTRY_PORT"
[secrets.token]
from = [{ env = "REGISTRY_TOKEN" }, { file = "/run/secrets/token" }]
optional = true
"""
OUTPUTS = '[outputs]\nimage = "x"\nimage-digest = "y"\n'
INSTALL = ("--install", "echo 'a: b' # \"c\"", "--install", "pipe version")


class Export(CliCase):
    def setUp(self):
        super().setUp()
        self.pipeline('[[step]]\nuses = "echo"\nwith.text = "${vars.port}"\n' + OUTPUTS, HEAD)

    def export(self, *words, code=0):
        result = self.pipe.run(["export", *words])
        self.assert_code(result, code)
        return result

    def github(self, *words):
        return yaml.load(self.export("github", "p.toml", *INSTALL, *words).out, yaml.BaseLoader)

    def gitlab(self, *words):
        return yaml.load(self.export("gitlab", "p.toml", *INSTALL, *words).out, yaml.BaseLoader)["pipe-t"]

    def assert_valid_workflow(self, text):
        file = self.pipe.write("workflow.yml", text)
        return subprocess.run([VALIDATOR, file], check=False, capture_output=True, text=True)

    def test_github(self):
        flow = self.github("--image", "debian:12")
        job = flow["jobs"]["pipe"]
        self.assertEqual((flow["name"], job["container"]), ("t", "debian:12"))
        self.assertEqual(flow["permissions"], {"contents": "read"})
        self.assertEqual(flow["on"]["push"]["paths"], ["p.toml"])
        self.assertEqual(job["outputs"]["image-digest"], "${{ steps.run.outputs.image-digest }}")
        checkout, install, check, run, keep = job["steps"]
        self.assertTrue(checkout["uses"].startswith("actions/checkout@"))
        self.assertEqual(install["run"], "echo 'a: b' # \"c\"\npipe version\n")
        self.assertEqual(check["run"], "pipe check p.toml")
        self.assertEqual((run["id"], run["run"]), ("run", "pipe run p.toml --report html=pipe-report.html"))
        # By name, and only where they are needed.
        self.assertEqual(
            run["env"],
            {"REGISTRY_PORT": "${{ vars.REGISTRY_PORT }}", "REGISTRY_TOKEN": "${{ secrets.REGISTRY_TOKEN }}"},
        )
        self.assertEqual((keep["if"], keep["with"]["path"]), ("always()", "pipe-report.html"))

    def test_github_by_its_schema(self):
        text = self.export("github", "p.toml", *INSTALL, "--image", "debian:12").out
        valid = self.assert_valid_workflow(text)
        self.assertEqual(valid.returncode, 0, valid)
        broken = self.assert_valid_workflow(text.replace("runs-on:", "runs-onn:"))
        self.assertEqual(broken.returncode, 1, broken)

    def test_gitlab(self):
        job = self.gitlab("--image", "debian:12")
        self.assertEqual(job["image"], "debian:12")
        self.assertEqual(job["before_script"], ["echo 'a: b' # \"c\"", "pipe version"])
        self.assertEqual(
            job["script"],
            ["pipe check p.toml", "pipe run p.toml --report junit=pipe-junit.xml --report html=pipe-report.html"
             " --report dotenv=pipe.env"],
        )  # fmt: skip
        artifacts = job["artifacts"]
        self.assertEqual((artifacts["when"], artifacts["paths"]), ("always", ["pipe-report.html"]))
        self.assertEqual(artifacts["reports"], {"junit": "pipe-junit.xml", "dotenv": "pipe.env"})
        text = self.export("gitlab", "p.toml", *INSTALL).out
        self.assert_says(text, "#   variable: REGISTRY_PORT", "#   masked variable: REGISTRY_TOKEN",
                         "#   secret file: /run/secrets/token")  # fmt: skip
        self.assertNotIn("image", self.gitlab())

    def test_gitlab_by_its_schema(self):
        text = self.export("gitlab", "p.toml", *INSTALL, "--image", "debian:12").out
        self.assertEqual(gitlab_ci.jobs({".gitlab-ci.yml": text}), ["pipe-t"])
        for right, wrong in (("when: always", "when: alwayss"), ("  script:", "  scriptt:"), ("junit:", "junitt:")):
            self.assertIn(right, text)
            with self.assertRaises(gitlab_ci.Invalid):
                gitlab_ci.jobs({".gitlab-ci.yml": text.replace(right, wrong)})

    def test_settings_go_along_as_they_are(self):
        self.pipe.write("more.toml", "")
        words = ["--set", "port=6000", "--var-file", "more.toml"]
        self.assertIn("--set port=6000 --var-file more.toml", self.gitlab(*words)["script"][1])
        self.pipeline('[[step]]\nuses = "echo"\nwith.text = "${vars.x}"\n', '[vars.x]\ndefault = ""\n')
        nasty = "it's ${{ secrets.A }} \"$HOME\" #: x"
        run = self.github("--set", f"x={nasty}")["jobs"]["pipe"]["steps"][3]["run"]
        self.assertIn("${{ '${{' }} secrets.A }}", run)  # what GitHub makes of it is the text itself
        as_run = run.replace("${{ '${{' }}", "${{").removeprefix("pipe run p.toml")
        said = subprocess.run(["sh", "-c", f"printf '%s\\n'{as_run}"], check=True, capture_output=True, text=True).stdout
        self.assertIn(f"x={nasty}\n", said)
        result = self.export("github", "p.toml", *INSTALL, "--set", "x=a\nb", code=2)
        self.assert_says(result.err, "`--set` has several lines", "--var-file")

    def test_stale_or_not(self):
        to = ["--to", ".github/workflows/t.yml"]
        missing = self.export("github", "p.toml", *INSTALL, *to, "--check", code=1)
        self.assert_says(missing.err, "is stale: it is not there", "write it again: pipe export github p.toml")
        self.assertEqual(self.export("github", "p.toml", *INSTALL, *to).out, ".github/workflows/t.yml\n")
        file = self.folder / ".github/workflows/t.yml"
        self.assertEqual(yaml.safe_load(file.read_text())["name"], "t")
        self.assertIn("- \".github/workflows/t.yml\"", file.read_text())
        self.assertEqual(self.export("github", "p.toml", *INSTALL, *to, "--check").err, "")
        # The command at its head is the one that writes it.
        command = file.read_text().split("`")[1]
        written = file.read_text()
        file.unlink()
        env = {**self.pipe.env, "PATH": f"{PROGRAM.parent}:{self.pipe.env['PATH']}"}
        subprocess.run(["sh", "-c", command], check=True, cwd=self.folder, env=env, stdout=subprocess.DEVNULL)
        self.assertEqual(file.read_text(), written)
        # A variable more in the pipeline, and a hand in the file.
        self.pipeline('[[step]]\nuses = "echo"\nwith.text = "x"\n' + OUTPUTS, HEAD.replace("_PORT", "_PORT_2"))
        stale = self.export("github", "p.toml", *INSTALL, *to, "--check", code=1)
        self.assertRegex(stale.err, r"is stale: it differs from line \d+ on\n  hint: write it again: pipe export")
        self.assertEqual(file.read_text(), written)

    def test_what_cannot_be(self):
        for words, said in {
            (): "for which CI service?",
            ("githb", "p.toml"): "did you mean `github`?",
            ("github",): "which pipeline file?",
            ("github", "p.toml"): "where does the job get `pipe` from?",
            ("github", "p.toml", *INSTALL, "--check"): "`--check` needs `--to`",
            ("github", "p.toml", *INSTALL, "--tp", "x"): "did you mean `--to`?",
            ("github", self.folder / "p.toml", *INSTALL): "is not below this folder",
            ("gitlab", "p.toml", "q.toml", *INSTALL): "one word too many",
        }.items():
            with self.subTest(words=words):
                self.assertIn(said, self.export(*words, code=2).err)
        self.pipeline('[[step]]\nuses = "echo"\nwith.txet = "x"\n')
        self.assertIn("did you mean `text`?", self.export("github", "p.toml", *INSTALL, code=3).err)


if __name__ == "__main__":
    unittest.main()
