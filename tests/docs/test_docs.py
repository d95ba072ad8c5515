"""The documentation says what the program says."""

import re
import shlex
import subprocess
import sys
import tempfile
import unittest

from pipe import BUILD, SOURCE, Pipe

FENCE = re.compile(r"^(```+)(\w*)[^\n]*\n(.*?)^\1$", re.M | re.S)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


def pages():
    found = [p for p in SOURCE.glob("*.md")]
    for folder in ("docs", "plugins", "sdk", "tests", "pipelines"):
        found += (SOURCE / folder).rglob("*.md")
    return sorted(found)


def anchor(heading):
    """The name that GitHub gives a heading."""
    text = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", text))


def anchors(page):
    text = FENCE.sub("", page.read_text())
    return {anchor(h) for h in re.findall(r"^#+ (.+)$", text, re.M)}


class Docs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.pipe = Pipe(folder.name)

    def test_whole_pipelines_pass_the_check(self):
        checked = 0
        for page in [SOURCE / "README.md", *sorted((SOURCE / "docs").rglob("*.md"))]:
            for _, language, text in FENCE.findall(page.read_text()):
                code = re.sub(r"\A(\s*#[^\n]*\n|\s*\n)*", "", text)
                if language != "toml" or not code.startswith("schema = 1"):
                    continue
                checked += 1
                file = self.pipe.write(f"{page.stem}-{checked}.toml", text)
                with self.subTest(page=page.name, first=code.splitlines()[:3]):
                    result = self.pipe.run(["check", file])
                    self.assertEqual(result.code, 0, result)
        self.assertGreater(checked, 0)

    @staticmethod
    def commands():
        """Each call of pipe in the blocks of README and guides that is written out: page, words after `pipe`."""
        for page in [SOURCE / "README.md", *sorted((SOURCE / "docs/guide").rglob("*.md"))]:
            for _, language, text in FENCE.findall(page.read_text()):
                if language not in ("", "console", "sh"):
                    continue
                for line in text.replace("\\\n", " ").splitlines():
                    called = re.match(r"(?:\$ )?(?:sudo )?(?:\w+='[^']*' )?(?:[\d*]+ +){0,5}pipe +([a-z].*)", line)
                    if called and "…" not in line and "FILE" not in line:
                        yield page, shlex.split(called[1], comments=True)

    def test_commands_are_ones_that_pipe_takes(self):
        options, seen = {}, 0
        for page, (verb, *words) in self.commands():
            with self.subTest(page=page.name, command=[verb, *words]):
                seen += 1
                said = self.pipe.run([verb, "--help"])
                self.assertEqual(said.code, 0, said)
                known = set(re.findall(r"--[\w-]+", said.out))
                if verb == "step" and "--help" not in words and "--plugin-path" not in words:
                    if words[0] not in options:
                        options[words[0]] = set(re.findall(r"--[\w-]+", self.pipe.run(["step", words[0], "--help"]).out))
                    known = options[words[0]]
                given = [word.partition("=")[0] for word in words if word.startswith("--")]
                if "--plugin-path" not in words:
                    self.assertLessEqual(set(given), known | {"--help"})
                if verb in ("run", "plan", "down") and words and words[0].startswith("pipelines/"):
                    settings = [word for at, word in enumerate(words) if "--set" in (word, words[at - 1])]
                    checked = self.pipe.run(["check", words[0], *settings], cwd=SOURCE)
                    self.assertEqual(checked.code, 0, checked)
        self.assertGreater(seen, 50)

    def test_variables_that_guides_list_are_those_of_the_pipeline(self):
        for page, file in (("secure-registry", "registry-secure"), ("free-disk-space", "registry-care"), ("first-registry", "registry")):
            declared = re.findall(r"^\[vars\.(\w+)\]", (SOURCE / f"pipelines/{file}.toml").read_text(), re.M)
            text = (SOURCE / f"docs/guide/{page}.md").read_text()
            table = text[text.index("| variable |") :].partition("\n\n")[0]
            listed = re.findall(r"`(\w+)`", " ".join(row.split("|")[1] for row in table.splitlines()[2:]))
            with self.subTest(page):
                self.assertTrue(listed)
                self.assertEqual([name for name in listed if name not in declared], [])
        # "Every setting of `registry.toml` but `insecure` is one here, too."
        plain, secure = (set(re.findall(r"^\[vars\.(\w+)\]", (SOURCE / "pipelines" / name).read_text(), re.M))
                         for name in ("registry.toml", "registry-secure.toml"))  # fmt: skip
        self.assertEqual(plain - secure, {"insecure"})

    def test_relative_links_lead_somewhere(self):
        for page in pages():
            for target in LINK.findall(FENCE.sub("", page.read_text())):
                if re.match(r"\w+:", target):
                    continue
                name, _, fragment = target.partition("#")
                file = (page.parent / name).resolve() if name else page
                with self.subTest(page=str(page.relative_to(SOURCE)), link=target):
                    self.assertTrue(file.exists(), "there is no such file")
                    if fragment and file.suffix == ".md":
                        self.assertIn(fragment, anchors(file), "there is no such heading")

    def test_translations_show_the_commands_and_settings_of_the_original(self):
        pairs = [(SOURCE / "README.md", SOURCE / "README.ko.md")]
        for page in sorted((SOURCE / "docs/guide/ko").glob("*.md")):
            pairs.append((SOURCE / "docs/guide" / page.name, page))
        self.assertGreater(len(pairs), 1)
        for original, translation in pairs:
            with self.subTest(translation.name):
                # A comment inside a block may be translated; what one types and sees may not.
                blocks = [
                    [re.sub(r"^#.*|\s+#.*", "", block[2], flags=re.M) for block in FENCE.findall(page.read_text())]
                    for page in (original, translation)
                ]
                self.assertEqual(blocks[0], blocks[1])
                first_cells = [
                    re.findall(r"^\| (`[^`]+` \| [^|]*`[^`]*`) \|", page.read_text(), re.M) for page in (original, translation)
                ]
                self.assertEqual(first_cells[0], first_cells[1])

    def test_reference_of_every_step_is_what_its_metadata_says(self):
        names = sorted(p.name for p in (SOURCE / "plugins").iterdir() if p.is_dir())
        for name in names:
            with self.subTest(name):
                shown = self.pipe.run(["plugins", "show", name, "--format", "markdown"])
                self.assertEqual(shown.code, 0, shown)
                page = SOURCE / f"docs/reference/steps/{name}.md"
                self.assertTrue(page.exists(), "missing: ./dev docs makes it")
                self.assertEqual(page.read_text(), shown.out, "stale: ./dev docs makes it anew")
        extra = {p.stem for p in (SOURCE / "docs/reference/steps").glob("*.md")} - set(names)
        self.assertEqual(extra, set(), "a page of no step")

    def test_page_of_faults_is_what_the_matrix_asserts(self):
        made = subprocess.run([sys.executable, SOURCE / "tests/faults/matrix.py"], check=True, capture_output=True, text=True).stdout
        self.assertEqual((SOURCE / "docs/reference/faults.md").read_text(), made, "stale: ./dev docs makes it anew")

    def test_every_plugin_folder_makes_a_plugin_and_has_a_readme(self):
        for folder in (SOURCE / "plugins").iterdir():
            if folder.is_dir():
                with self.subTest(folder.name):
                    self.assertTrue((folder / "README.md").exists())
                    self.assertTrue(list(BUILD.glob(f"lib*/**/pipe/plugins/pipe-{folder.name}.so")))


if __name__ == "__main__":
    unittest.main()
