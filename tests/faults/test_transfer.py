"""What registries, networks and token servers do wrong and the matrix of faults (test_matrix.py) does not have: the
transfer ends right, or with a clear error, and never with a wrong byte in the store or at the registry."""

import json
import time
import unittest

import registries
from registries import Answer, FakeRegistry, Image, Scripted, TokenServer, write_login
from steps import StepTest

APP = Image(sizes=(3_000_000, 5000), seed=21)
BIG = APP.layers[0]["digest"]


def once(answer, wanted=lambda request: "/blobs/" in request.path and request.method == "GET"):
    """Answers the first request that is `wanted` so, and leaves the others alone."""
    left = [answer]
    return lambda request: left.pop() if left and wanted(request) else None


def big(request):
    return request.path.endswith(BIG) and request.method == "GET"


class Downloads(StepTest):
    def setUp(self):
        super().setUp()
        self.registry = FakeRegistry()
        self.registry.__enter__()
        self.addCleanup(self.registry.__exit__)
        self.registry.add(APP, "app", "1")
        self.name = f"{self.registry.address}/app:1"

    def tearDown(self):
        self.assert_store_is_sound()

    def assert_pulls(self):
        self.assertEqual(self.step("pull", image=self.name)["digest"], APP.digest)

    def test_the_next_run_goes_on_with_what_is_left(self):
        data = APP.blobs[BIG]
        self.registry.fault = lambda r: (
            Answer(403) if r.headers.get("Range") else Answer(200, data, cut=2_000_000)) if big(r) else None  # fmt: skip
        self.failure("pull", r"403", image=self.name)
        self.registry.fault = lambda r: None
        outputs = self.step("pull", image=self.name)
        self.assertEqual(outputs["digest"], APP.digest)
        self.assertLess(outputs["bytes"], APP.size - 1_000_000)

    def test_tries_again_after_5xx(self):
        for status in (503, 504):
            with self.subTest(status):
                self.registry.requests.clear()
                self.registry.fault = once(Answer(status, "<html>oops</html>"))
                self.assertEqual(self.other_pipe(str(status)).step("pull", image=self.name)["digest"], APP.digest)

    def test_gives_up_in_the_end_and_says_why(self):
        self.registry.fault = lambda r: Answer(500, '{"errors":[{"code":"UNKNOWN","message":"disk on fire"}]}')
        self.failure("pull", r"can't read localhost:\d+/app:1: 500: UNKNOWN: disk on fire", image=self.name)
        self.assertEqual(self.registry.count("GET"), 5)

    def test_waits_as_long_as_it_is_asked_to(self):
        self.registry.fault = once(Answer(429, "slow down", {"Retry-After": "1"}))
        start = time.monotonic()
        self.assert_pulls()
        self.assertGreater(time.monotonic() - start, 1)

    def test_refuses_a_manifest_with_another_digest(self):
        self.registry.fault = lambda r: Answer(200, APP.manifest + b" ", {"Content-Type": APP.media_type})
        name = f"{self.registry.address}/app@{APP.digest}"
        self.failure("pull", rf"{APP.digest}", image=name)

    def test_refuses_a_manifest_that_is_too_large(self):
        large = Answer(200, b"{" + b" " * (9 << 20) + b"}", {"Content-Type": APP.media_type})
        self.registry.fault = lambda r: large
        self.failure("pull", r"larger than 8388608 bytes", image=self.name)

    def test_refuses_a_manifest_that_two_readers_would_read_differently(self):
        both = json.dumps({**json.loads(APP.manifest), "manifests": []}).encode()
        self.registry.fault = lambda r: Answer(200, both, {"Content-Type": APP.media_type})
        self.failure("pull", r"app:1: bad manifest: it is both an image and a list of images", image=self.name)


