"""./dev, the one door of a checkout: what it says, with a build that is there already."""

import os
import shlex
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

SOURCE = Path(os.environ["PIPE_SOURCE_DIR"])


class Dev(unittest.TestCase):
    """A checkout with nothing in it but ./dev, where `pipe` notes down the words it is given."""

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="pipe-dev-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        shutil.copy(SOURCE / "dev", self.folder)
        build = self.folder / "build/release"
        (build / "bin").mkdir(parents=True)
        (build / "build.ninja").touch()
        self.program(build / "bin/pipe", 'printf "%s\\n" "$@" >words')
        tools = self.folder / "tools"
        tools.mkdir()
        self.program(tools / "cmake", "exit 0")
        self.program(tools / "dpkg-query", "printf installed")
        self.env = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "DOCKER_HOST": "tcp://127.0.0.1:1"}
        self.env.pop("CI", None)

    def program(self, path, script):
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def dev(self, *words):
        return subprocess.run([self.folder / "dev", *words], env=self.env, capture_output=True, text=True, check=False)

    def test_alone_it_explains_itself(self):
        done = self.dev()
        self.assertEqual(done.returncode, 0, done)
        for command in ("run", "test", "lint", "bench", "fuzz", "docs", "build"):
            self.assertIn(f"\n  {command} ", done.stdout)

    def test_a_command_that_is_not_there(self):
        done = self.dev("biuld")
        self.assertEqual(done.returncode, 2, done)
        self.assertIn("biuld", done.stderr)

    def test_run_ends_with_the_words_that_take_it_back(self):
        given = ["--set", "port=5001", "--jobs", "2", "--set=note=it's here", "--var-file", "my values.toml"]
        done = self.dev("run", "my.toml", *given)
        self.assertEqual(done.returncode, 0, done)
        self.assertEqual((self.folder / "words").read_text().splitlines(), ["run", "my.toml", *given])
        self.assertNotIn("\x1b", done.stderr)
        command = done.stderr.split("take it back: ")[1].split("   (--data")[0]
        self.assertEqual(
            shlex.split(command),
            ["build/release/bin/pipe", "down", "my.toml", "--set", "port=5001", "--set=note=it's here",
             "--var-file", "my values.toml"],
        )  # fmt: skip

    def test_tests_start_engines_and_so_run_as_root(self):
        for tool in ("taplo", "action-validator", "gitlab-ci-local"):
            (self.folder / "build" / tool / "node_modules/.bin").mkdir(parents=True)
        registry = self.folder / "build/docker-registry/usr/bin"
        registry.mkdir(parents=True)
        self.program(registry / "docker-registry", "exit 0")
        (self.folder / "build/release/CMakeCache.txt").write_text("PIPE_TESTS:BOOL=ON\n")
        for user, tool in (("1000", "sudo"), ("0", "env")):
            self.program(self.folder / "tools/id", f"echo {user}")
            self.program(self.folder / "tools" / tool, f'printf "%s\\n" {tool} "$@" >words')
            done = self.dev("test", "-L", "unit")
            self.assertEqual(done.returncode, 0, done)
            words = (self.folder / "words").read_text().splitlines()
            self.assertEqual(words[: words.index("-u")], ["sudo", "-E", "-H", "env"] if user == "1000" else ["env"])
            self.assertEqual(words[words.index("ctest") :][-2:], ["-L", "unit"])
            (path,) = (word for word in words if word.startswith("PATH="))
            self.assertTrue(path.startswith(f"PATH={registry}:") and "/usr/sbin" in path, path)


if __name__ == "__main__":
    unittest.main()
