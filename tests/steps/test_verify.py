"""verify: what it finds at real registries, and the cause it names for each way to fail."""

import json
import pathlib
import shutil
import socket
import subprocess
import tempfile
import threading
import unittest

from pipe import Pipe
from registries import Answer, Certificates, FakeRegistry, Image, Index, Registry, Scripted, digest_of, free_port, write_login


def reachable_name():
    """A name of this machine that is not taken for loopback, so that https is asked of it."""
    return socket.gethostname()


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="pipe-verify-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.pipe = Pipe(self.folder)

    def start(self, server):
        self.addCleanup(server.__exit__, None, None, None)
        return server.__enter__()

    def passes(self, **params):
        """The report by check, and all outputs."""
        outputs = self.pipe.step("verify", **params)
        report = {entry["check"]: entry for entry in json.loads(outputs["report"])}
        self.assertTrue(all(entry["ok"] for entry in report.values()), report)
        return report, outputs

    def fails(self, *texts, code=1, **params):
        result = self.pipe.try_step("verify", **params)
        self.assertEqual(result.code, code, result)
        for text in texts:
            self.assertIn(text, result.err)
        return result


class GoodRegistry(Case):
    def setUp(self):
        super().setUp()
        self.registry = self.start(Registry())
        self.image = Image(sizes=(1000, 2000))
        self.name = f"{self.registry.address}/app:1"
        self.registry.push(self.image, "app", "1")

    def test_all_checks_pass_and_leave_nothing_behind(self):
        report, outputs = self.passes(
            image=self.name, digest=self.image.digest, checks=["api", "image", "content", "canary"]
        )
        self.assertEqual(list(report), ["api", "image", "content", "canary"])
        self.assertEqual(outputs["digest"], self.image.digest)
        self.assertEqual(report["api"]["asked"], f"GET {self.registry.url}/v2/")
        self.assertEqual(report["api"]["came"], "HTTP 200 from registry/2.0")
        self.assertIn("3 blobs", report["image"]["came"])
        self.assertIn(f"{self.image.size} bytes", report["content"]["came"])
        status, _, body = self.registry.request("GET", "/v2/pipe-canary/tags/list")
        self.assertFalse(status == 200 and json.loads(body)["tags"], body)

    def test_by_default_it_checks_what_it_is_given(self):
        self.assertEqual(list(self.passes(registry=self.registry.address)[0]), ["api"])
        self.assertEqual(list(self.passes(image=self.name)[0]), ["api", "image"])

    def test_it_writes_nothing_unless_a_canary_is_asked_for(self):
        self.registry.forget_requests()
        self.passes(image=self.name, checks=["api", "image", "content"])
        self.assertLessEqual({method for method, _, _ in self.registry.requests}, {"GET", "HEAD"})

    def test_each_manifest_is_read_once_for_several_checks(self):
        self.registry.forget_requests()
        self.passes(image=self.name, checks=["image", "content"])
        reads = [path for method, path, _ in self.registry.requests if method == "GET" and "/manifests/" in path]
        self.assertEqual(len(reads), 1, reads)

    def test_every_platform_of_an_index_is_checked(self):
        index = Index([Image(seed=2), Image(seed=3, architecture="arm64")])
        self.registry.push(index, "multi", "1")
        report, outputs = self.passes(image=f"{self.registry.address}/multi:1", checks=["image"])
        self.assertIn("3 manifests, 4 blobs", report["image"]["came"])
        self.assertEqual(outputs["digest"], index.digest)

    def test_plan_asks_nothing(self):
        self.registry.forget_requests()
        result = self.pipe.run(["step", "verify", "--image", self.name, "--dry-run", "--output", "plain"])
        self.assertEqual(result.code, 0, result)
        self.assertIn("will check api, image", result.out)
        self.assertEqual(self.registry.requests, [])

    def test_another_digest_is_found(self):
        other = digest_of(b"other")
        self.fails(
            f"came {self.image.digest}, wanted {other}",
            "was pushed again since, from another image",
            image=self.name,
            digest=other,
        )

    def test_the_digest_of_one_platform_is_told_from_the_index(self):
        index = Index([Image(seed=2), Image(seed=3, architecture="arm64")])
        self.registry.push(index, "multi", "1")
        self.fails(
            "serves the index of all platforms, and the digest is of one of them",
            image=f"{self.registry.address}/multi:1",
            digest=index.children[0].digest,
        )

    def test_a_missing_tag_is_answered_with_those_there_are(self):
        self.fails("repository app has no 2", "use one that is there: 1", image=f"{self.registry.address}/app:2")

    def test_a_missing_repository_is_named(self):
        self.fails("has no repository nothing", "push the image first", image=f"{self.registry.address}/nothing:1")


