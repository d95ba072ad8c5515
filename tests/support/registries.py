"""Registries for tests: Debian's docker-registry, and one in memory that does what a test tells it to.

    with Registry() as r: ...                      # plain http, on a free loopback port
    with Registry(tls=True, users={"me": "pw"}) as r: ... r.ca_file ...
    with FakeRegistry(fault=lambda request: Answer(500)) as r: ... r.requests ...
"""

import base64
import collections
import fcntl
import gzip
import hashlib
import http.client
import http.server
import io
import json
import os
import pathlib
import random
import re
import shutil
import socket
import ssl
import subprocess
import tarfile
import tempfile
import threading
import time
import urllib.parse

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


_OURS = pathlib.Path(tempfile.gettempdir(), f"pipe-test-ports-{os.getuid()}")


def free_port():
    """A port to listen on later. Until then nobody else gets it: it is none of those that the kernel gives to whoever
    asks for any, and other tests see by a lock, which this process has as long as it lives, that it is taken."""
    first = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    if first < 16384:  # it gives away nearly all
        first = 32768
    _OURS.mkdir(exist_ok=True)
    while True:
        port = random.randrange(first - 8192, first)
        lock = os.open(_OURS / str(port), os.O_CREAT)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as s:
                s.bind(("", port))
        except OSError:
            os.close(lock)
            continue
        return port


