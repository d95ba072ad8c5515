"""What completes in bash, fish and zsh, asked of the shells themselves."""

import os
import pty
import select
import shutil
import signal
import subprocess
import time
import unittest

from cli_case import CliCase
from pipe import BUILD, PROGRAM, SOURCE

REGISTRY = SOURCE / "pipelines/registry.toml"


class Completion(CliCase):
    def setUp(self):
        super().setUp()
        del self.pipe.env["PIPE_PLUGIN_PATH"]
        self.pipe.env["PATH"] = f"{BUILD}/bin:{self.pipe.env['PATH']}"
        shutil.copy(REGISTRY, self.folder / "registry.toml")

    def script(self, shell):
        result = self.pipe.run(["completion", shell])
        self.assert_code(result, 0)
        file = self.folder / f"completion.{shell}"
        file.write_text(result.out)
        return file

    def call(self, *args):
        done = subprocess.run(args, env=self.pipe.env, cwd=self.folder, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout.splitlines()

    def bash(self, line):
        code = f'. {self.script("bash")}; COMP_LINE=$1 COMP_POINT=${{#1}}; _pipe; printf "%s\\n" "${{COMPREPLY[@]}}"'
        return self.call("bash", "-c", code, "bash", line)

    def fish(self, line):
        found = self.call("fish", "--no-config", "-c", f'source {self.script("fish")}; complete -C "{line}"')
        return [line.split("\t")[0] for line in found]

    def zsh(self, line, *expected):
        """Types into a zsh, and waits for what a tab has to list."""
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(self.folder)
            os.execvpe("zsh", ["zsh", "-f", "-i"], {**self.pipe.env, "TERM": "dumb", "LISTMAX": "1000"})
        seen = ""

        def wait_for(*texts):
            nonlocal seen
            end = time.monotonic() + 30
            while not all(text in seen for text in texts):
                self.assertTrue(select.select([terminal], [], [], end - time.monotonic())[0], seen)
                seen += os.read(terminal, 4096).decode(errors="replace")

        try:
            os.write(terminal, f"autoload -Uz compinit; compinit -u -D; . {self.script('zsh')}; echo set''up\n".encode())
            wait_for("setup\r\n")
            os.write(terminal, f"{line}\t\t".encode())
            wait_for(*expected)
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            os.close(terminal)

    def both(self, line):
        bash = sorted(word.rstrip() for word in self.bash(line))
        self.assertEqual(bash, sorted(self.fish(line)))
        return bash

    def test_verbs(self):
        self.assertEqual(self.both("pipe pl"), ["plan", "plugins"])
        self.assertIn("run", self.both("pipe "))

    def test_options(self):
        self.assertEqual(self.both("pipe run --var-"), ["--var-file"])

    def test_steps_and_their_parameters(self):
        self.assertEqual(self.both("pipe step pu"), ["pull", "push"])
        self.assertEqual(self.both("pipe step pull --pol"), ["--policy"])
        self.assertEqual(self.both("pipe step pull --policy ne"), ["never", "newer"])
        self.assertEqual(self.both("pipe plugins show ver"), ["verify"])

    def test_services_of_ci(self):
        self.assertEqual(self.both("pipe export gi"), ["github", "gitlab"])
        self.assertEqual(self.both("pipe export github --in"), ["--install"])
        self.assertEqual(self.both("pipe run --output gi"), ["github", "gitlab"])

    def test_variables_of_the_pipeline(self):
        self.assertEqual(self.both("pipe run registry.toml --set po"), ["port="])

    def test_verbs_of_images(self):
        self.assertEqual(self.both("pipe image i"), ["import", "inspect"])
        self.assertEqual(self.both("pipe help ch"), ["check"])

    def test_images_of_the_store(self):
        (self.folder / "f").write_text("x")
        for name in ("localhost:5000/app:1", "localhost:5000/app:2", "other:1"):
            self.pipe.step("build", layers=["f:/f"], **{"as": name})
        self.assertEqual(self.fish("pipe image rm localhost:5000/a"), ["localhost:5000/app:1", "localhost:5000/app:2"])
        # Bash puts what it gets behind the last colon.
        self.assertEqual(self.bash("pipe image rm localhost:5000/a"), ["5000/app:1", "5000/app:2"])
        self.assertEqual(self.bash("pipe step push --image localhost:5000/app:"), ["1", "2"])

    def test_files_where_files_fit(self):
        self.assertIn("registry.toml", self.fish("pipe run regis"))
        self.assertEqual(self.pipe.run(["completion", "words", "run", ""]).out, ":files\n")

    def test_zsh(self):
        self.zsh("pipe step pull --policy ", "always", "missing", "never", "newer")
        self.zsh("pipe step pull --conc", "--concurrency")

    def test_words_that_complete_to_nothing(self):
        for words in (["nothing", ""], ["step", "nothing", "--"], ["plugins", "show", "x", "y"], ["run", "--set", ""]):
            with self.subTest(words):
                result = self.pipe.run(["completion", "words", *words])
                self.assert_code(result, 0)
                self.assertEqual(result.out, "")

    def test_another_shell_is_an_error(self):
        result = self.pipe.run(["completion", "tcsh"])
        self.assert_code(result, 2)
        self.assert_says(result.err, "bash, fish or zsh")

    def test_it_is_fast(self):
        # The promise is 30 ms; a busy machine gets ten times that before this fails.
        times = []
        for _ in range(5):
            start = time.monotonic()
            subprocess.run([PROGRAM, "completion", "words", "step", "pull", "--"], env=self.pipe.env, check=True, stdout=subprocess.DEVNULL)
            times.append(time.monotonic() - start)
        self.assertLess(min(times), 0.3)


if __name__ == "__main__":
    unittest.main()