class DamagedRegistry(Case):
    def setUp(self):
        super().setUp()
        self.registry = self.start(Registry())
        self.image = Image(sizes=(1000, 2000))
        self.registry.push(self.image, "app", "1")
        self.name = f"{self.registry.address}/app:1"

    def blob(self, digest):
        algorithm, hexadecimal = digest.split(":")
        return self.registry.data / f"docker/registry/v2/blobs/{algorithm}/{hexadecimal[:2]}/{hexadecimal}/data"

    def restart(self):
        """It keeps what it knows of blobs in memory."""
        self.registry.stop()
        self.registry.start()

    def test_a_blob_that_was_collected_is_missing(self):
        layer = self.image.layers[1]["digest"]
        self.blob(layer).unlink()
        self.restart()
        for check in ("image", "content"):
            self.fails(f"blob {layer[:19]} is missing", "a garbage collection ran", image=self.name, checks=[check])

    def test_all_damage_is_told_together(self):
        for layer in self.image.layers:
            self.blob(layer["digest"]).unlink()
        self.restart()
        result = self.fails(
            f"2 of 2 checks of {self.name} failed", "image, content:", image=self.name, checks=["image", "content"]
        )
        for layer in self.image.layers:
            self.assertEqual(result.err.count(f"blob {layer['digest'][:19]} is missing"), 1, result)

    def test_changed_bytes_are_found_by_content_alone(self):
        layer = self.image.layers[0]
        self.blob(layer["digest"]).write_bytes(bytes(layer["size"]))
        self.restart()
        self.passes(image=self.name, checks=["image"])
        self.fails(
            f"blob {layer['digest'][:19]} has other content", "storage is damaged", image=self.name, checks=["content"]
        )

    def test_a_blob_that_was_cut_has_another_size(self):
        layer = self.image.layers[0]
        self.blob(layer["digest"]).write_bytes(b"short")
        self.restart()
        self.fails(f"blob {layer['digest'][:19]} has another size", image=self.name, checks=["image"])

    def test_a_platform_that_is_gone_is_named(self):
        index = Index([Image(seed=2), Image(seed=3, architecture="arm64")])
        self.registry.push(index, "multi", "1")
        self.registry.request("DELETE", f"/v2/multi/manifests/{index.children[1].digest}")
        self.fails(
            "1 of the 2 manifests that the index names missing",
            "linux/arm64",
            "without --delete-untagged",
            image=f"{self.registry.address}/multi:1",
            checks=["image"],
        )


class Canary(Case):
    def test_where_deletion_is_off_one_tag_stays_and_is_named(self):
        registry = self.start(Registry(delete=False))
        for _ in range(2):
            result = self.pipe.try_step("verify", registry=registry.address, checks=["canary"])
            self.assertEqual(result.code, 0, result)
            self.assertIn(f"{registry.address}/pipe-canary:canary stays there", result.err)
        _, _, body = registry.request("GET", "/v2/pipe-canary/tags/list")
        self.assertEqual(json.loads(body)["tags"], ["canary"])

    def test_a_read_only_registry(self):
        registry = self.start(Registry(maintenance={"readonly": {"enabled": True}}))
        self.fails("takes no uploads: it is read-only", registry=registry.address, checks=["canary"])

    def test_its_repository_can_be_chosen(self):
        registry = self.start(FakeRegistry())
        self.passes(registry=registry.address, checks=["canary"], canary_repository="team/probe")
        self.assertEqual(registry.count("PUT", "/v2/team/probe/manifests/"), 1)
        self.assertEqual(registry.manifests["team/probe"], {})

    def faulty(self, method, part, answer):
        return self.start(FakeRegistry(fault=lambda r: answer if r.method == method and part in r.path else None))

    def test_a_proxy_that_limits_bodies(self):
        registry = self.faulty("PUT", "/blobs/uploads/", Answer(413, "<html><title>413 Too Large</title></html>"))
        self.fails("the upload of a blob failed", "client_max_body_size", registry=registry.address, checks=["canary"])

    def test_a_full_disk(self):
        registry = self.faulty("PUT", "/blobs/uploads/", Answer(507, "no space left"))
        self.fails("its disk is full", "free space", registry=registry.address, checks=["canary"])

    def test_a_project_that_must_exist_first(self):
        registry = self.faulty("POST", "/blobs/uploads/", Answer(404, '{"errors":[{"code":"NAME_UNKNOWN"}]}'))
        self.fails("wants the project or repository to exist", registry=registry.address, checks=["canary"])

    def test_bytes_that_come_back_changed(self):
        def fault(request):
            if request.method == "GET" and "/blobs/sha256:" in request.path and registry.blobs["pipe-canary"]:
                data = registry.blobs["pipe-canary"][request.path.rpartition("/")[2]]
                return Answer(200, bytes(len(data) - 1) + b"x")
            return None

        registry = self.start(FakeRegistry(fault=fault))
        self.fails("pulling it failed", "came back changed", registry=registry.address, checks=["canary"])
        self.assertEqual(registry.manifests["pipe-canary"], {})  # deleted all the same


