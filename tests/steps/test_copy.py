"""`copy` between registries of both kinds, files and skopeo as the one who compares."""

import hashlib
import json
import subprocess
import unittest

from artifacts import Artifact, ListingRegistry, RawIndex, cosign_tag, descriptor_of, fallback_tag, raw
from layouts import write_layout
from registries import Answer, FakeRegistry, Image, Index, Registry, Scripted, TokenServer, digest_of
from steps import StepTest

APP = Image(sizes=(2000, 30000, 100), seed=61)
ARM = Image(sizes=(2500,), seed=62, architecture="arm64")
OLD = Image(sizes=(1500,), seed=63, docker=True)
INDEX = Index([APP, ARM])
SIGNATURE = Artifact("application/vnd.dev.cosign.artifact.sig.v1+json", b"signed", subject=INDEX)
SBOM = Artifact("application/spdx+json", b'{"spdx":1}', subject=APP)
PROOF = Artifact("application/vnd.example.proof", b"of the SBOM", subject=SBOM)

# As buildx makes them: the attestation of each image is an entry of the index.
PROVENANCE = Artifact("application/vnd.in-toto+json", b'{"predicate":1}')
ATTESTED = RawIndex(
    [
        descriptor_of(APP, platform=APP.platform),
        descriptor_of(ARM, platform=ARM.platform),
        descriptor_of(PROVENANCE, platform={"os": "unknown", "architecture": "unknown"},
                      annotations={"vnd.docker.reference.type": "attestation-manifest",
                                   "vnd.docker.reference.digest": APP.digest}),
    ],
    [APP, ARM, PROVENANCE],
)  # fmt: skip


class CopyTest(StepTest):
    """`source` and `target` are two of Debian's docker-registry."""

    @classmethod
    def setUpClass(cls):
        cls.source, cls.target = Registry().start(), Registry().start()
        for registry in (cls.source, cls.target):
            cls.addClassCleanup(registry.__exit__)

    def setUp(self):
        super().setUp()
        self.repository = self.id().rpartition(".")[2].lower().replace("_", "-")[:100]
        self.at = f"{self.source.address}/{self.repository}:1"
        self.to = f"{self.target.address}/{self.repository}:1"

    def given(self, image, tag="1"):
        self.source.push(image, self.repository, tag)
        for registry in (self.source, self.target):
            registry.forget_requests()

    def there(self, reference="1"):
        return self.target.digest(self.repository, reference)

    def copy(self, **params):
        return self.step("copy", **{"from": self.at, "to": self.to, **params})

    def assert_same_at_both_sides(self):
        self.assertEqual(raw(self.at), raw(self.to))


class Requests(CopyTest):
    def test_a_missing_blob_costs_three_requests_at_the_target(self):
        self.given(APP)
        outputs = self.copy()
        blobs = len(APP.blobs)
        asked = [method for method, _, _ in self.target.requests]
        self.assertEqual(sorted(asked), sorted(["HEAD"] + ["HEAD", "POST", "PUT"] * blobs + ["PUT"]))
        self.assertEqual(asked[0], "HEAD")
        self.assertEqual((outputs["bytes"], outputs["moved"], outputs["skipped"]), (APP.size, blobs, 0))
        self.assertEqual(outputs["requests"], len(self.source.requests) + len(asked))
        self.assertEqual(outputs["retries"], 0)

    def test_an_unchanged_tag_costs_one_request_at_each_side(self):
        self.given(ATTESTED)
        self.copy()
        for registry in (self.source, self.target):
            registry.forget_requests()
        outputs = self.copy()
        for registry in (self.source, self.target):
            self.assertEqual([(m, s) for m, _, s in registry.requests], [("HEAD", 200)])
        self.assertEqual((outputs["digest"], outputs["bytes"], outputs["requests"]), (ATTESTED.digest, 0, 2))

    def test_what_is_there_is_not_read_at_the_source(self):
        self.given(APP)
        self.target.push(APP, self.repository, "old")
        outputs = self.copy()
        self.assertEqual((outputs["bytes"], outputs["skipped"]), (0, len(APP.blobs)))
        self.assertEqual([p for m, p, _ in self.source.requests if "/blobs/" in p], [])

    def test_mounts_within_one_registry(self):
        self.given(APP)
        outputs = self.copy(to=f"{self.source.address}/{self.repository}/copy:1")
        self.assertEqual((outputs["bytes"], outputs["mounted"]), (0, len(APP.blobs)))
        self.assertEqual(self.source.digest(f"{self.repository}/copy", "1"), APP.digest)

    def test_sends_where_a_mount_is_refused(self):
        for status in (400, 401, 403, 404, 405):
            with self.subTest(status):
                with FakeRegistry(fault=lambda r, s=status: Answer(s) if "mount" in r.query else None) as registry:
                    registry.add(APP, "app", "1")
                    outputs = self.copy(**{"from": f"{registry.address}/app:1", "to": f"{registry.address}/other:1"})
                    self.assertEqual((outputs["moved"], outputs["mounted"]), (len(APP.blobs), 0))
                    self.assertEqual(registry.blobs["other"], APP.blobs)


