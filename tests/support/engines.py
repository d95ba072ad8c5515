"""Container engines for tests: a dockerd and a podman service of their own, and one that only plays an engine.

    with Dockerd() as docker: ... docker.host ... docker.api("GET", "/containers/json?all=1")
    with PodmanService() as podman: ...
    with FakeEngine({("GET", "/containers/x/json"): (404, {"message": "no"})}) as fake: ... fake.requests ...
"""

import contextlib
import http.client
import http.server
import io
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import socketserver
import subprocess
import tarfile
import tempfile
import threading
import time
import urllib.parse

from registries import digest_of

# Listens where and when it is told to; the environment says what else it does.
SERVICE = r"""
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
static const char *text(const char *name, const char *otherwise) {
  const char *value = getenv(name);
  return value ? value : otherwise;
}
static void end(int number) {
  usleep((useconds_t)(atof(text("LINGER", "0")) * 1e6));
  _exit(number);
}
int main(int argc, char **argv) {
  if (argc > 2 && !strcmp(argv[1], "-c")) return strcmp(argv[2], "true") != 0;  // as /bin/sh of a health check
  signal(SIGTERM, end);  // the first process of a container has no default for it
  signal(SIGPIPE, SIG_IGN);
  printf("service %s as %d:%d\n", argc > 1 ? argv[1] : "5000", (int)getuid(), (int)getgid());
  fprintf(stderr, "%s\n", text("SAY", "nothing to say"));
  fflush(stdout);
  if (getenv("WRITE") && open(getenv("WRITE"), O_CREAT | O_WRONLY, 0600) < 0) {
    perror(getenv("WRITE"));
    if (getenv("MUST")) return 1;
  }
  if (getenv("READ") && open(getenv("READ"), O_RDONLY) < 0) return perror(getenv("READ")), 1;
  usleep((useconds_t)(atof(text("DELAY", "0")) * 1e6));
  while (getenv("AWAIT") && access(getenv("AWAIT"), F_OK)) usleep(10000);
  if (getenv("END")) return atoi(getenv("END"));
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argc > 1 ? argv[1] : "5000"))};
  int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 16)) return perror("listen"), 1;
  for (;;) {
    int client = accept(listener, 0, 0);
    char request[2048], answer[512];
    ssize_t size = read(client, request, sizeof request - 1);
    if (size > 0) {
      const char *body = text("BODY", "{}");
      int count = snprintf(answer, sizeof answer, "HTTP/1.1 %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
                           text("STATUS", "200 OK"), strlen(body), body);
      if (write(client, answer, (size_t)count) < 0) perror("write");
    }
    close(client);
  }
}
"""

_program = None


def service_program():
    """The service as a static program, compiled once a test process."""
    global _program
    if _program is None:
        with tempfile.TemporaryDirectory() as folder:
            target = pathlib.Path(folder, "service")
            subprocess.run(["cc", "-static", "-O1", "-x", "c", "-", "-o", target], input=SERVICE.encode(), check=True)
            _program = target.read_bytes()
    return _program


def _add(archive, name, data, mode=0o755):
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), mode
    archive.addfile(info, io.BytesIO(data))


