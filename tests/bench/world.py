"""What the benchmarks run against: registries on loopback, images of random bytes, the peers' versions."""

import hashlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tarfile
import time
import urllib.request
import zlib


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Registry:
    """Debian's docker-registry on loopback: file storage, logging off, or every request logged."""

    def __init__(self, folder, storage=None, logged=False):
        self.folder = pathlib.Path(folder)
        self.storage = pathlib.Path(storage or self.folder / "data")
        self.logged = logged
        self.port = free_port()
        self.host = f"127.0.0.1:{self.port}"
        self.log = self.folder / "log"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.process = None
        self.start()

    def start(self):
        config = {
            "version": "0.1",
            "log": {"level": "info" if self.logged else "error", "accesslog": {"disabled": not self.logged}},
            "storage": {"filesystem": {"rootdirectory": str(self.storage)}, "delete": {"enabled": True}},
            "http": {"addr": self.host},
        }
        path = self.folder / "config.yml"
        path.write_text(json.dumps(config))  # JSON is YAML
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(["docker-registry", "serve", path], stdout=log, stderr=log)
        deadline = time.monotonic() + 10
        while True:
            try:
                urllib.request.urlopen(f"http://{self.host}/v2/", timeout=1).close()
                return
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise RuntimeError(f"no registry came up:\n{self.log.read_text(errors='replace')}") from None
                time.sleep(0.01)

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def reset(self):
        """Empty again."""
        self.stop()
        shutil.rmtree(self.storage, ignore_errors=True)
        self.start()

    def requests(self):
        """How many were logged, without those of `start` (one GET /v2/ by urllib)."""
        text = self.log.read_text(errors="replace")
        return sum('"' in line and " HTTP/1." in line and "Python-urllib" not in line for line in text.splitlines())


class Site:
    """A registry to read from and one to write to."""

    def __init__(self, source, target):
        self.source, self.target = source, target

    def requests(self):
        return self.source.requests() + self.target.requests()

    def empty_target(self):
        self.target.reset()
        os.sync()  # what an earlier run wrote is not the next one's to wait for

    def close(self):
        self.source.stop()
        self.target.stop()


class Blob:
    """Writes a blob into an OCI layout, hashing on the way."""

    def __init__(self, layout):
        self.folder = layout / "blobs/sha256"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.path = self.folder / "writing"
        self.file = open(self.path, "wb")
        self.hash, self.size = hashlib.sha256(), 0

    def write(self, data):
        self.file.write(data)
        self.hash.update(data)
        self.size += len(data)
        return len(data)

    def done(self, media_type):
        self.file.close()
        self.path.rename(self.folder / self.hash.hexdigest())
        return {"mediaType": media_type, "digest": "sha256:" + self.hash.hexdigest(), "size": self.size}


class StoredGzip:
    """gzip without compression: random bytes do not shrink, and the engines want gzip."""

    def __init__(self, to):
        self.to, self.hash = to, hashlib.sha256()
        self.codec = zlib.compressobj(0, zlib.DEFLATED, 31)

    def write(self, data):
        self.hash.update(data)
        self.to.write(self.codec.compress(data))
        return len(data)

    def done(self):
        self.to.write(self.codec.flush())
        return "sha256:" + self.hash.hexdigest()


class Random:
    """`size` random bytes as a file."""

    def __init__(self, size):
        self.left = size

    def read(self, size):
        size = min(size, self.left)
        self.left -= size
        return os.urandom(size)


def make_image(layout, name, layers, layer_size):
    """An OCI layout with one image of layers of random bytes, each a tar archive with one file."""
    layout.mkdir(parents=True)
    (layout / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    descriptors, diff_ids = [], []
    for i in range(layers):
        blob = Blob(layout)
        gzip = StoredGzip(blob)
        info = tarfile.TarInfo(f"layer{i}")
        info.size = layer_size
        with tarfile.open(fileobj=gzip, mode="w|", bufsize=1 << 20) as tar:
            tar.addfile(info, Random(layer_size))
        diff_ids.append(gzip.done())
        descriptors.append(blob.done("application/vnd.oci.image.layer.v1.tar+gzip"))

    def put(value, media_type):
        blob = Blob(layout)
        blob.write(json.dumps(value).encode())
        return blob.done(media_type)

    config = put(
        {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": diff_ids}},
        "application/vnd.oci.image.config.v1+json",
    )
    media_type = "application/vnd.oci.image.manifest.v1+json"
    manifest = put({"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": descriptors}, media_type)
    manifest["annotations"] = {"org.opencontainers.image.ref.name": name}
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest]}))


def fill(host, repositories, tags):
    """So many repositories (r00, r01 …) with so many tags, each a tiny image of its own; the same at each call."""

    def send(method, url, body=b"", media_type="application/octet-stream"):
        request = urllib.request.Request(url, body, {"Content-Type": media_type}, method=method)
        with urllib.request.urlopen(request) as response:
            return response.headers

    def blob(repository, data):
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        place = send("POST", f"http://{host}/v2/{repository}/blobs/uploads/")["Location"]
        send("PUT", f"{place}{'&' if '?' in place else '?'}digest={digest}", data)
        return {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": len(data)}

    for number in range(repositories):
        repository = f"r{number:02}"
        config = blob(repository, json.dumps({"architecture": "amd64", "os": "linux", "number": number}).encode())
        for tag in range(tags):
            media_type = "application/vnd.oci.image.manifest.v1+json"
            manifest = {"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": [],
                        "annotations": {"tag": str(tag)}}  # fmt: skip
            send("PUT", f"http://{host}/v2/{repository}/manifests/1.{tag}", json.dumps(manifest).encode(), media_type)


def first_line(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return ""


def version(program, *args):
    """The version number a program tells, or empty where it is not there."""
    words = first_line(program, *(args or ("--version",))).replace(",", " ").split()
    return next((word for word in words if word[0].isdigit()), "")
