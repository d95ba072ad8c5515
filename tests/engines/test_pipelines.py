"""pipelines/registry.toml as its user would run it, on Docker and on Podman that is started on demand."""

import contextlib
import http.client
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

from engines import Dockerd
from pipe import SOURCE, Pipe
from registries import Registry, free_port
from registry_image import build_image

REGISTRY = SOURCE / "pipelines/registry.toml"
IMAGE = SOURCE / "pipelines/registry-image.toml"


def get(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with contextlib.closing(connection):
        connection.request("GET", path)
        return connection.getresponse().read().decode()


def recap(result):
    """The counts of the recap line."""
    found = re.search(r": changed=(\d+) unchanged=(\d+) failed=(\d+) skipped=(\d+)", result.out + result.err)
    return tuple(map(int, found.groups())) if found else None


class EveryPipeline(unittest.TestCase):
    def test_has_its_test(self):
        tests = "".join(p.read_text() for p in SOURCE.glob("tests/*/test_*.py"))
        for pipeline in sorted((SOURCE / "pipelines").glob("*.toml")):
            with self.subTest(pipeline.name):
                self.assertIn(f'"{pipeline.name}"', tests.replace("pipelines/", ""), "no test runs it")

    def test_is_valid(self):
        with tempfile.TemporaryDirectory() as folder:
            result = Pipe(folder).run(["check", *sorted((SOURCE / "pipelines").glob("*.toml"))])
            self.assertEqual(result.code, 0, result)


class Restarted:
    """What has to hold after an engine was started again: `run_it`, `inspect`, `address`, `name` are the case's own."""

    def wait_until_it_listens(self):
        host, port = self.address.split(":")
        deadline = time.monotonic() + 180
        while True:
            # A proxy of Docker's listens before its container does, and hangs up.
            with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 30) as there:
                there.settimeout(2)
                try:
                    if there.recv(1):
                        return
                except TimeoutError:
                    return
            self.assertLess(time.monotonic(), deadline, "it does not come back")
            time.sleep(0.1)

    def assert_nothing_to_do_after_restarts(self, **changes):
        before = self.inspect(self.name)["Id"]
        for restart in self.restarts():
            with self.subTest(restart.__name__):
                restart()
                self.wait_until_it_listens()
                again = self.run_it(**changes)
                self.assertEqual(recap(again)[0], 0, again)
                self.assertEqual(self.inspect(self.name)["Id"], before)


class PipelineCase(Restarted):
    """A registry's pipeline with settings of its own; `file` says which, `Docker` and `Podman` on what."""

    file = REGISTRY
    engine = ""
    engine_env = {}

    @classmethod
    def setUpClass(cls):
        cls.shared = pathlib.Path(tempfile.mkdtemp(prefix="pipe-pipelines-"))
        cls.addClassCleanup(shutil.rmtree, cls.shared, ignore_errors=True)
        cls.archive = cls.shared / "registry.tar"
        build_image(Pipe(cls.shared / "builder"), cls.archive)

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="pipe-registry-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        # Docker Hub as this machine has it: a mirror that nothing listens on, so that nobody is asked.
        conf = self.folder / "registries.conf"
        self.hub = free_port()
        conf.write_text(f'[[registry]]\nprefix = "docker.io"\nlocation = "localhost:{self.hub}"\ninsecure = true\n')
        self.pipe = Pipe(self.folder, env={**self.engine_env, "CONTAINERS_REGISTRIES_CONF": str(conf)})
        self.name = f"registry-{os.getpid()}-{self._testMethodName.removeprefix('test_')}"[:50]
        self.port = free_port()
        self.address = f"localhost:{self.port}"
        self.data = f"{self.name}-data"
        self.addCleanup(self.remove, self.name)
        self.addCleanup(self.remove, self.name + ".replaced-by-pipe")
        self.addCleanup(self.remove_volume, self.data)

    def call(self, verb, *more, **changes):
        return self.pipe.run([verb, self.file, *self.settings(**changes), *more])

    def settings(self, **changes):
        values = {"address": self.address, "name": self.name, "port": self.port, "data": self.data,
                  "engine": self.engine, "fallback": f'["oci-archive:{self.archive}"]', **changes}  # fmt: skip
        return [word for key, value in values.items() for word in ("--set", f"{key}={value}")]

    def run_it(self, *more, **changes):
        result = self.call("run", *more, **changes)
        self.assertEqual(result.code, 0, result)
        return result


