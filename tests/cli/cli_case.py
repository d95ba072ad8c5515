"""What the tests of the command line share."""

import os
import pathlib
import shutil
import tempfile
import time
import unittest

from pipe import TEST_PLUGINS, Pipe


class CliCase(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="pipe-cli-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.pipe = Pipe(self.folder, plugins=[TEST_PLUGINS])
        self.notes_file = self.folder / "notes"

    def pipeline(self, steps, head="", name="p.toml"):
        """A pipeline file named `t`; gives its path."""
        return self.pipe.write(name, f'schema = 1\n[pipeline]\nname = "t"\n{head}\n{steps}')

    def scripted(self, name, **params):
        """A [[step]] that notes down what it does."""
        lines = [f'[[{params.pop("table", "step")}]]', f'id = "{name}"', 'uses = "scripted"']
        lines += [f"{key} = {value}" for key, value in params.pop("keys", {}).items()]
        lines += [f'with.name = "{name}"', f'with.notes = "{self.notes_file}"']
        lines += [f"with.{key} = {value}" for key, value in params.items()]
        return "\n".join(lines) + "\n"

    def gate(self, name):
        """The shell's words that wait until `open_gate` is called, before or after, and what to call that with."""
        path = self.folder / name
        os.mkfifo(path)
        return f": <{path}", path

    def open_gate(self, path):
        self.addCleanup(os.close, os.open(path, os.O_RDWR))

    def notes(self):
        return self.notes_file.read_text().splitlines() if self.notes_file.exists() else []

    def wait_for_note(self, note, timeout=60):
        self.wait_until(lambda: note in self.notes(), f"the note {note!r}", timeout)

    def wait_until(self, condition, what, timeout=60):
        end = time.monotonic() + timeout
        while not condition():
            self.assertLess(time.monotonic(), end, f"waited {timeout} s for {what}; notes: {self.notes()}")
            time.sleep(0.01)

    def assert_code(self, result, code):
        self.assertEqual(result.code, code, result)

    def assert_says(self, text, *parts):
        for part in parts:
            self.assertIn(part, text)
