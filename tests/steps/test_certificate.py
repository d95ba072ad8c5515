"""The step certificate: what openssl, curl and a registry make of what it makes; and what it says of others'."""

import json
import os
import pathlib
import ssl
import subprocess
import unittest

from registries import Certificates, Registry
from steps import StepTest


def openssl(*args, check=True):
    done = subprocess.run(["openssl", *map(str, args)], check=check, capture_output=True, text=True)
    return done.stdout + done.stderr


class CertificateTest(StepTest):
    def setUp(self):
        super().setUp()
        self.place = self.folder / "pki"

    def make(self, *names, **more):
        """Outputs, and whether something changed."""
        result = self.pipe.try_step("certificate", names=names or ("localhost", "127.0.0.1"), folder=self.place, **more)
        self.assertEqual(result.code, 0, result)
        return json.loads(result.out), ": changed=1 " in result.err

    def text(self, file):
        return openssl("x509", "-in", file, "-noout", "-text")


class Made(CertificateTest):
    def test_it_is_what_clients_demand(self):
        out, _ = self.make("registry.lan:5000", "10.0.0.7", "[fd00::7]:5000", "*.lan")
        text = self.text(out["cert"])
        self.assertRegex(text, r"DNS:registry\.lan, IP Address:10\.0\.0\.7, IP Address:FD00:0:0:0:0:0:0:7, DNS:\*\.lan")
        self.assertIn("prime256v1", text)
        self.assertIn("TLS Web Server Authentication", text)
        self.assertRegex(text, r"Basic Constraints: critical\s+CA:FALSE")
        self.assertRegex(text, r"Key Usage: critical\s+Digital Signature")
        authority = self.text(out["ca"])
        self.assertRegex(authority, r"Basic Constraints: critical\s+CA:TRUE, pathlen:0")
        self.assertRegex(authority, r"Key Usage: critical\s+Certificate Sign, CRL Sign")
        self.assertIn(": OK", openssl("verify", "-purpose", "sslserver", "-x509_strict", "-verify_hostname", "registry.lan",
                                      "-CAfile", out["ca"], out["cert"]))  # fmt: skip
        self.assertIn(": OK", openssl("verify", "-verify_ip", "10.0.0.7", "-CAfile", out["ca"], out["cert"]))
        fingerprint = openssl("x509", "-in", out["cert"], "-noout", "-fingerprint", "-sha256")
        self.assertEqual(fingerprint.split("=")[1].replace(":", "").strip().lower(), out["fingerprint"])
        self.assertEqual(out["days_left"], 396)  # and 23 hours and some
        self.assertIn(out["expires"][:4], openssl("x509", "-in", out["cert"], "-noout", "-enddate"))

    def test_keys_are_for_their_owner_alone(self):
        out, _ = self.make()
        for file, mode in ((out["key"], 0o600), (self.place / "ca.key", 0o600), (out["cert"], 0o644), (out["ca"], 0o644)):
            self.assertEqual(pathlib.Path(file).stat().st_mode & 0o777, mode, file)
        self.assertEqual(sorted(p.name for p in pathlib.Path(out["folder"]).iterdir()), ["server.crt", "server.key"])

    @unittest.skipUnless(os.getuid() == 0, "only root gives files away")
    def test_the_servers_key_is_given_to_its_owner_and_the_authoritys_is_not(self):
        out, _ = self.make(owner="1234:1235")
        self.assertEqual(pathlib.Path(out["key"]).stat().st_uid, 1234)
        self.assertEqual((self.place / "ca.key").stat().st_uid, 0)
        self.assertFalse(self.make(owner="1234:1235")[1])
        again, changed = self.make(owner="4321")
        self.assertTrue(changed)
        self.assertEqual(again["fingerprint"], out["fingerprint"])

    def test_a_second_run_changes_nothing(self):
        first, changed = self.make()
        self.assertTrue(changed)
        second, changed = self.make("127.0.0.1", "localhost")
        self.assertFalse(changed)
        self.assertEqual({**first, "days_left": 0}, {**second, "days_left": 0})

    def test_other_names_get_a_new_certificate_of_the_same_authority(self):
        first, _ = self.make("one.lan")
        authority = pathlib.Path(first["ca"]).read_bytes()
        second, changed = self.make("one.lan", "two.lan")
        self.assertTrue(changed)
        self.assertNotEqual(first["fingerprint"], second["fingerprint"])
        self.assertEqual(pathlib.Path(second["ca"]).read_bytes(), authority)
        self.assertIn("two.lan", self.text(second["cert"]))

    def test_it_is_renewed_in_time(self):
        first, _ = self.make(days=10, renew_before="1d")
        self.assertFalse(self.make(days=10, renew_before="9d")[1])
        second, changed = self.make(days=20, renew_before="12d")
        self.assertTrue(changed)
        self.assertNotEqual(first["fingerprint"], second["fingerprint"])
        self.failure("certificate", "renewed each time", names="x", folder=self.place, days=10, renew_before="10d")

    def test_what_was_lost_or_mixed_up_is_made_again(self):
        first, _ = self.make()
        pathlib.Path(first["key"]).unlink()
        second, changed = self.make()
        self.assertTrue(changed)
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", second["key"])
        third, changed = self.make()
        self.assertTrue(changed)
        self.assertEqual(len({x["fingerprint"] for x in (first, second, third)}), 3)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(third["cert"], third["key"])

    def test_several_have_one_authority(self):
        one, _ = self.make("one.lan")
        two = self.step("certificate", names="two.lan", folder=self.folder / "two", authority=self.place)
        self.assertEqual(one["ca"], two["ca"])
        self.assertIn(": OK", openssl("verify", "-CAfile", one["ca"], two["cert"]))
        self.assertFalse((self.folder / "two/ca.key").exists())

    def test_without_the_authoritys_key_nothing_is_made_and_what_is_there_stays(self):
        first, _ = self.make()
        (self.place / "ca.key").unlink()
        self.assertFalse(self.make()[1])
        self.failure("certificate", "has no key", "put the key back", names="other", folder=self.place)
        self.assertEqual(self.make()[0]["fingerprint"], first["fingerprint"])

    def test_an_authoritys_key_that_is_broken_is_seen_before_it_is_needed(self):
        self.make()
        (self.place / "ca.key").write_text("not a key\n")
        said = self.pipe.try_step("certificate", names="registry.lan", folder=self.place)
        self.assertEqual(said.code, 1, said)
        self.assertIn("ca.key holds no private key in PEM format", said.err)

    def test_a_strange_authoritys_key_is_refused(self):
        self.make()
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", self.place / "ca.key")
        self.failure("certificate", "does not belong to", names="other", folder=self.place)

    def test_names_that_can_not_be(self):
        for name in ("https://x", "a b", "x..y", "DNS:x,IP:1.2.3.4"):
            self.failure("certificate", "no host that a certificate can be for", names=name, folder=self.place)
        self.failure("certificate", "no `folder`", names="x")

    def test_a_registry_serves_it_to_curl(self):
        with Registry(tls=True) as registry:
            out, _ = self.make()
            registry.stop()
            config = json.loads(registry._config.read_text())
            config["http"]["tls"] = {"certificate": out["cert"], "key": out["key"]}
            registry._config.write_text(json.dumps(config))
            registry.ca_file = out["ca"]
            registry.start()
            for host in ("localhost", "127.0.0.1"):
                url = f"https://{host}:{registry.port}/v2/"
                done = subprocess.run(["curl", "-sS", "--noproxy", "*", "--cacert", out["ca"], url], capture_output=True, text=True)
                self.assertEqual(done.stdout, "{}", done.stderr)
            done = subprocess.run(["curl", "-sS", "--noproxy", "*", url], capture_output=True, text=True)
            self.assertRegex(done.stderr, "self.signed certificate in certificate chain|unable to get local issuer")