class Everything(CopyTest):
    def test_an_image(self):
        self.given(APP)
        outputs = self.copy()
        self.assertEqual((outputs["image"], outputs["digest"]), (self.to, APP.digest))
        self.assert_same_at_both_sides()

    def test_an_image_of_docker_schema_2(self):
        self.given(OLD)
        self.assertEqual(self.copy()["digest"], OLD.digest)
        self.assert_same_at_both_sides()

    def test_an_index_with_attestations(self):
        self.given(ATTESTED)
        self.assertEqual(self.copy()["digest"], ATTESTED.digest)
        self.assert_same_at_both_sides()
        for child in ATTESTED.children:
            self.assertEqual(self.there(child.digest), child.digest)
        puts = [path.rpartition("/")[2] for method, path, _ in self.target.requests
                if method == "PUT" and "/manifests/" in path]  # fmt: skip
        self.assertEqual(puts[-1], "1")

    def test_an_artifact_without_layers_and_one_of_any_type(self):
        for tag, artifact in (("1", Artifact("application/vnd.example.nothing")), ("2", SBOM)):
            self.given(artifact, tag)
            to = f"{self.target.address}/{self.repository}:{tag}"
            outputs = self.copy(**{"from": f"{self.source.address}/{self.repository}:{tag}", "to": to})
            self.assertEqual(outputs["digest"], artifact.digest)
            self.assertEqual(raw(to), artifact.manifest)

    def test_layers_of_any_compression(self):
        zstd = Artifact("application/vnd.example", b"(\xb5/\xfd\x00", media_type="application/vnd.oci.image.layer.v1.tar+zstd")
        self.given(zstd)
        self.copy()
        self.assert_same_at_both_sides()

    def test_says_that_an_image_is_for_another_platform(self):
        self.given(APP)
        for to in (self.to, f"oci:{self.folder}/x:1", f"oci-archive:{self.folder}/x.tar"):
            said = self.pipe.try_step("copy", **{"from": self.at, "to": to, "platform": "linux/arm64"})
            self.assertEqual(said.code, 0, said)
            self.assertRegex(said.err, r"warning: \S+ is made for linux/amd64 only, not for linux/arm64")
        said = self.pipe.try_step("copy", **{"from": self.at, "to": f"{self.to}-again", "platform": "linux/amd64"})
        self.assertNotIn("made for", said.err)

    def test_blobs_of_sha512_and_without_a_byte(self):
        payload = b"content" * 1000
        digest = "sha512:" + hashlib.sha512(payload).hexdigest()
        odd = Artifact("application/vnd.example", b"")
        manifest = json.loads(odd.manifest)
        manifest["layers"].append({"mediaType": "application/octet-stream", "digest": digest, "size": len(payload)})
        odd.blobs[digest], odd.manifest = payload, json.dumps(manifest).encode()
        odd.digest = digest_of(odd.manifest)
        self.step("copy", **{"from": f"oci:{write_layout(self.folder / 'odd', x=odd)}", "to": self.at})
        self.assertEqual((self.copy()["digest"], raw(self.to)), (odd.digest, odd.manifest))
        self.assertEqual(self.copy(to=f"oci:{self.folder}/back:x")["moved"], 3)
        self.assertEqual((self.folder / "back/blobs" / digest.replace(":", "/")).read_bytes(), payload)

    def test_an_image_of_sha512_is_not_given_another_digest(self):
        odd = Artifact("application/vnd.example", b"content")
        odd.digest = "sha512:" + hashlib.sha512(odd.manifest).hexdigest()
        self.failure("copy", r"was sent as sha512:\w+, and the registry calls it sha256:", r"by another digest",
                     **{"from": f"oci:{write_layout(self.folder / 'odd', x=odd)}", "to": self.to})  # fmt: skip

    def test_by_digest_to_a_tag_and_by_digest_to_a_digest(self):
        self.given(APP)
        self.given(ARM)  # the tag has moved on
        outputs = self.copy(**{"from": f"{self.at.rpartition(':')[0]}@{APP.digest}"})
        self.assertEqual((outputs["digest"], self.there()), (APP.digest, APP.digest))
        outputs = self.copy(**{"from": f"{self.at}@{ARM.digest}", "to": f"{self.to.rpartition(':')[0]}@{ARM.digest}"})
        self.assertEqual(self.there(ARM.digest), ARM.digest)
        other = f"{self.to.rpartition(':')[0]}@sha256:{'1' * 64}"
        self.failure("copy", rf"{ARM.digest}", **{"from": self.at, "to": other})

    def test_replaces_what_the_tag_was(self):
        self.given(APP)
        self.target.push(ARM, self.repository, "1")
        self.copy()
        self.assertEqual(self.there(), APP.digest)

    def test_says_that_there_is_no_such_image(self):
        self.failure("copy", rf"{self.at} does not exist", r"check repository and tag", **{"from": self.at, "to": self.to})
        self.assertIsNone(self.there())


