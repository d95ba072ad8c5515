"""Images out of real engines, to a real registry: what the others make of them, and what a second time costs."""

import contextlib
import io
import json
import os
import random
import subprocess
import tarfile
import unittest

from engines import Dockerd, FakeEngine, Passage, PodmanService
from registries import Registry, digest_of
from steps import StepTest

SIZE = 3_000_000


def make_layer(seed):
    """A tar archive: half of it text, half of it noise."""
    noise = random.Random(seed)
    text = "".join(f"line {noise.randrange(5000)}\n" for _ in range(SIZE // 20)).encode()
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as archive:
        for name, data in (("text", text[: SIZE // 2]), ("noise", noise.randbytes(SIZE // 2))):
            info = tarfile.TarInfo(f"{name}-{digest_of(seed.encode())[7:19]}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return layer.getvalue()


def config_of(layers, **labels):
    return json.dumps({"architecture": "amd64", "os": "linux", "config": {"Labels": labels},
                       "rootfs": {"type": "layers", "diff_ids": [digest_of(layer) for layer in layers]}}).encode()  # fmt: skip


def archive_of(members):
    bytes_ = io.BytesIO()
    with tarfile.open(fileobj=bytes_, mode="w") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return bytes_.getvalue()


def docker_archive(layers, name, **labels):
    """As `docker load` reads it."""
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": [f"{i}.tar" for i in range(len(layers))]}]
    return archive_of([("config.json", config_of(layers, **labels)),
                       *((f"{i}.tar", layer) for i, layer in enumerate(layers)),
                       ("manifest.json", json.dumps(manifest).encode())])  # fmt: skip


class Cases:
    """With each engine."""

    def setUp(self):
        super().setUp()
        self.registry = self.enterContext(Registry())
        self.name = f"localhost/pipe-take-{os.getpid()}-{self.id().rsplit('.', 1)[1][:20].lower()}:1"
        self.layers = [make_layer(f"{self.name} {i}") for i in range(3)]
        self.load(self.layers)
        self.addCleanup(self.remove)

    def load(self, layers, **labels):
        self.engine.api("POST", "/images/load", raw=docker_archive(layers, self.name, **labels))

    def remove(self):
        with contextlib.suppress(AssertionError):
            self.engine.api("DELETE", f"/images/{self.name}?force=1")

    def push(self, to="app:1", engine=None, pipe=None):
        """Gives the outputs, and how many bytes the engine sent."""
        with Passage(self.folder, engine or self.engine) as counting:
            outputs = (pipe or self.pipe).step("push", image=f"docker-daemon:{self.name}",
                                               to=f"{self.registry.address}/{to}", engine=counting.host)  # fmt: skip
        return outputs, counting.received

    def blobs(self):
        return {path.name: path.stat().st_mtime_ns for path in (self.pipe.store / "blobs/sha256").iterdir()}

    def manifest(self, tag="app:1"):
        return json.loads(self.skopeo("inspect", "--raw", f"docker://{self.registry.address}/{tag}"))

    def skopeo(self, *args):
        tls = {"copy": ["--src-tls-verify=false"], "inspect": ["--tls-verify=false"]}[args[0]]
        done = subprocess.run(["skopeo", "--insecure-policy", args[0], *tls, *args[1:]], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_other_tools_read_what_comes_of_it(self):
        outputs, _ = self.push()
        target = self.folder / "copy"
        self.skopeo("copy", f"docker://{self.registry.address}/app:1", f"oci:{target}:1")
        manifest = self.manifest()
        self.assertEqual(digest_of(json.dumps(manifest, separators=(",", ":")).encode()), outputs["digest"])
        self.assertEqual(len(manifest["layers"]), 3)
        for layer, blob in zip(self.layers, manifest["layers"]):
            packed = (target / "blobs/sha256" / blob["digest"][7:]).read_bytes()
            unpacked = subprocess.run(["gzip", "-dc"], input=packed, capture_output=True, check=True).stdout
            self.assertEqual(unpacked, layer)
        bundle = self.folder / "bundle"
        subprocess.run(["umoci", "unpack", *([] if os.geteuid() == 0 else ["--rootless"]), "--image", f"{target}:1", bundle],
                       check=True, capture_output=True)  # fmt: skip
        self.assertEqual(sum(path.is_file() for path in (bundle / "rootfs").rglob("*-*")), 6)
        # And the engine itself, which unpacks what it does not have.
        self.remove()
        self.pull_back(f"{self.registry.address}/app:1")

    def test_a_second_push_moves_and_compresses_nothing(self):
        first, received = self.push()
        self.assertGreater(received, sum(map(len, self.layers)))
        before = self.blobs()
        second, received = self.push()
        self.assertLess(received, 20_000)
        self.assertEqual(self.blobs(), before)
        self.assertEqual((second["digest"], second["bytes"]), (first["digest"], 0))
        third, received = self.push("elsewhere:1")
        self.assertLess(received, 20_000)
        self.assertEqual(third["digest"], first["digest"])

    def test_of_a_changed_image_only_the_new_layer_is_compressed(self):
        self.push()
        before = self.blobs()
        self.layers.append(make_layer("another"))
        self.load(self.layers)
        self.push()
        new = self.blobs().keys() - before.keys()
        sizes = sorted((self.pipe.store / "blobs/sha256" / name).stat().st_size for name in new)
        self.assertEqual(len(sizes), 3, sizes)  # manifest, config, layer
        self.assertEqual({k: v for k, v in self.blobs().items() if k in before}, before)
        self.assertEqual(len(self.manifest()["layers"]), 4)

    def test_of_a_changed_config_no_layer_is_compressed(self):
        self.push()
        before = self.blobs()
        self.load(self.layers, changed="yes")
        self.push()
        self.assertEqual(len(self.blobs().keys() - before.keys()), 2)  # manifest, config

    def test_another_machine_gets_the_same_digest(self):
        here, _ = self.push()
        there, _ = self.push("app:there", pipe=self.other_pipe("there"))
        self.assertEqual(here["digest"], there["digest"])
        self.assertGreater(there["skipped"] + there["mounted"], 0)


class WithDocker(Cases, StepTest):
    @classmethod
    def setUpClass(cls):
        cls.engine = cls.enterClassContext(Dockerd())

    def pull_back(self, name):
        self.engine.api("POST", f"/images/create?fromImage={name.rsplit(':', 1)[0]}&tag=1")
        self.assertEqual(self.engine.api("GET", f"/images/{name}/json")["RootFS"]["Layers"],
                         [digest_of(layer) for layer in self.layers])  # fmt: skip
        self.engine.api("DELETE", f"/images/{name}")


class WithPodman(Cases, StepTest):
    @classmethod
    def setUpClass(cls):
        cls.engine = cls.enterClassContext(PodmanService())

    def pull_back(self, name):
        subprocess.run(["podman", "pull", "--quiet", "--tls-verify=false", name], check=True, capture_output=True)
        subprocess.run(["podman", "rmi", name], check=True, capture_output=True)


class NewerForms(StepTest):
    """What Docker 25 and later write, from an engine that only plays one."""

    def setUp(self):
        super().setUp()
        self.registry = self.enterContext(Registry())
        self.layers = [make_layer(f"newer {i}") for i in range(2)]
        self.config = config_of(self.layers)

    def take(self, layers, media_type, **inspect):
        def blob(data):
            return f"blobs/sha256/{digest_of(data)[7:]}"

        def descriptor(data, kind):
            return {"mediaType": kind, "digest": digest_of(data), "size": len(data)}

        kinds = "application/vnd.oci.image."
        manifest = json.dumps({"schemaVersion": 2, "mediaType": f"{kinds}manifest.v1+json",
                               "config": descriptor(self.config, f"{kinds}config.v1+json"),
                               "layers": [descriptor(layer, media_type) for layer in layers]}).encode()  # fmt: skip
        index = {"schemaVersion": 2, "manifests": [descriptor(manifest, f"{kinds}manifest.v1+json")]}
        saved = [{"Config": blob(self.config), "RepoTags": ["app:1"], "Layers": [blob(layer) for layer in layers]}]
        archive = archive_of([*((blob(data), data) for data in (*layers, self.config, manifest)),
                              ("index.json", json.dumps(index).encode()), ("manifest.json", json.dumps(saved).encode()),
                              ("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')])  # fmt: skip
        ident = inspect.pop("id", lambda manifest: digest_of(self.config))(manifest)
        details = {"Id": ident, "RootFS": {"Type": "layers", "Layers": [digest_of(x) for x in self.layers]}, **inspect}
        name = "docker.io/library/app:1"
        with FakeEngine({("GET", f"/images/{name}/json"): (200, details),
                         ("GET", f"/images/{ident}/get"): (200, archive)}) as engine:  # fmt: skip
            for _ in range(2):
                outputs = self.step("push", image="docker-daemon:app:1", to=f"{self.registry.address}/app:1", engine=engine.host)
            self.assertEqual(len(engine.asked("GET", "/get")), 1)
        return outputs, manifest

    def test_unpacked_layers_are_compressed(self):
        outputs, manifest = self.take(self.layers, "application/vnd.oci.image.layer.v1.tar")
        self.assertNotEqual(outputs["digest"], digest_of(manifest))
        sizes = [blob.stat().st_size for blob in (self.pipe.store / "blobs/sha256").iterdir()]
        self.assertLess(max(sizes), SIZE)

    def test_a_store_that_keeps_blobs_gives_them_as_they_are(self):
        packed = [subprocess.run(["gzip", "-n1"], input=x, capture_output=True, check=True).stdout for x in self.layers]
        outputs, manifest = self.take(packed, "application/vnd.oci.image.layer.v1.tar+gzip", id=digest_of,
                                      Descriptor={"mediaType": "x"})  # fmt: skip
        self.assertEqual(outputs["digest"], digest_of(manifest))

    def test_says_that_an_archive_is_cut_off(self):
        archive = docker_archive(self.layers, "app:1")
        config = config_of(self.layers)
        with FakeEngine({("GET", "/images/docker.io/library/app:1/json"):
                         (200, {"Id": digest_of(config), "RootFS": {"Layers": [digest_of(x) for x in self.layers]}}),
                         ("GET", f"/images/{digest_of(config)}/get"): (200, archive[: len(archive) // 2])}) as engine:  # fmt: skip
            other = self.other_pipe("cut")
            result = other.try_step("push", image="docker-daemon:app:1", to=f"{self.registry.address}/cut:1", engine=engine.host)
        self.assertEqual(result.code, 1)
        self.assertRegex(result.err, r"the archive of \S+app:1 is cut off")
        self.assertEqual(list((other.store / ".partial").iterdir()), [])


if __name__ == "__main__":
    unittest.main()
