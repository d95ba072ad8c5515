"""`sync` between registries: which tags are chosen, what it costs, what happens to what fails and what is extra."""

import json
import re
import shutil
import unittest

from artifacts import Artifact, ListingRegistry, cosign_tag, raw
from registries import Answer, FakeRegistry, Image, Index, Registry
from steps import StepTest

BASE = Image(sizes=(40000,), seed=70)
IMAGES = {tag: Image(sizes=(1000 + n,), seed=71 + n) for n, tag in enumerate(("1.0", "1.1", "1.10", "2.0-rc1", "edge"))}
INDEX = Index([Image(sizes=(700,), seed=90), Image(sizes=(800,), seed=91, architecture="arm64")])


class SyncTest(StepTest):
    """`source` and `target` are two of Debian's docker-registry, empty before each test."""

    def setUp(self):
        super().setUp()
        self.source, self.target = self.registry(), self.registry()

    def registry(self, kind=Registry, **options):
        registry = kind(**options)
        registry.__enter__()
        self.addCleanup(registry.__exit__, None, None, None)
        return registry

    def fill(self, repository="team/app", images=None):
        for tag, image in (images or IMAGES).items():
            self.source.push(image, repository, tag)
        self.forget()

    def forget(self):
        for registry in (self.source, self.target):
            registry.forget_requests()

    def params(self, *images, to="mirror", **params):
        place = f"{self.target.address}/{to}" if to else self.target.address
        return {"from": self.source.address, "to": place, "images": images, **params}

    def pipeline(self, images, delete_extra=False):
        return self.pipe.write(
            "p.toml",
            f'schema = 1\n[[step]]\nuses = "sync"\nwith.from = "{self.source.address}"\n'
            f'with.to = "{self.target.address}/mirror"\nwith.images = ["{images}"]\n'
            f"with.delete_extra = {str(delete_extra).lower()}\n",
        )

    def sync(self, *images, **params):
        outputs = self.step("sync", **self.params(*images, **params))
        outputs["report"] = json.loads(outputs["report"])
        return outputs

    def tags(self, repository="mirror/team/app"):
        status, _, body = self.target.request("GET", f"/v2/{repository}/tags/list")
        return sorted(json.loads(body)["tags"] or ()) if status == 200 else []

    def counts(self, outputs):
        return {key: outputs[key] for key in ("copied", "unchanged", "failed", "deleted")}