class Passwords(Case):
    def setUp(self):
        super().setUp()
        self.registry = self.start(Registry(users={"me": "secret-word"}))
        self.image = Image()
        self.registry.push(self.image, "app", "1")
        self.name = f"{self.registry.address}/app:1"

    def log_in(self, password):
        write_login(self.folder / "docker", self.registry.address, ("me", password))

    def test_a_stored_login_lets_all_checks_in(self):
        self.log_in("secret-word")
        report, _ = self.passes(image=self.name, checks=["api", "image", "canary"])
        self.assertIn("it asks for a password, and takes the login", report["api"]["came"])

    def test_without_a_login_the_registry_is_up_and_the_image_is_not_seen(self):
        report, _ = self.passes(registry=self.registry.address)
        self.assertIn("HTTP 401", report["api"]["came"])
        self.assertIn(f"docker login {self.registry.address}", report["api"]["remedy"])
        self.fails("none is stored for it", f"docker login {self.registry.address}", image=self.name)

    def test_a_wrong_password_is_found_by_the_first_check(self):
        self.log_in("wrong-word")
        result = self.fails("refuses the login", "bcrypt", 'image: not checked, as the check "api" failed', image=self.name)
        self.assertNotIn("wrong-word", result.out + result.err)

    def test_a_401_that_does_not_say_how(self):
        server = self.start(Scripted(lambda request: Answer(401)))
        self.fails("401 without WWW-Authenticate", registry=server.address)


def certificate(folder, names, days=2, dates=(), ca=True):
    """A certificate for `names`, signed by a CA of its own, or by itself."""
    made = Certificates(folder)
    (folder / "names.cnf").write_text(f"subjectAltName={names}\n")
    openssl = ["openssl", "x509", "-req", "-in", folder / "server.csr", "-extfile", folder / "names.cnf", "-out", made.cert]
    if dates:
        (folder / "ca.cnf").write_text(
            f"[ca]\ndefault_ca=d\n[d]\ndatabase={folder}/db\nnew_certs_dir={folder}\nserial={folder}/serial\n"
            "default_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n"
        )
        (folder / "db").write_text("")
        (folder / "serial").write_text("01\n")
        openssl = ["openssl", "ca", "-batch", "-config", folder / "ca.cnf", "-in", folder / "server.csr", "-out", made.cert]
        openssl += ["-extfile", folder / "names.cnf", "-startdate", dates[0], "-enddate", dates[1]]
    openssl += ["-CA", made.ca_file, "-CAkey", folder / "ca.key"] if ca and not dates else []
    openssl += ["-cert", made.ca_file, "-keyfile", folder / "ca.key"] if dates else []
    openssl += ["-signkey", made.key] if not ca else []
    openssl += ["-days", str(days)] if not dates else []
    subprocess.run(list(map(str, openssl)), check=True, capture_output=True)
    return made


class Tls(Case):
    NAMES = "DNS:localhost,IP:127.0.0.1"

    def serve(self, **options):
        folder = self.folder / "certificates"
        folder.mkdir()
        self.certificates = certificate(folder, **{"names": self.NAMES, **options})
        ok = Answer(200, "{}", {"Docker-Distribution-Api-Version": "registry/2.0"})
        return self.start(Scripted(lambda request: ok, certificates=self.certificates))

    def test_a_ca_of_ones_own_is_named_by_ca_file(self):
        registry = self.start(Registry(tls=True))
        report, _ = self.passes(registry=registry.address, checks=["api", "canary"], ca_file=registry.ca_file)
        self.assertEqual(report["api"]["asked"], f"GET https://{registry.address}/v2/")

    def test_an_unknown_ca(self):
        server = self.serve()
        self.fails("an authority that this machine does not know", "`ca_file`",
                   f"/etc/docker/certs.d/{server.address}/ca.crt", registry=server.address)  # fmt: skip

    def test_a_self_signed_certificate(self):
        self.fails("signed by itself", "`ca_file`", registry=self.serve(ca=False).address)

    def test_a_name_that_the_certificate_lacks(self):
        server = self.serve(names="DNS:other.example")
        self.fails("subjectAltName", registry=server.address, ca_file=self.certificates.ca_file)

    def test_an_expired_certificate(self):
        server = self.serve(dates=("20200101000000Z", "20200102000000Z"))
        self.fails("has expired", "restart the registry", registry=server.address, ca_file=self.certificates.ca_file)

    def test_a_certificate_of_the_future(self):
        server = self.serve(dates=("20980101000000Z", "20990102000000Z"))
        self.fails("not valid yet", "set the clock", registry=server.address, ca_file=self.certificates.ca_file)

    def test_insecure_takes_any(self):
        self.passes(registry=self.serve(ca=False).address, insecure=True)

    def test_plain_http_where_https_is_asked_for(self):
        server = self.start(FakeRegistry(host=reachable_name(), bind="0.0.0.0"))
        self.fails("speaks plain HTTP", f'put "{server.address}" into insecure-registries', registry=server.address)
        self.passes(registry=server.address, insecure=True)


