"""Rootless Podman: pipelines/registry.toml and registry-secure.toml as a user who is not root runs them."""

import contextlib
import os
import pathlib
import shutil
import signal
import stat
import subprocess
import tempfile
import time
import unittest

import test_pipelines as pipelines
import test_secure as secure
from engines import MountNamespace, wait_for_engine
from pipe import SOURCE

NAME, UID = "pipe-rootless", 60123
LINES = {"passwd": f"{NAME}:x:{UID}:{UID}::/nowhere:/bin/sh\n", "group": f"{NAME}:x:{UID}:\n",
         "subuid": f"{NAME}:600000:65536\n", "subgid": f"{NAME}:600000:65536\n"}  # fmt: skip


class Rootless(pipelines.Podman):
    """Podman of a user of its own, who is there in a mount namespace only, and so are /dev/net/tun and /dev/fuse as
    udev makes them, for everybody. All that it keeps is in the test's folder."""

    @classmethod
    def setUpClass(cls):
        root = pathlib.Path(tempfile.mkdtemp(prefix="pipe-rootless-"))
        cls.addClassCleanup(shutil.rmtree, root)
        mounts = {}
        for file, line in LINES.items():
            there = pathlib.Path("/etc", file)
            (root / file).write_text((there.read_text() if there.exists() else "") + line)
            there.touch()
            mounts[root / file] = there
        for device, minor in (("net/tun", 200), ("fuse", 229)):
            node = root / device.replace("/", "-")
            os.mknod(node, 0o666 | stat.S_IFCHR, os.makedev(10, minor))
            node.chmod(0o666)
            mounts[node] = f"/dev/{device}"
        cls.files = {str(place): file for file, place in mounts.items()}
        # A folder that the user may not enter (/root) would hide this checkout: one with nothing else in it stands there.
        if closed := next((folder for folder in reversed(SOURCE.parents) if not folder.stat().st_mode & 0o001), None):
            way = root / "way"
            (way / SOURCE.relative_to(closed)).mkdir(parents=True)
            mounts |= {SOURCE: way / SOURCE.relative_to(closed), way: closed}
        words = cls.enterClassContext(MountNamespace(mounts)).words
        cls.before = [*words, "setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", "--"]
        super().setUpClass()
        cls.shared.chmod(0o755)
        cls.archive.chmod(0o644)

    def setUp(self):
        super().setUp()
        self.pipe.before = self.before
        self.pipe.env.update(USER=NAME, LOGNAME=NAME)
        for path in (self.folder, *self.folder.rglob("*")):
            os.chown(path, UID, UID)
        self.addCleanup(self.end_all)

    def podman(self, *args, check=True):
        return subprocess.run([*self.before, "podman", *args], check=check, capture_output=True, text=True,
                              env=self.pipe.env, cwd=self.folder).stdout  # fmt: skip

    def remove(self, name):
        """Goes with the folder."""

    remove_volume = remove

    def end_all(self):
        """As a log-out without lingering, or a power cut, does."""
        while True:
            running = []
            for entry in pathlib.Path("/proc").glob("[0-9]*"):
                with contextlib.suppress(OSError):
                    status = (entry / "status").read_text()
                    uid = int(status.partition("\nUid:\t")[2].split()[0])
                    if (uid == UID or 600000 <= uid < 665536) and "\nState:\tZ" not in status:
                        running.append(int(entry.name))
            if not running:
                return
            for pid in running:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)

    def restarts(self):
        return [*super().restarts(), self.machine_booted]

    def machine_booted(self):
        """What is in memory is gone after a power cut, and all that comes is the user's podman-restart.service."""
        self.end_all()
        pathlib.Path(f"/dev/shm/libpod_rootless_lock_{UID}").unlink()
        for path in (self.folder / "runtime").iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        self.podman("start", "--all", "--filter", "restart-policy=always")


