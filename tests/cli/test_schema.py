"""The JSON Schema of pipeline files, as Taplo (the TOML engine of editors) reads it."""

import json
import re
import subprocess
import threading
import time
import unittest

from cli_case import CliCase
from pipe import SOURCE

# `./dev test` puts it there.
MODULES = SOURCE / "build/taplo/node_modules"
TAPLO = MODULES / ".bin/taplo"

FINE = """schema = 1
[pipeline]
name = "t"
[vars.registry]
default = "localhost:5000"
env = "REGISTRY"
[vars.wait]
type = "duration"
default = "2s"
[secrets.password]
from = { env = "PASSWORD" }
optional = true
[pools]
net = 2
[[step]]
uses = "pull"
with.image = "registry:3"
with.policy = "newer"
retry = { attempts = 4, delay = "1m30s" }
pool = "net"
[[step]]
id = "names"
uses = "tag"
with = { image = "${steps.pull.image}", as = "${vars.registry}/registry:3" }
for_each = ["a", "b"]
if = "vars.registry != ''"
timeout = "2m"
[[finally]]
uses = "shell"
with.run = "true"
needs = "names"
[outputs]
image = "${steps.pull.image}"
count = 3
"""

# What is put in the place of what, and the word that the complaint names.
MISTAKES = {
    "an unknown key of the file": ("[pools]", "[pool]", "pool"),
    "an unknown key of a step": ("pool = ", "pol = ", "pol"),
    "an unknown key of a variable": ("env = \"REGISTRY\"", "enw = \"REGISTRY\"", "enw"),
    "an unknown source of a secret": ("{ env = \"PASSWORD\" }", "{ envv = \"PASSWORD\" }", "envv"),
    "an unknown parameter": ("with.policy", "with.polcy", "polcy"),
    "a choice that is none": ('"newer"', '"newest"', "newest"),
    "an unknown plugin": ('uses = "shell"', 'uses = "shel"', "shel"),
    "a missing parameter": ('with.image = "registry:3"\n', "", "image"),
    "a step without a plugin": ('uses = "shell"\n', "", "uses"),
    "a wrong type": ('with.run = "true"', 'with.run = ["true", "false"]', "string"),
    "a duration that is none": ('"1m30s"', '"1 minute"', "1 minute"),
    "a number that is too small": ("net = 2", "net = 0", "0"),
    "a format of later": ("schema = 1", "schema = 2", "1 was expected"),
    "a type that is none": ('type = "duration"', 'type = "time"', "time"),
}


