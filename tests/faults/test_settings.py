"""Files that others live by, and what makes them: a full disk and `kill -9` leave the old file or the new one, whole."""

import fcntl
import json
import os
import random
import re
import signal
import subprocess
import time
import unittest

from registries import Certificates
from steps import StepTest


class Settings(StepTest):
    """Each step that writes such files, in a folder `place` of its own; `number` makes it write other ones."""

    def setUp(self):
        super().setUp()
        self.place = self.folder / "place"
        self.place.mkdir()
        self.other = self.folder / "other"
        self.other.mkdir()
        self.authorities = [Certificates(self.other / str(n)).ca_file for n in range(2)]

    def steps(self, number):
        root = self.place / "root"
        return {
            "certificate": {"names": ("localhost", f"n{number}.lan"), "folder": self.place / "pki"},
            "htpasswd": {"file": self.place / "auth/htpasswd", "username": "me",
                         "password_file": self.pipe.write(f"password-{number % 2}", f"pass-{number % 2}")},
            "config": {"path": self.place / "config.yml", "version": 3, "delete": number % 2 == 0},
            "trust": {"registry": f"r{number % 2}.lan", "ca": self.authorities[number % 2], "root": root, "engines": "docker",
                      "mirror": f"http://localhost:{5000 + number % 2}"},
        }  # fmt: skip

    def files(self):
        return {p: p.read_bytes() for p in self.place.rglob("*") if p.is_file() and p.name != "filler"}

    def assert_whole(self):
        """Every file can be read by those whom it is for."""
        pki = self.place / "pki"
        if (pki / "ca.crt").exists():
            subprocess.run(["openssl", "x509", "-in", pki / "ca.crt", "-noout"], check=True)
        for name in ("ca.key", "tls/server.key"):
            if (pki / name).exists():
                subprocess.run(["openssl", "pkey", "-in", pki / name, "-noout"], check=True)
                self.assertEqual((pki / name).stat().st_mode & 0o077, 0, name)
        users = self.place / "auth/htpasswd"
        if users.exists():
            self.assertRegex(users.read_text(), r"\Ame:\$2y\$08\$\S{53}\n\Z")
            self.assertEqual(users.stat().st_mode & 0o077, 0)
        for config in self.place.glob("config.yml*"):
            if re.fullmatch(r"config\.yml(\.[0-9a-f]{12})?", config.name):
                self.assertRegex(config.read_text(), r'(?s)secret: "\w{64}".*enabled: true')
        daemon = self.place / "root/etc/docker/daemon.json"
        if daemon.exists():
            json.loads(daemon.read_text())

    def assert_pair(self):
        """The certificate belongs to its key and is of the CA: what a server and its clients need."""
        pki = self.place / "pki"
        subprocess.run(["openssl", "verify", "-CAfile", pki / "ca.crt", pki / "tls/server.crt"], check=True, capture_output=True)
        keys = [subprocess.run(["openssl", *words], check=True, capture_output=True).stdout
                for words in (("x509", "-in", pki / "tls/server.crt", "-noout", "-pubkey"),
                              ("pkey", "-in", pki / "tls/server.key", "-pubout"))]  # fmt: skip
        self.assertEqual(*keys)


class FullDisk(Settings):
    def setUp(self):
        super().setUp()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", self.place], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", self.place], check=True)

    def fill(self):
        with open(self.place / "filler", "wb", buffering=0) as filler:
            try:
                while filler.write(bytes(4096)):
                    pass
            except OSError:
                pass

    def test_what_is_there_stays_and_the_next_run_completes(self):
        for name in self.steps(0):
            with self.subTest(name):
                self.step(name, **self.steps(0)[name])
                before = self.files()
                self.fill()
                said = self.failure(name, "No space left on device", **self.steps(1)[name])
                self.assertIn("free some space", said)
                self.assertEqual(self.files(), before)
                (self.place / "filler").unlink()
                self.step(name, **self.steps(1)[name])
                self.assert_whole()
        self.assert_pair()

    def test_the_first_run_leaves_nothing_that_is_in_the_way(self):
        self.fill()
        for name in self.steps(0):
            self.failure(name, "No space left on device", **self.steps(0)[name])
        self.assertEqual([p for p, data in self.files().items() if not data], [], "an empty file")
        (self.place / "filler").unlink()
        for name in self.steps(0):
            self.step(name, **self.steps(0)[name])
        self.assert_whole()
        self.assert_pair()


class Killed(Settings):
    def test_what_it_had_begun_goes_and_what_another_run_or_somebody_else_writes_stays(self):
        users = self.place / "auth/htpasswd"
        users.parent.mkdir()
        left, held = (users.parent / f".{name}.pipe-a1B2c3" for name in ("htpasswd", "other"))
        theirs = [users.parent / name for name in ("htpasswd.backup", "htpasswd.pipe-a1B2c3", ".htpasswd.pipe-a1B2c34", ".pipe-a1B2c3")]
        link = users.parent / ".link.pipe-a1B2c3"
        for path in (left, held, *theirs):
            path.write_text("x")
        link.symlink_to(theirs[0])
        with open(held) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            self.step("htpasswd", **self.steps(0)["htpasswd"])
        self.assertFalse(left.exists())
        self.assertEqual({p.name for p in users.parent.iterdir()}, {p.name for p in (users, held, link, *theirs)})

    def test_whenever_that_is(self):
        rng = random.Random(4)
        for name in self.steps(0):
            for number in range(6):
                params = self.steps(number)[name]
                words = [f"--{key.replace('_', '-')}={str(value).lower() if value is True or value is False else value}"
                         for key, values in params.items() for value in (values if isinstance(values, tuple) else (values,))]  # fmt: skip
                process = self.pipe.start(["step", name, *words], start_new_session=True)
                time.sleep(rng.uniform(0.01, 0.25))
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
                with self.subTest(name, number=number):
                    self.assert_whole()
                    authority = self.place / "pki/ca.crt"
                    before = authority.read_bytes() if authority.exists() else None
                    self.step(name, **params)
                    self.assert_whole()
                    self.assertEqual(list(self.place.rglob(".*.pipe-??????")), [], "half a key, or half the passwords")
                    if before:
                        self.assertEqual(authority.read_bytes(), before, "clients would have to be told of another CA")
                    self.assertIn("changed=0", self.pipe.try_step(name, **params).err)
        self.assert_pair()


if __name__ == "__main__":
    unittest.main()
