"""`push` against Debian's docker-registry, token servers, files, and skopeo as the other side."""

import json
import subprocess
import unittest

from registries import Answer, FakeRegistry, Image, Index, Registry, TokenServer
from steps import StepTest

APP = Image(sizes=(2000, 30000, 100), seed=11)
ARM = Image(sizes=(2500,), seed=12, architecture="arm64")
INDEX = Index([APP, ARM])


class PushTest(StepTest):
    def have(self, image, name, platform=None):
        """Puts an image into the store under a name, by way of a registry that is gone then."""
        with FakeRegistry() as source:
            source.add(image, "x", "1")
            self.step("pull", image=f"{source.address}/x:1", platform=platform)
            self.stored_as = f"{source.address}/x:1"
        return self.stored_as


class PlainRegistry(PushTest):
    @classmethod
    def setUpClass(cls):
        cls.registry = Registry().start()
        cls.addClassCleanup(cls.registry.__exit__)

    def setUp(self):
        super().setUp()
        self.image = self.have(APP, "x")
        self.repository = self.id().rpartition(".")[2].lower().replace("_", "-")[:100]
        self.to = f"{self.registry.address}/{self.repository}:1"
        self.registry.forget_requests()

    def there(self, reference="1"):
        return self.registry.digest(self.repository, reference)

    def methods(self):
        return [method for method, _, _ in self.registry.requests]

    def test_sends_the_image_with_its_digest(self):
        outputs = self.step("push", image=self.image, to=self.to)
        self.assertEqual(
            outputs,
            {"image": self.to, "digest": APP.digest, "bytes": APP.size, "moved": len(APP.blobs), "mounted": 0,
             "skipped": 0, "requests": 2 + 3 * len(APP.blobs), "retries": 0},
        )
        self.assertEqual(self.there(), APP.digest)

    def test_skopeo_reads_what_it_sent(self):
        self.step("push", image=self.image, to=self.to)
        subprocess.run(["skopeo", "copy", "--src-tls-verify=false", f"docker://{self.to}", f"dir:{self.folder}/out"],
                       check=True, capture_output=True)  # fmt: skip
        self.assertEqual((self.folder / "out/manifest.json").read_bytes(), APP.manifest)

    def test_a_missing_blob_costs_three_requests(self):
        self.step("push", image=self.image, to=self.to)
        blobs = len(APP.blobs)
        self.assertEqual(sorted(self.methods()), sorted(["HEAD"] + ["HEAD", "POST", "PUT"] * blobs + ["PUT"]))

    def test_an_unchanged_tag_costs_one_request(self):
        self.step("push", image=self.image, to=self.to)
        self.registry.forget_requests()
        outputs = self.step("push", image=self.image, to=self.to)
        self.assertEqual((outputs["bytes"], outputs["skipped"]), (0, len(APP.blobs)))
        self.assertEqual(self.methods(), ["HEAD"])

    def test_blobs_that_are_there_are_not_sent_again(self):
        self.registry.push(APP, self.repository, "old")
        self.registry.forget_requests()
        outputs = self.step("push", image=self.image, to=self.to)
        self.assertEqual((outputs["bytes"], outputs["skipped"]), (0, len(APP.blobs)))
        self.assertEqual(self.methods(), ["HEAD"] * (1 + len(APP.blobs)) + ["PUT"])

    def test_mounts_from_a_repository_that_it_knows_to_hold_the_blobs(self):
        self.registry.push(APP, "known", "1")
        self.step("pull", image=f"{self.registry.address}/known:1")
        self.registry.forget_requests()
        outputs = self.step("push", image=f"{self.registry.address}/known:1", to=self.to)
        self.assertEqual((outputs["bytes"], outputs["mounted"]), (0, len(APP.blobs)))
        self.assertEqual(sorted(self.methods()), sorted(["HEAD"] + ["HEAD", "POST"] * len(APP.blobs) + ["PUT"]))

    def test_sends_where_a_mount_is_not_given_in_the_same_upload(self):
        with FakeRegistry() as other:
            other.add(APP, "known", "1")
            self.step("pull", image=f"{other.address}/known:1")
            other.blobs.clear()  # what is known to be there is there no more
            outputs = self.step("push", image=f"{other.address}/known:1", to=f"{other.address}/new:1")
            self.assertEqual((outputs["mounted"], outputs["bytes"]), (0, APP.size))
            self.assertEqual(other.count("POST"), len(APP.blobs))

    def test_sends_an_index_children_first(self):
        image = self.have(INDEX, "x", platform="all")
        self.assertEqual(self.step("push", image=image, to=self.to)["digest"], INDEX.digest)
        self.assertEqual(self.there(), INDEX.digest)
        puts = [path.rpartition("/")[2] for method, path, _ in self.registry.requests
                if method == "PUT" and "/manifests/" in path]  # fmt: skip
        self.assertEqual(puts[-1], "1")
        self.assertEqual(set(puts[:-1]), {APP.digest, ARM.digest})

    def test_sends_no_index_of_which_a_part_is_missing(self):
        image = self.have(INDEX, "x", platform="all")
        (self.pipe.store / "blobs" / ARM.digest.replace(":", "/")).unlink()
        self.failure("push", r"its part sha256:\w+.* is missing", image=image, to=self.to)
        self.assertNotIn("PUT", self.methods())

    def test_sends_one_platform_of_an_index(self):
        image = self.have(INDEX, "x", platform="all")
        self.assertEqual(self.step("push", image=image, to=self.to, platform="linux/arm64")["digest"], ARM.digest)
        self.assertEqual(self.there(), ARM.digest)

    def test_says_that_an_image_is_for_another_platform(self):
        said = self.pipe.try_step("push", image=self.have(APP, "x"), to=self.to, platform="linux/arm64")
        self.assertEqual(said.code, 0, said)
        self.assertRegex(said.err, r"warning: \S+ is made for linux/amd64 only, not for linux/arm64")

    def test_sends_to_its_own_name_where_no_other_is_given(self):
        self.registry.push(APP, self.repository, "1")
        self.step("pull", image=self.to)
        self.registry.request("DELETE", f"/v2/{self.repository}/manifests/{APP.digest}")
        self.step("push", image=self.to)
        self.assertEqual(self.there(), APP.digest)

    def test_sends_by_digest(self):
        to = f"{self.registry.address}/{self.repository}@{APP.digest}"
        self.step("push", image=self.image, to=to)
        self.assertEqual(self.there(APP.digest), APP.digest)
        other = f"{self.registry.address}/{self.repository}@sha256:{'1' * 64}"
        self.failure("push", r"is to be pushed as", image=self.image, to=other)

    def test_sends_from_and_to_files(self):
        archive = f"oci-archive:{self.folder}/app.tar"
        self.step("push", image=self.image, to=archive)
        self.step("push", image=archive, to=self.to)
        self.assertEqual(self.there(), APP.digest)
        self.assertEqual(self.step("push", image=self.image, to=f"oci:{self.folder}/layout:app")["digest"], APP.digest)
        self.failure("push", r"does not say which registry", image=archive)

    def test_says_that_the_image_is_not_in_the_store(self):
        self.failure("push", r"there is no image .*nothing:1 in the store", r"add a pull step",
                     image="localhost:1/nothing:1", to=self.to)  # fmt: skip

    def pipeline(self, image):
        return self.pipe.write("p.toml", f'schema = 1\n[[step]]\nuses = "push"\nwith.image = "{image}"\n'
                               f'with.to = "{self.to}"\n')  # fmt: skip

    def test_a_pipeline_plans_pushes_and_takes_back(self):
        pipeline = self.pipeline(self.image)
        self.assertRegex(self.pipe.run(["plan", pipeline]).out, rf"would push {self.to}")
        self.assertIsNone(self.there())
        self.assertRegex(self.said("run", pipeline), r"changed=1 unchanged=0")
        self.assertRegex(self.said("run", pipeline), r"changed=0 unchanged=1")
        self.assertEqual(self.pipe.run(["plan", "--exit-code", pipeline]).code, 0)
        self.assertEqual(self.pipe.run(["down", pipeline]).code, 0)
        self.assertIsNone(self.there())

    def test_down_gives_the_tag_back_to_what_it_was(self):
        self.registry.push(ARM, self.repository, "1")
        pipeline = self.pipeline(self.image)
        planned = self.pipe.run(["plan", pipeline]).out
        self.assertIn(ARM.digest, planned)
        self.assertIn(APP.digest, planned)
        self.assertEqual(self.pipe.run(["run", pipeline]).code, 0)
        self.assertEqual(self.there(), APP.digest)
        self.assertEqual(self.pipe.run(["down", pipeline]).code, 0)
        self.assertEqual(self.there(), ARM.digest)

    def test_down_takes_back_the_push_of_its_own_settings(self):
        other = ["--set", "tag=2", "--set", f"image={self.have(ARM, 'y')}"]
        pipeline = self.pipe.write(
            "p.toml",
            f'schema = 1\n[vars.tag]\ndefault = "1"\n[vars.image]\ndefault = "{self.image}"\n'
            '[[step]]\nuses = "push"\nwith.image = "${vars.image}"\n'
            f'with.to = "{self.registry.address}/{self.repository}:${{vars.tag}}"\n',
        )
        for settings in ([], other):
            self.assertEqual(self.pipe.run(["run", pipeline, *settings]).code, 0)
        self.assertEqual(self.pipe.run(["down", pipeline]).code, 0)
        self.assertEqual((self.there("1"), self.there("2")), (None, ARM.digest))
        self.assertEqual(self.pipe.run(["down", pipeline, *other]).code, 0)
        self.assertIsNone(self.there("2"))

    def test_down_spares_another_tag_of_the_same_image(self):
        pipeline = self.pipeline(self.image)
        self.assertEqual(self.pipe.run(["run", pipeline]).code, 0)
        self.registry.push(APP, self.repository, "other")
        result = self.pipe.run(["down", pipeline])
        self.assertRegex(result.out + result.err, r"stays: another tag has the same image")
        self.assertEqual(self.there("other"), APP.digest)

    def test_down_of_a_registry_of_this_machine_that_is_gone_does_not_fail_for_ever(self):
        pipeline = self.pipeline(self.image)
        self.assertEqual(self.pipe.run(["run", pipeline]).code, 0)
        self.registry.stop()
        self.addCleanup(self.registry.start)
        for said in (r"stays in the registry's data, if that is kept: can't connect", "nothing of it is left"):
            result = self.pipe.run(["down", pipeline])
            self.assertEqual(result.code, 0, result)
            self.assertRegex(result.out + result.err, said)

    def test_down_leaves_what_someone_else_pushed_since(self):
        pipeline = self.pipeline(self.image)
        self.assertEqual(self.pipe.run(["run", pipeline]).code, 0)
        self.registry.push(ARM, self.repository, "1")
        result = self.pipe.run(["down", pipeline])
        self.assertRegex(result.out + result.err, r"pushed by someone else")
        self.assertEqual(self.there(), ARM.digest)