class Choice(SyncTest):
    def test_by_pattern_range_and_name(self):
        self.fill()
        for number, (entries, expected) in enumerate((
            (["team/app:1.*"], ["1.0", "1.1", "1.10"]),
            (["team/app:>=1.1 <2"], ["1.1", "1.10"]),
            (["team/app:>=1.1-0", "team/app:edge"], ["1.1", "1.10", "2.0-rc1", "edge"]),
            ([r"team/app:/^\d+\.0$/"], ["1.0"]),
            (["team/app:* newest=2"], ["1.10", "2.0-rc1"]),
            (["team/app:* exclude=*-rc* exclude=edge newest=1"], ["1.10"]),
        )):
            with self.subTest(entries):
                to = f"m{number}"
                outputs = self.sync(*entries, to=to)
                self.assertEqual(self.tags(f"{to}/team/app"), expected)
                self.assertEqual(outputs["copied"], len(expected))

    def test_filters_for_all(self):
        self.fill()
        self.sync("team/app:*", exclude=["*-rc*", "edge"], newest=2)
        self.assertEqual(self.tags(), ["1.1", "1.10"])

    def test_named_tags_need_no_list(self):
        self.fill()
        self.sync("team/app:1.0", "team/app:edge")
        self.assertEqual([p for _, p, _ in self.source.requests + self.target.requests if "tags/list" in p], [])
        self.assertEqual(self.tags(), ["1.0", "edge"])

    def test_under_another_name_and_by_digest(self):
        self.fill()
        self.sync("team/app:1.1 as=renamed", f"team/app:pinned@{IMAGES['1.0'].digest}")
        self.assertEqual(self.tags("mirror/renamed"), ["1.1"])
        self.assertEqual(self.target.digest("mirror/team/app", "pinned"), IMAGES["1.0"].digest)

    def test_from_several_registries_by_full_names(self):
        self.fill()
        other = self.registry()
        other.push(BASE, "base", "1")
        self.sync(f"{self.source.address}/team/app:1.0", f"{other.address}/base:1", **{"from": None})
        self.assertEqual((self.tags(), self.tags("mirror/base")), (["1.0"], ["1"]))

    def test_repositories_by_pattern(self):
        for repository in ("team/app", "team/web", "other/app"):
            self.fill(repository, {"1": BASE, "2": IMAGES["1.0"]})
        outputs = self.sync("team/*:1")
        self.assertEqual(outputs["copied"], 2)
        self.assertEqual((self.tags("mirror/team/app"), self.tags("mirror/team/web")), (["1"], ["1"]))
        self.assertEqual(self.tags("mirror/other/app"), [])
        self.assertEqual(self.counts(self.sync("*:*")), {"copied": 4, "unchanged": 2, "failed": 0, "deleted": 0})
        self.assertEqual(self.tags("mirror/other/app"), ["1", "2"])

    def test_repositories_by_pattern_below_a_path_and_in_a_folder(self):
        for repository in ("team/app", "team/web", "teams/app"):
            self.fill(repository, {"1": BASE})
        self.sync("*:1", **{"from": f"{self.source.address}/team"})
        self.assertEqual((self.tags("mirror/app"), self.tags("mirror/web")), (["1"], ["1"]))
        folder = f"oci:{self.folder / 'images'}"
        self.step("sync", **{"from": self.source.address, "to": folder, "images": ["team*/app:1"]})
        outputs = self.step("sync", **{"from": folder, "to": f"{self.target.address}/back", "images": ["*/teams/*:*"]})
        self.assertEqual(outputs["copied"], 1)

    def test_repositories_by_pattern_where_registries_conf_has_them(self):
        for repository in ("real/team/app", "other/team/app"):
            self.fill(repository, {"1": BASE})
        self.pipe.write("home/.config/containers/registries.conf",
                        f'[[registry]]\nprefix = "example.com"\nlocation = "{self.source.address}/real"\n')  # fmt: skip
        outputs = self.sync("team/*:*", **{"from": "example.com"})
        self.assertEqual([(i["from"], i["digest"]) for i in outputs["report"]], [("example.com/team/app:1", BASE.digest)])

    def test_says_where_no_repository_or_no_catalog_is_there(self):
        self.fill()
        said = self.pipe.try_step("sync", **self.params("nothing/*:1"))
        self.assertEqual(said.code, 0, said)
        self.assertRegex(said.err, r"no repository of \S+ is named nothing/\*")
        bare = self.registry(FakeRegistry)
        self.failure("sync", rf"can't list the repositories of {bare.address}", r"name the repositories",
                     **self.params("team/*:1", **{"from": bare.address}))  # fmt: skip
        self.failure("sync", r"a pattern for repositories needs one registry", **self.params("team/*:1", **{"from": None}))

    def test_says_that_nothing_is_selected(self):
        self.fill()
        said = self.pipe.try_step("sync", **self.params("team/app:9.*"))
        self.assertEqual(said.code, 0, said)
        self.assertRegex(said.out + said.err, r"no tag of .*team/app is selected")

    def test_refuses_what_it_does_not_understand(self):
        for entries, said in (
            (["team/app:[a"], r"neither a tag nor a pattern"),
            (["team/app:* newst=3"], r'no option \W*"newst'),
            (["a:1 as=x", "b:1 as=x"], r"would both be"),
            (["team/*:1 as=x"], r"as=REPOSITORY go with one repository"),
            ([], r"`images` is empty"),
        ):
            with self.subTest(entries):
                self.failure("sync", said, **self.params(*entries))

    def test_takes_a_list_from_a_variable_of_a_pipeline(self):
        self.fill()
        pipeline = self.pipe.write(
            "p.toml",
            'schema = 1\n[vars.images]\ntype = "list<string>"\n[[step]]\nuses = "sync"\n'
            f'with.from = "{self.source.address}"\nwith.to = "{self.target.address}/mirror"\n'
            'with.images = "${vars.images}"\n',
        )
        self.said("run", pipeline, "--set", 'images=["team/app:1.0", "team/app:>=1.1 <2"]')
        self.assertEqual(self.tags(), ["1.0", "1.1", "1.10"])


