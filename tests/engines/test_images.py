"""`pull` and `push` with a real Docker Engine at one end: `load`, and docker-daemon: both ways."""

import unittest

from engines import Dockerd, service_archive
from registries import FakeRegistry, Image
from steps import StepTest

APP = Image(sizes=(2000, 30000), seed=31)

docker = None


def setUpModule():
    global docker
    docker = Dockerd()
    docker.__enter__()
    unittest.addModuleCleanup(docker.__exit__)


class EngineImages(StepTest):
    def setUp(self):
        super().setUp()
        self.registry = FakeRegistry()
        self.registry.__enter__()
        self.addCleanup(self.registry.__exit__)

    def in_engine(self, name):
        """The image's ID there, None if there is none."""
        for image in docker.api("GET", "/images/json"):
            if name in (image["RepoTags"] or []):
                return image["Id"]
        return None

    def test_load_puts_the_image_into_the_engine_and_down_takes_it_out(self):
        self.registry.add(APP, "app", "1")
        name = f"{self.registry.address}/app:1"
        pipeline = self.pipe.write("p.toml", f'schema = 1\n[[step]]\nuses = "pull"\nwith.image = "{name}"\n'
                                   f'with.load = true\nwith.engine = "{docker.host}"\n')  # fmt: skip
        self.assertRegex(self.said("run", pipeline), r"changed=1 unchanged=0")
        self.assertEqual(self.in_engine(name), APP.config["digest"])
        self.assertRegex(self.said("run", pipeline), r"changed=0 unchanged=1")
        docker.api("DELETE", f"/images/{name}")
        self.assertRegex(self.said("plan", pipeline), r"would load")
        self.assertRegex(self.said("run", pipeline), r"changed=1 unchanged=0")
        self.said("down", pipeline)
        self.assertIsNone(self.in_engine(name))

    def test_load_needs_a_name_with_a_tag(self):
        self.failure("pull", r"load needs a name with a tag", image="oci-archive:app.tar", load=True)

    def test_an_image_goes_from_the_engine_to_a_registry_and_back(self):
        ident = service_archive(self.folder / "service.tar", ["local/service:1"], seed="images")
        docker.load(self.folder / "service.tar")
        to = f"{self.registry.address}/service:1"
        sent = self.step("push", image="docker-daemon:local/service:1", to=to, engine=docker.host)
        self.assertEqual(self.registry.digest("service", "1"), sent["digest"])
        docker.api("DELETE", "/images/local/service:1")
        pulled = self.step("pull", image=to)
        self.step("push", image=pulled["image"], to="docker-daemon:local/service:2", engine=docker.host)
        self.assertEqual(self.in_engine("local/service:2"), ident)

    def test_copies_into_the_engine_and_keeps_nothing(self):
        self.registry.add(APP, "app", "1")
        name = f"{self.registry.address}/app:1"
        into = {"from": name, "to": "docker-daemon:local/copied:1", "engine": docker.host}
        self.assertEqual(self.step("copy", **into)["digest"], APP.digest)
        self.assertEqual(self.in_engine("local/copied:1"), APP.config["digest"])
        self.assertRegex(self.pipe.try_step("copy", **into).err, r"unchanged")
        self.assertFalse((self.pipe.store / "blobs").exists())
        self.failure("copy", r"has no image .*nothing:1",
                     **{**into, "from": "docker-daemon:local/nothing:1", "to": f"{self.registry.address}/x:1"})  # fmt: skip

    def test_copies_out_of_the_engine_and_remembers(self):
        service_archive(self.folder / "service.tar", ["local/out:1"], seed="out")
        docker.load(self.folder / "service.tar")

        def pipeline(to):
            return self.pipe.write("p.toml", f'schema = 1\n[[step]]\nuses = "copy"\nwith.engine = "{docker.host}"\n'
                                   f'with.from = "docker-daemon:local/out:1"\nwith.to = "{to}"\n')  # fmt: skip

        first, second = (f"{self.registry.address}/{name}:1" for name in ("first", "second"))
        self.assertRegex(self.said("plan", pipeline(first)), r"known once docker-daemon:docker.io/local/out:1 is read")
        self.assertFalse(self.pipe.store.exists())
        self.said("run", pipeline(first))
        self.assertRegex(self.said("plan", pipeline(first)), r"is there already")
        self.assertRegex(self.said("plan", pipeline(second)), r"would copy .*second:1: [\d.]+ [kM]?B in \d+ blobs")
        self.assertIsNone(self.registry.digest("second", "1"))
        again = self.step("copy", **{"from": "docker-daemon:local/out:1", "to": second, "engine": docker.host})
        self.assertEqual(again["digest"], self.registry.digest("first", "1"))
        self.assertEqual(self.registry.digest("second", "1"), self.registry.digest("first", "1"))

    def test_pulls_from_the_engine_once(self):
        service_archive(self.folder / "service.tar", ["local/once:1"], seed="once")
        docker.load(self.folder / "service.tar")
        first = self.step("pull", image="docker-daemon:local/once:1", engine=docker.host)
        self.assertGreater(first["bytes"], 0)
        second = self.step("pull", image="docker-daemon:local/once:1", engine=docker.host)
        self.assertEqual((second["bytes"], second["digest"]), (0, first["digest"]))

    def test_an_image_that_was_loaded_from_here_comes_back_as_it_was(self):
        self.registry.add(APP, "app", "1")
        name = f"{self.registry.address}/app:1"
        self.step("pull", image=name, load=True, engine=docker.host)
        back = self.step("push", image=f"docker-daemon:{name}", to=f"{self.registry.address}/back:1", engine=docker.host)
        self.assertEqual(back["digest"], APP.digest)

    def test_says_that_the_engine_has_no_such_image(self):
        self.failure("push", r"has no image .*nothing:1", image="docker-daemon:local/nothing:1",
                     to=f"{self.registry.address}/x:1", engine=docker.host)  # fmt: skip


if __name__ == "__main__":
    unittest.main()
