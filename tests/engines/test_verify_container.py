"""verify's check of a container, against a real Docker Engine."""

import json
import pathlib
import shutil
import tempfile
import time
import unittest

from engines import Dockerd, service_archive
from pipe import Pipe
from registries import free_port


class ContainerCheck(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.docker = cls.enterClassContext(Dockerd())
        archive = cls.docker.folder / "service.tar"
        service_archive(archive, ["service:1"])
        cls.docker.load(archive)

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="pipe-verify-container-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.pipe = Pipe(self.folder)
        self.name = self._testMethodName.removeprefix("test_")
        self.addCleanup(self.docker.remove, self.name)

    def make(self, port=None, start=True, env=(), restart="no"):
        """A container of the service, published at a loopback port."""
        bindings = {"5000/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]} if port else {}
        host = {"PortBindings": bindings, "RestartPolicy": {"Name": restart}}
        self.docker.api("POST", f"/containers/create?name={self.name}",
                        {"Image": "service:1", "Env": list(env), "HostConfig": host})  # fmt: skip
        if start:
            self.docker.api("POST", f"/containers/{self.name}/start")

    def wait_until(self, condition):
        limit = time.monotonic() + 120
        while not condition(found := self.docker.inspect(self.name)):
            self.assertLess(time.monotonic(), limit, found)
            time.sleep(0.05)

    def verify(self, **params):
        return self.pipe.try_step("verify", **{"container": self.name, "engine_": self.docker.host, **params})

    def fails(self, *texts, **params):
        result = self.verify(**params)
        self.assertEqual(result.code, 1, result)
        for text in texts:
            self.assertIn(text, result.err)

    def test_a_registry_that_runs_in_it_passes(self):
        port = free_port()
        self.make(port)
        result = self.verify(registry=f"localhost:{port}")
        self.assertEqual(result.code, 0, result)
        report = json.loads(result.json["report"])
        self.assertEqual([entry["check"] for entry in report], ["api", "container"])
        self.assertEqual(report[1]["came"], f"running at 127.0.0.1:{port}->5000/tcp")

    def test_none_of_that_name(self):
        self.fails(f"has no container {self.name}, running or stopped", "run the step that makes it")

    def test_one_that_has_ended_shows_its_last_words(self):
        self.make(env=["END=3", "SAY=no such volume"])
        self.wait_until(lambda found: found["State"]["Status"] == "exited")
        self.fails("exited, exit code 3", "no such volume", "mend what the log names")

    def test_one_that_ends_again_and_again(self):
        self.make(env=["END=4", "SAY=bad configuration"], restart="always")
        self.wait_until(lambda found: found["RestartCount"] >= 3)
        result = self.verify()  # which may see it in the short time that it runs
        self.assertRegex(result.err, r"restarted \d+ times", result)

    def test_one_that_was_never_started(self):
        self.make(start=False)
        self.fails("came created", "it was never started")

    def test_one_that_is_paused(self):
        self.make()
        self.docker.api("POST", f"/containers/{self.name}/pause")
        self.fails("came paused", "unpause it")

    def test_one_that_publishes_another_port(self):
        port, other = free_port(), free_port()
        self.make(port)
        self.fails(f"does not publish port {other} of this machine", f"127.0.0.1:{other}:5000",
                   registry=f"localhost:{other}", checks=["container"])  # fmt: skip

    def test_an_engine_that_is_not_there(self):
        result = self.verify(engine_=f"unix://{self.folder}/none.sock")
        self.assertEqual(result.code, 1, result)
        self.assertIn("none.sock", result.err)

    def test_all_failures_come_together(self):
        port = free_port()
        self.fails("2 of 2 checks", "nothing listens there", f"has no container {self.name}",
                   registry=f"localhost:{port}")  # fmt: skip


if __name__ == "__main__":
    unittest.main()
