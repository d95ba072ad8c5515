"""The step htpasswd: what Apache's htpasswd and a registry make of its files."""

import json
import os
import subprocess
import unittest

from registries import Image, Registry
from steps import StepTest


class HtpasswdTest(StepTest):
    def setUp(self):
        super().setUp()
        self.file = self.folder / "auth/htpasswd"

    def users(self, passwords):
        """The parameter `users`, and the environment that the passwords come from."""
        return {"users": list(passwords)}, passwords

    def set(self, passwords, **more):
        params, env = self.users(passwords)
        result = self.pipe.try_step("htpasswd", env=env, file=self.file, **params, **more)
        self.assertEqual(result.code, 0, result)
        return json.loads(result.out), result

    def changes(self, passwords, **more):
        """Whether the step says that it changes something."""
        return ": changed=1 " in self.set(passwords, **more)[1].err

    def refused(self, passwords, *expected, **more):
        params, env = self.users(passwords)
        return self.failure("htpasswd", *expected, env=env, file=self.file, **params, **more)

    def accepts(self, user, password):
        """What `htpasswd -v` says of it."""
        done = subprocess.run(["htpasswd", "-vi", self.file, user], input=password, text=True, capture_output=True)
        return done.returncode == 0

    def lines(self):
        return self.file.read_text().splitlines()


class Users(HtpasswdTest):
    def test_are_added_with_their_passwords_and_nothing_is_shown_of_them(self):
        out, result = self.set({"alice": "correct horse", "bob": "s3cret:%$"})
        self.assertEqual(out["users"], ["alice", "bob"])
        self.assertEqual(out["file"], str(self.file))
        self.assertEqual(out["folder"], str(self.file.parent))
        self.assertTrue(self.accepts("alice", "correct horse"))
        self.assertTrue(self.accepts("bob", "s3cret:%$"))
        self.assertFalse(self.accepts("bob", "correct horse"))
        self.assertEqual(self.file.stat().st_mode & 0o777, 0o600)
        for secret in ("correct horse", "s3cret", self.lines()[0].split(":")[1]):
            self.assertNotIn(secret, result.out + result.err)
            for journal in self.pipe.journals():
                self.assertNotIn(secret, journal.read_text())

    def test_a_second_run_is_unchanged_to_the_byte(self):
        self.set({"alice": "one"})
        before = self.file.read_bytes()
        self.assertFalse(self.changes({"alice": "one"}))
        self.assertEqual(self.file.read_bytes(), before)

    def test_a_new_password_is_changed_and_others_keep_their_lines(self):
        self.file.parent.mkdir()
        subprocess.run(["htpasswd", "-cbB", self.file, "first", "f"], check=True, capture_output=True)
        text = "# who may push\n" + self.file.read_text() + "\n# the last\n"
        self.file.write_text(text)
        self.set({"alice": "one"})
        self.assertEqual(self.lines()[:-1], text.splitlines())
        self.set({"alice": "two"})
        self.assertTrue(self.accepts("alice", "two"))
        self.assertFalse(self.accepts("alice", "one"))
        self.assertTrue(self.accepts("first", "f"))
        self.assertEqual(self.lines()[:-1], text.splitlines())

    def test_what_htpasswd_wrote_with_that_password_is_as_good(self):
        self.file.parent.mkdir()
        subprocess.run(["htpasswd", "-cbBC", "6", self.file, "alice", "one"], check=True, capture_output=True)
        self.file.chmod(0o600)
        self.assertFalse(self.changes({"alice": "one"}))
        self.assertTrue(self.changes({"alice": "one"}, cost=5))
        self.assertIn("$05$", self.lines()[0])

    def test_go_where_they_are_not_wanted(self):
        self.set({"alice": "one", "bob": "two", "carol": "three"})
        self.assertEqual(self.set({"alice": "one"}, remove="bob")[0]["users"], ["alice", "carol"])
        self.assertEqual(self.set({"alice": "one"}, exclusive=True)[0]["users"], ["alice"])
        self.assertFalse(self.changes({"alice": "one"}, exclusive=True, remove="bob"))

    def test_one_more_by_name_and_password(self):
        password = self.pipe.write("password", "pw\n")
        self.step("htpasswd", file=self.file, username="ci", password_file=password)
        self.assertTrue(self.accepts("ci", "pw"))
        self.failure("htpasswd", "there is no password for ci", "openssl rand", file=self.file, username="ci")

    def test_mode_is_put_right(self):
        self.set({"alice": "one"})
        self.file.chmod(0o644)
        self.assertTrue(self.changes({"alice": "one"}))
        self.assertEqual(self.file.stat().st_mode & 0o777, 0o600)

    @unittest.skipUnless(os.getuid() == 0, "only root gives files away")
    def test_owner_is_set(self):
        self.set({"alice": "one"}, owner="1234:1235")
        self.assertEqual((self.file.stat().st_uid, self.file.stat().st_gid), (1234, 1235))
        self.assertFalse(self.changes({"alice": "one"}, owner="1234:1235"))
        self.set({"alice": "two"})  # its owner stays
        self.assertEqual(self.file.stat().st_uid, 1234)


