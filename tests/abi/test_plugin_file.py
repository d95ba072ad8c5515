"""What a plugin file shows to others, and what the metadata survives."""

import json
import pathlib
import tempfile
import unittest

from compiler import build_plugin, call, exported, metadata
from pipe import BUILD, SOURCE

HELLO = SOURCE / "sdk/examples/hello/hello.cpp"
HELLO_C = SOURCE / "sdk/examples/hello-c/hello.c"
SYMBOLS = ["pipe_plugin_entry_v1", "pipe_plugin_metadata"]


class PluginFile(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def step_of(self, library):
        return json.loads(metadata(library, self.folder))["step"]

    def test_every_plugin_of_the_tree_exports_two_symbols(self):
        plugins = sorted(BUILD.glob("lib*/**/pipe/plugins/pipe-*.so"))
        self.assertTrue(plugins)
        for plugin in plugins:
            with self.subTest(plugin.name):
                self.assertEqual(exported(plugin), SYMBOLS)
                self.assertEqual(f"pipe-{self.step_of(plugin)}.so", plugin.name)

    def test_c_and_cxx_export_two_symbols(self):
        self.assertEqual(exported(build_plugin(self.folder, "hello", [HELLO])), SYMBOLS)
        self.assertEqual(exported(build_plugin(self.folder, "hello-c", [HELLO_C])), SYMBOLS)

    def test_metadata_survives_strip(self):
        for source in HELLO, HELLO_C:
            plugin = build_plugin(self.folder, source.parent.name, [source])
            call("strip", "--strip-all", plugin)
            self.assertEqual(self.step_of(plugin), source.parent.name)
            self.assertEqual(exported(plugin), SYMBOLS)

    def test_metadata_survives_gc_sections(self):
        flags = ["-O2", "-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections"]
        for source in HELLO, HELLO_C:
            self.assertEqual(self.step_of(build_plugin(self.folder, "x", [source], flags)), source.parent.name)

    def test_metadata_survives_link_time_optimisation(self):
        for source in HELLO, HELLO_C:
            plugin = build_plugin(self.folder, "x", [source], ["-O2", "-flto"])
            self.assertEqual(self.step_of(plugin), source.parent.name)
            self.assertEqual(exported(plugin), SYMBOLS)

    def test_metadata_is_read_only(self):
        sections = call("readelf", "--sections", "--wide", build_plugin(self.folder, "x", [HELLO])).splitlines()
        (line,) = [line for line in sections if " pipemeta " in line]
        flags = line.split()[-4]
        self.assertIn("A", flags)
        self.assertNotIn("W", flags)


if __name__ == "__main__":
    unittest.main()
