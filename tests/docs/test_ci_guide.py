"""The guide to CI: its files are what `pipe export` writes, and what stands in them runs as in a job."""

import re
import subprocess
import tempfile
import unittest
import xml.etree.ElementTree as xml
from pathlib import Path

import gitlab_ci
import yaml
from ci_logs import GithubLog, read_dotenv, read_github_file, read_gitlab_sections
from pipe import PROGRAM, SOURCE, Pipe
from registries import Image, Registry

PAGE = (SOURCE / "docs/guide/ci.md").read_text()
FILES = dict(re.findall(r"^<!-- yours: (\S+) -->\n```\w+\n(.*?)^```$", PAGE, re.M | re.S))
PIPELINE = re.search(r"^```toml\n(schema = 1\n.*?)^```$", PAGE, re.M | re.S)[1]
COMMANDS = re.findall(r"^```\n(pipe export [^…]*?)^```$", PAGE, re.M | re.S)


class CiGuide(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="pipe-ci-guide-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.pipe = Pipe(self.folder)
        self.pipe.write("publish.toml", PIPELINE)

    def shell(self, script, env=None):
        """As runners do: each script in a shell that ends at the first failure."""
        env = {**self.pipe.env, "PATH": f"{PROGRAM.parent}:{self.pipe.env['PATH']}", **(env or {})}
        return subprocess.run(
            ["bash", "-e", "-c", script], cwd=self.folder, env={k: str(v) for k, v in env.items()},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    def registry(self):
        """A registry that asks for a login, an image to publish, and where it goes."""
        registry = Registry(users={"ci": "s3cr3t-passw0rd"})
        self.addCleanup(registry.__exit__, None, None, None)
        registry.start()
        image = Image()
        image.write_layout(self.folder / "layout", "app:1")
        with subprocess.Popen(["tar", "-cf", self.folder / "app.tar", "-C", self.folder / "layout", "."]) as tar:
            self.assertEqual(tar.wait(), 0)
        return registry, image

    def test_the_files_are_what_the_commands_write(self):
        self.assertEqual(len(COMMANDS), 2)
        for command in COMMANDS:
            done = self.shell(command)
            self.assertEqual(done.returncode, 0, done)
            name = done.stdout.strip()
            self.assertEqual(FILES[name], (self.folder / name).read_text())
            self.assertEqual(self.shell(command.rstrip() + " --check").returncode, 0)
        files = {name: FILES[name] for name in (".gitlab-ci.yml", "ci/publish.yml")}
        self.assertEqual(gitlab_ci.jobs(files), ["pipe-publish"])

    def settings(self, registry):
        return {"PUBLISH_TO": f"{registry.address}/app:1", "REGISTRY_USER": "ci", "REGISTRY_PASSWORD": "s3cr3t-passw0rd"}

    def test_the_workflow_of_github(self):
        registry, image = self.registry()
        job = yaml.safe_load(FILES[".github/workflows/publish.yml"])["jobs"]["pipe"]
        output, summary = self.folder / "output", self.folder / "summary"
        env = {"CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": self.folder, "GITHUB_OUTPUT": output,
               "GITHUB_STEP_SUMMARY": summary}  # fmt: skip
        settings = self.settings(registry)
        steps = [step for step in job["steps"] if step.get("run", "").startswith("pipe ")]
        self.assertEqual(len(steps), 2)
        for step in steps:
            given = {}
            for name, value in step.get("env", {}).items():
                self.assertEqual(value, f"${{{{ {'secrets' if 'PASSWORD' in name else 'vars'}.{name} }}}}")
                given[name] = settings[name]
            done = self.shell(step["run"], {**env, **given})
            self.assertEqual(done.returncode, 0, done)
            log = GithubLog(done.stderr)
            self.assertEqual((log.others, log.annotations), ([], []))
            self.assertNotIn("s3cr3t", done.stdout + done.stderr)
        outputs = read_github_file(output.read_text())
        self.assertEqual(outputs["digest"], image.digest)
        self.assertEqual(set(job["outputs"]), set(outputs))
        self.assertIn("### publish: ok", summary.read_text())
        self.assertIn("<!doctype html>", (self.folder / job["steps"][-1]["with"]["path"]).read_text().lower())

    def test_the_job_of_gitlab(self):
        registry, image = self.registry()
        job = yaml.safe_load(FILES["ci/publish.yml"])["pipe-publish"]
        done = self.shell("\n".join(job["script"]), {"CI": "true", "GITLAB_CI": "true", **self.settings(registry)})
        self.assertEqual(done.returncode, 0, done)
        read_gitlab_sections(done.stderr)
        reports = job["artifacts"]["reports"]
        self.assertEqual(read_dotenv((self.folder / reports["dotenv"]).read_text())["DIGEST"], image.digest)
        suite = xml.parse(self.folder / reports["junit"]).getroot()
        self.assertEqual((suite.get("tests"), suite.get("failures")), ("2", "0"))
        for path in job["artifacts"]["paths"]:
            self.assertTrue((self.folder / path).exists(), path)
        # A job that fails fails the script, and its reports are there all the same.
        registry.stop()
        done = self.shell("\n".join(job["script"]), {"GITLAB_CI": "true", **self.settings(registry)})
        self.assertEqual(done.returncode, 1, done)
        self.assertEqual(xml.parse(self.folder / reports["junit"]).getroot().get("failures"), "1")

    def test_the_script_of_any_other(self):
        registry, image = self.registry()
        done = self.shell(FILES["ci.sh"], {"CI": "true", **self.settings(registry)})
        self.assertEqual(done.returncode, 0, done)
        self.assertIn(f"digest = {image.digest}", done.stdout)
        self.assertNotIn("::group::", done.stderr)


if __name__ == "__main__":
    unittest.main()