class Certificates:
    """A CA of its own and a certificate for localhost."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ca_file, self.cert, self.key = (self.folder / n for n in ("ca.pem", "server.pem", "server.key"))
        names = self.folder / "names.cnf"
        names.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1,IP:127.0.0.2\n")
        self.openssl("req", "-x509", *self._CURVE, "-days", "2", "-subj", "/CN=test CA",
                      "-keyout", self.folder / "ca.key", "-out", self.ca_file)  # fmt: skip
        self._signed("/CN=localhost", self.cert, self.key, "-extfile", names)

    def client(self, folder, name="client"):
        """NAME.cert and NAME.key in `folder`: a certificate for a client."""
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self._signed(f"/CN={name}", folder / f"{name}.cert", folder / f"{name}.key")
        return folder / f"{name}.cert", folder / f"{name}.key"

    _CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")

    def _signed(self, subject, cert, key, *options):
        request = cert.with_suffix(".csr")
        self.openssl("req", *self._CURVE, "-subj", subject, "-keyout", key, "-out", request)
        self.openssl("x509", "-req", "-in", request, "-CA", self.ca_file, "-CAkey", self.folder / "ca.key",
                      "-CAcreateserial", "-days", "2", *options, "-out", cert)  # fmt: skip

    @staticmethod
    def openssl(*args):
        subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True)


class Image:
    """A small image in memory: `manifest` (bytes), `blobs` (digest -> bytes), `digest`."""

    def __init__(
        self, sizes=(1000,), seed=1, os="linux", architecture="amd64", docker=False, annotations=None, created=None
    ):
        rng = random.Random(seed)
        self.blobs, layers, diff_ids = {}, [], []
        for number, size in enumerate(sizes):
            tar = io.BytesIO()
            with tarfile.open(fileobj=tar, mode="w") as archive:
                info = tarfile.TarInfo(f"file-{number}")
                info.size = size
                archive.addfile(info, io.BytesIO(rng.randbytes(size)))
            diff_ids.append(digest_of(tar.getvalue()))
            layers.append(self._blob(gzip.compress(tar.getvalue(), 1, mtime=0), self._type(OCI_LAYER, docker)))
        config = {"architecture": architecture, "os": os, "config": {"Cmd": ["/file-0"]},
                  "rootfs": {"type": "layers", "diff_ids": diff_ids},
                  **({"created": created} if created else {})}  # fmt: skip
        self.config = self._blob(json.dumps(config).encode(), self._type(OCI_CONFIG, docker))
        self.layers = layers
        self.media_type = DOCKER_MANIFEST if docker else OCI_MANIFEST
        more = {"annotations": annotations} if annotations else {}
        self.manifest = json.dumps({"schemaVersion": 2, "mediaType": self.media_type, "config": self.config,
                                    "layers": layers, **more}).encode()  # fmt: skip
        self.digest = digest_of(self.manifest)
        self.platform = {"os": os, "architecture": architecture}
        self.children = []

    @staticmethod
    def _type(oci, docker):
        if not docker:
            return oci
        return {OCI_LAYER: "application/vnd.docker.image.rootfs.diff.tar.gzip",
                OCI_CONFIG: "application/vnd.docker.container.image.v1+json"}[oci]  # fmt: skip

    def _blob(self, data, media_type):
        self.blobs[digest_of(data)] = data
        return {"mediaType": media_type, "digest": digest_of(data), "size": len(data)}

    @property
    def size(self):
        """Config and layers."""
        return sum(map(len, self.blobs.values()))

    def write_layout(self, folder, name):
        """Makes an OCI image layout with the image under that name."""
        blobs = pathlib.Path(folder) / "blobs/sha256"
        blobs.mkdir(parents=True)
        for digest, data in {**self.blobs, self.digest: self.manifest}.items():
            (blobs / digest.removeprefix("sha256:")).write_bytes(data)
        (blobs.parents[1] / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        entry = {"mediaType": self.media_type, "digest": self.digest, "size": len(self.manifest),
                 "annotations": {"org.opencontainers.image.ref.name": name}}  # fmt: skip
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]}
        (blobs.parents[1] / "index.json").write_text(json.dumps(index))


class Index:
    """Several images under one digest; has the members of Image that a push needs."""

    def __init__(self, images, docker=False):
        self.children = list(images)
        self.media_type = DOCKER_LIST if docker else OCI_INDEX
        self.manifest = json.dumps({"schemaVersion": 2, "mediaType": self.media_type, "manifests": [
            {"mediaType": i.media_type, "digest": i.digest, "size": len(i.manifest), "platform": i.platform}
            for i in self.children]}).encode()  # fmt: skip
        self.digest = digest_of(self.manifest)
        self.blobs = {}


class _Server:
    """What both kinds of registry have: an address, and requests of the test's own."""

    host = "localhost"
    ca_file = None
    client_pair = None  # certificate and key that the test itself shows
    login = None  # (user, password)

    @property
    def address(self):
        return f"{self.host}:{self.port}"

    @property
    def url(self):
        return f"{'https' if self.ca_file else 'http'}://{self.address}"

    def request(self, method, path, body=None, headers=None):
        """Status, headers, body."""
        headers = dict(headers or {})
        if self.login:
            headers["Authorization"] = "Basic " + base64.b64encode(":".join(self.login).encode()).decode()
        if self.ca_file:
            context = ssl.create_default_context(cafile=str(self.ca_file))
            if self.client_pair:
                context.load_cert_chain(*self.client_pair)
            connection = http.client.HTTPSConnection(self.host, self.port, timeout=60, context=context)
        else:
            connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def push(self, image, repository, tag=None):
        """Puts an image there, without pipe. Returns its digest."""
        for child in image.children:
            self.push(child, repository)
        for digest, data in image.blobs.items():
            status, headers, _ = self.request("POST", f"/v2/{repository}/blobs/uploads/", b"")
            assert status == 202, status
            place = urllib.parse.urlsplit(headers["Location"])
            path = f"{place.path}?{place.query + '&' if place.query else ''}digest={digest}"
            status, _, body = self.request("PUT", path, data, {"Content-Type": "application/octet-stream"})
            assert status == 201, (status, body)
        path = f"/v2/{repository}/manifests/{tag or image.digest}"
        status, _, body = self.request("PUT", path, image.manifest, {"Content-Type": image.media_type})
        assert status == 201, (status, body)
        return image.digest

    def digest(self, repository, reference):
        """Of a manifest there; None if there is none."""
        accept = ", ".join((OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST))
        status, headers, _ = self.request("HEAD", f"/v2/{repository}/manifests/{reference}", headers={"Accept": accept})
        return headers["Docker-Content-Digest"] if status == 200 else None


class Served(_Server):
    """One that somebody else runs, at this port of the loopback."""

    def __init__(self, port):
        self.port = port