class Logins(SyncTest):
    def test_one_for_each_side(self):
        source = self.registry(tls=True, users={"me": "s3cret"})
        target = self.registry(tls=True, users={"you": "other"})
        source.push(BASE, "team/app", "1")
        words = {"from": source.address, "to": target.address, "images": "team/*:*", "delete_extra": True,
                 "from_ca_file": source.ca_file, "to_ca_file": target.ca_file}  # fmt: skip
        reading = {"from_username": "me", "from_password_file": self.pipe.write("mine", "s3cret\n")}
        writing = {"to_username": "you", "to_password_file": self.pipe.write("yours", "other\n")}
        self.failure("sync", r"wants a login", **words, **reading)
        self.assertEqual(self.step("sync", **words, **reading, **writing)["copied"], 1)
        self.assertEqual(target.digest("team/app", "1"), BASE.digest)
        source.request("DELETE", f"/v2/team/app/manifests/{BASE.digest}")
        source.push(IMAGES["1.0"], "team/app", "2")
        self.assertEqual(self.step("sync", **words, **reading, **writing)["deleted"], 1)

    def test_of_the_source_goes_to_no_other_registry(self):
        login = {"from_username": "me", "from_password_file": self.pipe.write("mine", "s3cret\n")}
        self.failure("sync", r"from_username is for one registry", to=self.target.address,
                     images=[f"{self.source.address}/a:1"], **login)  # fmt: skip


class Cost(SyncTest):
    def test_an_unchanged_tag_costs_one_request_at_each_side(self):
        self.fill()
        names = [f"team/app:{tag}" for tag in IMAGES]
        self.sync(*names)
        self.forget()
        outputs = self.sync(*names)
        for registry in (self.source, self.target):
            self.assertEqual([m for m, _, _ in registry.requests], ["HEAD"] * len(IMAGES))
        self.assertEqual(self.counts(outputs), {"copied": 0, "unchanged": 5, "failed": 0, "deleted": 0})
        self.assertEqual(outputs["requests"], 2 * len(IMAGES))

    def test_a_shared_blob_moves_once_and_is_mounted_elsewhere(self):
        for repository in ("a", "b", "c"):
            self.source.push(BASE, repository, "1")
        self.forget()
        outputs = self.sync("a:1", "b:1", "c:1")
        blobs = len(BASE.blobs)
        self.assertEqual((outputs["moved"], outputs["mounted"], outputs["bytes"]), (blobs, 2 * blobs, BASE.size))
        gets = [p for m, p, _ in self.source.requests if m == "GET" and "/blobs/" in p]
        self.assertEqual(len(gets), blobs)
        puts = [p for m, p, _ in self.target.requests if m == "PUT" and "/blobs/" in p]
        self.assertEqual(len(puts), blobs)
        for repository in ("a", "b", "c"):
            self.assertEqual(raw(f"{self.target.address}/mirror/{repository}:1"), BASE.manifest)

    def test_a_missing_blob_costs_three_requests_at_the_target(self):
        self.fill(images={"1": BASE})
        self.sync("team/app:1")
        asked = [m for m, _, _ in self.target.requests]
        blobs = len(BASE.blobs)
        self.assertEqual(sorted(asked), sorted(["HEAD"] + ["HEAD", "POST", "PUT"] * blobs + ["PUT"]))

    def test_a_second_run_copies_what_is_new(self):
        self.fill()
        self.sync("team/app:*")
        self.source.push(BASE, "team/app", "1.11")
        self.source.push(BASE, "team/app", "edge")
        outputs = self.sync("team/app:*")
        self.assertEqual(self.counts(outputs), {"copied": 2, "unchanged": 4, "failed": 0, "deleted": 0})
        self.assertEqual(self.target.digest("mirror/team/app", "edge"), BASE.digest)


