"""`fsck` of a registry and of a folder: what is broken is named, and nothing else is."""

import json
import shutil
import unittest

from artifacts import Artifact, cosign_tag
from layouts import write_layout
from registries import Answer, FakeRegistry, Image, Index, Registry
from steps import StepTest

ONE = Image(sizes=(4000, 500), seed=410)
TWO = Image(sizes=(3000,), seed=411)
MULTI = Index([Image(sizes=(700,), seed=412), Image(sizes=(800,), seed=413, architecture="arm64")])


class FsckTest(StepTest):
    def setUp(self):
        super().setUp()
        self.there = self.registry(Registry())

    def registry(self, registry):
        registry.__enter__()
        self.addCleanup(registry.__exit__, None, None, None)
        return registry

    def fill(self):
        self.there.push(ONE, "team/app", "1")
        self.there.push(ONE, "team/app", "latest")
        self.there.push(TWO, "team/app", "2")
        self.there.push(ONE, "copy", "1")
        self.there.push(MULTI, "multi", "1")
        self.there.push(Artifact("sig", b"signature"), "multi", cosign_tag(MULTI))
        self.restart()

    def restart(self):
        """So that it has nothing in memory."""
        self.there.stop()
        self.there.start()

    def file(self, digest):
        hexes = digest.removeprefix("sha256:")
        return self.there.data / f"docker/registry/v2/blobs/sha256/{hexes[:2]}/{hexes}/data"

    def fsck(self, **params):
        return self.step("fsck", registry=self.there.address, **params)

    def broken(self, *expected, **params):
        return self.failure("fsck", *expected, registry=self.there.address, **params)

    @staticmethod
    def flip(path):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)


class Sound(FsckTest):
    def test_counts_what_it_looked_at_and_asks_for_each_once(self):
        self.fill()
        self.there.forget_requests()
        outputs = self.fsck()
        counts = {key: outputs[key] for key in ("repositories", "tags", "manifests", "blobs", "broken")}
        self.assertEqual(counts, {"repositories": 3, "tags": 6, "manifests": 7, "blobs": 5 + 3 + 4 + 2, "broken": 0})
        self.assertEqual(json.loads(outputs["report"]), [])
        asked = self.there.requests
        self.assertEqual([m for m, _, _ in asked if m not in ("GET", "HEAD")], [])
        self.assertEqual(len([p for m, p, _ in asked if m == "HEAD" and "/blobs/" in p]), 14)
        self.assertEqual([p for m, p, _ in asked if m == "GET" and "/blobs/" in p], [])

    def test_content_is_fetched_once_although_repositories_share_it(self):
        self.fill()
        self.there.forget_requests()
        self.fsck(content=True)
        fetched = [p.rsplit("/", 1)[1] for m, p, _ in self.there.requests if m == "GET" and "/blobs/" in p]
        self.assertEqual(len(fetched), 3 + 2 + 4 + 2)
        self.assertEqual(len(set(fetched)), len(fetched))

    def test_only_the_repositories_that_are_asked_for(self):
        self.fill()
        self.file(TWO.layers[0]["digest"]).unlink()
        self.assertEqual(self.fsck(repositories=["mul*", "copy"])["repositories"], 2)

    def test_an_empty_registry_and_a_repository_without_tags(self):
        self.assertEqual(self.fsck()["tags"], 0)
        self.there.push(ONE, "team/app", "1")
        self.assertEqual(self.there.request("DELETE", f"/v2/team/app/manifests/{ONE.digest}")[0], 202)
        self.assertEqual(self.fsck()["tags"], 0)

    def test_less_than_there_was_is_a_failure(self):
        self.fill()
        self.assertEqual(self.fsck(min_tags=6)["tags"], 6)
        self.failure("fsck", "has 6 tags, and at least 7", registry=self.there.address, min_tags=7)

    def test_plan_asks_nothing(self):
        self.fill()
        self.there.forget_requests()
        file = self.pipe.write(
            "p.toml", f'schema = 1\n[[step]]\nuses = "fsck"\nwith.registry = "{self.there.address}"\n'
        )
        self.assertIn("will check", self.said("plan", file))
        self.assertEqual(self.there.requests, [])


