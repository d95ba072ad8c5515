"""pipelines/registry-mirror.toml, with a docker-registry that stands for Docker Hub: what it is asked, and what not."""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from engines import Dockerd
from pipe import SOURCE, Pipe
from registries import Image, Registry, free_port
from test_pipelines import build_image, recap

MIRROR = SOURCE / "pipelines/registry-mirror.toml"


class Hub(Registry):
    """Listens at every address, so that containers reach it, and says what it is asked for but pings."""

    def __init__(self, host):
        super().__init__()
        self.seen_from_containers = f"http://{host}:{self.port}"
        config = json.loads(self._config.read_text())
        config["http"]["addr"] = f"0.0.0.0:{self.port}"
        self._config.write_text(json.dumps(config))

    def asked_for(self):
        return [(method, path) for method, path, _ in self.requests if path != "/v2/"]


class MirrorPipeline:
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
        self.pipe = Pipe(self.folder, env=self.engine_env)
        self.name = f"mirror-{os.getpid()}-{self._testMethodName.removeprefix('test_')}"[:50]
        self.port = free_port()
        self.address = f"localhost:{self.port}"
        self.data = f"{self.name}-data"
        for name in (self.name, self.name + ".replaced-by-pipe"):
            self.addCleanup(self.remove, name)
        self.addCleanup(self.remove_volume, self.data)
        self.hub = Hub(self.host)
        self.hub.__enter__()
        self.addCleanup(self.hub.__exit__)
        self.digest = self.hub.push(Image(), "library/app", "1")
        self.hub.forget_requests()

    def call(self, verb, expect=0, **changes):
        values = {"source": f"oci-archive:{self.archive}", "upstream": self.hub.seen_from_containers, "name": self.name,
                  "port": self.port, "address": self.address, "data": self.data, "folder": self.folder / "conf",
                  "engine": self.engine, "probe": "library/app:1", "restart": "no", **changes}  # fmt: skip
        settings = [word for key, value in values.items() for word in ("--set", f"{key}={value}")]
        result = self.pipe.run([verb, MIRROR, *settings], timeout=180)
        self.assertEqual(result.code, expect, result)
        return result

    def pull(self, machine):
        """The image through the mirror, by a machine that has nothing yet."""
        return Pipe(self.folder / machine).step("pull", image=f"{self.address}/library/app:1")["digest"]

    def test_what_was_pulled_once_is_not_fetched_again(self):
        self.call("run")
        first = self.hub.asked_for()
        self.assertIn("GET", {method for method, _ in first}, first)
        self.assertTrue(any("/blobs/" in path for _, path in first), first)
        self.hub.forget_requests()
        self.assertEqual(self.pull("second"), self.digest)
        # It may ask whether the tag has moved; it fetches nothing.
        self.assertLessEqual({method for method, _ in self.hub.asked_for()}, {"HEAD"})
        self.hub.stop()
        self.assertEqual(self.pull("third"), self.digest)

    def test_a_second_run_changes_nothing_and_down_keeps_the_cache(self):
        self.call("run")
        self.assertEqual(recap(self.call("run")), (0, 5, 0, 0))
        self.call("down")
        self.assertFalse((self.folder / "conf").exists())
        self.assertTrue(self.has_volume(self.data))
        self.hub.forget_requests()
        self.call("run", probe="")
        self.assertEqual(self.pull("other"), self.digest)
        self.assertFalse(any(method == "GET" and "/blobs/" in path for method, path in self.hub.asked_for()))

    def test_a_password_is_in_the_file_and_in_nothing_that_the_engine_shows(self):
        self.pipe.env["MIRROR_PASSWORD"] = "hunter2-of-the-hub"
        self.call("run", username="me")
        self.assertIn('password: "hunter2-of-the-hub"', (self.folder / "conf/config.yml").read_text())
        self.assertEqual((self.folder / "conf/config.yml").stat().st_mode & 0o077, 0)
        self.assertNotIn("hunter2", json.dumps(self.inspect(self.name)))
        for path in self.pipe.state.rglob("*"):
            if path.is_file():
                self.assertNotIn(b"hunter2", path.read_bytes(), path)


class OnDocker(MirrorPipeline, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.docker = cls.enterClassContext(Dockerd())
        cls.engine_env = {"DOCKER_HOST": cls.docker.host}
        addresses = json.loads(subprocess.check_output(["ip", "-json", "addr", "show", cls.docker.bridge]))
        cls.host = next(a["local"] for a in addresses[0]["addr_info"] if a["family"] == "inet")
        super().setUpClass()

    def remove(self, name):
        self.docker.remove(name)

    def remove_volume(self, name):
        with contextlib.suppress(AssertionError):
            self.docker.api("DELETE", f"/volumes/{name}?force=1")

    def has_volume(self, name):
        return name in {volume["Name"] for volume in self.docker.api("GET", "/volumes")["Volumes"] or []}

    def inspect(self, name):
        return self.docker.inspect(name)


if __name__ == "__main__":
    unittest.main()