class Platforms(CopyTest):
    def test_several_in_an_index_of_their_own_with_their_attestations(self):
        third = Image(sizes=(300,), seed=64, architecture="s390x")
        descriptors = json.loads(ATTESTED.manifest)["manifests"]
        wide = RawIndex([descriptor_of(third, platform=third.platform), *descriptors], [third, *ATTESTED.children])
        self.given(wide)
        outputs = self.copy(platform=["linux/amd64", "linux/arm64"])
        index = json.loads(raw(self.to))
        self.assertEqual(self.there(), outputs["digest"])
        self.assertNotEqual(outputs["digest"], wide.digest)
        self.assertEqual(index["manifests"], descriptors)
        self.assertIsNone(self.there(third.digest))
        self.assertEqual(self.copy(platform=["linux/amd64", "linux/arm64"])["bytes"], 0)

    def test_one(self):
        self.given(INDEX)
        outputs = self.copy(platform="linux/arm64")
        self.assertEqual((outputs["digest"], self.there()), (ARM.digest, ARM.digest))
        self.assertIsNone(self.there(APP.digest))

    def test_one_that_there_is_not(self):
        self.given(INDEX)
        self.failure("copy", r"linux/riscv64", r"linux/amd64", **{"from": self.at, "to": self.to, "platform": "linux/riscv64"})