class Damaged(FsckTest):
    def test_a_blob_file_that_is_gone(self):
        self.fill()
        layer = ONE.layers[0]["digest"]
        self.file(layer).unlink()
        said = self.broken(
            r"3 of 6 tags of .* are broken", rf"copy:1: blob {layer[:19]} is missing", r"team/app:1: ", r"team/app:latest: "
        )
        self.assertNotIn("app:2", said)
        self.assertRegex(said, "push them again")
        # And that mends it.
        self.restart()
        self.there.push(ONE, "team/app", "1")
        self.there.push(ONE, "copy", "1")
        self.assertEqual(self.fsck(content=True)["broken"], 0)

    def test_a_flipped_byte_is_seen_by_content_only(self):
        self.fill()
        layer = TWO.layers[0]["digest"]
        self.flip(self.file(layer))
        self.assertEqual(self.fsck()["broken"], 0)
        said = self.broken(rf"1 of 6 tags.*team/app:2: blob {layer[:19]} has other content", content=True)
        self.assertRegex(said, "delete the damaged file under its storage first")

    def test_a_blob_that_was_cut_short(self):
        self.fill()
        layer = TWO.layers[0]["digest"]
        self.file(layer).write_bytes(self.file(layer).read_bytes()[:-7])
        self.broken(rf"1 of 6 tags.*team/app:2: blob {layer[:19]} has another size")

    def test_a_manifest_with_a_flipped_byte_and_one_that_is_gone(self):
        self.fill()
        data = bytearray(self.file(TWO.digest).read_bytes())
        at = data.rindex(b'"size": ') + 8
        data[at] = ord("1") if data[at] != ord("1") else ord("2")
        self.file(TWO.digest).write_bytes(data)
        self.file(MULTI.children[1].digest).unlink()
        said = self.broken(r"2 of 6 tags", r"team/app:2: ", r"multi:1: manifest .* \(linux/arm64\) is missing")
        self.assertNotIn("copy:1", said)

    def test_a_manifest_that_is_no_json_any_more_does_not_end_the_check(self):
        self.fill()
        self.file(TWO.digest).write_bytes(b"\0" * len(TWO.manifest))
        self.file(MULTI.digest).unlink()
        self.broken(r"2 of 6 tags", r"team/app:2: ", r"multi:1: ")

    def test_the_report_is_for_machines(self):
        self.fill()
        self.file(TWO.layers[0]["digest"]).unlink()
        file = self.pipe.write(
            "p.toml", f'schema = 1\n[[step]]\nuses = "fsck"\nwith.registry = "{self.there.address}"\n'
        )
        said = self.pipe.run(["run", file, "--output", "json"])
        self.assertEqual(said.code, 1)
        (ended,) = [e for e in said.events if e["type"] == "step_ended"]
        (entry,) = json.loads(ended["outputs"]["report"])
        self.assertEqual((entry["repository"], entry["tag"], entry["digest"]), ("team/app", "2", TWO.digest))


class Unreachable(FsckTest):
    def test_a_registry_that_is_gone_is_another_failure_than_damage(self):
        self.fill()
        self.there.stop()
        said = self.pipe.try_step("fsck", registry=self.there.address)
        self.assertEqual(said.code, 1)
        self.assertNotIn("broken", said.err)

    def test_a_registry_that_stops_in_the_middle(self):
        there = self.registry(FakeRegistry())
        for n in range(3):
            there.add(Image(sizes=(100 + n,), seed=420 + n), "team/app", f"1.{n}")
        there.fault = lambda request: Answer(503) if "/blobs/" in request.path or request.path == "/v2/" else None
        said = self.pipe.try_step("fsck", registry=there.address, repositories=["team/app"])
        self.assertEqual(said.code, 1)
        self.assertNotIn("broken", said.err)


class Folder(StepTest):
    def test_a_backup_that_is_sound_and_one_that_is_not(self):
        folder = write_layout(self.folder / "backup", **{"r.lan/team/app:1": ONE, "r.lan/team/app:2": TWO})
        outputs = self.step("fsck", folder=folder)
        self.assertEqual((outputs["tags"], outputs["broken"]), (2, 0))
        self.failure("fsck", "has 2 tags, and at least 3", folder=folder, min_tags=3)
        FsckTest.flip(folder / "blobs/sha256" / TWO.layers[0]["digest"].removeprefix("sha256:"))
        said = self.failure("fsck", r"is damaged", r"r.lan/team/app:2: ", folder=folder)
        self.assertNotIn("app:1", said)
        shutil.rmtree(folder)
        self.failure("fsck", "is no folder with images", folder=folder)

    def test_one_or_the_other(self):
        self.failure("fsck", "give `registry` or `folder`")


if __name__ == "__main__":
    unittest.main()