class Registry(_Server):
    """Debian's docker-registry on a free loopback port, with a folder of its own (below `under`)."""

    def __init__(self, tls=False, users=None, delete=True, maintenance=None, port=None, client_certs=False, under=None):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="pipe-registry-", dir=under))
        self.port = port or free_port()
        self.data = self.folder / "data"
        self._process = None
        self._log = self.folder / "log"
        self._seen = 0
        config = {"version": "0.1", "log": {"level": "info"},
                  "storage": {"filesystem": {"rootdirectory": str(self.data)}, "delete": {"enabled": delete},
                              "cache": {"blobdescriptor": "inmemory"}},
                  "http": {"addr": f"127.0.0.1:{self.port}", "secret": "s" * 32}}  # fmt: skip
        if maintenance:
            config["storage"]["maintenance"] = maintenance
        if tls:
            self.certificates = Certificates(self.folder)
            self.ca_file = self.certificates.ca_file
            config["http"]["tls"] = {"certificate": str(self.certificates.cert), "key": str(self.certificates.key)}
            if client_certs:
                config["http"]["tls"]["clientcas"] = [str(self.ca_file)]
                self.client_pair = self.certificates.client(self.folder, "tester")
        if users:
            passwords = self.folder / "htpasswd"
            lines = [
                subprocess.run(["htpasswd", "-niBC", "5", user], input=password, check=True, capture_output=True, text=True)
                for user, password in users.items()
            ]
            passwords.write_text("".join(line.stdout.strip() + "\n" for line in lines))
            config["auth"] = {"htpasswd": {"realm": "test", "path": str(passwords)}}
            self.login = next(iter(users.items()))
        self._config = self.folder / "config.yml"
        self._config.write_text(json.dumps(config))  # JSON is YAML

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self):
        with open(self._log, "ab") as log:
            self._process = subprocess.Popen(
                ["docker-registry", "serve", str(self._config)], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        end = time.monotonic() + 60
        while time.monotonic() < end:
            if self._process.poll() is not None:
                raise AssertionError(f"docker-registry ended:\n{self._log.read_text()}")
            try:
                self.request("GET", "/v2/")
                self.forget_requests()
                return self
            except OSError:
                time.sleep(0.05)
        raise AssertionError(f"docker-registry does not answer:\n{self._log.read_text()}")

    def stop(self):
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    @property
    def requests(self):
        """(method, path without query, status) of each request since the start, or since
        forget_requests(), as its own access log has them."""
        self._settle()
        found = re.findall(r'\] "([A-Z]+) (\S+) HTTP/[\d.]+" (\d+) ', self._log.read_text())
        return [(m, p.partition("?")[0], int(s)) for m, p, s in found][self._seen :]

    def _settle(self):
        """Until it has written down what it was asked. It does so after an answer, and before it sees that the client has
        closed the connection (CLOSE_WAIT, 08)."""
        ours = re.compile(rf" [0-9A-F]+:{self.port:04X} [0-9A-F]+:[0-9A-F]{{4}} 08 ")
        while any(ours.search(pathlib.Path("/proc/net", name).read_text()) for name in ("tcp", "tcp6")):
            time.sleep(0.01)

    def forget_requests(self):
        self._seen = 0
        self._seen = len(self.requests)

    def write_login(self, docker_config):
        """Keeps its login in `docker_config`/config.json, as `docker login` would."""
        write_login(docker_config, self.address, self.login)


def write_login(docker_config, address, login, **more):
    folder = pathlib.Path(docker_config)
    folder.mkdir(parents=True, exist_ok=True)
    auth = base64.b64encode(":".join(login).encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {address: {"auth": auth}}, **more}))


class Answer:
    """What a scripted server answers. `length` lies about the size; `cut` closes after that many bytes
    of the body; `delay` in seconds comes first, `stall` after the cut."""

    def __init__(self, status=200, body=b"", headers=None, length=None, cut=None, delay=0, stall=0):
        self.status, self.headers, self.length = status, dict(headers or {}), length
        self.body = body.encode() if isinstance(body, str) else body
        self.cut, self.delay, self.stall = cut, delay, stall


Request = collections.namedtuple("Request", "method path query headers body")