class Referrers(CopyTest):
    """Real registries list no referrers: fallback tags, and cosign's."""

    def sign(self):
        self.given(INDEX)
        cosigned = Artifact("application/vnd.oci.image.config.v1+json", b"signature")
        self.source.push(cosigned, self.repository, cosign_tag(INDEX))
        self.source.push(cosigned, self.repository, cosign_tag(APP, "att"))
        self.source.push(SIGNATURE, self.repository)
        self.source.push(SBOM, self.repository)
        for subject, artifact in ((INDEX, SIGNATURE), (APP, SBOM)):
            self.source.push(RawIndex([descriptor_of(artifact, artifactType=artifact.kind)]), self.repository,
                             fallback_tag(subject))  # fmt: skip
        self.cosigned = cosigned

    def test_come_along(self):
        self.sign()
        self.copy()
        self.assertEqual(self.there(), INDEX.digest)
        self.assertEqual(self.there(cosign_tag(INDEX)), self.cosigned.digest)
        self.assertEqual(self.there(cosign_tag(APP, "att")), self.cosigned.digest)
        for subject, artifact in ((INDEX, SIGNATURE), (APP, SBOM)):
            self.assertEqual(self.there(artifact.digest), artifact.digest)
            listed = json.loads(raw(f"{self.target.address}/{self.repository}:{fallback_tag(subject)}"))["manifests"]
            self.assertEqual([entry["digest"] for entry in listed], [artifact.digest])

    def test_the_fallback_tag_arrives_as_it_is_unless_the_target_has_more(self):
        self.sign()
        self.copy()
        for subject in (INDEX, APP):
            name = f"{self.repository}:{fallback_tag(subject)}"
            self.assertEqual(raw(f"{self.target.address}/{name}"), raw(f"{self.source.address}/{name}"))
        other = Artifact("application/spdx+json", b"of the target", subject=INDEX)
        self.target.push(RawIndex([descriptor_of(other)], [other]), self.repository, fallback_tag(INDEX))
        self.copy(referrers="always")
        listed = json.loads(raw(f"{self.target.address}/{self.repository}:{fallback_tag(INDEX)}"))["manifests"]
        self.assertEqual([d["digest"] for d in listed], [other.digest, SIGNATURE.digest])
        both = RawIndex([descriptor_of(SIGNATURE, annotations={"now": "signed"}), descriptor_of(other)], [other])
        self.source.push(both, self.repository, fallback_tag(INDEX))
        self.copy(referrers="always")
        self.assertEqual(self.there(fallback_tag(INDEX)), both.digest)

    def test_stay_where_they_are_if_asked(self):
        self.sign()
        self.copy(referrers=False)
        self.assertEqual(self.there(), INDEX.digest)
        self.assertEqual([self.there(cosign_tag(INDEX)), self.there(SBOM.digest)], [None, None])

    def test_that_came_later_are_fetched_if_asked(self):
        self.given(INDEX)
        self.copy()
        self.sign()
        self.copy()
        self.assertIsNone(self.there(cosign_tag(INDEX)))
        self.copy(referrers="always")
        self.assertEqual(self.there(cosign_tag(INDEX)), self.cosigned.digest)
        self.assertEqual(self.there(SBOM.digest), SBOM.digest)

    def test_between_registries_that_list_them(self):
        with ListingRegistry() as source, ListingRegistry() as target:
            for artifact in (INDEX, SIGNATURE, SBOM, PROOF):
                source.add(artifact, "app", "1" if artifact is INDEX else None)
            self.step("copy", **{"from": f"{source.address}/app:1", "to": f"{target.address}/app:1"})
            for subject, artifact in ((INDEX, SIGNATURE), (APP, SBOM), (SBOM, PROOF)):
                self.assertEqual([d["digest"] for d in target.referrers("app", subject.digest)], [artifact.digest])
            self.assertNotIn(fallback_tag(INDEX), target.manifests["app"])

    def test_from_a_registry_that_lists_them_to_one_that_does_not(self):
        with ListingRegistry() as source:
            for artifact in (INDEX, SIGNATURE):
                source.add(artifact, "app", "1" if artifact is INDEX else None)
            self.copy(**{"from": f"{source.address}/app:1"})
        listed = json.loads(raw(f"{self.target.address}/{self.repository}:{fallback_tag(INDEX)}"))["manifests"]
        self.assertEqual([(d["digest"], d["artifactType"]) for d in listed], [(SIGNATURE.digest, SIGNATURE.kind)])


class Files(CopyTest):
    def test_out_to_a_folder_and_in_again_with_all_that_belongs_to_it(self):
        self.given(ATTESTED)
        cosigned = Artifact("application/vnd.oci.image.config.v1+json", b"signature")
        self.source.push(cosigned, self.repository, cosign_tag(ATTESTED))
        folder = f"oci:{self.folder}/layout:{self.at}"
        self.assertEqual(self.copy(to=folder)["digest"], ATTESTED.digest)
        again = self.copy(to=folder)
        self.assertEqual(again["bytes"], 0)
        self.assertEqual(self.copy(**{"from": folder})["digest"], ATTESTED.digest)
        self.assert_same_at_both_sides()
        self.assertEqual(self.there(cosign_tag(ATTESTED)), cosigned.digest)

    def test_out_to_archives_and_in_again(self):
        self.given(APP)
        for kind in ("oci-archive", "docker-archive"):
            archive = f"{kind}:{self.folder}/{kind}.tar"
            self.copy(to=archive)
            to = f"{self.target.address}/{self.repository}:{kind}"
            self.assertEqual(self.copy(**{"from": archive, "to": to})["digest"], self.there(kind))
        self.assertEqual(self.there("oci-archive"), APP.digest)
        said = subprocess.run(["skopeo", "inspect", f"oci-archive:{self.folder}/oci-archive.tar"], check=True,
                              capture_output=True)  # fmt: skip
        self.assertEqual(json.loads(said.stdout)["Digest"], APP.digest)

    def test_nothing_is_kept(self):
        self.given(APP)
        self.copy()
        self.copy(to=f"oci-archive:{self.folder}/app.tar")
        self.assertFalse((self.pipe.store / "blobs").exists())


