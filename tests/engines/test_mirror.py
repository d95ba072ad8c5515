"""pipelines/registry-mirror.toml, with a docker-registry that stands for Docker Hub: what it is asked, and what not."""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import unittest

import test_pipelines as pipelines
from engines import MountNamespace
from pipe import SOURCE, Pipe
from registries import Image, Registry, free_port
from registry_image import build_image

MIRROR = SOURCE / "pipelines/registry-mirror.toml"


class Hub(Registry):
    """Listens at every address, so that containers reach it, and says what it is asked for but pings."""

    def __init__(self, host):
        super().__init__()
        self.seen_from_containers = f"http://{host}:{self.port}"
        config = json.loads(self._config.read_text())
        config["http"]["addr"] = f"0.0.0.0:{self.port}"
        self._config.write_text(json.dumps(config))

    def _settle(self):
        super()._settle()
        time.sleep(0.5)  # an engine or a mirror keeps its connection, which then says nothing

    def asked_for(self):
        return [(method, path) for method, path, _ in self.requests if path != "/v2/"]


class MirrorPipeline(pipelines.Restarted):
    """What has to hold on every engine; `pointed` is one that is told of the mirror."""

    engine = ""
    engine_env = {}
    host = ""  # this machine, as containers see it

    @classmethod
    def setUpClass(cls):
        cls.shared = pathlib.Path(tempfile.mkdtemp(prefix="pipe-mirror-"))
        cls.addClassCleanup(shutil.rmtree, cls.shared, ignore_errors=True)
        cls.archive = cls.shared / "registry.tar"
        build_image(Pipe(cls.shared / "builder"), cls.archive)

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="pipe-mirror-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.pipe = Pipe(self.folder, env=self.engine_env, before=self.before)
        self.name = f"mirror-{os.getpid()}-{self._testMethodName.removeprefix('test_')}"[:50]
        self.port = free_port()
        self.address = f"localhost:{self.port}"
        self.app = f"app-{os.getpid()}"  # of its own, as Podman's images are everybody's
        self.data = f"{self.name}-data"
        for name in (self.name, self.name + ".replaced-by-pipe"):
            self.addCleanup(self.remove, name)
        self.addCleanup(self.remove_volume, self.data)
        self.hub = Hub(self.host)
        self.hub.__enter__()
        self.addCleanup(self.hub.__exit__)
        self.digest = self.hub.push(Image(), f"library/{self.app}", "1")
        self.hub.forget_requests()

    def call(self, verb, expect=0, **changes):
        values = {"source": f"oci-archive:{self.archive}", "upstream": self.hub.seen_from_containers, "name": self.name,
                  "port": self.port, "address": self.address, "data": self.data, "folder": self.folder / "conf",
                  "engine": self.engine, "probe": f"library/{self.app}:1", "restart": "no", **changes}  # fmt: skip
        settings = [word for key, value in values.items() for word in ("--set", f"{key}={value}")]
        result = self.pipe.run([verb, MIRROR, *settings])
        self.assertEqual(result.code, expect, result)
        return result

    def run_it(self, **changes):
        return self.call("run", **changes)

    def pull(self, machine):
        """The image through the mirror, by a machine that has nothing yet."""
        return Pipe(self.folder / machine, before=self.before).step("pull", image=f"{self.address}/library/{self.app}:1")["digest"]

    def wait_until_kept(self):
        """It gives a blob to whoever asks, and meanwhile fetches it for itself."""
        place = next(m["Source"] for m in self.inspect(self.name)["Mounts"] if m["Destination"] == "/var/lib/registry")
        layers = pathlib.Path(place, "docker/registry/v2/repositories/library", self.app, "_layers/sha256")
        limit = time.monotonic() + 120
        while not all((layers / digest[7:] / "link").exists() for digest in Image().blobs):
            self.assertLess(time.monotonic(), limit, "it keeps nothing")
            time.sleep(0.05)

    def test_what_was_pulled_once_is_not_fetched_again(self):
        self.call("run")
        self.wait_until_kept()
        first = self.hub.asked_for()
        self.assertIn("GET", {method for method, _ in first}, first)
        self.assertTrue(any("/blobs/" in path for _, path in first), first)
        self.hub.forget_requests()
        self.assertEqual(self.pull("second"), self.digest)
        # It may ask whether the tag has moved; it fetches nothing.
        self.assertLessEqual({method for method, _ in self.hub.asked_for()}, {"HEAD"})
        self.hub.stop()
        self.assertEqual(self.pull("third"), self.digest)

    def test_an_engine_that_is_told_of_it_pulls_through_it_and_the_upstream_sees_that_once(self):
        pointed = f'["{self.pointed}"]'
        before = self.settings_of_engine()
        self.call("run", engines=pointed, probe="")
        self.hub.forget_requests()
        self.assertIn(f"docker.io/library/{self.app}:1", self.engine_pulls())
        self.wait_until_kept()
        self.assertTrue(any(method == "GET" and "/blobs/" in path for method, path in self.hub.asked_for()))
        self.assertEqual(pipelines.recap(self.call("run", engines=pointed, probe="")), (0, 5, 0, 1))

        self.hub.forget_requests()
        self.engine_pulls()
        self.assertLessEqual({method for method, _ in self.hub.asked_for()}, {"HEAD"})  # has the tag moved?
        self.hub.stop()
        self.engine_pulls()

        self.call("down", engines=pointed, probe="")
        self.assertEqual(self.settings_of_engine(), before)
        with self.assertRaises((AssertionError, subprocess.CalledProcessError)):
            self.engine_pulls()

    def test_a_second_run_changes_nothing_and_down_keeps_the_cache(self):
        self.call("run")
        self.wait_until_kept()
        self.assertEqual(pipelines.recap(self.call("run")), (0, 5, 0, 1))
        self.call("down")
        self.assertFalse((self.folder / "conf").exists())
        self.assertTrue(self.has_volume(self.data))
        self.hub.forget_requests()
        self.call("run", probe="")
        self.assertEqual(self.pull("other"), self.digest)
        self.assertFalse(any(method == "GET" and "/blobs/" in path for method, path in self.hub.asked_for()))

    def test_nothing_is_to_do_after_the_engine_was_started_again(self):
        pointed = {"engines": f'["{self.pointed}"]', "restart": "always"}
        self.call("run", **pointed)
        self.assert_nothing_to_do_after_restarts(**pointed)
        self.call("down", **pointed)

    def test_a_password_is_in_the_file_and_in_nothing_that_the_engine_shows(self):
        self.pipe.env["MIRROR_PASSWORD"] = "hunter2-of-the-hub"
        self.call("run", username="me")
        self.assertIn('password: "hunter2-of-the-hub"', (self.folder / "conf/config.yml").read_text())
        self.assertEqual((self.folder / "conf/config.yml").stat().st_mode & 0o077, 0)
        self.assertNotIn("hunter2", json.dumps(self.inspect(self.name)))
        for path in self.pipe.state.rglob("*"):
            if path.is_file():
                self.assertNotIn(b"hunter2", path.read_bytes(), path)


