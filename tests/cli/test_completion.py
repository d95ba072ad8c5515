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
        self.typed(["zsh", "-f", "-i"], f"autoload -Uz compinit; compinit -u -D; . {self.script('zsh')}\n", f"{line}\t\t", *expected)

    def typed(self, shell, setup, keys, *expected):
        """Types keys into a shell, waits for what it has to show of that, and gives all of it."""
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(self.folder)
            os.execvpe(shell[0], shell, {**self.pipe.env, "TERM": "dumb", "LISTMAX": "1000"})
        seen = ""

        def wait_for(*texts):
            nonlocal seen
            end = time.monotonic() + 120
            while not all(text in seen for text in texts):
                self.assertTrue(select.select([terminal], [], [], end - time.monotonic())[0], seen)
                seen += os.read(terminal, 4096).decode(errors="replace")

        try:
            os.write(terminal, f"{setup}echo set''up\n".encode())
            wait_for("setup\r\n")
            os.write(terminal, keys.encode())
            wait_for(*expected)
            return seen
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

    def test_options_with_a_fixed_set_of_values(self):
        for line, expected in {
            "pipe graph p.toml --format ": ["dot", "mermaid", "svg", "text"],
            "pipe runs --output ": ["json", "text"],
            "pipe run --isolation ": ["none", "process"],
            "pipe step push --isolation ": ["none", "process"],
            "pipe check --format ": ["github", "human", "json"],
            "pipe plugins --format ": ["json", "markdown", "text"],
            "pipe report --format ": ["dotenv", "html", "junit", "markdown"],
            "pipe run p.toml --output ": ["auto", "github", "gitlab", "json", "plain", "terminal"],
            "pipe image ls --output ": ["json", "text"],
            "pipe image export app:1 app.tar --format ": ["docker", "oci"],
            "pipe run p.toml --report ": ["dotenv=", "html=", "junit=", "markdown="],
            "pipe run p.toml --report h": ["html="],
        }.items():
            with self.subTest(line):
                self.assertEqual(self.both(line), expected)

    def test_a_value_behind_an_equals_sign(self):
        for line, expected in {
            "pipe graph p.toml --format=d": ["dot"],
            "pipe image ls --output=j": ["json"],
            "pipe step push --quiet --isolation=n": ["none"],
            "pipe step pull --load=": ["false", "true"],
            "pipe run registry.toml --set=po": ["port="],
            "pipe run registry.toml --set insecure=": ["false", "true"],
        }.items():
            with self.subTest(line):
                whole = line.rsplit(" ", 1)[1]
                self.assertEqual(sorted(self.fish(line)), sorted(whole[: whole.index("=") + 1] + word for word in expected))
                self.assertEqual(sorted(self.bash(line)), sorted(expected))  # bash puts them behind the `=`

    def test_files_behind_the_kind_of_a_report(self):
        self.assertEqual(self.fish("pipe run registry.toml --report html=reg"), ["html=registry.toml"])
        self.assertEqual(self.fish("pipe run registry.toml --report=html=reg"), ["--report=html=registry.toml"])
        for line in ("--report html=", "--report=html="):
            self.assertEqual(self.pipe.run(["completion", "words", "run", *line.split()]).out, f":files{line.split()[-1]}\n")

    def test_bash_itself(self):
        """Readline completes what the function leaves to it: files, behind the last `=`."""
        shell = f"set +o history; PS1=; . {self.script('bash')}; bind 'set bell-style none'\n"
        self.assertIn("--report html=registry.toml", self.typed(["bash", "--norc", "--noprofile", "-i"], shell, "pipe run registry.toml --report html=reg\t", "html=registry.toml"))

    def test_runs_on_record(self):
        self.pipe.run(["step", "shell", "--run", "echo one"])
        self.pipe.write("p.toml", 'schema = 1\n[pipeline]\nname = "t"\n[[step]]\nid = "greet"\nuses = "shell"\nwith.run = "true"\n')
        self.pipe.run(["run", "p.toml"])
        ids = sorted(path.parent.name for path in self.pipe.journals())
        self.assertEqual(len(ids), 2)
        for line in ("pipe log ", "pipe log --quiet ", "pipe report --format html "):
            self.assertEqual(self.both(line), [*ids, "last"])
        self.assertIn(ids[1], self.both("pipe run --resume 2"))
        self.assertEqual(self.both("pipe log last "), ["greet"])
        self.assertEqual(self.both("pipe runs "), ["step-shell", "t"])

    def test_names_that_a_shell_would_take_apart(self):
        self.pipe.write("p.toml", 'schema = 1\n[pipeline]\nname = "t"\n[[step]]\nid = "greet"\nfor_each = ["a b", "$x"]\nuses = "shell"\nwith.run = "true"\n')
        self.pipe.run(["run", "p.toml"])
        offered = self.bash("pipe log last gr")
        self.assertEqual(len(offered), 2)
        # What bash inserts is, as a word of a command, the name of the step.
        self.assertEqual(sorted(self.call("bash", "-c", 'printf "%s\\n" ' + " ".join(offered))), ['greet["$x"]', 'greet["a b"]'])

    def test_what_help_explains(self):
        self.assertEqual(self.both("pipe help image i"), ["import", "inspect"])
        self.assertEqual(self.both("pipe help step pu"), ["pull", "push"])
        self.assertEqual(self.fish("pipe help run "), [])

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
        self.zsh("pipe run registry.toml --report ", "dotenv=", "html=", "junit=")
        self.zsh("pipe run registry.toml --report html=regi", "html=registry.toml")
        self.zsh("pipe graph registry.toml --format=", "dot", "mermaid", "svg")

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
        # The promise is 30 ms; a slow machine gets ten times that before this fails, and a busy one as long as it takes.
        times = []
        for _ in range(5):
            process = subprocess.Popen([PROGRAM, "completion", "words", "step", "pull", "--"], env=self.pipe.env, stdout=subprocess.DEVNULL)
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            self.assertEqual(process.returncode, 0)
            times.append(used.ru_utime + used.ru_stime)
        self.assertLess(min(times), 0.3)


if __name__ == "__main__":
    unittest.main()