class PlanRunDown(CopyTest):
    def pipeline(self, **more):
        params = {"from": self.at, "to": self.to, **more}
        lines = "".join(f'with.{key} = "{value}"\n' for key, value in params.items())
        return self.pipe.write("p.toml", f'schema = 1\n[[step]]\nuses = "copy"\n{lines}')

    def test_plans_copies_and_takes_back(self):
        self.given(INDEX)
        self.target.push(ARM, self.repository, "old")
        pipeline = self.pipeline()
        planned = self.said("plan", pipeline)
        self.assertRegex(planned, rf"would copy {self.to}: [\d.]+ kB in {len(APP.blobs)} blobs, 0 to mount, "
                         rf"{len(ARM.blobs)} there already")  # fmt: skip
        self.assertIn(INDEX.digest, planned)
        self.assertEqual({m for m, _, _ in self.target.requests}, {"HEAD", "PUT", "POST"})  # of push() above
        self.assertIsNone(self.there())
        self.assertRegex(self.said("run", pipeline), r"changed=1 unchanged=0")
        self.assertRegex(self.said("run", pipeline), r"changed=0 unchanged=1")
        self.assertEqual(self.pipe.run(["plan", "--exit-code", pipeline]).code, 0)
        self.said("down", pipeline)
        self.assertIsNone(self.there())

    def test_plan_changes_nothing(self):
        self.given(INDEX)
        self.said("plan", self.pipeline())
        for registry in (self.source, self.target):
            self.assertLessEqual({m for m, _, _ in registry.requests}, {"HEAD", "GET"})

    def test_down_gives_the_tag_back(self):
        self.given(INDEX)
        self.target.push(ARM, self.repository, "1")
        pipeline = self.pipeline()
        planned = self.said("plan", pipeline)
        self.assertIn(ARM.digest, planned)
        self.said("run", pipeline)
        self.said("run", pipeline)
        self.said("down", pipeline)
        self.assertEqual(self.there(), ARM.digest)

    def test_down_after_one_platform_of_several(self):
        self.given(INDEX)
        pipeline = self.pipeline(platform="linux/arm64")
        self.said("run", pipeline)
        self.assertEqual(self.there(), ARM.digest)
        self.said("down", pipeline)
        self.assertIsNone(self.there())

    def test_down_leaves_what_someone_else_pushed_since(self):
        self.given(APP)
        pipeline = self.pipeline()
        self.said("run", pipeline)
        self.target.push(ARM, self.repository, "1")
        self.assertRegex(self.said("down", pipeline), r"pushed by someone else")
        self.assertEqual(self.there(), ARM.digest)


class Foreign(StepTest):
    """Layers that only their owner may distribute."""

    def test_are_neither_fetched_nor_sent_and_stay_in_the_manifest(self):
        image = Image(sizes=(2000, 3000), seed=66)
        with Scripted() as owner, FakeRegistry() as source, FakeRegistry() as target:
            layer = image.layers[-1]
            layer["mediaType"] = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
            layer["urls"] = [owner.url + "/layer"]
            image.manifest = json.dumps({**json.loads(image.manifest), "layers": image.layers}).encode()
            image.digest = digest_of(image.manifest)
            del image.blobs[layer["digest"]]
            source.add(image, "app", "1")
            names = {"from": f"{source.address}/app:1", "to": f"{target.address}/app:1"}
            self.assertEqual(self.step("copy", **names)["digest"], image.digest)
            self.assertEqual(target.manifests["app"]["1"][1], image.manifest)
            self.assertEqual(set(target.blobs["app"]), set(image.blobs))
            self.assertEqual(self.step("pull", image=names["from"])["digest"], image.digest)
            self.assertEqual(owner.requests, [])


