"""pipelines/pipe-image.toml: pipe in an image of its own, used in a container."""

import pathlib
import subprocess
import unittest

from compiler import call
from engines import Dockerd
from pipe import BUILD
from registries import Registry
from steps import StepTest


class PipeImage(StepTest):
    def test_it_moves_images_from_inside_a_container(self):
        prefix = self.folder / "prefix"
        call("cmake", "--install", BUILD, "--prefix", prefix)
        pipeline = prefix / "share/pipe/pipelines" / "pipe-image.toml"
        archive = self.folder / "pipe.tar"
        words = [
            "--set", f"prefix={prefix}", "--set", f"archive={archive}", "--set", f"work={self.folder}/work",
        ]  # fmt: skip
        made = self.said("run", pipeline, *words)
        self.assertRegex(made, r"digest = sha256:[0-9a-f]{64}")
        again = self.said("run", pipeline, *words)
        digest = next(line for line in made.splitlines() if line.startswith("digest = "))
        self.assertIn(digest, again, "the same files give the same digest")

        with Dockerd() as docker, Registry() as registry:
            self.step("push", image=f"oci-archive:{archive}", to="docker-daemon:pipe:1", engine=docker.host)

            def inside(*args):
                done = subprocess.run(
                    ["docker", "-H", docker.host, "run", "--rm", "--network", "host", "pipe:1", *args],
                    capture_output=True, text=True, timeout=120,
                )  # fmt: skip
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                return done.stdout

            self.assertRegex(inside("version"), r"^pipe \d")
            self.assertNotIn("cannot be used", inside("plugins", "list"))
            self.assertIn("moved", inside("step", "shell", "--run", "echo moved", "--output", "json"))
            self.step("build", layers=[f"{pathlib.Path(__file__)}:/file"], **{"as": f"{registry.address}/app:1"})
            self.step("push", image=f"{registry.address}/app:1")
            inside("step", "copy", "--from", f"{registry.address}/app:1", "--to", f"{registry.address}/other:1")
            self.assertIn("1", inside("image", "tags", f"{registry.address}/other"))


if __name__ == "__main__":
    unittest.main()
