"""The commands of the guides, one after the other and to the letter, on Podman: with the names, ports and folders that
they have, so in a network and with an /etc, a /run and a /srv of their own. A registry there stands for Docker Hub."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from pipe import BUILD, PATIENCE, SOURCE, Pipe
from registries import Registry
from registry_image import build_image

HUB = """
ip link set lo up
cd "$0"
mount -t tmpfs none etc && mkdir etc/upper etc/work
mount -t overlay overlay -o lowerdir=/etc,upperdir=etc/upper,workdir=etc/work /etc
for place in /run /dev/shm; do mount -t tmpfs none $place; done
mount --bind srv /srv && mount --bind containers /var/lib/containers
printf '[[registry]]\\nprefix = "docker.io"\\nlocation = "localhost:5555"\\ninsecure = true\\n' >/etc/containers/registries.conf.d/hub.conf
echo 127.0.0.1 registry.lan >>/etc/hosts
echo ready
exec docker-registry serve hub.json >log 2>&1
"""


def commands(page):
    """Each call of pipe in the blocks of a guide, as one line."""
    text = (SOURCE / f"docs/guide/{page}.md").read_text()
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S):
        for line in () if language else block.replace("\\\n", " ").splitlines():
            if re.match(r"(\w+=\S+ |\w+='[^']*' )?pipe ", line) and "…" not in line:
                yield line


class Guides(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="pipe-guides-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        for name in ("etc", "srv", "containers", "home", "backup"):
            (self.folder / name).mkdir()
        pathlib.Path("/var/lib/containers").mkdir(exist_ok=True)
        builder = Pipe(self.folder / "builder")
        with Registry(under=self.folder) as hub:
            for tag, config in (("2", "/etc/docker/registry/config.yml"), ("3", "/etc/distribution/config.yml")):
                archive = self.folder / f"{tag}.tar"
                build_image(builder, archive, config=config)
                builder.step("push", image=f"oci-archive:{archive}", to=f"{hub.address}/library/registry:{tag}")
            config = hub._config.read_text().replace(f"127.0.0.1:{hub.port}", "127.0.0.1:5555")
            shutil.copytree(hub.data, self.folder / "hub")
            (self.folder / "hub.json").write_text(config.replace(str(hub.data), str(self.folder / "hub")))
        self.process = subprocess.Popen(["unshare", "--net", "--mount", "sh", "-ec", HUB, self.folder], stdout=subprocess.PIPE)
        self.addCleanup(self.end)
        self.assertEqual(self.process.stdout.readline(), b"ready\n")
        self.inside = ["nsenter", "--net", "--mount", f"--target={self.process.pid}"]
        self.call("until curl --silent localhost:5555/v2/; do sleep 0.05; done")

    def end(self):
        self.call("podman rm --force --all --time=0", check=False)
        self.process.kill()
        self.process.communicate()

    def call(self, line, check=True):
        line = line.replace("/backup/", f"{self.folder}/backup/")
        env = {"HOME": str(self.folder / "home"), "PATH": f"{BUILD / 'bin'}:{os.environ['PATH']}"}
        if "registry-secure" in line or "username" in line:
            env["REGISTRY_PASSWORD"] = "correct horse 7"
        done = subprocess.run([*self.inside, f"--wd={SOURCE}", "sh", "-c", line], env=env, capture_output=True, text=True, timeout=PATIENCE)
        if check:
            self.assertEqual(done.returncode, 0, f"{line}\n{done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def follow(self, page, without=()):
        """What the commands said, each by itself."""
        lines = [line for line in commands(page) if not any(word in line for word in without)]
        self.assertGreater(len(lines), 2, page)
        return {line: self.call(line) for line in lines}

    def containers(self):
        return self.call("podman ps --all --format '{{.Names}}'").split()

    def test_first_registry(self):
        # The last two are for a machine without Docker Hub; test_pipelines goes that way.
        said = self.follow("first-registry", without=("registry-image.toml", "fallback="))
        self.assertIn("changed=4", said["pipe run pipelines/registry.toml"])
        self.assertEqual(self.containers(), [])
        self.assertEqual(self.call("podman volume ls --quiet"), "")

    def test_upgrade_and_care(self):
        self.call("pipe run pipelines/registry.toml --set source=docker.io/library/registry:2")
        self.call("pipe step config --path /srv/registry/config.yml --version 3 --delete=true")
        self.follow("upgrade")
        self.call("pipe step push --image registry:2 --to localhost:5000/team/app:1")
        self.follow("free-disk-space")
        self.assertEqual(self.containers(), ["registry"])
        self.call("pipe down pipelines/registry-upgrade.toml")
        self.call("pipe down pipelines/registry.toml --set source=docker.io/library/registry:2 --data")
        self.assertEqual(self.containers(), [])
        self.assertEqual(self.call("podman volume ls --quiet"), "")

    def test_secure_registry_and_backup(self):
        down = "pipe down pipelines/registry-secure.toml"
        said = self.follow("secure-registry", without=("/etc/letsencrypt/", "--ca ca.crt", down))
        self.assertTrue(any("passed api, auth, tls, image, canary, container" in text for text in said.values()))
        self.call("echo correct horse 7 | podman login --username admin --password-stdin registry.lan:5000")
        for name in ("team/app:1", "deep/er/lib:2.0"):
            self.call(f"pipe step push --image registry.lan:5000/registry:3 --to registry.lan:5000/{name}")
        said = self.follow("backup")
        self.assertTrue(any("are sound" in text for text in said.values()))
        for line in filter(lambda line: down in line, commands("secure-registry")):
            self.call(line)
        self.assertEqual(self.containers(), [])
        self.assertEqual(self.call("find /etc/pipe -type f"), "")


if __name__ == "__main__":
    unittest.main()
