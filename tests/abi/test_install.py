"""An installed `pipe` is all that a plugin's author needs: examples and template are built out of tree."""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

from compiler import call
from pipe import BUILD, SOURCE, Pipe

LIBRARIES_PROGRAM = """
#include <pipe/engine/engine.hpp>
#include <pipe/oci/digest.hpp>
#include <cstdio>

struct Silent : pipes::sdk::Observer {
  void log(pipes::sdk::Level, std::string_view) override {}
  void progress(const pipes::sdk::Progress &) override {}
  bool cancelled() const override { return false; }
  int cancel_fd() const override { return -1; }
};

int main() {
  std::puts(pipes::oci::digest_of("").str().c_str());
  Silent observer;
  try {
    pipes::engine::Engine::connect("unix:///nowhere/engine.sock", observer);
  } catch (const pipes::sdk::Error &e) {
    std::puts(e.what());
  }
}
"""
LIBRARIES_PROJECT = """
cmake_minimum_required(VERSION 3.25)
project(outside LANGUAGES CXX)
find_package(pipe REQUIRED {components})
add_executable(outside main.cpp)
target_link_libraries(outside PRIVATE pipe::oci pipe::engine)
"""


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        # What root's installation left may only be replaced, not written to, by anybody else.
        manifest = BUILD / "install_manifest.txt"
        manifest.unlink(missing_ok=True)
        cls.of_root = BUILD / "install_manifest.of-root"
        cls.of_root.touch()
        manifest.hardlink_to(cls.of_root)
        call("cmake", "--install", BUILD, "--prefix", cls.folder / "first")
        # A prefix may be moved: packages are built in one place and used in another.
        cls.prefix = cls.folder / "moved"
        (cls.folder / "first").rename(cls.prefix)
        cls.pipe = Pipe(cls.folder / "state")

    def test_the_list_of_an_earlier_installation_is_replaced(self):
        listed = (BUILD / "install_manifest.txt").read_text()
        self.assertIn("/bin/pipe\n", listed)
        # A package is made of a component, which has its own.
        component = BUILD / "install_manifest_runtime.txt"
        component.unlink(missing_ok=True)
        component.hardlink_to(self.of_root)
        call("cmake", "--install", BUILD, "--prefix", self.folder / "runtime", "--component", "runtime")
        self.assertIn("/bin/pipe\n", component.read_text())
        self.assertEqual((BUILD / "install_manifest.txt").read_text(), listed)
        self.assertEqual(self.of_root.read_text(), "")

    def program(self, *args):
        done = subprocess.run(
            [self.prefix / "bin/pipe", *args], env=self.pipe.env, cwd=self.pipe.folder, capture_output=True, text=True
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def configure(self, source, *options):
        build = pathlib.Path(tempfile.mkdtemp(dir=self.folder))
        call(
            "cmake", "-G", "Ninja", "-S", source, "-B", build, f"-DCMAKE_PREFIX_PATH={self.prefix}",
            "-DCMAKE_FIND_USE_PACKAGE_REGISTRY=OFF", *options,
        )  # fmt: skip
        return build

    def build(self, source, *options):
        build = self.configure(source, *options)
        call("cmake", "--build", build)
        return build

    def installed(self, folder):
        """A folder of share/pipe, copied out of the prefix as a reader of the guide would."""
        (found,) = self.prefix.glob(f"share/pipe/{folder}")
        return found

    def test_prefix_names_no_other_place(self):
        (package,) = self.prefix.glob("lib*/**/cmake/pipe")
        for file in package.iterdir():
            text = file.read_text()
            for place in (str(SOURCE), str(BUILD), str(self.folder / "first")):
                self.assertNotIn(place, text, file.name)

    def test_the_program_beside_pipe_comes_along(self):
        self.assertEqual(json.loads(self.program("image", "ls", "--output", "json"))["images"], [])
        self.assertTrue(json.loads(self.program("debug", "ref", "registry:3"))["valid"])

    def test_its_pipelines_are_found_from_any_folder(self):
        whole = f"{self.prefix}/share/pipe/pipelines/registry.toml"
        said = self.program("check", "pipelines/registry.toml", "pipelines/pipe-image.toml")
        self.assertIn(f"{whole}: fine\n", said)
        graph = [self.prefix / "bin/pipe", "graph", "pipelines/registry.toml"]
        done = subprocess.run(graph, env=self.pipe.env, cwd=self.pipe.folder, capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, f"pipelines/registry.toml is not here; taking {whole}\n"))
        self.assertIn("source=", self.program("completion", "words", "run", "pipelines/registry.toml", "--set", ""))

    def test_a_pipeline_that_is_here_goes_before_the_installed_one(self):
        hello = '[[step]]\nuses = "shell"\nwith.run = "true"\n'
        here = self.pipe.folder / "pipelines/registry.toml"
        here.parent.mkdir()
        self.addCleanup(here.unlink)
        here.write_text(f'schema = 1\n[pipeline]\nname = "mine"\n{hello}[outputs]\nstop = "${{pipeline.down}}"\n')
        self.assertEqual(self.program("run", "pipelines/registry.toml"), "stop = pipe down pipelines/registry.toml\n")

    def test_cxx_example(self):
        build = self.build(self.installed("examples/hello"))
        call("cmake", "--install", build)
        greeted = self.pipe.folder / "hello.txt"
        outputs = json.loads(self.program("step", "hello", "--name", "Ada", "--file", str(greeted), "--output", "json"))
        self.assertEqual(outputs, {"greeting": "Hello, Ada!\n"})
        self.assertEqual(greeted.read_text(), "Hello, Ada!\n")

    def test_c_example_installed_and_in_a_pipeline(self):
        build = self.build(self.installed("examples/hello-c"))
        call("cmake", "--install", build)
        self.assertIn("hello-c", self.program("plugins", "list"))
        pipeline = self.pipe.write(
            "greet.toml",
            'schema = 1\n[pipeline]\nname = "greet"\n'
            '[[step]]\nuses = "hello-c"\nwith.name = "Grace"\n'
            '[[step]]\nuses = "shell"\nwith.run = "echo \\"$TEXT\\" >greeting"\n'
            'with.env = { TEXT = "${steps.hello-c.greeting}" }\n',
        )
        self.program("run", str(pipeline))
        self.assertEqual((self.pipe.folder / "greeting").read_text(), "Hello, Grace!\n")

    def test_template(self):
        build = self.build(self.installed("template"))
        call("ctest", "--test-dir", build, "--output-on-failure")
        out = self.program("step", "my-step", "--plugin-path", str(build), "--text=ab", "--times=3", "--output=json")
        self.assertEqual(json.loads(out), {"result": "ababab"})

    def outside(self, components=""):
        source = pathlib.Path(tempfile.mkdtemp(dir=self.folder))
        (source / "CMakeLists.txt").write_text(LIBRARIES_PROJECT.format(components=components))
        (source / "main.cpp").write_text(LIBRARIES_PROGRAM)
        return source

    def test_libraries_link_and_run(self):
        out = call(self.build(self.outside()) / "outside")
        self.assertIn("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", out)
        self.assertIn("/nowhere/engine.sock", out)

    def test_libraries_as_components(self):
        self.configure(self.outside("COMPONENTS oci engine"))

    def test_unknown_component_is_refused(self):
        with self.assertRaisesRegex(AssertionError, "pipe has no component 'oven'"):
            self.configure(self.outside("COMPONENTS oven"))

    def test_sdk_component_alone_builds_plugins(self):
        prefix = self.folder / "sdk-only"
        call("cmake", "--install", BUILD, "--prefix", prefix, "--component", "sdk")
        self.assertFalse((prefix / "bin/pipe").exists())
        build = self.build(SOURCE / "sdk/examples/hello-c", f"-DCMAKE_PREFIX_PATH={prefix}")
        self.assertTrue(os.access(build / "pipe-hello-c.so", os.R_OK))


if __name__ == "__main__":
    unittest.main()