class Scripted(_Server):
    """An HTTP(S) server that answers what `answer(request)` gives (None: 404) and keeps all requests. With
    `certificates` it asks for a client certificate, needs none, and keeps the names it was shown in
    `clients`."""

    def __init__(self, answer=None, certificates=None, host="localhost", bind="127.0.0.1"):
        self.host = host
        self.requests, self.clients = [], []
        self._answer = answer or (lambda request: None)
        self._lock = threading.Lock()
        scripted = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self):
                try:
                    super().handle_one_request()
                except OSError:  # whoever asked is gone
                    self.close_connection = True

            def do(self):
                scripted._serve(self)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 64  # with 5, the greetings of more connections at once are lost for a second

            def handle_error(self, *_):  # a TLS greeting to a plain port, a certificate that is refused
                pass

        self._server = Server((bind, 0), Handler)
        self.port = self._server.server_address[1]
        if certificates:
            self.ca_file = certificates.ca_file
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificates.cert, certificates.key)
            context.verify_mode = ssl.CERT_OPTIONAL
            context.load_verify_locations(certificates.ca_file)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def count(self, method, part=""):
        """How many requests had this method and `part` in their path."""
        return sum(1 for r in self.requests if r.method == method and part in r.path)

    def _serve(self, handler):
        path, _, query = handler.path.partition("?")
        request = Request(
            handler.command, path, dict(urllib.parse.parse_qsl(query)), handler.headers, self._read_body(handler)
        )
        with self._lock:
            self.requests.append(request)
            if self.ca_file:
                shown = handler.connection.getpeercert() or {"subject": ()}
                self.clients.append(next((value for ((_, value),) in shown["subject"]), None))
        answer = self.answer(request) or Answer(404)
        time.sleep(answer.delay)
        handler.send_response(answer.status)
        for name, value in answer.headers.items():
            handler.send_header(name, value)
        body = b"" if request.method == "HEAD" else answer.body
        if "Content-Length" not in answer.headers and answer.status != 204:
            handler.send_header("Content-Length", str(answer.length if answer.length is not None else len(answer.body)))
        handler.end_headers()
        self._send_body(handler, body if answer.cut is None else body[: answer.cut])
        handler.wfile.flush()
        time.sleep(answer.stall)
        if answer.cut is not None:
            handler.close_connection = True

    def _send_body(self, handler, body):
        handler.wfile.write(body)

    def _read_body(self, handler):
        if handler.headers.get("Transfer-Encoding") != "chunked":
            return handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        body = b""
        while size := int(handler.rfile.readline(), 16):
            body += handler.rfile.read(size)
            handler.rfile.readline()
        handler.rfile.readline()
        return body

    def answer(self, request):
        return self._answer(request)


class TokenServer(Scripted):
    """Gives bearer tokens for scopes. With `login`, only to who logs in; with `identity_token`, to who
    brings that. `lifetime` seconds; `field` is the name the token comes under."""

    def __init__(self, login=None, identity_token=None, lifetime=300, field="token", **options):
        super().__init__(**options)
        self._wants, self._identity, self._lifetime, self._field = login, identity_token, lifetime, field
        self.granted = {}  # token -> scopes

    def answer(self, request):
        form = request.query
        if request.method == "POST":
            form = dict(urllib.parse.parse_qsl(request.body.decode()))
            if form.get("refresh_token") != self._identity or form.get("grant_type") != "refresh_token":
                return Answer(401, json.dumps({"details": "unknown refresh token"}))
            scopes = form.get("scope", "").split()
        else:
            if self._wants:
                expected = "Basic " + base64.b64encode(":".join(self._wants).encode()).decode()
                if request.headers.get("Authorization") != expected:
                    return Answer(401, json.dumps({"details": "incorrect username or password"}))
            scopes = [form["scope"]] if "scope" in form else []
        token = f"token-{len(self.granted) + 1}"
        self.granted[token] = scopes
        return Answer(200, json.dumps({self._field: token, "expires_in": self._lifetime}))


class Gate:
    """Who is let in: with a `token_server` who brings a token of it (`realm` is where it is said to be), with a
    `login` who brings that, else everybody."""

    token_server = realm = login = None

    def refusal(self, request):
        """The 401, if this request brings no login that is good enough."""
        sent = request.headers.get("Authorization", "")
        if self.token_server:
            token = sent.removeprefix("Bearer ")
            if token in self.token_server.granted:
                return None
            repository = re.match(r"/v2/(.+)/(blobs|manifests|tags)/", request.path)
            scope = f"repository:{repository[1]}:pull,push" if repository else "registry:catalog:*"
            realm = self.realm or self.token_server.url + "/token"
            return Answer(401, '{"errors":[{"code":"UNAUTHORIZED"}]}', {
                "WWW-Authenticate": f'Bearer realm="{realm}",service="test registry",scope="{scope}"'})  # fmt: skip
        if self.login and sent != "Basic " + base64.b64encode(":".join(self.login).encode()).decode():
            return Answer(401, '{"errors":[{"code":"UNAUTHORIZED"}]}', {"WWW-Authenticate": 'Basic realm="test"'})
        return None