class Redirects(StepTest):
    """Blobs that lie elsewhere, as at every large registry."""

    def setUp(self):
        super().setUp()
        self.registry = FakeRegistry(login=("me", "s3cret"))
        self.registry.__enter__()
        self.addCleanup(self.registry.__exit__)
        self.registry.add(APP, "app", "1")
        self.name = f"{self.registry.address}/app:1"
        write_login(self.folder / "docker", self.registry.address, ("me", "s3cret"))

    def redirect(self, place):
        def fault(request):
            if "/blobs/" in request.path and request.method == "GET":
                return Answer(307, headers={"Location": place + request.path})

        self.registry.fault = fault

    def test_a_login_that_the_other_host_asks_for_is_not_given(self):
        challenge = {"WWW-Authenticate": 'Basic realm="give me"'}
        with Scripted(lambda r: Answer(401, headers=challenge), host="127.0.0.1") as cdn:
            self.redirect(cdn.url)
            self.failure("pull", r"401", image=self.name)
            for request in cdn.requests:
                self.assertNotIn("Authorization", request.headers)

    def test_a_token_that_the_other_host_asks_for_is_not_fetched(self):
        def answer(request):
            return Answer(401, headers={"WWW-Authenticate": f'Bearer realm="{cdn.url}/token",service="it"'})

        with Scripted(answer, host="127.0.0.1") as cdn:
            self.redirect(cdn.url)
            self.failure("pull", r"401", image=self.name)
            self.assertTrue(cdn.requests)
            for request in cdn.requests:
                self.assertNotIn("/token", request.path)
                self.assertNotIn("Authorization", request.headers)

    def test_the_metadata_service_of_a_cloud_is_not_asked(self):
        self.redirect("http://169.254.169.254")
        self.failure("pull", r"lies at 169\.254\.169\.254", image=self.name)

    def test_other_protocols_are_not_spoken(self):
        self.redirect("file:///etc")
        self.failure("pull", r"only http and https", image=self.name)


class Uploads(StepTest):
    def setUp(self):
        super().setUp()
        with FakeRegistry() as source:
            source.add(APP, "x", "1")
            self.image = f"{source.address}/x:1"
            self.step("pull", image=self.image)
        self.registry = FakeRegistry()
        self.registry.__enter__()
        self.addCleanup(self.registry.__exit__)
        self.to = f"{self.registry.address}/app:1"

    def test_a_token_that_the_other_host_of_an_upload_asks_for_is_not_fetched(self):
        def answer(request):
            return Answer(401, headers={"WWW-Authenticate": f'Bearer realm="{other.url}/token",service="it"'})

        write_login(self.folder / "docker", self.registry.address, ("me", "s3cret"))
        with Scripted(answer, host="127.0.0.1") as other:
            self.registry.fault = lambda request: (
                Answer(202, headers={"Location": other.url + "/upload"}) if request.method == "POST" else None)  # fmt: skip
            self.failure("push", r"401", image=self.image, to=self.to)
            self.assertTrue(other.requests)
            for request in other.requests:
                self.assertNotIn("/token", request.path)
                self.assertNotIn("Authorization", request.headers)

    def assert_pushes(self):
        self.assertEqual(self.step("push", image=self.image, to=self.to)["digest"], APP.digest)
        self.assertEqual(self.registry.manifests["app"]["1"][1], APP.manifest)
        self.assertEqual(self.registry.blobs["app"], APP.blobs)

    def fault(self, method, part, answer):
        self.registry.fault = once(answer, lambda r: r.method == method and part in r.path)

    def test_starts_another_upload_where_one_is_lost(self):
        self.fault("PUT", "/uploads/", Answer(416, '{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}'))
        self.assert_pushes()

    def test_follows_an_absolute_location_with_its_query(self):
        def absolute(request):
            if request.method == "POST":
                return Answer(202, headers={"Location": f"{self.registry.url}/v2/app/blobs/uploads/7?_state=a%2Bb&x=1"})

        self.registry.fault = absolute
        self.assert_pushes()
        puts = [r for r in self.registry.requests if r.method == "PUT" and "/uploads/" in r.path]
        self.assertEqual({(r.query["_state"], r.query["x"]) for r in puts}, {("a+b", "1")})

    def test_an_upload_does_not_go_to_the_metadata_service_of_a_cloud(self):
        self.registry.fault = lambda r: Answer(202, headers={"Location": "http://169.254.169.254/x"}) if r.method == "POST" else None
        self.failure("push", r"lies at 169\.254\.169\.254", image=self.image, to=self.to)

    def test_a_store_that_lost_a_blob_sends_nothing_wrong(self):
        (self.pipe.store / "blobs/sha256" / BIG[7:]).write_bytes(b"short")
        self.failure("push", r"should have \d+ bytes and has 5", image=self.image, to=self.to)
        self.assertNotIn("1", self.registry.manifests.get("app", {}))