def service_archive(path, names=(), seed="", env=(), volumes=(), user=""):
    """A docker-archive with the service as entry point, its port 5000 exposed; gives the image's ID."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as archive:
        _add(archive, "service", service_program())
        _add(archive, "bin/sh", service_program())
        _add(archive, "seed", seed.encode())
    config = {"architecture": "amd64", "os": "linux",
              "config": {"Entrypoint": ["/service"], "Cmd": ["5000"], "ExposedPorts": {"5000/tcp": {}},
                         "Env": ["PATH=/", "FROM_IMAGE=yes", *env], "User": user, "Volumes": {v: {} for v in volumes}},
              "rootfs": {"type": "layers", "diff_ids": [digest_of(layer.getvalue())]}}  # fmt: skip
    config = json.dumps(config).encode()
    manifest = [{"Config": "config.json", "RepoTags": list(names), "Layers": ["layer.tar"]}]
    with tarfile.open(path, "w") as archive:
        _add(archive, "config.json", config)
        _add(archive, "layer.tar", layer.getvalue())
        _add(archive, "manifest.json", json.dumps(manifest).encode())
    return digest_of(config)


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=120)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Passage:
    """A socket before an engine's own, that counts what the engine sends. `before(request)` is called before one like
    "POST /v1.41/containers/ID/start" goes through; where it gives True, the connection ends instead."""

    def __init__(self, folder, engine, before=lambda request: None):
        self.path, self.engine, self.received = folder / "passage.sock", str(engine.socket), 0
        self.host, self.before = f"unix://{self.path}", before

    def __enter__(self):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.path))
        self.listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.close()
        self.path.unlink()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                client = self.listener.accept()[0]
                server = socket.socket(socket.AF_UNIX)
                server.connect(self.engine)
                threading.Thread(target=self._copy, args=(client, server), daemon=True).start()
                threading.Thread(target=self._copy, args=(server, client, True), daemon=True).start()

    def _copy(self, source, target, from_engine=False):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if from_engine:
                    self.received += len(data)
                elif (request := re.match(rb"([A-Z]+ /\S*) HTTP/1.1\r\n", data)) and self.before(request[1].decode()):
                    break
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        source.close()


class Api:
    """An engine's API on a unix socket."""

    def __init__(self, socket_path):
        self.socket = pathlib.Path(socket_path)
        self.host = f"unix://{socket_path}"

    def text(self, method, path, body=None, raw=None, version="v1.41"):
        """The answer; AssertionError with the engine's message unless it is 2xx or 304."""
        connection = UnixConnection(self.socket)
        try:
            data = raw if raw is not None else json.dumps(body).encode() if body is not None else None
            kind = "application/x-tar" if raw is not None else "application/json"
            connection.request(method, f"/{version}{path}", data, {"Content-Type": kind})
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
        finally:
            connection.close()
        if answer.status != 304 and not 200 <= answer.status < 300:
            raise AssertionError(f"{method} {path} -> {answer.status} {text}")
        return text

    def api(self, method, path, body=None, **options):
        """The answer of `text` as JSON, or None."""
        with contextlib.suppress(json.JSONDecodeError):
            return json.loads(self.text(method, path, body, **options))
        return None

    def load(self, archive):
        self.api("POST", "/images/load", raw=pathlib.Path(archive).read_bytes())

    def containers(self):
        """Name -> summary, of all containers."""
        return {c["Names"][0].lstrip("/"): c for c in self.api("GET", "/containers/json?all=1")}

    def events(self, *containers):
        """What happened to containers so far, in order: (action, ID)."""
        filters = urllib.parse.quote(json.dumps({"container": list(containers)}))
        lines = self.text("GET", f"/events?since=0&until={time.time()}&filters={filters}").splitlines()
        return [(event["Action"], event["Actor"]["ID"]) for event in map(json.loads, lines)]

    def inspect(self, name):
        return self.api("GET", f"/containers/{name}/json")

    def remove(self, name):
        with contextlib.suppress(AssertionError):
            self.api("DELETE", f"/containers/{name}?force=1&v=1")


def wait_for_engine(socket_path, process, log, seconds=90):
    limit = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError), contextlib.closing(UnixConnection(socket_path)) as connection:
            connection.request("GET", "/_ping")
            if connection.getresponse().read() == b"OK":
                return
        if process.poll() is not None or time.monotonic() > limit:
            raise AssertionError(f"the engine did not come up:\n{log.read_text()[-4000:]}")
        time.sleep(0.02)


def _end(process):
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def with_folder(folder, place):
    """The words to put before a command that is to see `folder` in place of `place`, in a mount namespace."""
    pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    return ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" "$1" && shift && exec "$@"', folder, place]


class MountNamespace:
    """A mount namespace in which some folders stand in place of the machine's: {folder: place}. `words` before a
    command let it see them; all that it mounts there goes with the namespace."""

    def __init__(self, folders):
        self.folders = folders

    def __enter__(self):
        mounts = "".join(f"mount --rbind '{folder}' '{place}' && " for folder, place in self.folders.items())
        self.process = subprocess.Popen(["unshare", "--mount", "sh", "-c", mounts + "echo && exec sleep infinity"],
                                        stdout=subprocess.PIPE)  # fmt: skip
        assert self.process.stdout.readline() == b"\n", "the folders can't be mounted"
        self.words = ["nsenter", f"--mount=/proc/{self.process.pid}/ns/mnt", "--"]
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()


