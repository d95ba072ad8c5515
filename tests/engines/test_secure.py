"""pipelines/registry-secure.toml as its user would run it, and what foreign clients make of the registry."""

import base64
import json
import pathlib
import re
import shutil
import subprocess
import unittest
import urllib.parse

import test_pipelines as pipelines
from pipe import SOURCE
from registries import Certificates
from registry_image import build_image

PASSWORD = "correct horse 7"


class Secure(pipelines.PipelineCase):
    file = SOURCE / "pipelines/registry-secure.toml"
    steps = 9

    def setUp(self):
        super().setUp()
        self.pki = self.folder / "pki"
        self.addCleanup(shutil.rmtree, self.certs_d(), ignore_errors=True)

    def call(self, verb, *more, password=PASSWORD, **changes):
        self.pipe.env["REGISTRY_PASSWORD"] = password
        result = super().call(verb, *more, **changes)
        self.assertNotIn(PASSWORD, result.out + result.err)
        return result

    def settings(self, **changes):
        bind = self.address.partition(":")[0].replace("localhost", "127.0.0.1")
        own = {"folder": self.pki, "trust": f'["{self.engine or "docker"}"]', "bind": bind}
        return super().settings(**{**own, **changes})

    def certs_d(self):
        return pathlib.Path("/etc", "containers" if self.engine else "docker", "certs.d", self.address)

    def curl(self, *args, user=f"admin:{PASSWORD}"):
        """Status of GET /v2/, or what curl says."""
        login = ["--user", user] if user else []
        done = subprocess.run(
            ["curl", "-sS", "--noproxy", "*", "-o", "/dev/null", "-w", "%{http_code}", *login, *map(str, args), f"https://{self.address}/v2/"],
            capture_output=True, text=True)  # fmt: skip
        return done.stdout if done.returncode == 0 else done.stderr

    def skopeo(self, *args, password=PASSWORD):
        command = ["skopeo", "inspect", "--no-tags", *args, "--creds", f"admin:{password}", f"docker://{self.address}/registry:3"]
        return subprocess.run(command, capture_output=True, text=True, env=self.pipe.env)

    def test_run_again_and_the_way_back(self):
        first = self.run_it()
        self.assertEqual(pipelines.recap(first), (8, 1, 0, 0), first)
        authority = self.pki / "ca.crt"
        self.assertEqual(self.curl("--cacert", authority), "200")
        self.assertEqual(self.curl("--cacert", authority, user=None), "401")
        self.assertEqual(self.curl("--cacert", authority, user="admin:wrong"), "401")
        self.assertIn("certificate", self.curl())
        self.foreign_clients()
        self.assert_no_secret_is_seen()

        second = self.run_it()
        self.assertEqual(pipelines.recap(second), (0, self.steps, 0, 0), second)
        plan = self.call("plan", "--exit-code")
        self.assertEqual(plan.code, 0, plan)

        down = self.call("down")
        self.assertEqual(down.code, 0, down)
        self.assertNotEqual(self.curl("--cacert", authority), "200")
        self.assertFalse(self.certs_d().exists())
        self.assertEqual({p.name for p in self.pki.iterdir()}, {"ca.crt", "ca.key", "tls"})

        before = authority.read_bytes()
        self.run_it()
        self.assertEqual(authority.read_bytes(), before)
        down = self.call("down", "--data", password="")  # what is there is taken back by whoever lost it, too
        self.assertEqual(down.code, 0, down)
        self.assertIn("warning[missing-secret]: secret `password` is nowhere to be found", down.err)
        self.assertIn("stays in the registry's data", down.err)
        self.assertFalse(self.pki.exists())
        self.assertFalse(self.has_volume(self.data))

    def http_secret(self):
        """What signs the state of uploads, from the file that only its owner reads."""
        config = self.pki / "config.yml"
        self.assertEqual(config.stat().st_mode & 0o777, 0o600)
        return re.search(r'secret: "(\w{64})"', config.read_text())[1]

    def assert_no_secret_is_seen(self):
        hashed = (self.pki / "auth/htpasswd").read_text().partition(":")[2].strip()
        shown = self.inspect(self.name)
        self.assertEqual([name for name in shown["Config"]["Env"] or [] if name.startswith("REGISTRY_")], [])
        texts = {"inspect": json.dumps(shown)}
        texts |= {file: file.read_text(errors="replace") for file in self.pipe.state.rglob("*") if file.is_file()}
        for where, text in texts.items():
            for secret in (PASSWORD, hashed, "PRIVATE KEY", self.http_secret()):
                self.assertNotIn(secret, text, where)

    def test_what_changes_is_changed_and_no_more(self):
        self.run_it()
        container = self.inspect(self.name)["Id"]
        authority = (self.pki / "ca.crt").read_bytes()

        # Another password: the registry reads it by itself.
        self.run_it(password="another one 8")
        self.assertEqual(self.inspect(self.name)["Id"], container)
        self.assertEqual(self.curl("--cacert", self.pki / "ca.crt", user="admin:another one 8"), "200")
        self.assertEqual(self.curl("--cacert", self.pki / "ca.crt"), "401")

        # Another name: a new certificate of the same CA, and a new container that serves it.
        named = self.run_it(password="another one 8", names='["registry.lan"]')
        self.assertIn("registry.lan", named.out + named.err)
        self.assertNotEqual(self.inspect(self.name)["Id"], container)
        self.assertEqual((self.pki / "ca.crt").read_bytes(), authority)
        host, port = self.address.split(":")
        address = "127.0.0.1" if host == "localhost" else host
        done = subprocess.run(
            ["curl", "-sS", "--noproxy", "*", "--cacert", self.pki / "ca.crt", "--resolve", f"registry.lan:{port}:{address}",
             "-o", "/dev/null", "-w", "%{http_code}", f"https://registry.lan:{port}/v2/"], capture_output=True, text=True)  # fmt: skip
        self.assertEqual(done.stdout, "401", done.stderr)

    def test_another_version_is_another_source_with_the_images_kept(self):
        """Of Debian's 2.8 in the layout of version 3: docs/guide/upgrade.md."""
        self.run_it()
        three = self.folder / "three.tar"
        build_image(self.pipe, three, config="/etc/distribution/config.yml")
        self.run_it(source=f"oci-archive:{three}", image="registry:new")
        mounts = {mount["Destination"] for mount in self.inspect(self.name)["Mounts"]}
        self.assertIn("/etc/distribution/config.yml", mounts)
        self.assertNotIn("/etc/docker/registry/config.yml", mounts)
        tags = subprocess.run(["curl", "-sS", "--noproxy", "*", "--cacert", self.pki / "ca.crt", "--user", f"admin:{PASSWORD}",
                               f"https://{self.address}/v2/registry/tags/list"], capture_output=True, text=True).stdout  # fmt: skip
        self.assertEqual(sorted(json.loads(tags)["tags"]), ["3", "new"])
        self.run_it()  # the way back
        self.assertEqual(self.curl("--cacert", self.pki / "ca.crt"), "200")

    def test_users_that_are_gone_or_that_no_registry_lets_in_are_put_right(self):
        self.run_it()
        container, users = self.inspect(self.name)["Id"], self.pki / "auth/htpasswd"
        for fault, said in ((users.unlink, "admin added"), (self.hash_with_md5, "hashed with bcrypt, was MD5")):
            with self.subTest(said):
                fault()
                self.assertNotEqual(self.curl("--cacert", self.pki / "ca.crt"), "200")
                again = self.run_it()
                self.assertIn(said, again.out + again.err)
                self.assertEqual(self.curl("--cacert", self.pki / "ca.crt"), "200")
                self.assertEqual(self.inspect(self.name)["Id"], container)

    def hash_with_md5(self):
        users = self.pki / "auth/htpasswd"
        subprocess.run(["htpasswd", "-bm", users, "admin", PASSWORD], check=True, capture_output=True)

    def test_a_registry_that_its_certificate_ends_leaves_the_one_before_it(self):
        """A key that is no key: the new registry ends as soon as it starts."""
        self.run_it()
        container, config = self.inspect(self.name)["Id"], self.folder / "broken.toml"
        config.write_text(self.file.read_text().replace('"/certs/server.key"', '"/certs/server.crt"'))
        self.addCleanup(setattr, self, "file", self.file)
        self.file = config
        result = self.call("run")
        self.assertEqual(result.code, 1, result)
        self.assertRegex(result.err, "tls: (failed to find|found a certificate)")
        self.assertIn("the earlier container runs again", result.err)
        self.assertEqual(self.inspect(self.name)["Id"], container)
        self.wait_until_it_listens()
        self.assertEqual(self.curl("--cacert", self.pki / "ca.crt"), "200")

    def test_nothing_is_to_do_after_the_engine_was_started_again(self):
        self.run_it()
        secret = self.http_secret()
        self.assert_nothing_to_do_after_restarts()
        self.assertEqual(self.http_secret(), secret)
        self.assertEqual(self.curl("--cacert", self.pki / "ca.crt"), "200")

    def test_without_a_password_it_says_how_to_make_one(self):
        self.pipe.env.pop("REGISTRY_PASSWORD", None)
        result = self.pipe.run(["run", self.file, *self.settings()])
        self.assertNotEqual(result.code, 0)
        self.assertIn("openssl rand -base64 24", result.err)
        self.assertIn("REGISTRY_PASSWORD", result.err)

    def test_a_certificate_that_is_brought_is_checked_before_anything_is_done(self):
        theirs = Certificates(self.folder / "theirs")
        brought = {"cert": theirs.cert, "key": theirs.key, "ca": theirs.ca_file, "renew_before": "1h"}
        if self.address.startswith("localhost"):
            self.run_it(**brought)
            self.assertEqual(self.curl("--cacert", theirs.ca_file), "200")
            self.assertEqual(pipelines.recap(self.run_it(**brought)), (0, self.steps, 0, 0))
        result = self.call("run", **{**brought, "renew_before": "10d"})
        self.assertEqual(result.code, 1)
        self.assertIn("less than `renew_before` from now", result.err)
        result = self.call("run", **brought, address=f"registry.lan:{self.port}")
        self.assertIn("is not for registry.lan", result.err)


