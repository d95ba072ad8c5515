"""verify's canary through a real Docker Engine and Podman, and what it makes of their refusals."""

import json
import subprocess
import unittest

from engines import Dockerd
from registries import Registry
from steps import StepTest


class ThroughEngine:
    engine = ""
    more = {}

    def registry(self, **options):
        registry = Registry(**options)
        registry.__enter__()
        self.addCleanup(registry.__exit__)
        return registry

    def verify(self, **params):
        return self.pipe.try_step("verify", **{"checks": ["engine"], "engine_": self.engine, **params})

    def refused(self, *texts, **params):
        result = self.verify(**params)
        self.assertEqual(result.code, 1, result)
        for text in texts:
            self.assertIn(text, result.err)

    def test_push_and_pull_and_nothing_is_left(self):
        registry = self.registry()
        result = self.verify(registry=registry.address, **self.more)
        self.assertEqual(result.code, 0, result)
        report = json.loads(result.json["report"])
        self.assertIn("the same layers", report[0]["came"])
        _, _, body = registry.request("GET", "/v2/pipe-canary/tags/list")
        self.assertFalse(json.loads(body).get("tags"), body)
        self.assertEqual([i for i in self.images() if f"{registry.address}/pipe-canary" in i], [])


class OnDocker(ThroughEngine, StepTest):
    @classmethod
    def setUpClass(cls):
        cls.docker = cls.enterClassContext(Dockerd())
        cls.engine = cls.docker.host

    def images(self):
        return [tag for image in self.docker.api("GET", "/images/json") for tag in image.get("RepoTags") or []]

    def test_with_a_password(self):
        registry = self.registry(users={"me": "secret:word"})
        self.refused("login", registry=registry.address, **self.more)
        registry.write_login(self.pipe.env["DOCKER_CONFIG"])
        result = self.verify(registry=registry.address, **self.more)
        self.assertEqual(result.code, 0, result)


class OnPodman(ThroughEngine, StepTest):
    engine = "podman"
    more = {"insecure": True}  # as `podman push --tls-verify=false`

    def images(self):
        return subprocess.check_output(["podman", "images", "--format", "{{.Repository}}"], text=True).split()

    def test_an_engine_that_was_not_told_of_plain_http(self):
        registry = self.registry()
        self.refused("gets plain HTTP", "registries.conf.d", registry=registry.address)

    def test_a_certificate_that_the_engine_does_not_know(self):  # Docker asks none of loopback
        registry = self.registry(tls=True)
        self.refused("has a list of its own", "certs.d", registry=registry.address, ca_file=registry.ca_file)


if __name__ == "__main__":
    unittest.main()
