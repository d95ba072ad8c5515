"""verify's checks `storage` and `config` of a registry in a container: by the container, by its volume, by its folder."""

import json
import pathlib
import unittest

import test_pipelines as pipelines
from registries import free_port


class VerifyRegistry(pipelines.PipelineCase):
    def verify(self, *checks, **params):
        return self.pipe.try_step("verify", **{"checks": checks, "container": self.name, "engine_": self.engine or None, **params})

    def came(self, *checks, **params):
        """What came of the checks, by name."""
        result = self.verify(*checks, **params)
        self.assertEqual(result.code, 0, result)
        return {entry["check"]: entry for entry in json.loads(result.json["report"])}

    def refused(self, check, *texts, **params):
        result = self.verify(check, **params)
        self.assertEqual(result.code, 1, result)
        for text in texts:
            self.assertRegex(result.err, text)

    def mounted(self):
        """Where the machine has what the registry calls /var/lib/registry."""
        return next(m["Source"] for m in self.inspect(self.name)["Mounts"] if m["Destination"] == "/var/lib/registry")

    def serve(self, *ports, env=None, volumes=()):
        params = {"image": f"oci-archive:{self.archive}", "name": self.name, "ports": ports, "engine": self.engine or None,
                  "volumes": volumes or [f"{self.data}:/var/lib/registry"],
                  "env": {"REGISTRY_STORAGE_DELETE_ENABLED": "true", **(env or {})}}  # fmt: skip
        self.pipe.step("run", **{key + "_": value for key, value in params.items()})

    def test_storage_of_a_volume_a_folder_and_a_container(self):
        self.run_it()
        place = self.mounted()
        self.assertTrue(pathlib.Path(place, "docker/registry/v2").is_dir())
        for params in ({}, {"data": self.data}, {"data": self.data, "container": None}, {"data": place, "container": None}):
            with self.subTest(params):
                seen = self.came("storage", **params)["storage"]
                self.assertEqual(seen["asked"], f"free space of {place}")
                self.assertRegex(seen["came"], r"^\d.* free$")
        self.refused("storage", "less than the .* that are asked for", "collect garbage", min_free="1000TiB")
        self.refused("storage", "there is no volume nothing-like-it", "name the one", data="nothing-like-it")
        self.refused("storage", "there is no container nobody", "run the step that makes it", container="nobody")

    def test_storage_of_a_folder_that_is_mounted(self):
        folder = self.folder / "images"
        self.run_it(data=folder)
        self.assertEqual(self.came("storage")["storage"]["asked"], f"free space of {folder}")

    def test_storage_of_a_registry_that_keeps_its_images_elsewhere(self):
        self.serve(f"127.0.0.1:{self.port}:5000", env={"REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY": "/images"},
                   volumes=[f"{self.folder}/a:/images", f"{self.folder}/b:/other"])  # fmt: skip
        self.assertEqual(self.came("storage", data=f"{self.folder}/a")["storage"]["asked"], f"free space of {self.folder}/a")

    def test_config_of_one_that_only_this_machine_reaches(self):
        self.run_it()
        seen = self.came("config", registry=self.address)["config"]
        self.assertEqual(seen["came"], "plain HTTP, no password, deletes images")

    def test_config_of_one_that_is_open_to_the_network(self):
        self.serve(f"0.0.0.0:{self.port}:5000")
        self.refused("config", "may push and delete without a password", "publish it at 127.0.0.1 only",
                     "anybody can change them on their way", registry=self.address)  # fmt: skip

    def test_config_of_one_that_publishes_its_debug_address(self):
        debug = free_port()
        self.serve(f"127.0.0.1:{self.port}:5000", f"0.0.0.0:{debug}:5001", env={"REGISTRY_HTTP_DEBUG_ADDR": ":5001"})
        self.refused("config", rf"its debug address answers at \S+:{debug}", "do not publish that port", registry=self.address)


class OnDocker(pipelines.Docker, VerifyRegistry, unittest.TestCase):
    pass


class OnPodman(pipelines.Podman, VerifyRegistry, unittest.TestCase):
    pass


if __name__ == "__main__":
    unittest.main()