class OnDocker(pipelines.Docker, Secure, unittest.TestCase):
    def setUp(self):
        super().setUp()
        # Of loopback, Docker would ask for no proof.
        self.certs = self.certs_d()
        self.address = f"{self.docker.address}:{self.port}"
        self.addCleanup(shutil.rmtree, self.certs_d(), ignore_errors=True)

    def foreign_clients(self):
        name = f"{self.address}/copy"  # of its own: Docker packs layers in another way, and the digest differs
        self.docker.api("POST", f"/images/{self.address}/registry:3/tag?repo={name}&tag=1")
        for password, said in ((PASSWORD, "digest: sha256:"), ("wrong", "unauthorized|no basic auth|denied")):
            auth = {"username": "admin", "password": password, "serveraddress": self.address}
            head = base64.urlsafe_b64encode(json.dumps(auth).encode()).decode()
            done = subprocess.run(
                ["curl", "-sS", "--unix-socket", self.docker.socket, "-X", "POST", "-H", f"X-Registry-Auth: {head}",
                 f"http://d/v1.41/images/{urllib.parse.quote(name, safe='/:')}/push?tag=1"], capture_output=True, text=True)  # fmt: skip
            self.assertRegex(done.stdout, said, done.stderr)


class OnPodman(pipelines.Podman, Secure, unittest.TestCase):
    def foreign_clients(self):
        done = self.skopeo()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(self.skopeo(password="wrong").stderr, "unauthorized|invalid username/password")
        auth = self.folder / "auth.json"
        login = ["podman", "login", "--authfile", auth, "--username", "admin", "--password-stdin", self.address]
        for password, code in ((PASSWORD, 0), ("wrong", 125)):
            done = subprocess.run(login, input=password, text=True, capture_output=True, env=self.pipe.env)
            self.assertEqual(done.returncode, code, done.stderr)
        place = f"docker://{self.address}/copy:1"
        done = subprocess.run(["skopeo", "copy", "--dest-creds", f"admin:{PASSWORD}", f"oci-archive:{self.archive}", place],
                              capture_output=True, text=True, env=self.pipe.env)  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    unittest.main()
