"""`pipe plugins`, and files that are no usable plugins."""

import shutil
import unittest

from cli_case import CliCase
from pipe import TEST_PLUGINS


class Plugins(CliCase):
    def broken(self, name, make, good="noop"):
        """A folder with one file pipe-NAME.so, made from the bytes of a good one."""
        folder = self.folder / "broken"
        folder.mkdir(exist_ok=True)
        path = folder / f"pipe-{name}.so"
        path.write_bytes(make((TEST_PLUGINS / f"pipe-{good}.so").read_bytes()))
        path.chmod(0o755)
        return folder

    def use(self, folder, name, code=4):
        result = self.pipe.run(["step", name, "--plugin-path", folder])
        self.assert_code(result, code)
        self.assertIn(f"pipe-{name}.so", result.err)
        self.assertNotIn("Traceback", result.err)
        in_file = self.pipe.run(["run", self.pipeline(f'[[step]]\nuses = "{name}"\n'), "--plugin-path", folder])
        self.assert_code(in_file, code)
        return result.err

    def test_list(self):
        result = self.pipe.run(["plugins", "list"])
        self.assert_code(result, 0)
        self.assertRegex(result.out, r"(?m)^noop +0\.1\.0 +Do nothing$")
        self.assertEqual(self.pipe.run(["plugins"]).out, result.out)

    def test_list_as_json(self):
        files = self.pipe.run(["plugins", "list", "--format", "json"]).json
        names = [step["step"] for file in files for step in file["steps"]]
        self.assertIn("echo", names)

    def test_an_earlier_folder_shadows_a_later_one(self):
        mine = self.folder / "mine"
        mine.mkdir()
        shutil.copy(TEST_PLUGINS / "pipe-noop.so", mine)
        result = self.pipe.run(["plugins", "list", "--plugin-path", mine])
        self.assertIn(f"shadowed by one in an earlier folder: {TEST_PLUGINS}/pipe-noop.so", result.out)

    def test_show(self):
        result = self.pipe.run(["plugins", "show", "echo"])
        self.assert_code(result, 0)
        self.assert_says(result.out, "echo 0.1.0  Give back what it gets", "operations: plan, run, undo", "list of string", "secret")

    def test_show_as_json(self):
        step = self.pipe.run(["plugins", "show", "echo", "--format", "json"]).json
        params = {p["name"]: p for p in step["params"]}
        self.assertTrue(params["text"]["required"])
        self.assertTrue(params["secret"]["secret"])
        self.assertEqual(params["color"]["choices"], ["red", "green", "blue"])

    def test_show_as_markdown(self):
        result = self.pipe.run(["plugins", "show", "echo", "--format", "markdown"])
        self.assert_code(result, 0)
        self.assertTrue(result.out.startswith('# echo\n\nGive back what it gets.\n\n```toml\n[[step]]\nuses = "echo"\nwith.text = "hello"\n```\n'), result.out)
        self.assert_says(result.out, "| `number` | integer | A number (0 to 100; default: 7) |", "## Outputs")
        self.assertNotIn(str(TEST_PLUGINS), result.out)

    def test_words_that_mean_nothing(self):
        self.assertIn("did you mean `show`?", self.pipe.run(["plugins", "shwo", "echo"]).err)
        self.assert_code(self.pipe.run(["plugins", "show"]), 2)
        self.assert_code(self.pipe.run(["plugins", "list", "--format", "xml"]), 2)
        self.assertIn("did you mean `echo`?", self.pipe.run(["plugins", "show", "eccho"]).err)

    def test_a_text_file(self):
        self.assertIn("ELF", self.use(self.broken("text", lambda _: b"#!/bin/sh\n"), "text"))

    def test_an_empty_file(self):
        self.use(self.broken("empty", lambda _: b""), "empty")

    def test_a_truncated_file(self):
        self.assertIn("truncated", self.use(self.broken("short", lambda good: good[: len(good) // 2]), "short"))

    def test_a_library_that_is_no_plugin(self):
        self.use(self.broken("foreign", lambda good: good.replace(b"pipemeta", b"othermet")), "foreign")

    def test_another_abi(self):
        # Same length, so that nothing else of the file moves.
        newer = self.broken("noop", lambda good: good.replace(b'"abi":[1,0]', b'"abi":[1,9]'))
        message = self.use(newer, "noop")
        self.assert_says(message, "1.9", "1.0")

    def test_metadata_that_is_no_json(self):
        self.use(self.broken("noop", lambda good: good.replace(b'"params":[]', b'"params":[}')), "noop")

    def test_a_parameter_that_is_called_like_an_option_of_pipe(self):
        text, like_an_option = (b'"name":"%s","type":"string","required":true' % name for name in (b"text", b"help"))
        folder = self.broken("echo", lambda good: good.replace(text, like_an_option), good="echo")
        result = self.pipe.run(["step", "echo", "--help", "--plugin-path", folder])
        self.assert_code(result, 0)
        self.assert_says(result.out, "usage: pipe step echo --with-help TEXT …")

    def test_a_broken_plugin_does_not_hide_the_others(self):
        folder = self.broken("text", lambda _: b"#!/bin/sh\n")
        result = self.pipe.run(["plugins", "list", "--plugin-path", folder])
        self.assert_code(result, 0)
        self.assert_says(result.out, "cannot be used", "Give back what it gets")

    def test_a_plugin_whose_library_is_missing_says_which(self):
        # A NEEDED name of the same length that no machine has.
        folder = self.broken("echo", lambda good: good.replace(b"libstdc++.so.6\0", b"libstdc++.so.0\0"), good="echo")
        result = self.pipe.run(["step", "echo", "--text", "x", "--plugin-path", folder])
        self.assert_code(result, 1)
        self.assert_says(result.err, "cannot be loaded: libstdc++.so.0", "install the library that it lacks")


if __name__ == "__main__":
    unittest.main()