class Schema(CliCase):
    @classmethod
    def setUpClass(cls):
        if not TAPLO.exists():
            raise AssertionError(f"{TAPLO} is missing: ./dev test fetches it")

    def setUp(self):
        super().setUp()
        del self.pipe.env["PIPE_PLUGIN_PATH"]  # the steps that are installed, and no test's
        result = self.pipe.run(["schema"])
        self.assert_code(result, 0)
        self.schema = json.loads(result.out)
        self.file = self.folder / "pipe.schema.json"
        self.file.write_text(result.out)

    def lint(self, *files):
        return subprocess.run(
            [TAPLO, "lint", "--colors", "never", "--schema", self.file.as_uri(), *files],
            capture_output=True,
            text=True,
            cwd=self.folder,
        )

    def test_every_pipeline_of_this_project_passes(self):
        files = sorted((SOURCE / "pipelines").glob("*.toml"))
        self.assertGreater(len(files), 3)
        result = self.lint(*files)
        self.assertEqual(result.returncode, 0, result.stderr)

    def test_what_the_reader_takes_passes(self):
        file = self.pipe.write("fine.toml", FINE)
        self.assert_code(self.pipe.run(["check", file]), 0)
        result = self.lint(file)
        self.assertEqual(result.returncode, 0, result.stderr)

    def test_each_mistake_is_found_by_the_editor_and_by_check(self):
        files = {}
        for number, (mistake, (right, wrong, _)) in enumerate(MISTAKES.items()):
            self.assertIn(right, FINE)
            files[mistake] = self.pipe.write(f"wrong{number}.toml", FINE.replace(right, wrong, 1))
        found = self.lint(*files.values()).stderr
        for mistake, file in files.items():
            with self.subTest(mistake):
                word = MISTAKES[mistake][2]
                # Each complaint begins with what is wrong, and has the place in the line below.
                complaints = re.findall(rf"error: (.*)\n.*{re.escape(str(file))}:", found)
                self.assertTrue(any(word in complaint for complaint in complaints), complaints)
                self.assertNotEqual(self.pipe.run(["check", file]).code, 0, "`pipe check` finds nothing")

    def test_keys_are_those_of_the_reader(self):
        step = self.schema["$defs"]["step"]["properties"]
        tables = {
            "": self.schema["properties"],
            "[pipeline]": self.schema["properties"]["pipeline"]["properties"],
            "[vars.a]": self.schema["$defs"]["variable"]["properties"],
            "[secrets.a]": self.schema["$defs"]["secret"]["properties"],
            "[[step]]": step,
            "[step.retry]": step["retry"]["properties"],
        }
        for table, properties in tables.items():
            with self.subTest(table or "the file"):
                head = "schema = 1\n" + ('[[step]]\nuses = "shell"\nwith.run = "true"\n' if table == "[step.retry]" else "")
                text = "zzzzzz = 1\n" + head if table == "" else head + table + "\nzzzzzz = 1\n"
                found = self.pipe.run(["check", "--format", "json", self.pipe.write("keys.toml", text)])
                problem = next(d for d in json.loads(found.out) if "zzzzzz" in d["message"])
                said = json.dumps(problem)
                for key in properties:
                    self.assertIn(key, said, "the reader does not name it")

    def completed(self, text, marker="|"):
        """The labels that an editor offers at the marker."""
        (self.folder / ".taplo.toml").write_text('[schema]\nenabled = true\npath = "pipe.schema.json"\n')
        before, after = text.split(marker)
        with Editor(self.folder) as editor:
            return editor.complete(before + after, before.count("\n"), len(before) - before.rfind("\n") - 1)

    def test_an_editor_completes_plugins(self):
        self.assertIn('"verify"', self.completed('schema = 1\n[[step]]\nuses = "|"\n'))

    def test_an_editor_completes_the_keys_and_parameters_of_a_step(self):
        labels = self.completed('schema = 1\n[[step]]\nuses = "pull"\ntimeout = "1s"\n|\n')
        for key in ("retry", "needs", "with.image", "with.policy"):
            self.assertIn(key, labels)

    def test_an_editor_completes_choices(self):
        self.assertIn('"missing"', self.completed('schema = 1\n[[step]]\nuses = "pull"\nwith.policy = "|"\n'))


class Editor:
    """An editor that speaks to Taplo's language server."""

    def __init__(self, folder):
        self.folder = folder
        self.id = 0

    def __enter__(self):
        self.server = subprocess.Popen(
            ["node", SOURCE / "tests/support/taplo_server.js", MODULES],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, cwd=self.folder,
        )  # fmt: skip
        # A server that says nothing more is ended, which ends the test with it.
        self.patience = threading.Timer(600, self.server.kill)
        self.patience.start()
        folder = {"uri": self.folder.as_uri(), "name": "t"}
        self.request("initialize", processId=None, rootUri=folder["uri"], capabilities={}, workspaceFolders=[folder])
        self.send(method="initialized", params={})
        return self

    def __exit__(self, *_):
        self.patience.cancel()
        self.server.kill()
        self.server.communicate()

    def send(self, **message):
        self.server.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")

    def messages(self):
        """Those that come, while what the server asks is answered."""
        for line in self.server.stdout:
            message = json.loads(line)
            if "method" in message and "id" in message:
                settings = [{} for _ in message["params"].get("items", [])]
                self.send(id=message["id"], result=settings or None)
            yield message
        raise AssertionError("the language server ended")

    def request(self, method, **params):
        self.id += 1
        self.send(id=self.id, method=method, params=params)
        for message in self.messages():
            if message.get("id") == self.id and "method" not in message:
                if "error" in message:
                    raise AssertionError(message["error"])
                return message["result"]

    def complete(self, text, line, character):
        uri = (self.folder / "edited.toml").as_uri()
        document = {"uri": uri, "languageId": "toml", "version": 1, "text": text}
        self.send(method="textDocument/didOpen", params={"textDocument": document})
        # The schema is read behind the scenes; until then there is nothing to offer.
        end = time.monotonic() + 300
        items = []
        while not items and time.monotonic() < end:
            found = self.request(
                "textDocument/completion", textDocument={"uri": uri}, position={"line": line, "character": character}
            )
            items = found["items"] if isinstance(found, dict) else found or []
        return [item["label"] for item in items]


if __name__ == "__main__":
    unittest.main()
