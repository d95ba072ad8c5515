"""What people see, whole: on terminals of 80 and 200 columns, and piped. golden/NAME.txt has each of it.

Where a change is meant, renew them and read the difference:

    PIPE_RENEW_GOLDENS=1 ./dev test -R cli.golden; git diff tests/cli/golden
"""

import os
import pathlib
import re
import subprocess
import unittest

import terminal
from cli_case import CliCase
from pipe import BUILD, Pipe, TEST_PLUGINS
from registries import Registry

GOLDEN = pathlib.Path(__file__).parent / "golden"
ENV = {"LC_ALL": "C.UTF-8", "TZ": "UTC"}

CHAIN = """schema = 1
[pipeline]
name = "site"
[[step]]
id = "pull"
uses = "echo"
with.text = "registry:3"
[[step]]
id = "copy"
uses = "noop"
for_each = ["alpine:3.20", "redis:7"]
[[step]]
id = "serve"
uses = "echo"
needs = ["pull"]
with.text = "port 5000"
[[step]]
id = "verify"
uses = "noop"
needs = ["copy", "serve"]
[[finally]]
id = "tidy"
uses = "noop"
[outputs]
image = "${steps.pull.text}"
"""

FAILS = """schema = 1
[pipeline]
name = "site"
[secrets.token]
from = [{ env = "TEST_TOKEN" }]
[vars.text]
default = "x"
[[step]]
id = "prepare"
uses = "echo"
with.text = "${vars.text}"
[[step]]
id = "build"
uses = "shell"
with.run = "echo compiling 이미지; echo 'main.c:3: error: expected ;' >&2; exit 2"
with.env = { TOKEN = "${secrets.token}" }
[[step]]
id = "push"
uses = "noop"
"""

PLAN = """schema = 1
[pipeline]
name = "site"
[vars.text]
default = "hello"
[[step]]
id = "same"
uses = "echo"
with.text = "as it is"
with.file = "same"
[[step]]
id = "edited"
uses = "echo"
with.text = "port 5001"
with.file = "edited"
[[step]]
id = "new"
uses = "echo"
for_each = ["alpine:3.20", "redis:7"]
with.text = "${vars.text}"
with.file = "new-${each.key}"
[[step]]
id = "start"
uses = "scripted"
with.name = "start"
with.notes = "notes"
"""

WRONG = """schema = 1
[pipeline]
nam = "site"
[[step]]
id = "pull"
uses = "ecoh"
[[step]]
id = "tag"
uses = "echo"
with.text = 7
with.colour = "red"
[[step]]
id = "push"
uses = "echo"
with.text = "${steps.tag.txt}"
"""

# One fails, two go on; each says something once its gate is open, and ends behind another one. GATES has them in order,
# each with what has to be seen before: piped, and on a terminal.
LIVE = """schema = 1
[pipeline]
name = "site"
[[step]]
id = "prepare"
uses = "echo"
with.text = "done"
[[step]]
id = "copy"
uses = "shell"
needs = ["prepare"]
for_each = ["a", "b", "c"]
with.run = ": <say-${each.key}; echo said by ${each.key}; test ${each.key} != b || exit 1; : <end-${each.key}"
[[step]]
id = "build"
uses = "shell"
needs = ["prepare"]
with.run = "echo compiling; echo 이미지를 만드는 중 🐳 which takes a while as there is very much to do, and so this line is long; : <end-build"
"""
GATES = (
    ("say-a", "build .*long", r"\| 이미지를"), ("say-b", "build .*long", "said by a"), ("say-c", "failed +copy", "failed +copy"),
    ("end-a", "failed +copy", r"1/3 done, 2 running(?s:.)*said by c"), ("end-build", "changed +copy..a", "2/3 done, 1 running"),
    ("end-c", "changed +build", "changed +build"),
)  # fmt: skip