class FakeRegistry(Gate, Scripted):
    """A registry in memory. `fault(request)` may answer instead of it; `token_server` makes it want
    bearer tokens, `login` a password."""

    def __init__(self, fault=None, token_server=None, realm=None, login=None, **options):
        super().__init__(**options)
        self.fault = fault or (lambda request: None)
        self.token_server, self.realm, self.login = token_server, realm, login
        self.blobs, self.manifests, self.uploads = {}, {}, 0  # repository -> {digest: …}

    def add(self, image, repository, tag=None):
        for child in image.children:
            self.add(child, repository)
        self.blobs.setdefault(repository, {}).update(image.blobs)
        kept = self.manifests.setdefault(repository, {})
        kept[image.digest] = (image.media_type, image.manifest)
        if tag:
            kept[tag] = kept[image.digest]
        return image.digest

    def answer(self, request):
        answer = self.fault(request) or self.refusal(request)
        if answer:
            return answer
        if request.path == "/v2/":
            return Answer(200, "{}", {"Docker-Distribution-Api-Version": "registry/2.0"})
        if match := re.fullmatch(r"/v2/(.+)/manifests/([^/]+)", request.path):
            return self._manifest(request, *match.groups())
        if match := re.fullmatch(r"/v2/(.+)/blobs/(sha256:[0-9a-f]{64})", request.path):
            return self._blob(request, *match.groups())
        if match := re.fullmatch(r"/v2/(.+)/blobs/uploads/([^/]*)", request.path):
            return self._upload(request, *match.groups())
        if match := re.fullmatch(r"/v2/(.+)/tags/list", request.path):
            tags = [name for name in self.manifests.get(match[1], {}) if ":" not in name]
            return Answer(200, json.dumps({"name": match[1], "tags": tags or None}))
        return None

    def _manifest(self, request, repository, reference):
        kept = self.manifests.setdefault(repository, {})
        if request.method == "PUT":
            entry = (request.headers["Content-Type"], request.body)
            kept[reference] = kept[digest_of(request.body)] = entry
            return Answer(201, headers={"Docker-Content-Digest": digest_of(request.body)})
        if reference not in kept:
            return Answer(404, '{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}')
        if request.method == "DELETE":
            gone = kept[reference]
            for name in [name for name, entry in kept.items() if entry == gone]:
                del kept[name]
            return Answer(202)
        media_type, body = kept[reference]
        return Answer(200, body, {"Content-Type": media_type, "Docker-Content-Digest": digest_of(body)})

    def _blob(self, request, repository, digest):
        data = self.blobs.get(repository, {}).get(digest)
        if data is None:
            return Answer(404, '{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown"}]}')
        match = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
        if not match:
            return Answer(200, data, {"Content-Type": "application/octet-stream"})
        start = int(match[1])
        return Answer(206, data[start:], {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"})

    def _upload(self, request, repository, session):
        kept = self.blobs.setdefault(repository, {})
        if request.method == "POST":
            digest, source = request.query.get("mount"), request.query.get("from")
            if digest and digest in self.blobs.get(source, {}):
                kept[digest] = self.blobs[source][digest]
                return Answer(201, headers={"Docker-Content-Digest": digest})
            self.uploads += 1
            return Answer(202, headers={"Location": f"/v2/{repository}/blobs/uploads/{self.uploads}?_state=x%3D"})
        if request.method == "DELETE":
            return Answer(204)
        digest = request.query.get("digest")
        if digest != digest_of(request.body):
            return Answer(400, '{"errors":[{"code":"DIGEST_INVALID","message":"provided digest did not match"}]}')
        kept[digest] = request.body
        return Answer(201, headers={"Docker-Content-Digest": digest})