class Registry(Rootless, pipelines.RegistryPipeline, unittest.TestCase):
    def test_settings_of_the_three_scripts(self):
        """`self` is the same number inside, so that what the registry writes is the caller's."""
        data = self.folder / "home/prod/registry"
        changes = {"data": data, "user": "self", "volumes": '["/etc/localtime:/etc/localtime:ro"]'}
        self.run_it(**changes)
        self.assertEqual(self.inspect(self.name)["Config"]["User"], f"{UID}:{UID}")
        written = list(data.rglob("*"))
        self.assertIn(data / "docker/registry/v2/repositories/registry", written)
        self.assertEqual({path.stat().st_uid for path in (data, *written)}, {UID})
        self.assertEqual(pipelines.recap(self.run_it(**changes)), (0, 5, 0, 0))
        down = self.call("down", "--data", **changes)
        self.assertEqual(down.code, 0, down)
        self.assertFalse(data.exists())


    def test_what_a_user_may_not_have_is_said_before_anything_is_touched(self):
        self.run_it()
        before = self.inspect(self.name)["Id"]
        said = self.call("run", port=443, address="localhost:443")
        self.assertEqual(said.code, 1, said)
        self.assertIn("port 127.0.0.1:443 is below 1024, where rootless podman may not listen", said.err)
        self.assertIn("sudo sysctl net.ipv4.ip_unprivileged_port_start=443", said.err)
        data = self.folder / "home/registry"
        for _ in range(2):  # nothing of it stays that the next run would take for somebody's
            said = self.call("run", user="1000:1000", data=data)
            self.assertEqual(said.code, 1, said)
            self.assertIn("who has another number outside a rootless container", said.err)
        self.assertFalse(data.exists())
        self.assertEqual(self.inspect(self.name)["Id"], before)
        self.assertIn('"3"', self.tags())

        # As the hint says.
        self.podman("unshare", "sh", "-c", f"mkdir -p {data} && chown 1000:1000 {data}")
        made = self.run_it(user="1000:1000", data=data)
        self.assertNotIn("may not be able to write", made.err)
        self.assertEqual({path.stat().st_uid for path in data.rglob("*")}, {600999})
        self.assertEqual(pipelines.recap(self.run_it(user="1000:1000", data=data)), (0, 5, 0, 0))

    def test_root_inside_is_the_caller(self):
        data = self.folder / "home/registry"
        self.run_it(user="0:0", data=data)
        self.assertEqual({path.stat().st_uid for path in data.rglob("*")}, {UID})

    def test_by_its_socket_in_the_runtime_folder(self):
        self.run_it()  # writes what podman needs on this machine, if anything
        config = self.folder / "state/pipe/containers.conf"
        folder = self.folder / "runtime/podman"
        folder.mkdir()
        os.chown(folder, UID, UID)
        socket = folder / "podman.sock"
        log = self.folder / "service.log"
        env = {**self.pipe.env, **({"CONTAINERS_CONF": str(config)} if config.exists() else {})}
        with open(log, "wb") as out:
            service = subprocess.Popen([*self.before, "podman", "system", "service", "--time=0", f"unix://{socket}"],
                                       env=env, cwd=self.folder, stdout=out, stderr=out)  # fmt: skip
        self.addCleanup(service.wait)
        self.addCleanup(self.end_all)
        wait_for_engine(socket, service, log)
        self.engine = ""  # nothing is named, and DOCKER_HOST is not set: it is found
        changed = self.run_it(restart="unless-stopped")
        self.assertEqual(pipelines.recap(changed)[0], 1, changed)
        self.assertNotIn("given runc", changed.err)  # that is for one that it starts itself
        self.assertEqual(pipelines.recap(self.run_it(restart="unless-stopped")), (0, 5, 0, 0))

    def test_doctor_says_what_it_lacks(self):
        def findings():
            said = self.pipe.run(["doctor", "--output", "json", "localhost:1"]).json["findings"]
            return [(f["state"], f["seen"], f.get("remedy")) for f in said if f["subject"] == "rootless" and f["state"] != "warning"]

        self.assertEqual(findings(), [("ok", "it has what it needs", None)])
        tun, ids = self.files["/dev/net/tun"], self.files["/etc/subuid"]
        self.addCleanup(tun.chmod, 0o666)
        tun.chmod(0o600)
        self.assertEqual(findings(), [("fault", "/dev/net/tun cannot be opened: Permission denied", "sudo chmod 666 /dev/net/tun")])
        tun.chmod(0o666)
        self.addCleanup(ids.write_text, ids.read_text())
        ids.write_text("")
        self.end_all()
        state, seen, remedy = findings()[0]
        self.assertEqual((state, seen), ("fault", f"/etc/subuid has no range of IDs for {NAME}"))
        self.assertIn(f"--add-subuids 100000-165535 --add-subgids 100000-165535 {NAME}", remedy)


class Secure(Rootless, secure.OnPodman):
    # What only the certificates and the settings decide is the same for root.
    test_a_certificate_that_is_brought_is_checked_before_anything_is_done = None
    test_another_version_is_another_source_with_the_images_kept = None
    test_users_that_are_gone_or_that_no_registry_lets_in_are_put_right = None
    test_without_a_password_it_says_how_to_make_one = None

    def certs_d(self):
        return self.folder / "home/.config/containers/certs.d" / self.address

    def test_engines_that_are_others_are_not_told(self):
        """Docker is installed here, and its folder is root's: whoever may not use it has no need of that."""
        first = self.run_it(trust="[]", user="self")
        self.assertIn("docker is not told", first.err)
        self.assertIn("told podman of", first.err)
        self.foreign_clients()
        self.assertEqual(pipelines.recap(self.run_it(trust="[]", user="self")), (0, self.steps, 0, 0))
        self.assertEqual(self.call("down", trust="[]", user="self").code, 0)
        self.assertFalse(self.certs_d().exists())


if __name__ == "__main__":
    unittest.main()
