"""plugin.h compiles as everything it promises, and its layout never moves."""

import pathlib
import shutil
import tempfile
import unittest

from compiler import INCLUDES, check_syntax
from pipe import SOURCE

ABI = SOURCE / "tests/abi"
STANDARDS = ["c11", "c17", "c++11", "c++17", "c++20"]


class Header(unittest.TestCase):
    def test_alone_in_every_standard(self):
        for standard in STANDARDS:
            with self.subTest(standard):
                check_syntax(None, standard, text="#include <pipe/plugin.h>\n#include <pipe/plugin.h>\n")

    def test_layout(self):
        for standard in STANDARDS:
            with self.subTest(standard):
                check_syntax(ABI / "layout.c", standard)

    def test_layout_of_the_frozen_header(self):
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "pipe").mkdir()
            shutil.copy(ABI / "1.0/plugin.h", pathlib.Path(folder) / "pipe/plugin.h")
            check_syntax(ABI / "layout.c", "c11", includes=[folder])

    def test_metadata_macro_in_every_standard(self):
        text = '#include <pipe/plugin.h>\nPIPE_METADATA("{\\"abi\\":" PIPE_ABI_JSON "}");\n'
        for standard in STANDARDS:
            with self.subTest(standard):
                check_syntax(None, standard, text=text)

    def test_throwing_operation_is_refused_by_cxx17(self):
        text = "#include <pipe/plugin.h>\nstatic pipe_status f(const pipe_host_v1 *, pipe_run *) { return 0; }\n"
        text += "extern const pipe_operation p;\nconst pipe_operation p = f;\n"
        check_syntax(None, "c++20", text=text.replace("*) {", "*) noexcept {"))
        with self.assertRaisesRegex(AssertionError, "invalid conversion"):
            check_syntax(None, "c++20", text=text)

    def test_all_headers_together_beside_unistd(self):
        # <unistd.h> declares ::pipe, which no namespace may be named after.
        names = [h.relative_to(folder) for folder in INCLUDES for h in sorted(folder.rglob("*.hpp"))]
        self.assertIn(pathlib.Path("pipe/plugin.hpp"), names)
        check_syntax(None, "c++20", text="#include <unistd.h>\n" + "".join(f"#include <{n}>\n" for n in names))


class Declaration(unittest.TestCase):
    """Mistakes in a step's declaration are found while it is compiled, and said in words."""

    def declare(self, field, version="0.1.0"):
        return (
            "#include <pipe/plugin.hpp>\nnamespace { using namespace pipes::sdk;\n"
            "struct Params { std::string text; }; void run(Run &, const Params &) {}\n"
            f'constexpr Schema kStep{{"step", "{version}", "Help", std::tuple{{{field}}}, std::tuple{{}}}}; }}\n'
            "PIPE_PLUGIN(kStep, Params, nullptr, run, nullptr);\n"
        )

    def refused(self, words, *fields, **kwargs):
        with self.assertRaisesRegex(AssertionError, words):
            check_syntax(None, "c++20", text=self.declare(", ".join(fields), **kwargs))

    def test_right(self):
        check_syntax(None, "c++20", text=self.declare('field("text", &Params::text, {.help = "h"})'))

    def test_default_without_its_quotes(self):
        self.refused("text needs its quotes", 'field("text", &Params::text, {.help = "h", .fallback = "newer"})')

    def test_no_help(self):
        self.refused("needs a help text", 'field("text", &Params::text, {})')

    def test_bad_name(self):
        self.refused("a field's name is of", 'field("Text", &Params::text, {.help = "h"})')

    def test_two_of_one_name(self):
        field = 'field("text", &Params::text, {.help = "h"})'
        self.refused("two fields of one name", field, field)

    def test_no_version(self):
        self.refused("needs a version", 'field("text", &Params::text, {.help = "h"})', version="")


if __name__ == "__main__":
    unittest.main()