class OnDocker(pipelines.Docker, MirrorPipeline, unittest.TestCase):
    pointed = "docker"

    @classmethod
    def setUpClass(cls):
        cls.root = pathlib.Path(tempfile.mkdtemp(prefix="pipe-mirror-root-"))
        cls.addClassCleanup(shutil.rmtree, cls.root, ignore_errors=True)
        folders = {cls.root / "etc/docker": "/etc/docker", cls.root / "run": "/run"}
        for folder in folders:
            folder.mkdir(parents=True)
        cls.before = cls.enterClassContext(MountNamespace(folders)).words
        super().setUpClass()
        cls.host = cls.docker.address

    def settings_of_engine(self):
        return self.docker.api("GET", "/info")["RegistryConfig"]["Mirrors"] or [], (self.root / "etc/docker/daemon.json").exists()

    def engine_pulls(self):
        """What it has after it has pulled the image anew, by the name that it has at Docker Hub."""
        with contextlib.suppress(AssertionError):
            self.docker.api("DELETE", f"/images/{self.app}:1")
        self.docker.api("POST", f"/images/create?fromImage={self.app}&tag=1")
        return [f"docker.io/library/{name}" for image in self.docker.api("GET", "/images/json") for name in image["RepoTags"] or []]


class OnPodman(pipelines.Podman, MirrorPipeline, unittest.TestCase):
    """In a mount namespace where /etc/containers is a copy: what it holds is for every Podman of this machine."""

    pointed = "podman"

    @classmethod
    def setUpClass(cls):
        cls.root = pathlib.Path(tempfile.mkdtemp(prefix="pipe-mirror-root-"))
        cls.addClassCleanup(shutil.rmtree, cls.root, ignore_errors=True)
        cls.etc = cls.root / "containers"
        shutil.copytree("/etc/containers", cls.etc)
        cls.before = cls.enterClassContext(MountNamespace({cls.etc: "/etc/containers"})).words
        networks = json.loads(subprocess.check_output(["podman", "network", "inspect", "podman"]))
        cls.host = networks[0]["subnets"][0]["gateway"]
        super().setUpClass()

    def settings_of_engine(self):
        return {path.name: path.read_text() for path in self.etc.rglob("*") if path.is_file()}

    def engine_pulls(self):
        name = f"docker.io/library/{self.app}:1"
        self.podman("rmi", "--force", name, check=False)
        self.addCleanup(self.podman, "rmi", "--force", name, check=False)
        self.podman("pull", name)
        return self.podman("images", "--format", "{{.Repository}}:{{.Tag}}").split()


if __name__ == "__main__":
    unittest.main()
