"""A plugin built with the header of ABI 1.0 works with this `pipe`."""

import pathlib
import tempfile
import unittest

from compiler import build_plugin
from pipe import SOURCE, Pipe

FROZEN = SOURCE / "tests/abi/1.0"


class Frozen(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        (cls.folder / "plugins").mkdir()
        build_plugin(cls.folder / "plugins", "frozen", [FROZEN / "frozen.c"], includes=[FROZEN])
        cls.pipe = Pipe(cls.folder, plugins=[cls.folder / "plugins"])

    def test_run(self):
        self.assertEqual(self.pipe.step("frozen", text="hello"), {"echo": "hello", "parts": ["hello", "hello"]})

    def test_failure_is_told(self):
        result = self.pipe.try_step("frozen", text="hello", fail=True)
        self.assertEqual(result.code, 1, result)
        self.assertIn("frozen was told to fail", result.out + result.err)

    def test_plan_and_undo(self):
        pipeline = self.pipe.write(
            "frozen.toml", 'schema = 1\n[pipeline]\nname = "frozen"\n[[step]]\nuses = "frozen"\nwith.text = "kept"\n'
        )
        plan = self.pipe.run(["plan", pipeline])
        self.assertIn("would echo", plan.out, plan)
        run = self.pipe.run(["run", pipeline])
        self.assertEqual(run.code, 0, run)
        down = self.pipe.run(["down", pipeline])
        self.assertEqual(down.code, 0, down)
        self.assertIn("kept", down.out + down.err)


if __name__ == "__main__":
    unittest.main()
