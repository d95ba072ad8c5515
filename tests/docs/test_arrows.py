"""Includes point one way (CONTRIBUTING.md, "Where things are")."""
import os
import re
import unittest
from pathlib import Path

SOURCE = Path(os.environ["PIPE_SOURCE_DIR"])
INCLUDE = re.compile(r'^\s*#\s*include\s*["<]([^">]+)[">]', re.M)

# What each folder of core/ may include, itself aside.
CORE = {
    "base": set(),
    "schema": {"base"},
    "pipeline": {"base", "schema"},
    "plugin": {"base", "schema"},
    "plan": {"base", "schema", "pipeline", "plugin"},
    "run": {"base", "schema", "plugin", "plan"},
    "report": {"base", "schema", "plugin", "plan", "run"},
    "cli": {"base", "schema", "pipeline", "plugin", "plan", "run", "report"},
}
SDK = {"http": set(), "oci": {"http"}, "engine": {"http", "oci"}}


def includes(folder):
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".cpp", ".hpp", ".c", ".h"):
            for name in INCLUDE.findall(path.read_text()):
                yield path.relative_to(SOURCE), name


class Arrows(unittest.TestCase):
    def test_core_folders(self):
        wrong = []
        for folder, allowed in CORE.items():
            for path, name in includes(SOURCE / "core" / folder):
                found = re.match(r"core/(\w+)/", name)
                if found and found[1] != folder and found[1] not in allowed:
                    wrong.append(f"{path}: {name}")
                if re.match(r"(sdk|plugins)/", name) or (name.startswith("pipe/") and name != "pipe/plugin.h"):
                    wrong.append(f"{path}: {name}")
        self.assertEqual(wrong, [])

    def test_runner_links_no_transport(self):
        for path, name in includes(SOURCE / "core"):
            self.assertFalse(re.match(r"(curl|openssl|archive)", name), f"{path}: {name}")

    def test_sdk_folders(self):
        wrong = []
        for folder, allowed in SDK.items():
            for place in (SOURCE / "sdk" / folder, SOURCE / "sdk/include/pipe" / folder):
                for path, name in includes(place):
                    found = re.match(r"pipe/(http|oci|engine)/", name)
                    if found and found[1] != folder and found[1] not in allowed:
                        wrong.append(f"{path}: {name}")
        self.assertEqual(wrong, [])

    def test_nothing_reaches_into_core(self):
        for folder in ("sdk", "plugins"):
            for path, name in includes(SOURCE / folder):
                self.assertFalse(name.startswith("core/"), f"{path}: {name}")

    def test_image_program_is_built_of_what_is_public(self):
        for path, name in includes(SOURCE / "image"):
            self.assertFalse(re.match(r"(sdk|plugins)/", name), f"{path}: {name}")
        for folder in ("core", "sdk", "plugins"):
            for path, name in includes(SOURCE / folder):
                self.assertFalse(name.startswith("image/"), f"{path}: {name}")

    def test_every_folder_of_core_is_named_here(self):
        self.assertEqual({p.name for p in (SOURCE / "core").iterdir() if p.is_dir()}, set(CORE))


if __name__ == "__main__":
    unittest.main()
