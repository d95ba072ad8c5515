"""What tests of single steps share: a folder and a `pipe` of their own, and their words for failures."""

import pathlib
import re
import shutil
import tempfile
import unittest

import pipe
from registries import digest_of


class StepTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="pipe-step-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.pipe = pipe.Pipe(self.folder)

    def other_pipe(self, name, **options):
        """A second `pipe`, with a store of its own: another machine."""
        return pipe.Pipe(self.folder / name, **options)

    def step(self, name, **params):
        return self.pipe.step(name, **params)

    def failure(self, name, *expected, **params):
        """What a step that fails says; `expected` are patterns that have to be in it."""
        result = self.pipe.try_step(name, **params)
        self.assertEqual(result.code, 1, result)
        for pattern in expected:
            self.assertRegex(result.err, re.compile(pattern, re.DOTALL))
        return result.err

    def said(self, *args):
        """All that one call of `pipe` said, which has to succeed."""
        result = self.pipe.run(args)
        self.assertEqual(result.code, 0, result)
        return result.out + result.err

    def assert_store_is_sound(self):
        """Every blob of the store has the content that its name says."""
        blobs = self.pipe.store / "blobs/sha256"
        for path in blobs.iterdir() if blobs.exists() else ():
            self.assertEqual("sha256:" + path.name, digest_of(path.read_bytes()))