class Dockerd(Api):
    """A Docker Engine with data, sockets and a bridge of its own; several may run at once. It leaves iptables
    alone: to 127.0.0.1, its proxy forwards published ports. `root` has the etc/docker that it reads in place
    of the machine's, and gets its run/docker.pid; `options` are further ones of its command line."""

    def __init__(self, root=None, options=()):
        self.root, self.options = root, list(options)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="pipe-dockerd-"))
        super().__init__(self.folder / "docker.sock")
        self.bridge = f"pipe{os.getpid() % 100000}"
        self.process = None

    def __enter__(self):
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self):
        number = os.getpid() % 16384
        subprocess.run(["ip", "link", "add", self.bridge, "type", "bridge"], check=True)
        subnet = f"10.{192 + number // 256}.{number % 256}.1/24"
        subprocess.run(["ip", "addr", "add", subnet, "dev", self.bridge], check=True)
        subprocess.run(["ip", "link", "set", self.bridge, "up"], check=True)
        self.address = subnet.partition("/")[0]  # of this machine, as containers and others see it
        self.start()

    def start(self):
        """Starts it (again), with the data that it has."""
        self.log = self.folder / "log"
        before, pid_file = [], self.folder / "pid"
        if self.root:
            pid_file = self.root / "run/docker.pid"
            pid_file.parent.mkdir(parents=True, exist_ok=True)
            before = with_folder(self.root / "etc/docker", "/etc/docker")
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [*before, "dockerd", *self.options, "--data-root", self.folder / "data", "--exec-root", self.folder / "exec",
                 "--pidfile", pid_file, "--host", self.host, "--bridge", self.bridge,
                 "--iptables=false", "--ip-masq=false", "--ip-forward=false"],
                stdout=log, stderr=log, start_new_session=True)  # fmt: skip
        wait_for_engine(self.socket, self.process, self.log)

    def kill(self):
        """As a power cut for the engine, not for the containers: they run on, and nobody looks after them."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        # Its containerd goes with it, but not at once; the next dockerd would take a number that is still
        # there, even that of a process nobody waited for, for a containerd to talk to.
        pid_file = self.folder / "exec/containerd/containerd.pid"
        with contextlib.suppress(OSError, ValueError):
            pid = int(pid_file.read_text())
            os.kill(pid, signal.SIGKILL)
            end = time.monotonic() + 20
            while time.monotonic() < end and pathlib.Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z":
                time.sleep(0.05)
        pid_file.unlink(missing_ok=True)

    def __exit__(self, *_):
        if self.process:
            with contextlib.suppress(OSError, AssertionError):
                for name in self.containers():
                    self.remove(name)
            _end(self.process)
        subprocess.run(["ip", "link", "del", self.bridge], check=False)
        for line in pathlib.Path("/proc/self/mounts").read_text().splitlines()[::-1]:
            if line.split()[1].startswith(str(self.folder)):
                subprocess.run(["umount", "-l", line.split()[1]], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


def podman(*args):
    """What the command `podman` says."""
    return subprocess.run(["podman", *args], check=True, capture_output=True, text=True).stdout


def remove_podman_container(name):
    subprocess.run(["podman", "rm", "--force", "--time=0", "--volumes", "--ignore", name], check=False, capture_output=True)


class PodmanService(Api):
    """The machine's Podman as a service on a socket of its own. Its storage is everyone's: use names of your own."""

    def __init__(self, config=None):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="pipe-podman-test-"))
        super().__init__(self.folder / "podman.sock")
        self.config, self.process = config, None

    def __enter__(self):
        env = dict(os.environ)
        if self.config:
            env["CONTAINERS_CONF"] = str(self.config)
        self.log = self.folder / "log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(["podman", "system", "service", "--time=0", self.host],
                                            stdout=log, stderr=log, env=env, start_new_session=True)  # fmt: skip
        try:
            wait_for_engine(self.socket, self.process, self.log)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        _end(self.process)
        shutil.rmtree(self.folder, ignore_errors=True)


class FakeEngine(Api):
    """Answers as a test says. `answers`: (method, path without version and query) -> (status, body), or a function
    of the request that gives one; a dict is sent as JSON, bytes as they are. Keeps what was asked in `requests`."""

    def __init__(self, answers=None, api="1.52", oldest="1.44", server="Docker/29.0.0 (linux)", headers=None):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="pipe-fake-engine-"))
        super().__init__(self.folder / "engine.sock")
        self.answers, self.requests = dict(answers or {}), []
        self.ping = {"Api-Version": api, "Server": server, **(headers or {})}
        self.answers.setdefault(("GET", "/version"), (200, {"ApiVersion": api, "MinAPIVersion": oldest}))
        self.oldest = tuple(map(int, oldest.split(".")))

    def __enter__(self):
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def address_string(self):
                return "unix"

            def _body(self):
                if "chunked" not in self.headers.get("Transfer-Encoding", ""):
                    return self.rfile.read(int(self.headers.get("Content-Length", 0)))
                data = b""
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    data += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return data

            def _answer(self):
                body = self._body()
                path = urllib.parse.urlsplit(self.path).path
                version, headers = None, {}
                if path.startswith("/v1.") or path.startswith("/v2."):
                    _, version, path = path.split("/", 2)
                    path = "/" + path
                fake.requests.append((self.command, self.path, body))
                if path == "/_ping":
                    status, reply, headers = 200, b"OK", fake.ping
                elif version and tuple(map(int, version[1:].split("."))) < fake.oldest:
                    oldest = ".".join(map(str, fake.oldest))
                    status, reply = 400, {"message": f"client version {version[1:]} is too old. Minimum supported API version is {oldest}"}
                else:
                    answer = fake.answers.get((self.command, path), (404, {"message": f"page not found: {path}"}))
                    status, reply = answer((self.command, self.path, body)) if callable(answer) else answer
                data = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                with contextlib.suppress(BrokenPipeError):  # the client has seen enough
                    self.wfile.write(data)

            do_GET = do_POST = do_DELETE = do_HEAD = _answer

        class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
            daemon_threads = True

        self.server = Server(str(self.socket), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def asked(self, method, path):
        """The bodies of the requests for that path, query aside."""
        return [body for m, p, body in self.requests
                if m == method and urllib.parse.urlsplit(p).path.endswith(path)]  # fmt: skip
