"""The pipelines that move images between places, as their users would run them; skopeo compares."""

import subprocess
import unittest

from artifacts import Artifact, ListingRegistry, cosign_tag, raw
from pipe import SOURCE
from registries import Answer, Image, Index, Registry
from steps import StepTest

APP = Index([Image(sizes=(2000, 3000), seed=101), Image(sizes=(2500,), seed=102, architecture="arm64")])
TOOL = Image(sizes=(4000,), seed=103)
NEW = Image(sizes=(5000,), seed=104)
SIGNATURE = Artifact("application/vnd.oci.image.config.v1+json", b"signature")


class MovingPipeline(StepTest):
    pipeline = None

    def setUp(self):
        super().setUp()
        self.source, self.target = Registry(), Registry()
        for registry in (self.source, self.target):
            registry.__enter__()
            self.addCleanup(registry.__exit__, None, None, None)
        self.source.push(APP, "team/app", "1.0")
        self.source.push(SIGNATURE, "team/app", cosign_tag(APP))
        self.source.push(TOOL, "tool", "2")

    def call(self, verb, *more, file=None, pipe=None, **settings):
        words = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        result = (pipe or self.pipe).run([verb, SOURCE / "pipelines" / (file or self.pipeline), *words, *more])
        self.assertEqual(result.code, 0, result)
        return result.out + result.err

    def assert_same(self, name, target=None):
        self.assertEqual(raw(f"{self.source.address}/{name}"), raw(f"{self.target.address}/{target or name}"))


class Promote(MovingPipeline):
    pipeline = "promote.toml"

    def settings(self, **more):
        return {"image": f"{self.source.address}/team/app", "digest": APP.digest, "to": f"{self.target.address}/prod/app:1.0",
                **more}  # fmt: skip

    def test_copies_what_was_tested_and_takes_it_back(self):
        self.source.push(NEW, "team/app", "1.0")  # the tag has moved on since
        self.assertRegex(self.call("plan", **self.settings()), r"would copy .*prod/app:1\.0: [\d.]+ kB in 5 blobs")
        said = self.call("run", **self.settings())
        self.assertIn(f"digest = {APP.digest}", said)
        self.assertEqual(raw(f"{self.target.address}/prod/app:1.0"), APP.manifest)
        self.assertEqual(self.target.digest("prod/app", cosign_tag(APP)), SIGNATURE.digest)
        self.assertRegex(self.call("run", **self.settings()), r"changed=0 unchanged=2")
        self.call("down", **self.settings())
        self.assertIsNone(self.target.digest("prod/app", "1.0"))

    def test_wants_a_digest(self):
        words = [w for key, value in self.settings(digest="1.0").items() for w in ("--set", f"{key}={value}")]
        result = self.pipe.run(["run", SOURCE / "pipelines" / self.pipeline, *words])
        self.assertEqual(result.code, 3, result)
        self.assertIn("digest", result.err)

    def test_gives_the_name_back_where_what_arrived_does_not_verify(self):
        def loses_blobs(request):
            arrived = target.manifests.get("prod/app", {}).get("1.0", ("", b""))[1] == APP.manifest
            if arrived and any(digest in request.path for child in APP.children for digest in child.blobs):
                return Answer(404)

        with ListingRegistry(fault=loses_blobs) as target:
            target.add(TOOL, "prod/app", "1.0")
            settings = self.settings(to=f"{target.address}/prod/app:1.0")
            words = [w for key, value in settings.items() for w in ("--set", f"{key}={value}")]
            result = self.pipe.run(["run", SOURCE / "pipelines" / self.pipeline, *words])
            self.assertEqual(result.code, 1, result)
            self.assertRegex(result.err, r"verify")
            self.assertEqual(target.digest("prod/app", "1.0"), TOOL.digest)
            self.assertIn(APP.digest, target.manifests["prod/app"])  # it had arrived