class NotARegistry(Case):
    def answers(self, *answer, **more):
        return self.start(Scripted(lambda request: Answer(*answer, **more))).address

    def test_nothing_listens(self):
        address = f"localhost:{free_port()}"
        result = self.fails(
            "nothing listens", "docker ps", 'image, canary: not checked, as the check "api" failed', image=f"{address}/app:1", checks=["api", "image", "canary"]
        )
        self.assertIn("3 of 3 checks", result.err)

    def test_a_connection_that_is_closed(self):
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)

        def close_each():
            while True:
                try:
                    listener.accept()[0].close()
                except OSError:
                    return

        threading.Thread(target=close_each, daemon=True).start()
        self.fails("still starting", registry=f"127.0.0.1:{listener.getsockname()[1]}")

    def test_a_web_page(self):
        page = self.answers(200, "<!doctype html><title>Welcome to nginx!</title>", {"Content-Type": "text/html"})
        self.fails("a web page answers", "Welcome to nginx!", registry=page)

    def test_a_server_without_the_api(self):
        self.fails("not a registry's: nothing answers at /v2/", registry=self.answers(404, "not found"))

    def test_a_failing_health_check(self):
        body = json.dumps({"errors": [{"code": "UNAVAILABLE", "message": "service unavailable"}]})
        self.fails("a health check of the registry itself fails", "/debug/health", registry=self.answers(503, body))

    def test_a_proxy_without_its_registry(self):
        page = "<html><title>502 Bad Gateway</title></html>"
        self.fails("a proxy answers, and the registry behind it does not", registry=self.answers(502, page))

    def test_a_proxy_that_forbids(self):
        self.fails("something before the registry forbids it", registry=self.answers(403, "<html>no</html>"))

    def test_a_redirect_to_a_login_page(self):
        def answer(request):
            if request.path == "/login":
                return Answer(200, "<html><title>Sign in</title></html>")
            return Answer(302, "", {"Location": "/login"})

        self.fails("a web page answers", "Sign in", registry=self.start(Scripted(answer)).address)

    def test_too_many_requests(self):
        self.fails("too many requests", registry=self.answers(429, ""))

    def test_retry_waits_for_a_registry_that_is_still_starting(self):
        port = free_port()
        pipeline = self.pipe.write(
            "wait.toml",
            f'schema = 1\n[pipeline]\nname = "wait"\n[[step]]\nuses = "verify"\nwith.registry = "localhost:{port}"\n'
            'retry = { attempts = 300, delay = "100ms", max_delay = "200ms" }\n',
        )
        run = self.pipe.start(["run", pipeline, "--output", "plain"])
        self.assertTrue(any(b"try 2 of 300" in line for line in run.stderr))
        registry = Registry(port=port)
        self.start(registry)
        out, err = run.communicate(timeout=120)
        self.assertEqual(run.returncode, 0, out + err)


class Parameters(Case):
    def test_an_image_that_is_in_no_registry(self):
        self.fails("oci:folder:1 is not in a registry", image="oci:folder:1")

    def test_an_image_of_another_registry(self):
        self.fails(
            "image app:1 is in registry docker.io, not in localhost:5000",
            "localhost:5000/app:1",
            image="app:1",
            registry="localhost:5000",
        )

    def test_a_registry_is_no_url(self):
        self.fails("host or host:port", registry="http://localhost:5000")

    def test_a_check_that_lacks_its_parameter(self):
        for check, needed in (("image", "image"), ("content", "image"), ("canary", "registry"), ("container", "container")):
            given = {"container": "x"} if needed == "registry" else {"registry": "localhost:5000"}
            self.fails(f'check "{check}" needs the parameter "{needed}"', checks=[check], **given)

    def test_nothing_to_verify(self):
        self.fails("there is nothing to verify")

    def test_a_digest_that_nothing_looks_at(self):
        self.fails("no check looks at it", registry="localhost:5000", digest=digest_of(b""))

    def test_an_unknown_check(self):
        self.fails("canary", code=2, registry="localhost:5000", checks=["canari"])


if __name__ == "__main__":
    unittest.main()