class Everything(SyncTest):
    def test_indexes_and_what_belongs_to_them(self):
        self.source.push(INDEX, "app", "1")
        signature = Artifact("application/vnd.oci.image.config.v1+json", b"signature")
        self.source.push(signature, "app", cosign_tag(INDEX))
        outputs = self.sync("app:*")
        self.assertEqual(outputs["copied"], 1)
        self.assertEqual(raw(f"{self.target.address}/mirror/app:1"), INDEX.manifest)
        self.assertEqual(self.target.digest("mirror/app", cosign_tag(INDEX)), signature.digest)

    def test_some_platforms(self):
        self.source.push(INDEX, "app", "1")
        arm = INDEX.children[1]
        outputs = self.sync("app:1", platform="linux/arm64")
        self.assertEqual(outputs["report"][0]["digest"], arm.digest)
        self.assertEqual(self.target.digest("mirror/app", "1"), arm.digest)

    def test_reports_each_image(self):
        self.fill(images={"1.0": IMAGES["1.0"]})
        outputs = self.sync("team/app:1.0")
        self.assertEqual(outputs["report"], [
            {"from": f"{self.source.address}/team/app:1.0", "to": f"{self.target.address}/mirror/team/app:1.0",
             "state": "copied", "digest": IMAGES["1.0"].digest, "bytes": IMAGES["1.0"].size}])  # fmt: skip

    def test_out_to_a_folder_and_in_again(self):
        self.source.push(INDEX, "app", "1")
        self.fill()
        names = [f"{self.source.address}/app:1", f"{self.source.address}/team/app:1.*"]
        out = {"to": f"oci:{self.folder}/air", "images": names}
        self.assertEqual(self.step("sync", **out)["copied"], 4)
        self.assertEqual(self.step("sync", **out)["unchanged"], 4)
        back = {"from": f"oci:{self.folder}/air", "to": f"{self.target.address}/in"}
        self.assertEqual(self.step("sync", **back)["copied"], 4)
        self.assertEqual(self.tags("in/team/app"), ["1.0", "1.1", "1.10"])
        self.assertEqual(raw(f"{self.target.address}/in/app:1"), INDEX.manifest)
        chosen = {**back, "to": f"{self.target.address}/some", "images": [f"{self.source.address}/team/app:1.1*"]}
        self.step("sync", **chosen)
        self.assertEqual(self.tags("some/team/app"), ["1.1", "1.10"])
        self.failure("sync", r"no folder with images", **{**back, "from": f"oci:{self.folder}/nothing"})


class Failures(SyncTest):
    def test_the_rest_goes_on_and_what_failed_is_named(self):
        self.fill()
        result = self.pipe.try_step("sync", **self.params("team/app:1.0", "team/app:gone", "nobody/app:1.*", "team/app:1.1"))
        self.assertEqual(result.code, 1, result)
        self.assertEqual(self.tags(), ["1.0", "1.1"])
        self.assertRegex(result.err, r"2 of 4 images failed; the others are done")
        for name in (r"mirror/team/app:gone: .* does not exist", r"mirror/nobody/app: "):
            self.assertRegex(result.err.rpartition("the others are done")[2], name)

    def test_a_blob_that_is_damaged_fails_its_image_alone(self):
        source = self.registry(FakeRegistry)
        for tag in ("1.0", "1.1"):
            source.add(IMAGES[tag], "app", tag)
        layer = IMAGES["1.0"].layers[0]["digest"]
        source.blobs["app"][layer] = b"x" * len(source.blobs["app"][layer])
        self.failure("sync", r"1 of 2 images failed.*app:1\.0", **self.params("app:1.*", **{"from": source.address}))
        self.assertEqual(self.tags("mirror/app"), ["1.1"])

    def test_is_tried_again_where_only_the_network_is_to_blame(self):
        source = self.registry(FakeRegistry, fault=lambda r: Answer(503) if r.path.endswith("/1.0") else None)
        source.add(IMAGES["1.0"], "app", "1.0")
        result = self.pipe.run(["run", self.pipe.write("p.toml", f'''
schema = 1
[[step]]
uses = "sync"
retry = {{ attempts = 2, delay = "10ms" }}
with.from = "{source.address}"
with.to = "{self.target.address}"
with.images = ["app:1.0"]
''')])  # fmt: skip
        self.assertEqual(result.code, 1, result)
        self.assertRegex(result.out + result.err, r"retried=1")