class OtherRegistries(PushTest):
    def setUp(self):
        super().setUp()
        self.image = self.have(APP, "x")

    def test_logs_in_over_tls(self):
        with Registry(tls=True, users={"me": "s3cret"}) as registry:
            to = f"{registry.address}/app:1"
            self.failure("push", r"wants a login", image=self.image, to=to, ca_file=registry.ca_file)
            registry.write_login(self.folder / "docker")
            self.step("push", image=self.image, to=to, ca_file=registry.ca_file)
            self.assertEqual(registry.digest("app", "1"), APP.digest)

    def test_logs_in_with_a_login_that_is_given(self):
        with Registry(tls=True, users={"me": "pw"}) as registry:
            password = self.pipe.write("password", "pw")
            self.step("push", image=self.image, to=f"{registry.address}/app:1", username="me",
                      password_file=password, ca_file=registry.ca_file)  # fmt: skip
            self.step("verify", image=f"{registry.address}/app:1", checks=["api", "image", "canary"], username="me",
                      password_file=password, ca_file=registry.ca_file)  # fmt: skip

    def test_needs_one_token_for_looking_and_writing(self):
        with TokenServer() as tokens, FakeRegistry(token_server=tokens) as registry:
            self.step("push", image=self.image, to=f"{registry.address}/app:1")
            self.assertEqual(list(tokens.granted.values()), [["repository:app:pull,push"]])
            self.assertEqual(registry.manifests["app"]["1"][1], APP.manifest)

    def test_down_says_that_deletion_is_off(self):
        with Registry(delete=False) as registry:
            pipeline = self.pipe.write("p.toml", f'schema = 1\n[[step]]\nuses = "push"\nwith.image = "{self.image}"\n'
                                       f'with.to = "{registry.address}/app:1"\n')  # fmt: skip
            self.assertEqual(self.pipe.run(["run", pipeline]).code, 0)
            result = self.pipe.run(["down", pipeline])
            self.assertEqual(result.code, 0, result)
            self.assertRegex(result.out + result.err, r"deletion is off.*REGISTRY_STORAGE_DELETE_ENABLED")

    def test_says_that_the_registry_is_read_only(self):
        with Registry(maintenance={"readonly": {"enabled": True}}) as registry:
            self.failure("push", r"can't push .*: 405", r"it is read-only", image=self.image, to=f"{registry.address}/app:1")

    def test_compares_the_digest_that_the_registry_reports(self):
        wrong = "sha256:" + "2" * 64

        def lie(request):
            if request.method == "PUT" and "/manifests/" in request.path:
                return Answer(201, headers={"Docker-Content-Digest": wrong})

        with FakeRegistry(fault=lie) as registry:
            self.failure("push", rf"was sent as {APP.digest}, and the registry has {wrong}",
                         image=self.image, to=f"{registry.address}/app:1")  # fmt: skip

    def test_asks_for_the_digest_where_the_registry_does_not_report_it(self):
        def silent(request):
            if request.method == "PUT" and "/manifests/" in request.path:
                registry.manifests.setdefault("app", {})["1"] = (request.headers["Content-Type"], b'{"other":1}')
                return Answer(201)

        with FakeRegistry(fault=silent) as registry:
            self.failure("push", r"and the registry has sha256:", image=self.image, to=f"{registry.address}/app:1")

    def test_a_child_that_the_registry_is_just_writing_again_is_waited_for(self):
        torn = {"errors": [{"code": "DIGEST_INVALID"}, {"code": "MANIFEST_BLOB_UNKNOWN"}]}
        answers = [Answer(400, json.dumps(torn))]

        def busy(request):
            return answers.pop() if answers and request.method == "PUT" and "/manifests/" in request.path else None

        with FakeRegistry(fault=busy) as registry:
            self.step("push", image=self.image, to=f"{registry.address}/app:1")
            self.assertIn("1", registry.manifests["app"])
        self.assertEqual(answers, [])

    def test_says_what_a_proxy_that_limits_uploads_means(self):
        def limit(request):
            if request.method == "PUT" and "/blobs/" in request.path:
                return Answer(413, "<html><title>413 Request Entity Too Large</title></html>", {"Content-Type": "text/html"})

        with FakeRegistry(fault=limit) as registry:
            self.failure("push", r'413: a web page, "413 Request Entity Too Large"', r"client_max_body_size",
                         image=self.image, to=f"{registry.address}/app:1")  # fmt: skip


if __name__ == "__main__":
    unittest.main()
