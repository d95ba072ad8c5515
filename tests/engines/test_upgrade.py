"""pipelines/registry-upgrade.toml and registry-care.toml on a registry that pipelines/registry.toml made.

Both images hold the same registry, Debian's 2.8: one laid out as version 2 is, the other as version 3 is."""

import os
import pathlib
import shutil
import tempfile
import unittest

import test_pipelines as pipelines
from pipe import SOURCE, Pipe
from registries import Image, Served, free_port
from registry_image import build_image

REGISTRY, UPGRADE, CARE = (SOURCE / "pipelines" / name for name in ("registry.toml", "registry-upgrade.toml", "registry-care.toml"))
APP = Image(sizes=(5000,), seed=600)


class UpgradeCase(pipelines.Restarted):
    engine = ""
    engine_env = {}

    @classmethod
    def setUpClass(cls):
        cls.shared = pathlib.Path(tempfile.mkdtemp(prefix="pipe-upgrade-"))
        cls.addClassCleanup(shutil.rmtree, cls.shared, ignore_errors=True)
        cls.two, cls.three, cls.broken = (cls.shared / name for name in ("two.tar", "three.tar", "broken.tar"))
        builder = Pipe(cls.shared / "builder")
        build_image(builder, cls.two)
        build_image(builder, cls.three, config="/etc/distribution/config.yml")
        # One that ends as soon as it starts: what it takes for its program is none.
        build_image(builder, cls.broken, program="/etc/hostname", config="/etc/distribution/config.yml")

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="pipe-upgrade-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.pipe = Pipe(self.folder, env=self.engine_env)
        self.name = f"up-{os.getpid()}-{self._testMethodName.removeprefix('test_')}"[:40]
        self.there = Served(free_port())
        self.address = self.there.address
        self.data = self.folder / "registry"
        for suffix in ("", ".gc", ".replaced-by-pipe"):
            self.addCleanup(self.remove, self.name + suffix)
        made = self.call(REGISTRY, source=f"oci-archive:{self.two}", **self.settings())
        self.assertEqual(made.code, 0, made)
        self.there.push(APP, "team/app", "1")

    def settings(self):
        return {"address": self.there.address, "name": self.name, "port": self.there.port, "data": self.data,
                "engine": self.engine}  # fmt: skip

    def call(self, file, verb="run", *more, **values):
        words = [word for key, value in values.items() for word in ("--set", f"{key}={value}")]
        return self.pipe.run([verb, file, *words, *more])

    def upgrade(self, image):
        return self.call(UPGRADE, source=f"oci-archive:{image}", **self.settings())

    def run_it(self):
        result = self.upgrade(self.three)
        self.assertEqual(result.code, 0, result)
        return result

    def test_there_and_back_with_the_images_kept(self):
        self.run_it()
        self.assertEqual(self.command(), ["/etc/distribution/config.yml"])
        self.assertEqual(self.there.digest("team/app", "1"), APP.digest)
        self.assertEqual(pipelines.recap(self.run_it()), (0, 5, 0, 0))
        back = self.upgrade(self.two)
        self.assertEqual(back.code, 0, back)
        self.assertEqual(self.command(), ["/etc/docker/registry/config.yml"])
        self.assertEqual(self.there.digest("team/app", "1"), APP.digest)

    def test_where_the_new_one_does_not_come_up_the_old_one_serves(self):
        said = self.upgrade(self.broken)
        self.assertEqual(said.code, 1, said)
        self.assertEqual(self.command(), ["/etc/docker/registry/config.yml"])
        self.wait_until_it_listens()
        self.assertEqual(self.there.digest("team/app", "1"), APP.digest)

    def test_down_of_the_one_before_leaves_the_data_of_the_one_that_serves(self):
        self.run_it()
        made = {"source": f"oci-archive:{self.two}", **self.settings()}
        down = self.call(REGISTRY, "down", "--data", **made)
        self.assertEqual(down.code, 0, down)
        self.assertIn(f"{self.data} stays, as the container {self.name} uses it", down.err)
        self.assertEqual(self.there.digest("team/app", "1"), APP.digest)
        down = self.call(UPGRADE, "down", source=f"oci-archive:{self.three}", **self.settings())
        self.assertEqual(down.code, 0, down)
        self.assertTrue(self.data.exists())
        down = self.call(REGISTRY, "down", "--data", **made)
        self.assertEqual(down.code, 0, down)
        self.assertFalse(self.data.exists())

    def test_nothing_is_to_do_after_the_engine_was_started_again(self):
        self.run_it()
        self.assert_nothing_to_do_after_restarts()

    def test_an_unsound_registry_is_left_as_it_is(self):
        digest = APP.layers[0]["digest"].removeprefix("sha256:")
        (self.data / f"docker/registry/v2/blobs/sha256/{digest[:2]}/{digest}/data").unlink()
        self.restart()  # it has it in memory
        self.wait_until_it_listens()
        before = self.id()
        said = self.upgrade(self.three)
        self.assertEqual(said.code, 1, said)
        self.assertRegex(said.err, "team/app:1: .* is missing")
        self.assertEqual(self.id(), before)

    def test_care_prunes_collects_and_checks(self):
        old = Image(sizes=(100_000,), seed=601, created="2019-05-01T00:00:00Z")
        new = Image(sizes=(300,), seed=602, created="2029-05-01T00:00:00Z")
        self.there.push(old, "team/lib", "1")
        self.there.push(new, "team/lib", "2")
        settings = {"registry": self.there.address, "container": self.name, "engine": self.engine,
                    "repositories": '["team/*"]', "keep": 1}  # fmt: skip
        said = self.call(CARE, **settings)
        self.assertEqual(said.code, 0, said)
        self.assertIsNone(self.there.digest("team/lib", "1"))
        self.assertEqual(self.there.digest("team/lib", "2"), new.digest)
        blobs = {path.parent.name for path in self.data.glob("docker/registry/v2/blobs/sha256/*/*/data")}
        self.assertFalse(blobs & {digest[7:] for digest in old.blobs})
        self.assertEqual(pipelines.recap(self.call(CARE, **settings)), (0, 3, 0, 0))
        self.restart()
        self.wait_until_it_listens()
        self.assertEqual(pipelines.recap(self.call(CARE, **settings)), (0, 3, 0, 0))

        # None of the three has something to take back: what was deleted is gone, and what is left is not theirs.
        before, kept = self.id(), sorted(self.data.rglob("*"))
        for more in ((), ("--data",)):
            down = self.call(CARE, "down", *more, **settings)
            self.assertEqual(down.code, 0, down)
            self.assertRegex(down.out + down.err, "registry-care: changed=0 unchanged=3 failed=0")
        self.assertEqual((self.id(), sorted(self.data.rglob("*"))), (before, kept))
        self.assertEqual(self.there.digest("team/lib", "2"), new.digest)

    def command(self):
        return self.inspect(self.name)["Config"]["Cmd"]

    def id(self):
        return self.inspect(self.name)["Id"]


class OnDocker(pipelines.Docker, UpgradeCase, unittest.TestCase):
    def restart(self):
        self.docker.api("POST", f"/containers/{self.name}/restart?t=1")


class OnPodman(pipelines.Podman, UpgradeCase, unittest.TestCase):
    def restart(self):
        self.podman("restart", "--time=1", self.name)


if __name__ == "__main__":
    unittest.main()