class Extras(SyncTest):
    def given_extras(self):
        """The source has lost 1.0 and edge; nobody here speaks of `other`."""
        self.fill()
        self.sync("team/app:*")
        self.target.push(BASE, "mirror/team/app", "0.9")
        for tag in ("1.0", "edge"):
            digest = IMAGES[tag].digest
            self.source.request("DELETE", f"/v2/team/app/manifests/{digest}")

    def test_stay_unless_asked(self):
        self.given_extras()
        self.sync("team/app:*")
        self.assertIn("1.0", self.tags())

    def test_are_planned_and_deleted_where_a_pattern_governs_them(self):
        self.given_extras()
        pipeline = self.pipeline("team/app:1.*", delete_extra=True)
        planned = self.said("plan", pipeline)
        self.assertRegex(planned, r"mirror/team/app:1\.0 +there -> ")
        self.assertRegex(planned, r"1 tag to be deleted")
        self.assertIn("1.0", self.tags())
        self.assertRegex(self.said("run", pipeline), r"1 tag deleted")
        self.assertEqual(self.tags(), ["0.9", "1.1", "1.10", "2.0-rc1", "edge"])
        self.assertRegex(self.said("run", pipeline), r"changed=0 unchanged=1")

    def test_what_is_no_longer_among_the_newest_is_extra(self):
        self.fill()
        self.sync("team/app:1.*")
        outputs = self.sync("team/app:1.* newest=2", delete_extra=True)
        self.assertEqual((outputs["deleted"], self.tags()), (1, ["1.1", "1.10"]))

    def test_more_than_the_ceiling_are_all_kept(self):
        self.given_extras()
        self.source.push(BASE, "team/app", "1.12")
        said = self.failure("sync", r"3 tags would be deleted, more than delete_max = 2: nothing is", r"raise delete_max",
                            **self.params("team/app:*", delete_extra=True, delete_max=2))  # fmt: skip
        for tag in ("0.9", "1.0", "edge"):
            self.assertRegex(said, rf"mirror/team/app:{re.escape(tag)}")
        self.assertEqual(self.tags(), ["0.9", "1.0", "1.1", "1.10", "1.12", "2.0-rc1", "edge"])

    def test_nothing_is_deleted_where_something_failed(self):
        self.given_extras()
        self.failure("sync", r"1 of \d+ images failed", **self.params("team/app:*", "team/app:gone", delete_extra=True))
        self.assertIn("1.0", self.tags())

    def test_of_a_source_that_is_away_nothing_is_deleted(self):
        self.given_extras()
        self.source.stop()
        self.failure("sync", r"sync: 1 image failed", **self.params("team/app:*", delete_extra=True))
        self.assertIn("1.0", self.tags())

    def test_what_another_tag_needs_stays_where_tags_are_not_deleted_alone(self):
        self.source.push(INDEX, "app", "1")
        self.sync("app:*")
        arm = INDEX.children[1]
        self.target.push(arm, "mirror/app", "arm")  # an entry of the index
        self.target.push(BASE, "mirror/app", "old")
        self.target.push(BASE, "mirror/app", "older")
        outputs = self.sync("app:*", delete_extra=True)
        self.assertEqual((outputs["deleted"], self.tags("mirror/app")), (2, ["1", "arm"]))
        self.assertEqual(raw(f"{self.target.address}/mirror/app@{arm.digest}"), arm.manifest)

    def test_tags_alone_where_the_registry_deletes_them(self):
        target = self.registry(ListingRegistry)
        self.fill(images={"1": BASE})
        target.add(BASE, "team/app", "2")
        place = {"to": target.address}
        outputs = self.step("sync", **{**self.params("team/app:*", delete_extra=True), **place})
        self.assertEqual(outputs["deleted"], 1)
        self.assertEqual(sorted(n for n in target.manifests["team/app"] if ":" not in n), ["1"])
        self.assertIn(BASE.digest, target.manifests["team/app"])

    def signed(self, image, tag):
        """At the target as `tag`, with a signature."""
        self.target.push(image, "mirror/app", tag)
        signature = Artifact("application/vnd.oci.image.config.v1+json", tag.encode())
        self.target.push(signature, "mirror/app", cosign_tag(image))
        return cosign_tag(image)

    def test_signatures_go_with_their_image_and_stay_with_one_that_stays(self):
        self.source.push(BASE, "app", "1")
        gone, stays = self.signed(IMAGES["1.0"], "old"), self.signed(IMAGES["1.1"], "2")
        again = self.signed(IMAGES["edge"], "other")
        self.target.push(IMAGES["edge"], "mirror/app", "x-same")
        outputs = self.sync("app:1", "app:o*", delete_extra=True, delete_max=2)
        self.assertEqual(self.tags("mirror/app"), sorted(["1", "2", "other", "x-same", stays, again]))
        self.assertNotIn(gone, self.tags("mirror/app"))
        self.assertEqual(outputs["deleted"], 2)

    def test_are_deleted_where_registries_conf_has_the_images_written(self):
        self.fill(images={"1.1": BASE})
        self.pipe.write("home/.config/containers/registries.conf",
                        f'[[registry]]\nprefix = "example.com/mirror"\nlocation = "{self.target.address}/moved"\n')  # fmt: skip
        self.target.push(IMAGES["1.0"], "moved/team/app", "1.0")
        outputs = self.step("sync", **{"from": self.source.address, "to": "example.com/mirror",
                                       "images": ["team/app:1.*"], "delete_extra": True})  # fmt: skip
        self.assertEqual((outputs["copied"], outputs["deleted"]), (1, 1))
        self.assertEqual(self.tags("moved/team/app"), ["1.1"])

    def test_signatures_are_not_extra(self):
        self.source.push(INDEX, "app", "1")
        signature = Artifact("application/vnd.oci.image.config.v1+json", b"signature")
        self.target.push(signature, "mirror/app", cosign_tag(INDEX))
        outputs = self.sync("app:*", delete_extra=True)
        self.assertEqual(outputs["deleted"], 0)
        self.assertEqual(self.target.digest("mirror/app", cosign_tag(INDEX)), signature.digest)