class Brought(CertificateTest):
    def setUp(self):
        super().setUp()
        self.theirs = Certificates(self.folder / "theirs")

    def given(self, **more):
        return {"names": ("localhost", "127.0.0.1"), "cert": self.theirs.cert, "key": self.theirs.key,
                "ca": self.theirs.ca_file, "renew_before": "1h", **more}  # fmt: skip

    def refused(self, *expected, **more):
        return self.failure("certificate", *expected, **self.given(**more))

    def signed(self, name, *options):
        """A certificate of theirs, with openssl's options."""
        cert, key, request = (self.folder / f"{name}.{end}" for end in ("crt", "key", "csr"))
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}",
                "-keyout", key, "-out", request)  # fmt: skip
        names = self.folder / f"{name}.cnf"
        extensions = [o for o in options if "=" in o]
        names.write_text("\n".join(extensions) + "\n")
        openssl("x509", "-req", "-in", request, "-CA", self.theirs.ca_file, "-CAkey", self.theirs.folder / "ca.key", "-CAcreateserial",
                "-extfile", names, *([] if "-days" in options else ["-days", "2"]), *[o for o in options if "=" not in o],
                "-out", cert)  # fmt: skip
        return {"cert": cert, "key": key}

    def test_one_that_is_right_is_taken_where_it_lies(self):
        out = self.step("certificate", **self.given())
        self.assertEqual((out["cert"], out["key"], out["ca"]), tuple(map(str, (self.theirs.cert, self.theirs.key, self.theirs.ca_file))))

    def test_with_a_folder_it_is_put_there_and_followed(self):
        out = self.step("certificate", **self.given(folder=self.place))
        self.assertEqual(out["folder"], str(self.place / "tls"))
        self.assertEqual(pathlib.Path(out["key"]).stat().st_mode & 0o777, 0o600)
        again = self.pipe.try_step("certificate", **self.given(folder=self.place))
        self.assertIn("changed=0", again.err)
        renewed = self.signed("localhost", "subjectAltName=DNS:localhost,IP:127.0.0.1")
        new = self.step("certificate", **self.given(folder=self.place, **renewed))
        self.assertNotEqual(new["fingerprint"], out["fingerprint"])
        self.assertIn(": OK", openssl("verify", "-CAfile", out["ca"], self.place / "tls/server.crt"))

    def test_another_name(self):
        self.refused(r"is not for registry\.lan, but for 127\.0\.0\.1, 127\.0\.0\.2, localhost", r"DNS:registry\.lan in subjectAltName", names="registry.lan")

    def test_a_common_name_does_not_count(self):
        self.refused("no subjectAltName; clients do not read the common name", **self.signed("localhost", "keyUsage=digitalSignature"))

    def test_expired_and_soon(self):
        old = self.signed("old", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-days", "-1")
        self.refused(r"expired on \d{4}-\d\d-\d\d", "restart the registry", **old)
        said = self.refused(r"good until .* only, less than `renew_before`", r"\n +renew_before = 40d\n", renew_before="960h")
        self.assertNotRegex(said, r"\n +days +=")  # nobody gave that

    def test_several_faults_have_a_line_each(self):
        old = self.signed("old", "subjectAltName=DNS:localhost", "-days", "-1")
        self.refused(r"old\.crt has 3 faults\n", r"\n +\S+ is not for other, but for localhost\n",
                     r"\n +hint: issue it again with DNS:other\b[^\n]*\n +hint: have it issued again",
                     **{**old, "names": "other", "key": self.theirs.folder / "ca.key"})  # fmt: skip

    def test_another_ones_key(self):
        self.refused("does not belong to the first certificate", key=self.theirs.folder / "ca.key")

    def test_a_chain_that_leads_elsewhere(self):
        strange = Certificates(self.folder / "strange")
        self.refused("leads to none of", "intermediate certificates", ca=strange.ca_file)
        self.refused("leads to none of the CAs of this machine", "name its CA with `ca`", ca=None)

    def test_not_for_servers(self):
        self.refused("lacks serverAuth", **self.signed("x", "subjectAltName=DNS:localhost,IP:127.0.0.1", "extendedKeyUsage=clientAuth"))

    def test_what_is_no_certificate_and_no_key(self):
        self.refused("no private key in PEM format", key=self.theirs.cert)
        self.refused("no certificate in PEM format", cert=self.theirs.key)
        self.refused("there is no file", cert=self.folder / "nothing")
        locked = self.folder / "locked.key"
        openssl("ec", "-in", self.theirs.key, "-aes128", "-passout", "pass:x", "-out", locked)
        self.refused("locked with a passphrase", "openssl pkey", key=locked)

    def test_half_of_it(self):
        self.refused("`cert` is given without `key`", key=None)
        self.refused("`ca` is given without", cert=None, key=None)


class InAPipeline(CertificateTest):
    PIPELINE = """
schema = 1
[pipeline]
name = "pki"
[[step]]
uses        = "certificate"
with.names  = ["localhost"]
with.folder = "pki"
"""

    def call(self, verb, *more, code=0):
        result = self.pipe.run([verb, self.pipe.write("pki.toml", self.PIPELINE), *more])
        self.assertEqual(result.code, code, result)
        return result.out + result.err

    def test_plan_changes_nothing_and_down_keeps_it_unless_data_go(self):
        self.assertRegex(self.call("plan", "--exit-code", code=10), "would make a certificate for localhost")
        self.assertFalse(self.place.exists())
        self.call("run")
        self.call("plan", "--exit-code")
        self.assertNotIn("PRIVATE", "".join(p.read_text() for p in self.pipe.journals()))
        preview = self.call("down", "--dry-run")
        self.assertIn("stays, as it is data: ", preview)
        self.assertNotIn("remove", preview)
        self.call("down")
        self.assertTrue((self.place / "ca.key").exists())
        self.call("run")
        (self.place / "mine").write_text("x")
        self.call("down", "--data")
        self.assertEqual([p.name for p in self.place.iterdir()], ["mine"])


if __name__ == "__main__":
    unittest.main()
