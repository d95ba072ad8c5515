"""A Docker engine of the benchmark's own, where this machine can have one."""

import pathlib
import shutil
import subprocess
import time

from world import version


class Docker:
    """Started when it is first asked for."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder) / "dockerd"
        self.endpoint = f"unix://{self.folder}/socket"
        self.version = version("docker")
        self._process = self._log = None

    @staticmethod
    def is_installed():
        return bool(shutil.which("dockerd") and shutil.which("docker"))

    def start(self):
        """Whether it is up."""
        if self._process is None:
            self.folder.mkdir()
            options = {"data-root": "data", "exec-root": "exec", "pidfile": "pid"}
            command = ["dockerd", *(f"--{option}={self.folder / place}" for option, place in options.items())]
            command += [f"--host={self.endpoint}", "--bridge=none", "--iptables=false", "--log-level=error"]
            self._log = open(self.folder / "log", "wb")
            self._process = subprocess.Popen(command, stdout=self._log, stderr=self._log)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self._process.poll() is None:
            if self._docker("version").returncode == 0:
                return True
            time.sleep(0.2)
        return False

    def load(self, layout, name):
        """Puts the image of an OCI layout there, unless it is there already."""
        if self._docker("image", "inspect", name).returncode == 0:
            return
        archive = self.folder / "image.tar"
        try:
            subprocess.run(
                ["skopeo", "--insecure-policy", "copy", f"oci:{layout}:1", f"docker-archive:{archive}:{name}"],
                check=True,
                stdout=subprocess.DEVNULL,
            )
            subprocess.run(["docker", "-H", self.endpoint, "load", "-q", "-i", archive], check=True, stdout=subprocess.DEVNULL)
        finally:
            archive.unlink(missing_ok=True)

    def forget_images(self):
        ids = self._docker("images", "-aq").stdout.decode().split()
        if ids:
            self._docker("rmi", "-f", *ids)

    def stop(self):
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def _docker(self, *args):
        return subprocess.run(["docker", "-H", self.endpoint, *args], capture_output=True)