class Addresses(StepTest):
    def test_plain_http_is_spoken_to_loopback_only(self):
        with Scripted(lambda r: Answer(200, "{}"), bind="0.0.0.0") as server:
            address = f"{self.own_address()}:{server.port}"
            self.failure("pull", r"speaks plain http, and https is asked of registries", r"insecure = true",
                         image=f"{address}/app:1")  # fmt: skip
            self.assertEqual(server.requests, [])

    def test_insecure_speaks_plain_http_to_others(self):
        with FakeRegistry(bind="0.0.0.0") as registry:
            registry.add(APP, "app", "1")
            name = f"{self.own_address()}:{registry.port}/app:1"
            self.assertEqual(self.step("pull", image=name, insecure=True)["digest"], APP.digest)

    @staticmethod
    def own_address():
        """An address of this machine that is not loopback; nothing is sent to find it."""
        import socket

        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.connect(("192.0.2.1", 9))
            return s.getsockname()[0]

    def test_says_that_nothing_listens(self):
        self.failure("pull", r"can't connect to localhost:\d+: Connection refused", r"nothing listens there",
                     image=f"localhost:{registries.free_port()}/app:1")  # fmt: skip

    def test_says_that_a_host_does_not_exist(self):
        self.failure("pull", r"can't find the host registry\.invalid \(DNS\)", image="registry.invalid/app:1")

    def test_says_that_a_server_is_no_http_server(self):
        import socketserver, threading

        class Mail(socketserver.BaseRequestHandler):
            def handle(self):
                self.request.sendall(b"220 mail ready\r\n")

        with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Mail) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            self.failure("pull", r"does not speak HTTP|no TLS|broke", image=f"localhost:{server.server_address[1]}/app:1")
            server.shutdown()


class Realms(StepTest):
    """Token servers that are not the registry's own."""

    def test_get_no_login(self):
        with TokenServer(login=("me", "s3cret")) as evil:
            realm = f"http://{Addresses.own_address()}:{evil.port}/token"
            with FakeRegistry(token_server=evil, realm=realm) as registry:
                registry.add(APP, "app", "1")
                write_login(self.folder / "docker", registry.address, ("me", "s3cret"))
                self.failure("pull", r"wants its login to be sent to http://[\d.]+:\d+, which is not its own",
                             r"PIPE_TOKEN_SERVERS=", image=f"{registry.address}/app:1")  # fmt: skip
                self.assertEqual(evil.requests, [])

    def test_are_not_asked_without_encryption_for_an_encrypted_registry(self):
        certificates = registries.Certificates(self.folder)
        with TokenServer() as tokens, FakeRegistry(token_server=tokens, certificates=certificates) as registry:
            self.failure("pull", r"names a token server without encryption", image=f"{registry.address}/app:1",
                         ca_file=certificates.ca_file)  # fmt: skip
            self.assertEqual(tokens.requests, [])

    def test_may_not_lie_where_the_registry_does_not(self):
        with TokenServer() as tokens, FakeRegistry(token_server=tokens, realm="http://169.254.169.254/token") as registry:
            self.failure("pull", r"lies at 169\.254\.169\.254", image=f"{registry.address}/app:1")

    def test_answer_with_something_else_than_a_token(self):
        for body, pattern in (("{}", r"answers without a token"), ("<html>", r"answers without a token"),
                              ("x" * (300 << 10), r"larger than 262144 bytes")):  # fmt: skip
            with self.subTest(pattern), Scripted(lambda r: Answer(200, body)) as tokens:
                with FakeRegistry() as registry:
                    challenge = {"WWW-Authenticate": f'Bearer realm="{tokens.url}/t",service="s"'}
                    registry.fault = lambda r: Answer(401, headers=challenge)
                    self.failure("pull", pattern, image=f"{registry.address}/app:1")


if __name__ == "__main__":
    unittest.main()