class Golden(CliCase):
    def setUp(self):
        super().setUp()
        self.count = 0
        self.registry = ""  # the address of one that a test talks to

    def fresh(self):
        """A `pipe` with nothing behind it; its folder's name is masked, so it may have any."""
        self.count += 1
        folder = self.folder / str(self.count)
        folder.mkdir()
        pipe = Pipe(folder, plugins=[TEST_PLUGINS], env=ENV)
        for name, text in (("site.toml", CHAIN), ("fails.toml", FAILS), ("plan.toml", PLAN), ("wrong.toml", WRONG), ("live.toml", LIVE)):
            pipe.write(name, text)
        for gate, *_ in GATES:
            os.mkfifo(folder / gate)
        pipe.write("same", "as it is")
        pipe.write("edited", "port 5000")
        return pipe

    def normalised(self, pipe, data):
        """Without what differs from run to run, as wide as it was; a folder may have any width."""
        data = data.replace(str(pipe.folder).encode(), b"/site")
        data = data.replace(str(BUILD).encode(), b"/build")
        if self.registry:  # a port may have any number of digits, too
            data = data.replace(self.registry.encode(), b"localhost:5000")
        data = re.sub(rb"\d{8}T\d{6}\.\d{3}Z", b"20260101T000000.000Z", data)
        data = re.sub(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", b"2026-01-01 00:00:00", data)
        # What `pipe doctor` finds on any machine is not what is looked at.
        data = re.sub(rb"[\d.]+ .B free", b"50.0 GB free", data)
        data = re.sub(rb"(?m)^\S+ *\S* +(port 5000|rootless) .*\n( .*\n)*", b"", data)
        return re.sub(rb"\b\d\.\ds", b"0.0s", data)

    def gates(self, pipe, view):
        """Opens one after the other, as soon as a text that is seen allows it: a function to call with that."""
        left = [(pipe.folder / gate, *seen) for gate, *seen in GATES]

        def look(text):
            while left and re.search(left[0][view], text):
                self.open_gate(left.pop(0)[0])

        return look

    def piped(self, pipe, words, env):
        # One stream, as `2>&1 | cat` has it.
        process = pipe.start(words, env=env, stderr=subprocess.STDOUT)
        look, out = self.gates(pipe, 1), b""
        for line in process.stdout:
            out += line
            look(out.decode())
        process.communicate()
        self.assertNotIn(b"\x1b", out)
        return process.returncode, self.normalised(pipe, out).decode()

    def on_terminal(self, pipe, words, env, columns, rows, frame):
        case = self

        class Normalised(terminal.Terminal):
            def feed(self, data):
                super().feed(case.normalised(pipe, data))

        usual, terminal.Terminal = terminal.Terminal, Normalised
        try:
            look = self.gates(pipe, 2)
            screen = terminal.run_on_terminal(pipe, words, columns, rows, env=env, stdout=True,
                                              meanwhile=lambda seen, *_: seen.frames and look(seen.frames[-1]))
        finally:
            terminal.Terminal = usual
        if frame is None:
            return screen.code, screen.text
        shown = [text for text in screen.frames if re.search(frame, text)]
        self.assertTrue(shown, screen.frames)
        return screen.code, f"{shown[-1]}\n(and in the end)\n{screen.text}"

    def check(self, name, words, code=0, before=(), env=None, frame=None, rows=40):
        """Compares what `pipe WORDS` shows; `before`: what is run first; `frame`: of a live display, the last
        one that this pattern is found in is looked at, too."""
        text, last = f"$ pipe {' '.join(words)}\n", None
        if self.registry:
            text = text.replace(self.registry, "localhost:5000")
        for view in ("80 columns", "200 columns", "piped"):
            pipe = self.fresh()
            for first in before:
                pipe.run(first, env=env)
            if view == "piped":
                got = self.piped(pipe, words, env)
            else:
                got = self.on_terminal(pipe, words, env, int(view.split()[0]), rows, frame)
            self.assertEqual(got[0], code, got[1])
            text += f"\n-- {view} --\n" + ("(the same)\n" if got[1] == last else got[1])
            last = got[1]
        file = GOLDEN / f"{name}.txt"
        if os.environ.get("PIPE_RENEW_GOLDENS"):
            file.write_text(text)
        self.maxDiff = None
        self.assertEqual(file.read_text() if file.exists() else "", text, f"{file.name}: see the top of this test")

    def test_run_live(self):
        self.check("run-live", ["run", "live.toml", "--jobs", "8"], 1, frame=r"(?s)1/3 done, 2 running.*\| \[\"c\"\] said")

    def test_run(self):
        self.check("run", ["run", "site.toml", "--jobs", "1"])

    def test_run_quiet(self):
        self.check("run-quiet", ["run", "site.toml", "--quiet"])

    def test_run_verbose(self):
        self.check("run-verbose", ["run", "site.toml", "--verbose", "--jobs", "1"])

    def test_failure(self):
        env = {"TEST_TOKEN": "s3cr3t-t0ken"}
        self.check("failure", ["run", "fails.toml", "--set", "text=it's s3cr3t-t0ken"], 1, env=env)

    def test_resume(self):
        env = {"TEST_TOKEN": "s3cr3t-t0ken"}
        self.check("resume", ["run", "--resume", "--explain"], 1, before=[["run", "fails.toml"]], env=env)

    def test_plan(self):
        self.check("plan", ["plan", "plan.toml", "--exit-code"], 10)

    def test_plan_without_changes(self):
        self.check("plan-none", ["plan", "site.toml", "--exit-code"])

    def test_check_errors(self):
        self.check("check-errors", ["check", "wrong.toml"], 3)

    def test_runs(self):
        self.check("runs", ["runs"], before=[["run", "site.toml"], ["run", "fails.toml"], ["down", "site.toml"], ["step", "noop"]],
                   env={"TEST_TOKEN": "s3cr3t-t0ken"})

    def test_log(self):
        self.check("log", ["log", "last"], before=[["run", "fails.toml"]], env={"TEST_TOKEN": "s3cr3t-t0ken"})

    def test_graph(self):
        self.check("graph", ["graph", "site.toml"])

    def test_run_explained(self):
        self.check("run-explain", ["run", "site.toml", "--explain", "--jobs", "1"], before=[["run", "site.toml"]])

    def test_run_dry(self):
        self.check("run-dry", ["run", "plan.toml", "--dry-run"])

    def test_check(self):
        self.check("check", ["check", "site.toml", "plan.toml"])

    def test_down(self):
        self.check("down", ["down", "plan.toml", "--jobs", "1"], before=[["run", "plan.toml"]])
        self.check("down-dry", ["down", "plan.toml", "--dry-run"], before=[["run", "plan.toml"]])
        self.check("down-other", ["down", "plan.toml", "--set", "text=b"], 2, before=[["run", "plan.toml", "--set", "text=a"]])

    def test_log_of_a_step(self):
        env = {"TEST_TOKEN": "s3cr3t-t0ken"}
        self.check("log-step", ["log", "last", "build"], before=[["run", "fails.toml"]], env=env)
        self.check("log-explain", ["log", "--explain"], before=[["run", "fails.toml"]], env=env)

    def test_report(self):
        env = {"TEST_TOKEN": "s3cr3t-t0ken"}
        self.check("report", ["report", "--format", "junit"], before=[["run", "fails.toml"]], env=env)
        self.check("report-markdown", ["report", "--format", "markdown", "--output", "-"], before=[["run", "fails.toml"]], env=env)

    def test_export(self):
        words = ["site.toml", "--install", "sudo apt-get install -y ./pipe.deb"]
        self.check("export-github", ["export", "github", *words])
        self.check("export-gitlab", ["export", "gitlab", *words])
        self.check("export-stale", ["export", "github", *words, "--to", "site.yml", "--check"], 1)

    def test_image(self):
        build = ["step", "build", "--layers", "same:/same", "--platform", "linux/amd64", "--as"]
        app = [*build, "app:1"]
        self.check("image-ls", ["image", "ls"], before=[app, [*build, "registry.lan:5000/a/rather/long/name/of/an/image:2.1"]])
        self.check("image-inspect", ["image", "inspect", "app:1"], before=[app])
        self.check("image-rm", ["image", "rm", "app:1"], before=[app])
        self.check("image-gc", ["image", "gc"], before=[app, ["image", "rm", "app:1"]])
        self.check("image-fsck", ["image", "fsck"], before=[app])
        self.check("image-export", ["image", "export", "app:1", "app.tar"], before=[app])
        self.check("image-import", ["image", "import", "app.tar", "app:2"], before=[app, ["image", "export", "app:1", "app.tar"]])
        self.check("image-none", ["image", "rm", "ap:1"], 1, before=[app])

    def test_image_tags(self):
        with Registry() as registry:
            self.registry = registry.address
            build = ["step", "build", "--layers", "same:/same", "--platform", "linux/amd64", "--as", f"{registry.address}/app:1"]
            copies = [["step", "copy", "--from", f"{registry.address}/app:1", "--to", f"{registry.address}/app:{n}"] for n in (2, 10)]
            self.check("image-tags", ["image", "tags", f"{registry.address}/app"], before=[build, ["step", "push", "--image", f"{registry.address}/app:1"], *copies])

    def test_debug(self):
        self.check("debug-ref", ["debug", "ref", "registry.lan:5000/app:1.2"])

    def test_doctor(self):
        """Of a machine that is the same everywhere: an engine and a registry that are not there."""
        self.check("doctor", ["doctor", "127.0.0.1:1", "--engine", "unix:///nowhere/engine.sock"], 1)

    def test_errors(self):
        for name, words, code in (
            ("option", ["run", "site.toml", "--outptu", "plain"], 2), ("choice", ["graph", "site.toml", "--format", "svgg"], 2),
            ("variable", ["run", "fails.toml", "--set", "txet=1"], 3), ("step", ["run", "site.toml", "--from", "pul"], 2),
            ("plugin", ["step", "ecoh"], 4), ("parameter", ["step", "echo", "--txet", "1"], 2), ("run", ["log", "stie"], 2),
            ("report", ["run", "site.toml", "--report", "htlm=x"], 2),
        ):
            with self.subTest(name):
                self.check(f"typo-{name}", words, code, before=[["run", "site.toml"]])

    def test_step(self):
        self.check("step", ["step", "echo", "--text", "hello", "--file", "greeting"])

    def test_step_help(self):
        self.check("step-help", ["step", "echo", "--help"])

    def test_plugins(self):
        self.check("plugins-show", ["plugins", "show", "echo"])
        self.check("plugins-list", ["plugins", "list"])

    def test_typo(self):
        self.check("typo", ["rum", "site.toml"], 2)

    def test_help(self):
        self.check("help", ["help"])
        self.check("help-run", ["help", "run"])
        self.check("help-image", ["help", "image"])
        self.check("help-image-inspect", ["help", "image", "inspect"])
        self.check("version", ["version"])


if __name__ == "__main__":
    unittest.main()