class LostRepositories(SyncTest):
    """What the source has lost as a whole: `team/web`, where `team/app` is still there."""

    def setUp(self):
        super().setUp()
        for repository in ("team/app", "team/web", "other/app"):
            self.source.push(BASE, repository, "1.0")
            self.source.push(IMAGES["1.1"], repository, "1.1")

    def lose(self, *repositories):
        for repository in repositories:
            shutil.rmtree(self.source.data / "docker/registry/v2/repositories" / repository)

    def test_is_planned_and_deleted_where_a_pattern_governs_it(self):
        self.sync("*:*")
        self.target.push(BASE, "mirror/team/web", "edge")
        self.target.push(BASE, "elsewhere/team/web", "1.0")
        signature = Artifact("application/vnd.oci.image.config.v1+json", b"signature")
        self.target.push(signature, "mirror/team/web", cosign_tag(IMAGES["1.1"]))
        self.lose("team/web", "other/app")
        pipeline = self.pipeline("team/*:1.*", delete_extra=True)
        planned = self.said("plan", pipeline)
        self.assertRegex(planned, r"mirror/team/web:1\.1 +there -> ")
        self.assertRegex(planned, r"3 tags to be deleted")  # with the signature
        self.assertIn("1.0", self.tags("mirror/team/web"))
        self.assertRegex(self.said("run", pipeline), r"2 tags deleted")  # `edge` is the same image as 1.0
        self.assertEqual(self.tags("mirror/team/web"), ["1.0", "edge"])
        for repository in ("mirror/team/app", "mirror/other/app"):
            self.assertEqual(self.tags(repository), ["1.0", "1.1"])
        self.assertEqual(self.tags("elsewhere/team/web"), ["1.0"])

    def test_stays_unless_asked_and_where_the_pattern_names_a_tag(self):
        self.sync("*:*")
        self.lose("team/web")
        self.sync("*:*")
        self.sync("team/*:1.0", delete_extra=True)
        self.assertEqual(self.tags("mirror/team/web"), ["1.0", "1.1"])

    def test_counts_for_the_ceiling(self):
        self.sync("*:*")
        self.lose("team/web")
        self.failure("sync", r"2 tags would be deleted, more than delete_max = 1.*mirror/team/web:1\.0.*mirror/team/web:1\.1",
                     **self.params("*:*", delete_extra=True, delete_max=1))  # fmt: skip
        self.assertEqual(self.tags("mirror/team/web"), ["1.0", "1.1"])
        self.assertEqual(self.sync("*:* newest=1", delete_extra=True, delete_max=4)["deleted"], 4)
        self.assertEqual(self.tags("mirror/team/web"), [])
        self.assertEqual(self.tags("mirror/team/app"), ["1.1"])
        self.assertEqual(self.sync("*:* newest=1", delete_extra=True)["deleted"], 0)

    def test_stays_where_the_source_has_no_repository_of_the_pattern(self):
        self.sync("*:*")
        self.lose("team/web", "team/app")
        said = self.pipe.try_step("sync", **self.params("team/*:*", "other/*:*", delete_extra=True))
        self.assertEqual(said.code, 0, said)
        self.assertRegex(said.err, r"no repository of \S+ is named team/\*; nothing is deleted for it")
        self.assertEqual(self.tags("mirror/team/app"), ["1.0", "1.1"])
        folder = f"oci:{self.folder / 'images'}"
        self.step("sync", **{"from": self.target.address, "to": folder, "images": ["*:*"]})
        self.step("sync", **{"from": self.target.address, "to": folder, "images": ["nothing/*:*"], "delete_extra": True})
        self.assertEqual(self.step("sync", **{"from": folder, "to": f"{self.target.address}/back"})["copied"], 6)

    def test_stays_where_the_source_has_it_and_does_not_list_it(self):
        def hide(request):
            return Answer(200, '{"repositories":["team/app"]}') if request.path == "/v2/_catalog" else None

        source = self.registry(FakeRegistry, fault=hide)
        for repository in ("team/app", "team/web"):
            source.add(BASE, repository, "1")
        there = {"from": source.address}
        self.sync("team/web:1", **there)
        said = self.pipe.try_step("sync", **self.params("team/*:*", delete_extra=True, **there))
        self.assertEqual(said.code, 0, said)
        self.assertRegex(said.err, r"team/web is there, and \S+ does not list it: \S+mirror/team/web stays as it is")
        self.assertEqual(self.tags("mirror/team/web"), ["1"])
        source.manifests["team/web"].clear()
        self.assertEqual(self.sync("team/*:*", delete_extra=True, **there)["deleted"], 1)

    def test_stays_where_the_target_lists_no_repositories(self):
        target = self.registry(FakeRegistry)
        target.add(BASE, "team/web", "1.0")
        self.lose("team/web")
        said = self.pipe.try_step("sync", **{**self.params("team/*:*", delete_extra=True), "to": target.address})
        self.assertEqual(said.code, 0, said)
        self.assertRegex(said.err, r"can't list the repositories of \S+: 404; repositories that \S+ has no more stay there")
        self.assertIn("1.0", target.manifests["team/web"])

    def test_is_not_what_another_entry_brings(self):
        self.source.push(BASE, "base", "1")
        outputs = self.sync("team/*:*", "base:* as=team/base", delete_extra=True)
        self.assertEqual(outputs["copied"], 5)
        outputs = self.sync("team/*:*", "base:* as=team/base", delete_extra=True)
        self.assertEqual((outputs["deleted"], self.tags("mirror/team/base")), (0, ["1"]))

    def test_is_deleted_where_registries_conf_has_the_images_written(self):
        self.pipe.write("home/.config/containers/registries.conf",
                        f'[[registry]]\nprefix = "example.com/mirror"\nlocation = "{self.target.address}/moved"\n')  # fmt: skip
        words = {**self.params("team/*:*", delete_extra=True), "to": "example.com/mirror"}
        self.step("sync", **words)
        self.target.push(BASE, "team/web", "1.0")
        self.lose("team/web")
        self.assertEqual(self.step("sync", **words)["deleted"], 2)
        self.assertEqual((self.tags("moved/team/web"), self.tags("team/web")), ([], ["1.0"]))


class Plan(SyncTest):
    def test_says_what_would_move_and_changes_nothing(self):
        self.fill()
        self.target.push(IMAGES["1.0"], "mirror/team/app", "1.0")
        self.target.push(BASE, "mirror/team/app", "1.1")
        pipeline = self.pipeline("team/app:1.*")
        self.forget()
        planned = self.said("plan", pipeline)
        self.assertRegex(planned, r"2 images copied \([\d.]+ kB in 4 blobs, 0 mounted, 0 there already\), 1 unchanged")
        self.assertRegex(planned, rf"team/app:1\.1 +{BASE.digest} -> {IMAGES['1.1'].digest}")
        for registry in (self.source, self.target):
            self.assertLessEqual({m for m, _, _ in registry.requests}, {"HEAD", "GET"})
        self.said("run", pipeline)
        self.assertEqual(self.pipe.run(["plan", "--exit-code", pipeline]).code, 0)


if __name__ == "__main__":
    unittest.main()