class RegistryPipeline(PipelineCase):
    """What has to hold on every engine."""

    def tags(self):
        return get(self.port, "/v2/registry/tags/list")

    def test_first_run_second_run_and_the_way_back(self):
        first = self.run_it()
        self.assertEqual(recap(first)[0], 4, first)
        self.assertIn("is tried instead", first.err)  # the fallback says so
        self.assertIn('"3"', self.tags())

        second = self.run_it()
        self.assertEqual(recap(second), (0, 5, 0, 0), second)

        plan = self.call("plan", "--exit-code")
        self.assertEqual(plan.code, 0, plan)

        down = self.call("down")
        self.assertEqual(down.code, 0, down)
        with self.assertRaises(OSError):
            self.tags()

        again = self.run_it()  # the data is still there, so there is nothing to push
        self.assertIn('"3"', self.tags())
        self.assertIn("push", again.out + again.err)

        down = self.call("down", "--data")
        self.assertEqual(down.code, 0, down)
        self.assertFalse(self.has_volume(self.data))

    def test_nothing_is_to_do_after_the_engine_was_started_again(self):
        self.run_it()
        self.assert_nothing_to_do_after_restarts()

    def test_from_docker_hub_as_a_mirror_has_it(self):
        with Registry() as hub:
            pushed = self.pipe.step(
                "push", image=f"oci-archive:{self.archive}", to=f"{hub.address}/library/registry:3"
            )
            conf = self.folder / "registries.conf"
            conf.write_text(f'[[registry]]\nprefix = "docker.io"\nlocation = "{hub.address}"\ninsecure = true\n')
            first = self.run_it()
            self.assertNotIn("is tried instead", first.err)
            self.assertIn(pushed["digest"], first.out)
            self.assertEqual(recap(self.run_it()), (0, 5, 0, 0))

    def test_settings_of_the_three_scripts(self):
        data = self.folder / "data/prod/registry"
        self.run_it(image="registry:2", source="docker.io/library/registry:2", data=data, user="self", bind="127.0.0.1",
                    volumes='["/etc/localtime:/etc/localtime:ro"]', restart="always")  # fmt: skip
        container = self.inspect(self.name)
        self.assertEqual(container["HostConfig"]["RestartPolicy"]["Name"], "always")
        self.assertEqual(container["Config"]["User"], f"{os.getuid()}:{os.getgid()}")
        self.assertIn("REGISTRY_STORAGE_DELETE_ENABLED=true", container["Config"]["Env"])
        mounts = {m["Destination"]: m for m in container["Mounts"]}
        self.assertEqual(mounts["/var/lib/registry"]["Source"], str(data))
        self.assertFalse(mounts["/etc/localtime"]["RW"])
        self.assertTrue((data / "docker/registry/v2/repositories/registry").is_dir())

    def test_changed_setting_is_named_and_only_that_is_done(self):
        self.run_it()
        port = free_port()
        plan = self.call("plan", "--exit-code", port=port, address=f"localhost:{port}")
        self.assertEqual(plan.code, 10, plan)
        self.assertIn(str(port), plan.out)
        changed = self.run_it(port=port, address=f"localhost:{port}")
        self.assertIn("ports", changed.out + changed.err)
        self.assertIn('"3"', get(port, "/v2/registry/tags/list"))

    def test_killed_anywhere_and_run_again(self):
        rng = random.Random(20)
        self.run_it()
        for attempt in range(4):
            self.assertEqual(self.call("down", "--data").code, 0)
            process = self.pipe.start(
                ["run", REGISTRY, *self.settings()], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            time.sleep(rng.uniform(0.02, 2))
            process.send_signal(signal.SIGKILL)
            process.wait()
            with self.subTest(attempt=attempt):
                self.run_it()
                self.assertIn('"3"', self.tags())
                self.assertEqual(recap(self.run_it()), (0, 5, 0, 0))


class Docker:
    root = None  # see Dockerd

    @classmethod
    def setUpClass(cls):
        cls.docker = cls.enterClassContext(Dockerd(cls.root))
        cls.engine_env = {"DOCKER_HOST": cls.docker.host}
        super().setUpClass()

    def remove(self, name):
        self.docker.remove(name)

    def remove_volume(self, name):
        with contextlib.suppress(AssertionError):
            self.docker.api("DELETE", f"/volumes/{name}?force=1")

    def has_volume(self, name):
        volumes = self.docker.api("GET", "/volumes")["Volumes"] or []
        return name in {volume["Name"] for volume in volumes}

    def inspect(self, name):
        return self.docker.inspect(name)

    def restarts(self):
        """Ways in which the engine, or the machine below it, starts again."""
        return [self.killed_and_started]

    def killed_and_started(self):
        self.docker.kill()
        self.docker.start()


class Podman:
    engine = "podman"
    before = ()  # words before the command

    def podman(self, *args, check=True):
        return subprocess.run([*self.before, "podman", *args], check=check, capture_output=True, text=True).stdout

    def remove(self, name):
        self.podman("rm", "--force", "--time=0", "--volumes", "--ignore", name, check=False)

    def remove_volume(self, name):
        self.podman("volume", "rm", "--force", name, check=False)

    def has_volume(self, name):
        return name in self.podman("volume", "ls", "--format", "{{.Name}}").split()

    def inspect(self, name):
        return json.loads(self.podman("container", "inspect", name))[0]

    def restarts(self):
        return [self.process_killed, self.booted]

    def process_killed(self):
        """Podman has no daemon: conmon starts the container again, as its restart policy says."""
        before = self.inspect(self.name)["State"]["Pid"]
        os.kill(before, signal.SIGKILL)
        deadline = time.monotonic() + 180
        while self.inspect(self.name)["State"]["Pid"] in (0, before):
            self.assertLess(time.monotonic(), deadline, "it is not started again")
            time.sleep(0.1)

    def booted(self):
        """As podman-restart.service starts containers after a boot."""
        self.podman("stop", "--time=2", self.name)
        self.podman("start", "--all", "--filter", "restart-policy=always", "--filter", f"name={self.name}")


class OnDocker(Docker, RegistryPipeline, unittest.TestCase):
    pass


class OnPodman(Podman, RegistryPipeline, unittest.TestCase):
    pass


if __name__ == "__main__":
    unittest.main()
