"""verify's checks of passwords, TLS, room and exposure, and its report: at real registries, nginx and disks."""

import json
import os
import signal
import socket
import subprocess
import time
import unittest
import xml.etree.ElementTree

from registries import Answer, Certificates, FakeRegistry, Registry, free_port, write_login
from test_verify import Case, reachable_name


class Nginx:
    """nginx with TLS before a registry."""

    def __init__(self, folder, registry, certificates, *settings):
        self.folder, self.port = folder / "nginx", free_port()
        self.host, self.ca_file = "localhost", certificates.ca_file
        self.folder.mkdir()
        places = "".join(f"{kind}_temp_path {self.folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (self.folder / "nginx.conf").write_text(f"""
            user root; pid {self.folder}/pid; error_log {self.folder}/log; daemon off; events {{}}
            http {{ {places} access_log off;
              server {{ listen 127.0.0.1:{self.port} ssl;
                ssl_certificate {certificates.cert}; ssl_certificate_key {certificates.key};
                {" ".join(settings)}
                location / {{ proxy_pass http://127.0.0.1:{registry.port}; proxy_set_header Host $http_host;
                  proxy_set_header X-Forwarded-Proto https; }} }} }}""")

    def __enter__(self):
        self.process = subprocess.Popen(["nginx", "-c", self.folder / "nginx.conf", "-e", self.folder / "log"])
        for _ in range(1200):
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return self
            except OSError:
                time.sleep(0.05)
        raise AssertionError((self.folder / "log").read_text())

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()

    @property
    def address(self):
        return f"{self.host}:{self.port}"


class Auth(Case):
    def test_a_registry_with_a_password_and_the_right_login(self):
        registry = self.start(Registry(users={"me": "secret-word"}))
        registry.write_login(self.pipe.env["DOCKER_CONFIG"])
        report, _ = self.passes(registry=registry.address, checks=["auth"])
        self.assertEqual(report["auth"]["came"], "HTTP 401 without a password, takes the login")

    def test_one_that_asks_for_none_fails(self):
        registry = self.start(Registry())
        self.fails("HTTP 200 without a password", "authentication is not configured", "htpasswd", registry=registry.address, checks=["auth"])

    def test_a_wrong_login_and_none(self):
        registry = self.start(Registry(users={"me": "secret-word"}))
        self.fails("no login is stored", "docker login", registry=registry.address, checks=["auth"])
        write_login(self.pipe.env["DOCKER_CONFIG"], registry.address, ("me", "wrong"))
        failed = self.fails("refuses the login", "bcrypt", registry=registry.address, checks=["auth"])
        self.assertNotIn("wrong:", failed.err)

    def test_hashes_that_are_not_bcrypt(self):
        registry = self.start(Registry(users={"me": "secret-word"}))
        registry.stop()
        subprocess.run(["htpasswd", "-cbm", registry.folder / "htpasswd", "me", "secret-word"], check=True, capture_output=True)
        registry.start()
        registry.write_login(self.pipe.env["DOCKER_CONFIG"])
        self.fails("bcrypt hashes only", registry=registry.address, checks=["auth"])

    def test_a_challenge_that_no_client_knows(self):
        for challenge, cause in (("Digest realm=\"x\"", "the scheme \"digest\""), ("Basic", "no realm"), (None, "without WWW-Authenticate")):
            headers = {"WWW-Authenticate": challenge} if challenge else {}
            registry = self.start(FakeRegistry(fault=lambda r, h=headers: Answer(401, "{}", h)))
            self.fails(cause, registry=registry.address, checks=["auth"])


class Tls(Case):
    def certified(self, days="2", names="DNS:localhost,IP:127.0.0.1", begin=None):
        """A registry with a certificate that is signed for so long and those names."""
        registry = Registry(tls=True)
        c = registry.certificates
        extensions = c.folder / "names.cnf"
        extensions.write_text(f"subjectAltName={names}\n")
        c.openssl("x509", "-req", "-in", c.cert.with_suffix(".csr"), "-CA", c.ca_file, "-CAkey", c.folder / "ca.key",
                  "-CAcreateserial", "-days", days, "-extfile", extensions, "-out", c.cert)  # fmt: skip
        return registry

    def test_a_good_certificate(self):
        registry = self.start(self.certified(days="60"))
        report, _ = self.passes(registry=registry.address, checks=["tls"], ca_file=registry.ca_file)
        self.assertRegex(report["tls"]["came"], r"TLSv1\.3, a certificate that is trusted here and lasts (59|60) more days")

    def test_one_that_ends_soon(self):
        registry = self.start(self.certified(days="5"))
        self.fails("less than the 14 that are asked for", "restart the registry", registry=registry.address, checks=["tls"],
                   ca_file=registry.ca_file)  # fmt: skip
        self.passes(registry=registry.address, checks=["tls"], ca_file=registry.ca_file, min_validity="3d")

    def test_one_that_has_ended_is_for_another_name_or_of_another_ca(self):
        expired = self.certified(days="-1")
        expired._process = None
        # docker-registry starts with it; its own test client would not take it, so it is asked with plain sockets.
        expired.request = lambda *_: socket.create_connection(("127.0.0.1", expired.port), 5).close()
        self.start(expired)
        self.fails("has expired", registry=expired.address, checks=["tls"], ca_file=expired.ca_file)
        other = self.certified(names="DNS:elsewhere.example")
        other.request = lambda *_: socket.create_connection(("127.0.0.1", other.port), 5).close()
        self.start(other)
        self.fails("is for other names", registry=other.address, checks=["tls"], ca_file=other.ca_file)
        self.fails("authority that this machine does not know", registry=other.address, checks=["tls"])
        # Even where everything else is told to look away.
        self.fails("is for other names", registry=other.address, checks=["tls"], ca_file=other.ca_file, insecure=True)

    def test_plain_http(self):
        registry = self.start(Registry())
        self.fails("has no certificate", registry=registry.address, checks=["tls"])

    def test_old_versions_of_tls(self):
        registry = self.start(Registry())
        certificates = Certificates(self.folder / "certs")
        proxy = self.start(Nginx(self.folder, registry, certificates, "ssl_protocols TLSv1 TLSv1.1 TLSv1.2;", "ssl_ciphers ALL:@SECLEVEL=0;"))
        self.fails("it still speaks TLSv1", "ssl_protocols", registry=proxy.address, checks=["tls"], ca_file=proxy.ca_file, min_validity="0s")


class Limits(Case):
    def test_a_proxys_limit_that_is_never_met_by_a_small_request(self):
        registry = self.start(Registry())
        proxy = self.start(Nginx(self.folder, registry, Certificates(self.folder / "certs")))
        self.fails("413", "client_max_body_size 0", registry=proxy.address, checks=["canary"], ca_file=proxy.ca_file)
        self.passes(registry=proxy.address, checks=["canary"], ca_file=proxy.ca_file, canary_size="100kB")

    @unittest.skipIf(os.geteuid() != 0, "mounting is root's")
    def test_a_full_disk_behind_a_green_health_page(self):
        disk = self.folder / "disk"
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", disk], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", disk], check=True)
        registry = self.start(Registry(under=disk))
        self.passes(registry=registry.address, checks=["canary"])
        room = os.statvfs(disk)
        (disk / "ballast").write_bytes(bytes(room.f_bavail * room.f_frsize - 1_000_000))
        self.passes(registry=registry.address, checks=["api"])
        self.fails("its disk is full", "free space", registry=registry.address, checks=["canary"])
        self.fails("less than the 1.1 GB", "collect garbage", data=disk, checks=["storage"])
        (disk / "ballast").unlink()
        self.passes(data=disk, checks=["storage"], min_free="100kB")


class Exposure(Case):
    def test_loopback_may_be_open(self):
        registry = self.start(Registry())
        report, _ = self.passes(registry=registry.address, checks=["config"])
        self.assertEqual(report["config"]["came"], "plain HTTP, no password, deletes images")
        fixed = self.start(Registry(delete=False))
        report, _ = self.passes(registry=fixed.address, checks=["config"])
        self.assertEqual(report["config"]["came"], "plain HTTP, no password, does not delete")

    def everywhere(self, users=None, debug=None):
        registry = Registry(users=users)
        config = json.loads(registry._config.read_text())
        config["http"]["addr"] = f"0.0.0.0:{registry.port}"
        if debug:
            config["http"]["debug"] = {"addr": debug}
        registry._config.write_text(json.dumps(config))
        return self.start(registry)

    def test_open_to_the_network(self):
        registry = self.everywhere()
        self.fails("may push and delete without a password", "127.0.0.1 only", registry=f"{reachable_name()}:{registry.port}",
                   insecure=True, checks=["config"])  # fmt: skip

    def test_passwords_in_the_clear(self):
        registry = self.everywhere(users={"me": "secret-word"})
        address = f"{reachable_name()}:{registry.port}"
        write_login(self.pipe.env["DOCKER_CONFIG"], address, ("me", "secret-word"))
        self.fails("passwords cross the network in the clear", registry=address, insecure=True, checks=["config"])

    def test_a_debug_address(self):
        registry = self.everywhere(debug="0.0.0.0:5001")
        self.fails("its debug address answers at", registry=f"{reachable_name()}:{registry.port}", insecure=True, checks=["config"])


class Report(Case):
    def test_as_junit_json_and_text_whether_it_passes_or_not(self):
        registry = self.start(Registry())
        for ending in ("xml", "json", "txt"):
            file = self.folder / f"report.{ending}"
            self.fails("1 of 2 checks", registry=registry.address, checks=["api", "auth"], report_file=file)
            self.assertTrue(file.read_text())
        suite = xml.etree.ElementTree.parse(self.folder / "report.xml").getroot().find("testsuite")
        self.assertEqual((suite.get("tests"), suite.get("failures")), ("2", "1"))
        cases = {case.get("name"): case for case in suite}
        self.assertIsNone(cases["api"].find("failure"))
        self.assertIn("HTTP 200 without a password", cases["auth"].find("failure").get("message"))
        report = json.loads((self.folder / "report.json").read_text())
        self.assertEqual([(entry["check"], entry["ok"]) for entry in report], [("api", True), ("auth", False)])
        self.assertRegex((self.folder / "report.txt").read_text(), r"ok +api .*\nFAILED +auth ")
        closed = f"localhost:{free_port()}"
        self.fails("not checked", registry=closed, checks=["api", "auth"], report_file=self.folder / "report.xml")
        suite = xml.etree.ElementTree.parse(self.folder / "report.xml").getroot().find("testsuite")
        self.assertEqual((suite.get("failures"), suite.get("skipped")), ("1", "1"))
        self.fails("what kind of report", registry=closed, report_file=self.folder / "report.pdf")


if __name__ == "__main__":
    unittest.main()