class MirrorImages(MovingPipeline):
    pipeline = "mirror-images.toml"

    def settings(self, **more):
        return {"from": self.source.address, "to": f"{self.target.address}/mirror",
                "images": '["team/app:^1.0", "tool:* newest=1"]', **more}  # fmt: skip

    def test_mirrors_a_list_and_then_what_is_new(self):
        self.assertRegex(self.call("plan", **self.settings()), r"2 images copied")
        self.call("run", **self.settings())
        for name in ("team/app:1.0", "tool:2"):
            self.assert_same(name, f"mirror/{name}")
        self.assertEqual(self.target.digest("mirror/team/app", cosign_tag(APP)), SIGNATURE.digest)
        self.assertRegex(self.call("run", **self.settings()), r"changed=0 unchanged=1")
        self.source.push(NEW, "tool", "3")
        planned = self.call("plan", **self.settings(delete_extra="true"))
        self.assertRegex(planned, r"mirror/tool:2 +there -> ")
        self.assertRegex(self.call("run", **self.settings(delete_extra="true")), r"deleted = 1")
        self.assert_same("tool:3", "mirror/tool:3")
        self.assertIsNone(self.target.digest("mirror/tool", "2"))

    def test_takes_its_list_from_a_file(self):
        file = self.pipe.write("mirror.toml", f'from = "{self.source.address}"\nto = "{self.target.address}"\n'
                               'images = ["team/app:1.0", "tool:2"]\n')  # fmt: skip
        self.assertRegex(self.call("run", "--var-file", file), r"copied = 2")
        self.assert_same("tool:2")


class Airgap(MovingPipeline):
    """Out here, and in on another machine that has the other registry only."""

    def images(self, *names):
        return "[" + ", ".join(f'"{self.source.address}/{name}"' for name in names) + "]"

    def test_carries_all_that_belongs_to_the_images_in_one_file(self):
        archive = self.folder / "images.tar"
        out = {"images": self.images("team/app:1.*", "tool:2"), "folder": self.folder / "out", "archive": archive}
        self.assertRegex(self.call("run", file="airgap-export.toml", **out), r"added = 2")
        first = archive.read_bytes()
        again = self.call("run", file="airgap-export.toml", **out)
        self.assertRegex(again, r"added = 0")
        self.assertIn(f"--set to=REGISTRY --set folder={out['folder']} --set archive={archive}\n", again)
        self.assertEqual(archive.read_bytes(), first)
        self.source.stop()
        into = {"to": f"{self.target.address}/air", "folder": self.folder / "in", "archive": archive}
        there = self.other_pipe("over-there")
        self.assertRegex(self.call("run", file="airgap-import.toml", pipe=there, **into), r"copied = 2")
        self.assertEqual(raw(f"{self.target.address}/air/team/app:1.0"), APP.manifest)
        self.assertEqual(raw(f"{self.target.address}/air/tool:2"), TOOL.manifest)
        self.assertEqual(self.target.digest("air/team/app", cosign_tag(APP)), SIGNATURE.digest)
        self.assertRegex(self.call("run", file="airgap-import.toml", pipe=there, **into), r"copied = 0")

    def test_carries_a_folder_that_other_tools_read_and_that_grows(self):
        out = {"images": self.images("team/app:1.0"), "folder": self.folder / "out"}
        self.call("run", file="airgap-export.toml", **out)
        out["images"] = self.images("team/app:1.0", "tool:2")
        self.assertRegex(self.call("run", file="airgap-export.toml", **out), r"added = 1")
        name = f"oci:{self.folder}/out:{self.source.address}/tool:2"
        shown = subprocess.run(["skopeo", "inspect", "--raw", name], check=True, capture_output=True)
        self.assertEqual(shown.stdout, TOOL.manifest)
        into = {"to": self.target.address, "folder": self.folder / "out", "images": self.images("tool:2")}
        self.assertRegex(self.call("plan", file="airgap-import.toml", **into), r"1 image copied")
        self.call("run", file="airgap-import.toml", **into)
        self.assert_same("tool:2")
        self.assertIsNone(self.target.digest("team/app", "1.0"))


if __name__ == "__main__":
    unittest.main()