class Faults(HtpasswdTest):
    def test_names_and_passwords_that_can_not_be(self):
        self.refused({"a:b": "x"}, "no name of a user")
        self.refused({"alice": ""}, "the password of alice is empty")
        self.refused({"alice": "x" * 73}, "73 bytes, and bcrypt looks at 72")
        self.refused({"alice": "x"}, "in `users` and in `remove`", remove="alice")
        self.refused({}, "would let nobody in", exclusive=True)
        self.assertFalse(self.file.exists())

    def test_a_folder_in_its_place_is_explained(self):
        self.file.mkdir(parents=True)
        self.refused({"alice": "x"}, "is a folder", "rmdir")

    def test_hashes_that_no_registry_takes_are_pointed_out(self):
        self.file.parent.mkdir()
        for option, user in (("-bm", "md5"), ("-bs", "sha"), ("-bBC13", "slow")):
            subprocess.run(["htpasswd", *(["-c"] if user == "md5" else []), option, self.file, user, "x"], check=True, capture_output=True)
        with self.file.open("a") as file:
            file.write("windows:$2y$05$" + "a" * 53 + "\r\nnonsense\n")
        said = self.set({"alice": "one"})[1].err
        for line in (r"line 1: the password of md5 is hashed with MD5", "line 2: the password of sha is hashed with SHA-1",
                     "line 3: the password of slow has cost 13", "line 4: the entry of windows ends with a carriage return",
                     "line 5: it is no entry"):  # fmt: skip
            self.assertIn(line, said)
        self.file.write_text(self.file.read_text().replace("nonsense\n", ""))  # htpasswd -v refuses it, too
        self.set({"md5": "new"})
        self.assertTrue(self.lines()[0].startswith("md5:$2y$08$"))
        self.assertTrue(self.accepts("md5", "new"))


class WithARegistry(HtpasswdTest):
    def test_it_lets_in_whom_the_file_has_and_sees_a_change_without_a_restart(self):
        with Registry(users={"old": "x"}) as registry:
            self.file = registry.folder / "htpasswd"
            self.set({"alice": "one"}, exclusive=True)
            registry.login = ("alice", "one")
            registry.push(Image(), "app", "1")
            registry.login = ("old", "x")
            self.assertEqual(registry.request("GET", "/v2/")[0], 401)
            self.set({"alice": "two"})
            registry.login = ("alice", "one")
            self.assertEqual(registry.request("GET", "/v2/")[0], 401)
            registry.login = ("alice", "two")
            self.assertEqual(registry.request("GET", "/v2/")[0], 200)


class InAPipeline(HtpasswdTest):
    PIPELINE = """
schema = 1
[pipeline]
name = "users"
[secrets.password]
from = [{ env = "ALICE" }]
[[step]]
uses       = "htpasswd"
with.file  = "auth/htpasswd"
with.users = { alice = "${secrets.password}" }
"""

    def call(self, verb, *more, code=0):
        file = self.pipe.write("users.toml", self.PIPELINE)
        result = self.pipe.run([verb, file, *more], env={"ALICE": "s3cret"})
        self.assertEqual(result.code, code, result)
        self.assertNotIn("s3cret", result.out + result.err)
        return result.out + result.err

    def test_plan_says_who_and_down_takes_out_whom_it_added(self):
        said = self.call("plan", "--exit-code", code=10)
        self.assertIn("user alice", said)
        self.assertFalse(self.file.exists())
        self.call("run")
        self.call("plan", "--exit-code")
        with self.file.open("a") as file:
            file.write("bob:x\n")
        self.call("down")
        self.assertEqual(self.lines(), ["bob:x"])

    def test_down_leaves_nothing_where_it_made_all(self):
        self.call("run")
        self.call("down")
        self.assertFalse(self.file.parent.exists())

    def test_down_leaves_whom_it_found(self):
        self.file.parent.mkdir()
        subprocess.run(["htpasswd", "-cbB", self.file, "alice", "s3cret"], check=True, capture_output=True)
        before = self.file.read_text()
        self.call("run")
        self.call("down")
        self.assertEqual(self.file.read_text(), before)


if __name__ == "__main__":
    unittest.main()