class Sides(StepTest):
    """What holds for one side does not hold for the other."""

    def test_each_has_its_own_authority_and_login(self):
        with Registry(tls=True, users={"me": "s3cret"}) as source, Registry(tls=True, users={"you": "other"}) as target:
            source.push(APP, "app", "1")
            source.write_login(self.folder / "docker")
            names = {"from": f"{source.address}/app:1", "to": f"{target.address}/app:1"}
            self.failure("copy", r"certificate", from_ca_file=source.ca_file, **names)
            both = {"from_ca_file": source.ca_file, "to_ca_file": target.ca_file}
            self.failure("copy", r"wants a login", **both, **names)
            config = self.folder / "docker/config.json"
            logins = json.loads(config.read_text())
            target.write_login(self.folder / "docker")
            logins["auths"].update(json.loads(config.read_text())["auths"])
            config.write_text(json.dumps(logins))
            self.step("copy", **both, **names)
            self.assertEqual(target.digest("app", "1"), APP.digest)

    def test_nothing_is_mounted_from_what_another_login_may_read(self):
        with FakeRegistry() as registry:
            registry.add(APP, "mine", "1")
            outputs = self.step("copy", **{"from": f"{registry.address}/mine:1", "to": f"{registry.address}/yours:1"},
                                from_username="me", from_password_file=self.pipe.write("mine", "s3cret\n"),
                                to_username="you", to_password_file=self.pipe.write("yours", "other\n"))  # fmt: skip
            self.assertEqual((outputs["mounted"], outputs["moved"]), (0, len(APP.blobs)))
            self.assertFalse([r for r in registry.requests if "mount" in r.query])

    def test_each_can_be_given_its_own_login(self):
        with Registry(tls=True, users={"me": "s3cret"}) as source, Registry(tls=True, users={"you": "other"}) as target:
            source.push(APP, "app", "1")
            names = {"from": f"{source.address}/app:1", "to": f"{target.address}/app:1",
                     "from_ca_file": source.ca_file, "to_ca_file": target.ca_file}  # fmt: skip
            reading = {"from_username": "me", "from_password_file": self.pipe.write("mine", "s3cret\n")}
            writing = {"to_username": "you", "to_password_file": self.pipe.write("yours", "other\n")}
            self.failure("copy", f"{target.address}/app wants a login", **names, **reading)
            self.failure("copy", f"{source.address}/app wants a login", **names, **writing)
            self.failure("copy", r"refuses the login|login from the parameters",
                         **names, **writing, **{**reading, "from_username": "you"})  # fmt: skip
            self.failure("copy", "`to_username` is given without `to_password`", **names, to_username="you")
            self.failure("copy", "`from_password` is given without `from_username`", **names,
                         from_password_file=reading["from_password_file"])  # fmt: skip
            said = self.step("copy", **names, **reading, **writing)
            self.assertEqual(said["digest"], APP.digest)
            self.assertEqual(target.digest("app", "1"), APP.digest)

    def test_each_has_its_own_token(self):
        with TokenServer() as tokens, FakeRegistry(token_server=tokens) as source, \
                FakeRegistry(token_server=tokens) as target:  # fmt: skip
            source.add(APP, "app", "1")
            self.step("copy", **{"from": f"{source.address}/app:1", "to": f"{target.address}/prod/app:1"})
            granted = sorted(scope for scopes in tokens.granted.values() for scope in scopes)
            self.assertEqual(granted, ["repository:app:pull", "repository:prod/app:pull,push"])

    def test_refuses_what_makes_no_sense(self):
        names = {"from": "localhost:1/a:1", "to": "docker-daemon:a:1"}
        self.failure("copy", r"one platform each", platform=["linux/amd64", "linux/arm64"], **names)
        names["to"] = "localhost:1/b:1"
        self.failure("copy", r"goes with no other", platform=["all", "linux/arm64"], **names)
        self.failure("copy", r"linux", platform="linux", **names)


if __name__ == "__main__":
    unittest.main()
