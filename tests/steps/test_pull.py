"""`pull` against Debian's docker-registry, token servers, mirrors, files, and skopeo as the other side."""

import json
import os
import subprocess
import unittest

import registries
from registries import Answer, FakeRegistry, Image, Index, Registry, TokenServer, write_login
from steps import StepTest

APP = Image(sizes=(2000, 30000), seed=1)
ARM = Image(sizes=(2500,), seed=2, architecture="arm64")
S390 = Image(sizes=(2600,), seed=3, architecture="s390x")
INDEX = Index([APP, ARM, S390])


def nested(image, depth):
    """An image in an index in an index …"""
    for _ in range(depth):
        outer = Index([image])
        outer.platform, image = image.platform, outer
    return image



def skopeo(*args):
    done = subprocess.run(["skopeo", *map(str, args)], capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(f"skopeo {args}: {done.stderr}")
    return done.stdout


class PlainRegistry(StepTest):
    @classmethod
    def setUpClass(cls):
        cls.registry = Registry().start()
        cls.addClassCleanup(cls.registry.__exit__)
        cls.registry.push(APP, "app", "1")
        cls.registry.push(INDEX, "multi", "1")

    def setUp(self):
        super().setUp()
        self.name = f"{self.registry.address}/app:1"
        self.registry.forget_requests()

    def test_brings_the_image_and_says_what_it_brought(self):
        outputs = self.step("pull", image=self.name)
        self.assertEqual(
            outputs,
            {"image": self.name, "digest": APP.digest, "size": APP.size, "source": self.name, "bytes": APP.size,
             "moved": len(APP.blobs), "mounted": 0, "skipped": 0, "requests": 1 + len(APP.blobs), "retries": 0},
        )
        for digest, data in APP.blobs.items():
            self.assertEqual((self.pipe.store / "blobs/sha256" / digest[7:]).read_bytes(), data)

    def test_skopeo_reads_what_it_stored(self):
        self.step("pull", image=self.name)
        skopeo("copy", f"oci:{self.pipe.store}:{self.name}", f"dir:{self.folder}/out")
        self.assertEqual((self.folder / "out/manifest.json").read_bytes(), APP.manifest)

    def test_needs_no_more_requests_than_there_are_things_to_fetch(self):
        self.step("pull", image=self.name)
        self.assertEqual(len(self.registry.requests), 1 + len(APP.blobs))

    def test_asks_once_where_nothing_is_new(self):
        self.step("pull", image=self.name)
        self.registry.forget_requests()
        again = self.step("pull", image=self.name)
        self.assertEqual((again["bytes"], again["requests"]), (0, 1))
        self.assertEqual(self.registry.requests, [("HEAD", "/v2/app/manifests/1", 200)])

    def test_fetches_only_the_blobs_that_changed(self):
        self.registry.push(APP, "moving", "1")
        name = f"{self.registry.address}/moving:1"
        self.step("pull", image=name)
        newer = Image(sizes=(2000, 30000, 500), seed=1)  # the first two layers are those of APP
        self.registry.push(newer, "moving", "1")
        outputs = self.step("pull", image=name)
        self.assertEqual(outputs["digest"], newer.digest)
        self.assertEqual(outputs["bytes"], newer.layers[2]["size"] + newer.config["size"])

    def test_policy_missing_asks_nothing_where_it_is_there(self):
        self.step("pull", image=self.name, policy="missing")
        self.registry.forget_requests()
        self.step("pull", image=self.name, policy="missing")
        self.step("pull", image=self.name, policy="never")
        self.assertEqual(self.registry.requests, [])

    def test_policy_never_fails_where_it_is_not_there(self):
        self.failure("pull", r"app:1 is not in the store", image=self.name, policy="never")
        self.assertEqual(self.registry.requests, [])

    def test_policy_always_fetches_the_manifest_again(self):
        self.step("pull", image=self.name)
        self.registry.forget_requests()
        self.assertEqual(self.step("pull", image=self.name, policy="always")["bytes"], 0)
        self.assertEqual(self.registry.requests, [("GET", "/v2/app/manifests/1", 200)])

    def test_repairs_a_store_that_lost_a_blob(self):
        self.step("pull", image=self.name)
        (self.pipe.store / "blobs/sha256" / APP.layers[0]["digest"][7:]).unlink()
        self.assertEqual(self.step("pull", image=self.name)["bytes"], APP.layers[0]["size"])

    def test_chooses_the_platform(self):
        name = f"{self.registry.address}/multi:1"
        self.assertEqual(self.step("pull", image=name, platform="linux/arm64")["digest"], ARM.digest)
        self.assertEqual(self.step("pull", image=name, platform="linux/s390x")["digest"], S390.digest)
        self.registry.forget_requests()
        self.step("pull", image=name, platform="linux/s390x")
        self.assertEqual(self.registry.requests, [("HEAD", "/v2/multi/manifests/1", 200)])

    def test_takes_all_platforms(self):
        name = f"{self.registry.address}/multi:1"
        outputs = self.step("pull", image=name, platform="all")
        self.assertEqual(outputs["digest"], INDEX.digest)
        self.assertEqual(outputs["size"], APP.size + ARM.size + S390.size)
        skopeo("copy", "--all", f"oci:{self.pipe.store}:{name}", f"dir:{self.folder}/out")
        self.assertEqual((self.folder / "out/manifest.json").read_bytes(), INDEX.manifest)

    def test_follows_indexes_in_indexes_so_far_and_no_farther(self):
        with FakeRegistry() as registry:
            name = f"{registry.address}/nested:1"
            registry.add(nested(APP, 4), "nested", "1")
            self.assertEqual(self.step("pull", image=name, platform="linux/amd64")["digest"], APP.digest)
            self.assertEqual(self.step("pull", image=name, platform="all")["size"], APP.size)
            registry.add(nested(APP, 5), "nested", "1")
            for platform in ("linux/amd64", "all"):
                self.failure("pull", r"nested too deeply", image=name, platform=platform)

    def test_works_out_the_digest_where_the_registry_says_none(self):
        for head in (Answer(200, headers={"Content-Type": APP.media_type}), Answer(405), Answer(400)):
            with self.subTest(head=head.status), FakeRegistry() as registry:
                registry.add(APP, "app", "1")

                def silent(request, head=head):
                    if request.path == "/v2/app/manifests/1":
                        return head if request.method == "HEAD" else Answer(200, APP.manifest, head.headers)

                registry.fault = silent
                name = f"{registry.address}/app:1"
                self.assertEqual(self.step("pull", image=name)["digest"], APP.digest)
                self.assertEqual(self.step("pull", image=name)["bytes"], 0)

    def test_lists_the_platforms_there_are(self):
        self.failure("pull", r"linux/riscv64.*linux/amd64.*linux/arm64",
                     image=f"{self.registry.address}/multi:1", platform="linux/riscv64")  # fmt: skip

    def test_warns_of_an_image_for_another_platform(self):
        self.registry.push(ARM, "arm", "1")
        result = self.pipe.try_step("pull", image=f"{self.registry.address}/arm:1", platform="linux/amd64")
        self.assertEqual(result.code, 0, result)
        self.assertRegex(result.err, r"arm:1 is made for linux/arm64 only, not for linux/amd64")

    def test_a_pinned_image_is_asked_for_once_in_its_life(self):
        name = f"{self.registry.address}/app@{APP.digest}"
        self.assertEqual(self.step("pull", image=name)["digest"], APP.digest)
        self.registry.forget_requests()
        self.step("pull", image=name)
        self.assertEqual(self.registry.requests, [])

    def test_reads_docker_schema_2(self):
        docker = Index([Image(seed=5, docker=True), Image(seed=6, docker=True, architecture="arm64")], docker=True)
        self.registry.push(docker, "docker", "1")
        name = f"{self.registry.address}/docker:1"
        self.assertEqual(self.step("pull", image=name, platform="linux/amd64")["digest"], docker.children[0].digest)
        self.assertEqual(self.step("pull", image=name, platform="all")["digest"], docker.digest)

    def test_fetches_what_skopeo_pushed(self):
        self.step("pull", image=self.name)
        skopeo("copy", "--dest-tls-verify=false", f"oci:{self.pipe.store}:{self.name}",
               f"docker://{self.registry.address}/foreign:1")  # fmt: skip
        other = self.other_pipe("other")
        self.assertEqual(other.step("pull", image=f"{self.registry.address}/foreign:1")["digest"], APP.digest)

    def test_says_what_does_not_exist(self):
        self.failure("pull", r"app:nope does not exist: MANIFEST_UNKNOWN", image=f"{self.registry.address}/app:nope")
        self.failure("pull", r"gone:1 does not exist", image=f"{self.registry.address}/gone:1")
        missing = f"{self.registry.address}/app@sha256:{'0' * 64}"
        self.failure("pull", r"does not exist", image=missing)

    def test_says_what_is_wrong_with_a_name(self):
        self.failure("pull", r"upper case", image=f"{self.registry.address}/App:1")

    def test_a_pipeline_tells_unchanged_from_changed_and_takes_back_only_what_it_made(self):
        pipeline = self.pipe.write(
            "p.toml", f'schema = 1\n[[step]]\nuses = "pull"\nwith.image = "{self.name}"\n'
        )
        planned = self.pipe.run(["plan", pipeline])
        self.assertRegex(planned.out, rf"(?s)would fetch {self.name}.*{APP.digest}", planned)
        self.assertFalse(self.pipe.store.exists())
        self.assertRegex(self.said("run", pipeline), r"changed=1 unchanged=0")
        self.assertRegex(self.said("run", pipeline), r"changed=0 unchanged=1")
        self.assertEqual(self.pipe.run(["plan", "--exit-code", pipeline]).code, 0)
        self.assertEqual(self.pipe.run(["down", pipeline]).code, 0)
        self.failure("pull", "is not in the store", image=self.name, policy="never")

    def test_down_leaves_an_image_that_was_there_before(self):
        self.step("pull", image=self.name)
        pipeline = self.pipe.write("p.toml", f'schema = 1\n[[step]]\nuses = "pull"\nwith.image = "{self.name}"\n')
        self.assertEqual(self.pipe.run(["run", pipeline]).code, 0)
        self.assertEqual(self.pipe.run(["down", pipeline]).code, 0)
        self.step("pull", image=self.name, policy="never")

    def test_fetches_from_files_and_layouts(self):
        self.step("pull", image=self.name)
        skopeo("copy", f"oci:{self.pipe.store}:{self.name}", f"oci-archive:{self.folder}/a.tar:app")
        skopeo("copy", f"oci:{self.pipe.store}:{self.name}", f"oci:{self.folder}/layout:app")
        for name in (f"oci-archive:{self.folder}/a.tar", f"oci:{self.folder}/layout:app"):
            other = self.other_pipe(name[:5].strip(":"))
            outputs = other.step("pull", image=name)
            self.assertEqual((outputs["digest"], outputs["image"]), (APP.digest, name))
            self.assertEqual(other.step("pull", image=name)["bytes"], 0)

    def test_says_that_a_file_is_missing(self):
        self.failure("pull", r"nothing\.tar.*No such file", image="oci-archive:nothing.tar")


class Secured(StepTest):
    """TLS and passwords."""

    @classmethod
    def setUpClass(cls):
        cls.registry = Registry(tls=True, users={"me": "s3cret:with:colons"}).start()
        cls.addClassCleanup(cls.registry.__exit__)
        cls.registry.push(APP, "app", "1")
        cls.name = f"{cls.registry.address}/app:1"

    def login(self, password="s3cret:with:colons"):
        write_login(self.folder / "docker", self.registry.address, ("me", password))

    def test_logs_in_and_trusts_the_ca_it_is_given(self):
        self.login()
        self.assertEqual(self.step("pull", image=self.name, ca_file=self.registry.ca_file)["digest"], APP.digest)

    def test_refuses_a_certificate_of_an_unknown_ca_and_says_what_to_do(self):
        self.login()
        error = self.failure("pull", r"certificate of localhost:\d+ can't be trusted", r"ca_file", image=self.name)
        self.assertNotIn("s3cret", error)

    def test_insecure_takes_any_certificate(self):
        self.login()
        self.assertEqual(self.step("pull", image=self.name, insecure=True)["digest"], APP.digest)

    def test_says_how_to_log_in(self):
        self.failure("pull", r"wants a login", r"podman login localhost:\d+",
                     image=self.name, ca_file=self.registry.ca_file)  # fmt: skip

    def test_says_that_the_login_is_refused_and_where_it_came_from(self):
        self.login("wrong")
        error = self.failure("pull", r"refuses.*docker/config\.json", image=self.name, ca_file=self.registry.ca_file)
        self.assertNotIn("wrong", error)

    def given(self, password="s3cret:with:colons", **more):
        """The parameters of a login, the password in a file."""
        return {"username": "me", "password_file": self.pipe.write("password", password + "\n"), "image": self.name,
                "ca_file": self.registry.ca_file, **more}  # fmt: skip

    def test_a_login_that_is_given_goes_before_the_stored_one(self):
        self.login("wrong")
        self.assertEqual(self.step("pull", **self.given())["digest"], APP.digest)
        self.login()
        error = self.failure("pull", "refuses to let the login from the parameters `username` and `password`",
                             **self.given("not it", policy="always"))  # fmt: skip
        self.assertNotIn("not it", error)

    def test_half_a_login_is_an_error(self):
        self.failure("pull", "`username` is given without `password`", image=self.name, username="me")
        self.failure("pull", "`password` is given without `username`", **self.given(username=None))

    def test_a_login_that_is_given_is_not_shown_to_the_fallbacks_registry(self):
        with FakeRegistry(fault=lambda request: Answer(503)) as first, FakeRegistry(login=("me", "pw")) as second:
            second.add(APP, "app", "1")
            self.failure("pull", "wants a login", **self.given("pw", image=f"{first.address}/app:1",
                         fallback=f"{second.address}/app:1"))  # fmt: skip
            self.assertFalse([r for r in second.requests if "Authorization" in r.headers])

    def test_reads_podmans_file(self):
        file = self.folder / "runtime/containers/auth.json"
        write_login(file.parent, self.registry.address, ("me", "s3cret:with:colons"))
        (file.parent / "config.json").rename(file)
        self.step("pull", image=self.name, ca_file=self.registry.ca_file)

    def test_asks_a_credential_helper(self):
        helper = self.pipe.write("bin/docker-credential-test", "#!/bin/sh\ncat >asked\n"
                                 'echo \'{"Username":"me","Secret":"s3cret:with:colons"}\'\n')  # fmt: skip
        helper.chmod(0o755)
        self.pipe.write("docker/config.json", json.dumps({"credHelpers": {self.registry.address: "test"}}))
        path = f"{helper.parent}:{os.environ['PATH']}"
        self.pipe.step("pull", env={"PATH": path}, image=self.name, ca_file=self.registry.ca_file)

    def test_names_a_helper_that_is_missing(self):
        self.pipe.write("docker/config.json", json.dumps({"credsStore": "desktop"}))
        self.failure("pull", r"can't run docker-credential-desktop: No such file.*credsStore in .*config\.json",
                     image=self.name, ca_file=self.registry.ca_file)  # fmt: skip

    def test_says_that_the_ca_file_is_no_ca_file(self):
        self.failure("pull", r"can't use the CA file .*nothing\.pem", image=self.name,
                     ca_file=self.folder / "nothing.pem")  # fmt: skip


class Tokens(StepTest):
    """Registries that want bearer tokens."""

    def pull(self, registry, **params):
        return self.step("pull", image=f"{registry.address}/app:1", **params)

    def test_gets_one_token_for_a_pull(self):
        with TokenServer() as tokens, FakeRegistry(token_server=tokens) as registry:
            registry.add(APP, "app", "1")
            self.assertEqual(self.pull(registry)["digest"], APP.digest)
            self.assertEqual(list(tokens.granted.values()), [["repository:app:pull"]])
            self.assertEqual(tokens.requests[0].query["service"], "test registry")
            self.assertNotIn("Authorization", tokens.requests[0].headers)

    def test_sends_the_login_to_the_token_server_only(self):
        with TokenServer(login=("me", "pw"), field="access_token") as tokens:
            with FakeRegistry(token_server=tokens) as registry:
                registry.add(APP, "app", "1")
                write_login(self.folder / "docker", registry.address, ("me", "pw"))
                self.pull(registry)
                sent = {r.headers.get("Authorization", "none").split()[0] for r in registry.requests}
                self.assertEqual(sent, {"none", "Bearer"})

    def test_uses_an_identity_token(self):
        with TokenServer(identity_token="refresh-me") as tokens, FakeRegistry(token_server=tokens) as registry:
            registry.add(APP, "app", "1")
            config = {"auths": {registry.address: {"identitytoken": "refresh-me"}}}
            self.pipe.write("docker/config.json", json.dumps(config))
            self.pull(registry)
            self.assertEqual(tokens.count("POST"), 1)

    def test_renews_a_token_that_the_registry_no_longer_takes(self):
        with TokenServer() as tokens, FakeRegistry(token_server=tokens) as registry:
            registry.add(APP, "app", "1")

            def expire(request):
                if "/blobs/" in request.path and "token-1" in tokens.granted:
                    del tokens.granted["token-1"]
                    tokens.granted["other"] = []

            registry.fault = expire
            self.assertEqual(self.pull(registry)["digest"], APP.digest)
            self.assertLessEqual(len(tokens.requests), 2 + len(APP.blobs))

    def test_says_that_the_token_server_refuses_the_login(self):
        with TokenServer(login=("me", "pw")) as tokens, FakeRegistry(token_server=tokens) as registry:
            registry.add(APP, "app", "1")
            write_login(self.folder / "docker", registry.address, ("me", "other"))
            self.failure("pull", r"token server .* refuses the login.*incorrect username or password",
                         image=f"{registry.address}/app:1")  # fmt: skip
            write_login(self.folder / "docker", "elsewhere:5000", ("me", "pw"))
            self.failure("pull", r"wants a login", image=f"{registry.address}/app:1")

    def test_does_not_go_round_in_circles_where_a_token_is_not_enough(self):
        with TokenServer() as tokens, FakeRegistry(token_server=tokens) as registry:
            challenge = {"WWW-Authenticate": f'Bearer realm="{tokens.url}/token",service="s"'}
            registry.fault = lambda request: Answer(401, headers=challenge)
            self.failure("pull", r"wants a login", image=f"{registry.address}/app:1")
            self.assertEqual((len(registry.requests), len(tokens.requests)), (2, 1))

    def test_does_not_go_round_in_circles_where_a_token_gives_too_little(self):
        with TokenServer() as tokens, FakeRegistry(token_server=tokens) as registry:
            def denied(request):
                if request.headers.get("Authorization", "").startswith("Bearer "):
                    return Answer(403, '{"errors":[{"code":"DENIED","message":"not for you"}]}')

            registry.fault = denied
            self.failure("pull", r"not for you", image=f"{registry.address}/app:1")
            self.assertEqual((len(registry.requests), len(tokens.requests)), (2, 1))


class Fallback(StepTest):
    def test_is_used_where_the_source_is_down_and_not_where_it_says_no(self):
        down = f"localhost:{registries.free_port()}/app:1"
        with FakeRegistry() as other:
            other.add(APP, "copy", "1")
            second = f"{other.address}/copy:1"
            result = self.pipe.try_step("pull", image=down, fallback=["oci-archive:none.tar", second])
            self.assertEqual(result.code, 0, result)
            self.assertRegex(result.err, r"can't connect to .*oci-archive:none.tar is tried instead")
            self.assertRegex(result.err, rf"No such file.*{second} is tried instead")
            self.assertEqual(
                {k: result.json[k] for k in ("image", "source", "digest")},
                {"image": down, "source": second, "digest": APP.digest},
            )
            other.requests.clear()
            again = self.step("pull", image=down, fallback=["oci-archive:none.tar", second])
            self.assertEqual((again["bytes"], again["source"]), (0, second))
            self.assertEqual([r.method for r in other.requests], ["HEAD"])

    def test_is_used_for_429_and_5xx(self):
        for status in (429, 503):
            with self.subTest(status), FakeRegistry() as other:
                other.add(APP, "copy", "1")
                fault = lambda request: Answer(status, "later", {"Retry-After": "3600"})
                with FakeRegistry(fault=fault) as registry:
                    outputs = self.other_pipe(str(status)).step(
                        "pull", image=f"{registry.address}/app:1", fallback=f"{other.address}/copy:1"
                    )
                    self.assertEqual(outputs["source"], f"{other.address}/copy:1")
                    self.assertEqual(len(registry.requests), 1)  # an hour is not waited for

    def test_is_used_where_tls_fails(self):
        certificates = registries.Certificates(self.folder)
        with FakeRegistry() as other, FakeRegistry(certificates=certificates) as registry:
            other.add(APP, "copy", "1")
            outputs = self.step("pull", image=f"{registry.address}/app:1", fallback=f"{other.address}/copy:1")
            self.assertEqual(outputs["source"], f"{other.address}/copy:1")

    def test_is_not_used_for_401_403_404(self):
        with FakeRegistry() as other:
            other.add(APP, "copy", "1")
            for status in (401, 403, 404):
                challenge = {"WWW-Authenticate": 'Basic realm="x"'}
                with self.subTest(status), FakeRegistry(fault=lambda r: Answer(status, headers=challenge)) as registry:
                    self.failure("pull", image=f"{registry.address}/app:1", fallback=f"{other.address}/copy:1")
            self.assertEqual(other.requests, [])

    def test_an_image_that_is_here_is_kept_where_its_source_is_down(self):
        with FakeRegistry() as registry:
            registry.add(APP, "app", "1")
            name = f"{registry.address}/app:1"
            self.step("pull", image=name)
        result = self.pipe.try_step("pull", image=name)
        self.assertEqual((result.code, result.json["bytes"]), (0, 0), result)
        self.assertRegex(result.err, "the image in the store is used as it is")
        self.failure("pull", "can't connect", image=name, policy="always")

    def test_is_hinted_at_where_it_would_help(self):
        down = f"localhost:{registries.free_port()}/app:1"
        self.failure("pull", r"can't connect to localhost", r", or name a `fallback` to take instead", image=down)
        with registries.Registry() as registry:
            says_no = self.pipe.try_step("pull", image=f"{registry.address}/none:1")
        self.assertNotIn("fallback", says_no.err)

    def test_says_why_none_could_be_used(self):
        down = f"localhost:{registries.free_port()}/app:1"
        self.failure("pull", r"can't connect to localhost", r"none of the fallbacks",
                     image=down, fallback="oci-archive:none.tar")  # fmt: skip


class Mirrors(StepTest):
    def test_are_asked_first_under_the_name_of_the_original(self):
        with FakeRegistry() as mirror:
            mirror.add(APP, "hub/library/app", "1")
            conf = self.pipe.write("registries.conf", f'[[registry]]\nlocation = "docker.io"\n'
                                   f'[[registry.mirror]]\nlocation = "{mirror.address}/hub"\n')  # fmt: skip
            env = {"CONTAINERS_REGISTRIES_CONF": conf}
            outputs = self.pipe.step("pull", env=env, image="app:1")
            self.assertEqual((outputs["image"], outputs["digest"]), ("docker.io/library/app:1", APP.digest))

    def test_a_mirror_without_the_image_is_passed_over(self):
        with FakeRegistry() as mirror, FakeRegistry() as registry:
            registry.add(APP, "app", "1")
            conf = self.pipe.write("registries.conf", f'[[registry]]\nlocation = "{registry.address}"\n'
                                   f'[[registry.mirror]]\nlocation = "{mirror.address}"\n')  # fmt: skip
            env = {"CONTAINERS_REGISTRIES_CONF": conf}
            self.pipe.step("pull", env=env, image=f"{registry.address}/app:1")
            self.assertGreater(len(mirror.requests), 0)

    def test_a_blocked_registry_is_not_asked(self):
        with FakeRegistry() as registry:
            conf = self.pipe.write("registries.conf", f'[[registry]]\nlocation = "{registry.address}"\nblocked = true\n')
            result = self.pipe.try_step("pull", env={"CONTAINERS_REGISTRIES_CONF": conf}, image=f"{registry.address}/a:1")
            self.assertRegex(result.err, r"is blocked by .*registries\.conf")
            self.assertEqual(registry.requests, [])


if __name__ == "__main__":
    unittest.main()
