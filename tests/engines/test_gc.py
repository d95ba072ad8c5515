"""`gc` of a registry in a container: space is freed, no push gets lost, and whatever fails, it is writable after."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import tempfile
import threading
import time
import unittest

from engines import Dockerd, Passage, PodmanService, podman, remove_podman_container
from pipe import Pipe
from registries import Image, Index, Served, free_port
from registry_image import build_image

OLD = Image(sizes=(200_000, 500), seed=500)
NEW = Image(sizes=(1000,), seed=501)
MULTI = Index([Image(sizes=(700,), seed=502), Image(sizes=(800,), seed=503, architecture="arm64")])
READ_ONLY = {"REGISTRY_STORAGE_MAINTENANCE_READONLY": '{"enabled":true}'}


class GcCase:
    """What has to hold on every engine; subclasses say which."""

    engine = ""

    @classmethod
    def setUpClass(cls):
        cls.shared = pathlib.Path(tempfile.mkdtemp(prefix="pipe-gc-"))
        cls.addClassCleanup(shutil.rmtree, cls.shared, ignore_errors=True)
        cls.archive = cls.shared / "registry.tar"
        build_image(Pipe(cls.shared / "builder"), cls.archive)

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="pipe-gc-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.pipe = Pipe(self.folder)
        self.name = f"gc-{os.getpid()}-{self._testMethodName.removeprefix('test_')}"[:40]
        self.data = self.folder / "data"
        self.there = Served(free_port())
        for name in (self.name, self.name + ".gc"):
            self.addCleanup(self.remove, name)
        self.start()

    def start(self, **changes):
        params = {
            "image": f"oci-archive:{self.archive}", "name": self.name, "ports": [f"127.0.0.1:{self.there.port}:5000"],
            "volumes": [f"{self.data}:/var/lib/registry"], "env": {"REGISTRY_STORAGE_DELETE_ENABLED": "true"},
            "engine": self.engine, **changes,
        }  # fmt: skip
        self.pipe.step("run", **{key + "_": value for key, value in params.items()})

    def params(self, **params):
        return {"container": self.name, "engine_": self.engine, **params}

    def gc(self, **params):
        return self.pipe.step("gc", **self.params(**params))

    def fails(self, *expected, **params):
        said = self.pipe.try_step("gc", **self.params(**params))
        self.assertEqual(said.code, 1, said)
        for pattern in expected:
            self.assertRegex(said.err, pattern)
        return said.err

    def make_garbage(self):
        self.there.push(OLD, "team/app", "old")
        self.there.push(NEW, "team/app", "new")
        self.there.push(MULTI, "team/app", "multi")
        self.assertEqual(self.there.request("DELETE", f"/v2/team/app/manifests/{OLD.digest}")[0], 202)

    def blobs(self):
        return {path.parent.name for path in self.data.glob("docker/registry/v2/blobs/sha256/*/*/data")}

    def has(self, image):
        return {digest.removeprefix("sha256:") for digest in image.blobs} <= self.blobs()

    def assert_serves(self):
        """The first container, alone, and it takes and gives."""
        self.assertEqual({name for name in self.containers() if name.startswith(self.name)}, {self.name})
        again = Image(sizes=(300,), seed=int(time.time() * 1000) % 2**31)
        self.there.push(again, "after", "1")
        self.assertEqual(self.there.digest("after", "1"), again.digest)

    def test_frees_space_and_a_second_time_changes_nothing(self):
        self.make_garbage()
        outputs = self.gc()
        self.assertEqual(outputs["blobs"], len(OLD.blobs) + 1)  # and the manifest
        self.assertEqual(outputs["freed"], OLD.size + len(OLD.manifest))
        self.assertFalse(set(map(lambda d: d[7:], OLD.blobs)) & self.blobs())
        self.assertTrue(self.has(NEW))
        self.assert_serves()
        # What was collected can be pushed again: nothing in memory says that it is there.
        self.there.push(OLD, "team/app", "old")
        self.assertTrue(self.has(OLD))

        before = self.containers()[self.name]
        outputs = self.gc()
        self.assertEqual((outputs["blobs"], outputs["freed"]), (0, 0))
        self.assertEqual(self.containers()[self.name], before)

    def file(self, engine=None):
        return self.pipe.write(
            "gc.toml", f'schema = 1\n[[step]]\nuses = "gc"\nwith.container = "{self.name}"\nwith.engine = "{engine or self.engine}"\n'
        )

    def test_plan_counts_and_changes_nothing(self):
        self.make_garbage()
        said = self.pipe.run(["plan", self.file()])
        self.assertEqual(said.code, 0, said)
        self.assertRegex(said.out, rf"{len(OLD.blobs) + 1} blobs \(20\d\.\d kB\) to be deleted; .* read-only meanwhile")
        self.assertTrue(self.has(OLD))

    def test_nothing_can_be_pushed_meanwhile_and_everything_can_be_pulled(self):
        self.make_garbage()
        seen = []

        def look(request):
            if self.is_collecting(request):
                seen.append(self.there.digest("team/app", "new"))

        with Passage(self.folder, self.service(), look) as passage:
            self.gc(engine_=passage.host)
        self.assertEqual(seen, [NEW.digest])
        self.assert_serves()

    def test_untagged_manifests_and_the_trap_of_indexes(self):
        moved = Image(sizes=(900,), seed=504)
        self.there.push(moved, "team/app", "latest")
        self.there.push(NEW, "team/app", "latest")
        self.assertEqual(self.gc()["blobs"], 0)
        self.assertEqual(self.gc(delete_untagged=True)["manifests"], 1)
        self.assertFalse(self.has(moved))
        self.make_garbage()
        self.fails(r"delete_untagged would break .*team/app:multi", delete_untagged=True)
        self.assertTrue(all(map(self.has, MULTI.children)))
        self.assert_serves()

    def test_a_failing_collection_leaves_it_writable(self):
        self.make_garbage()
        broken = next(self.data.glob("docker/registry/v2/repositories/team/app/_manifests/revisions/sha256/*/link"))
        good = broken.read_bytes()
        broken.write_bytes(b"no digest")
        self.fails("garbage-collect. in .* ended with")
        self.assert_serves()
        broken.write_bytes(good)
        self.assertGreater(self.gc()["blobs"], 0)

    def test_a_port_that_somebody_takes_meanwhile_is_a_failure_with_a_way_back(self):
        self.make_garbage()
        self.fails("no container nowhere", container="nowhere")
        self.fails("still takes pushes|takes no pushes|can't|refused", registry=f"localhost:{free_port()}")
        self.assert_serves()

    def test_beside_another_registry_on_the_same_storage_it_collects_nothing(self):
        self.make_garbage()
        other = self.name + "-2"
        self.addCleanup(self.remove, other)
        self.start(name=other, ports=[f"127.0.0.1:{free_port()}:5000"])
        self.fails(f"{other} writes to {self.data} at /var/lib/registry, as {self.name} does", f"stop {other} first")
        self.assertTrue(self.has(OLD))
        self.remove(other)
        self.assertGreater(self.gc()["blobs"], 0)

    def test_killed_while_read_only_the_next_run_ends_it(self):
        self.make_garbage()
        with self.held_while_read_only() as process:
            process.kill()
            process.wait()
        self.assertIn(self.name + ".gc", self.containers())
        said = self.pipe.try_step("gc", **self.params())
        self.assertEqual(said.code, 0, said)
        self.assertRegex(said.out + said.err, "an earlier collection was killed")
        self.assert_serves()

    def test_killed_while_read_only_down_ends_it_and_says_so_before(self):
        self.make_garbage()
        with self.held_while_read_only("run", self.file(engine=f"unix://{self.folder}/passage.sock")) as process:
            process.kill()
            process.wait()
        self.assertIn(f"container {self.name}.gc", self.pipe.run(["down", self.file(), "--dry-run"]).out)
        self.assertIn(f"{self.name} is writable again", self.pipe.run(["down", self.file()]).err)
        self.assert_serves()
        self.assertIn("nothing that it made", self.pipe.run(["down", self.file(), "--dry-run"]).out)

    def test_interrupted_while_read_only_it_is_writable_after_the_next_run_at_the_latest(self):
        self.make_garbage()
        with self.held_while_read_only() as process:
            process.send_signal(signal.SIGINT)
            self.assertNotEqual(process.wait(120), 0)
        self.gc()  # on a slow engine, the seconds that an interrupted step has may not do
        self.assert_serves()

    @contextlib.contextmanager
    def held_while_read_only(self, *words):
        """A gc that waits for the engine to begin the collection; it is to use the engine by this passage."""
        begun, over = threading.Event(), threading.Event()

        def hold(request):
            if not over.is_set() and self.is_collecting(request):
                begun.set()
                return over.wait()

        with Passage(self.folder, self.service(), hold) as passage:
            process = self.pipe.start(words or ["step", "gc", "--container", self.name, "--engine", passage.host])
            self.addCleanup(process.communicate)
            self.addCleanup(process.kill)
            self.assertTrue(begun.wait(120))
            yield process
            over.set()

    def is_collecting(self, request):
        """Whether the engine is asked to run the collection itself: what counts beforehand lets pushes in."""
        return request.endswith("/exec") and self.there.request("POST", "/v2/team/app/blobs/uploads/", b"")[0] == 405


class OnDocker(GcCase, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.docker = cls.enterClassContext(Dockerd())
        cls.engine = cls.docker.host
        super().setUpClass()

    def service(self):
        return self.docker

    def containers(self):
        return {name: c["Id"] for name, c in self.docker.containers().items()}

    def remove(self, name):
        self.docker.remove(name)


class OnPodman(GcCase, unittest.TestCase):
    engine = "podman"

    def service(self):
        config = self.pipe.state / "pipe/containers.conf"  # what podman needs on this machine, if anything
        return self.enterContext(PodmanService(config if config.exists() else None))

    def containers(self):
        return {c["Names"][0]: c["Id"] for c in json.loads(podman("ps", "--all", "--format", "json"))}

    def remove(self, name):
        remove_podman_container(name)


if __name__ == "__main__":
    unittest.main()
