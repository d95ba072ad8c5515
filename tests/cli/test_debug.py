"""`pipe debug`: how things are understood, as JSON, with no secret in it."""

import base64
import json
import unittest

from cli_case import CliCase
from registries import Image, Index

DIGEST = "sha256:" + "ab" * 32
SECRET = "hunter2-secret"


class Debug(CliCase):
    def debug(self, *words, code=0, **options):
        result = self.pipe.run(["debug", *words], **options)
        self.assert_code(result, code)
        return result.json

    def wrong(self, *words):
        answer = self.debug(*words, code=1)
        self.assertIs(answer["valid"], False)
        return answer["problem"]

    def test_help(self):
        listed = self.pipe.run(["debug", "--help"])
        self.assert_code(listed, 0)
        for verb in ("ref", "challenge", "auth", "platform", "digest", "manifest"):
            self.assertIn(f"debug {verb}", listed.out)
            self.assert_says(self.pipe.run(["debug", verb, "--help"]).out, f"usage: pipe debug {verb}")
        self.assert_code(self.pipe.run(["debug", "ref"]), 2)

    def test_ref(self):
        self.assertEqual(
            self.debug("ref", "registry:3"),
            {"valid": True, "kind": "registry", "name": "docker.io/library/registry:3", "familiar": "registry:3",
             "registry": "docker.io", "repository": "library/registry", "tag": "3"},
        )  # fmt: skip
        answer = self.debug("ref", f"localhost:5000/a/b@{DIGEST}")
        self.assertEqual((answer["registry"], answer["digest"]), ("localhost:5000", DIGEST))
        self.assertEqual(self.debug("ref", "oci-archive:x.tar:app")["ref"], "app")
        self.assertEqual(self.debug("ref", "docker-daemon:app:1")["kind"], "docker-daemon")
        self.assertIn("UPPER", self.wrong("ref", "UPPER"))

    def test_challenge(self):
        header = 'Bearer realm="https://auth.lan/token",service="lan",scope="repository:a:pull,push", Basic realm=x'
        bearer, basic = self.debug("challenge", header)["challenges"]
        self.assertEqual(bearer["scheme"], "bearer")
        self.assertEqual(bearer["params"]["scope"], "repository:a:pull,push")
        self.assertEqual(basic, {"scheme": "basic", "params": {"realm": "x"}})
        self.assertEqual(self.debug("challenge", f"WWW-Authenticate: {header}")["challenges"], [bearer, basic])
        self.wrong("challenge", " , ")

    def test_auth_names_the_place_and_never_the_secret(self):
        config = self.folder / "docker/config.json"
        login = base64.b64encode(f"me:{SECRET}".encode()).decode()
        config.write_text(json.dumps({"auths": {"registry.lan:5000": {"auth": login}}}))
        result = self.pipe.run(["debug", "auth", "registry.lan:5000/app:1"])
        self.assertEqual(
            result.json,
            {"valid": True, "registry": "registry.lan:5000", "repository": "app", "found": True,
             "source": str(config), "username": "me", "kind": "password"},
        )  # fmt: skip
        for secret in (SECRET, login):
            self.assertNotIn(secret, result.out + result.err)
        self.assertIs(self.debug("auth", "elsewhere.lan/app")["found"], False)

    def test_auth_of_a_helper(self):
        helper = self.pipe.write(
            "bin/docker-credential-test",
            f'#!/bin/sh\necho \'{{"Username":"<token>","Secret":"{SECRET}"}}\'\n',
        )
        helper.chmod(0o755)
        (self.folder / "docker/config.json").write_text('{"credHelpers":{"registry.lan":"test","other.lan":"nowhere"}}')
        path = {"PATH": f"{helper.parent}:{self.pipe.env['PATH']}"}
        result = self.pipe.run(["debug", "auth", "registry.lan/app"], env=path)
        self.assertIn("docker-credential-test (credHelpers in", result.json["source"])
        self.assertEqual(result.json["kind"], "identity token")
        self.assertNotIn(SECRET, result.out + result.err)
        missing = self.debug("auth", "other.lan/app", env=path)
        self.assertIs(missing["found"], False)
        self.assertIn("docker-credential-nowhere", missing["problem"])

    def test_platform(self):
        answer = self.debug("platform", "linux/aarch64/v8")
        self.assertEqual((answer["platform"], answer["architecture"]), ("linux/arm64", "arm64"))
        self.assertIs(self.debug("platform", answer["this_machine"])["runs_here"], True)
        self.assertIn("bad platform", self.wrong("platform", "linux"))

    def test_digest(self):
        self.assertEqual(self.debug("digest", DIGEST)["hex"], "ab" * 32)
        self.assertIn("has 64 hex digits, this has 4", self.wrong("digest", "sha256:abcd"))

    def test_manifest(self):
        image = Image(sizes=(10, 20))
        file = self.pipe.write("manifest.json", image.manifest.decode())
        answer = self.debug("manifest", file)
        self.assertEqual((answer["digest"], answer["size"]), (image.digest, len(image.manifest)))
        self.assertEqual([x["digest"] for x in answer["layers"]], [x["digest"] for x in image.layers])
        index = self.pipe.write("index.json", Index([image]).manifest.decode())
        self.assertEqual(self.debug("manifest", index)["manifests"][0]["platform"], "linux/amd64")
        ambiguous = json.loads(image.manifest)
        ambiguous["manifests"] = []
        self.wrong("manifest", self.pipe.write("bad.json", json.dumps(ambiguous)))
        self.assertIn("not JSON", self.wrong("manifest", self.pipe.write("none.json", "hello")))
        result = self.pipe.run(["debug", "manifest", "nowhere.json"])
        self.assert_code(result, 1)
        self.assertIn("cannot read nowhere.json", result.err)


if __name__ == "__main__":
    unittest.main()
