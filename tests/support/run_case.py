"""What the tests of the step `run` share: a pipe of their own, an image, and a pipeline with that one step."""

import json
import os
import pathlib
import shutil
import socket
import tempfile
import time
import unittest
import urllib.request

from engines import service_archive
from pipe import Pipe
from registries import free_port

__all__ = ["RunCase", "free_port", "get", "get_soon", "listening"]


def get(port, host="127.0.0.1"):
    """The body of GET / there."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://{host}:{port}/", timeout=30) as answer:
        return answer.read().decode()


def get_soon(port, seconds=60):
    """The same of a container that has just been started: it may take a moment until it listens."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return get(port)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def listening(port, host="127.0.0.1"):
    """A socket that holds the port."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


class RunCase(unittest.TestCase):
    """Each test has a container name of its own; `clean_up(name)` removes it after."""

    engine = ""

    @classmethod
    def setUpClass(cls):
        cls.images = pathlib.Path(tempfile.mkdtemp(prefix="pipe-run-images-"))
        cls.addClassCleanup(shutil.rmtree, cls.images, ignore_errors=True)
        cls.archive = cls.images / "service.tar"
        cls.image_id = service_archive(cls.archive)
        cls.image = f"docker-archive:{cls.archive}"

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="pipe-run-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.pipe = Pipe(self.folder)
        self.name = f"t-{os.getpid()}-{self._testMethodName.removeprefix('test_')}"[:60]
        self.port = free_port()
        for name in (self.name, self.name + ".replaced-by-pipe"):
            self.addCleanup(self.clean_up, name)

    def params(self, **changes):
        """The usual parameters of the step, with changes; None leaves one out."""
        params = {"image": self.image, "name": self.name, "ports": [f"127.0.0.1:{self.port}:5000"],
                  "engine": self.engine, "ready_timeout": "60s", **changes}  # fmt: skip
        return {key: value for key, value in params.items() if value is not None}

    def options(self, **changes):
        """The same for Pipe.step, whose own arguments have some of these names."""
        return {key + "_": value for key, value in self.params(**changes).items()}

    def step(self, **changes):
        """The outputs of the step; StepFailed unless it succeeds."""
        return self.pipe.step("run", **self.options(**changes))

    def fails(self, **changes):
        """What is printed by a step that must fail."""
        result = self.pipe.try_step("run", **self.options(**changes))
        self.assertEqual(result.code, 1, result)
        return result.out + result.err

    def held(self, **env):
        """Settings of a container that listens once `release` is called, and not before."""
        (self.folder / "gate").mkdir()
        return {"env": {**env, "AWAIT": "/gate/open"}, "volumes": [f"{self.folder}/gate:/gate"]}

    def release(self):
        (self.folder / "gate/open").touch()

    def pipeline(self, **changes):
        """A pipeline file with this one step."""
        lines = ["schema = 1", "[pipeline]", 'name = "run"', "[[step]]", 'uses = "run"']
        for key, value in self.params(**changes).items():
            if isinstance(value, dict):
                text = "{ " + ", ".join(f"{json.dumps(k)} = {json.dumps(v)}" for k, v in value.items()) + " }"
            else:
                text = json.dumps(value)
            lines.append(f"with.{key} = {text}")
        return self.pipe.write("run.toml", "\n".join(lines) + "\n")

    def run_pipeline(self, verb="run", *args, expect=0, **changes):
        """What `pipe VERB` prints for it, as one text."""
        result = self.pipe.run([verb, self.pipeline(**changes), *args])
        self.assertEqual(result.code, expect, result)
        return result.out + result.err
