"""`pipe doctor`, on machines that are well and ill."""

import json
import socket
import unittest

from engines import FakeEngine
from pipe import AS_PERMITTED
from registries import Registry
from steps import StepTest


class Doctor(StepTest):
    def doctor(self, *words, env=None):
        result = self.pipe.run(["doctor", "--output", "json", *words], env=env)
        report = json.loads(result.out)
        self.assertEqual(report["well"], result.code == 0, result)
        return report["findings"]

    def about(self, findings, subject):
        found = [f for f in findings if f["subject"] == subject]
        self.assertTrue(found, findings)
        return found[0]

    def test_a_registry_that_answers(self):
        with Registry() as registry:
            found = self.about(self.doctor(registry.address), registry.address)
        self.assertEqual(found["state"], "ok")
        self.assertIn("answers", found["seen"])

    def test_a_registry_that_is_not_there(self):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{unused.getsockname()[1]}"
            found = self.about(self.doctor(address), address)
        self.assertEqual(found["state"], "fault")
        self.assertIn("refused", found["seen"])
        self.assertTrue(found["remedy"])

    def test_an_engine_that_may_not_be_reached(self):
        found = self.about(self.doctor("localhost:1", "--engine", "unix:///nowhere/engine.sock"), "engine")
        self.assertEqual(found["state"], "fault")
        self.assertIn("/nowhere/engine.sock", found["seen"])

    def test_an_engine_that_is_there(self):
        with FakeEngine({}) as engine:
            found = self.about(self.doctor("localhost:1", "--engine", engine.host), "engine")
        self.assertEqual(found["state"], "ok")

    def test_an_engine_that_is_named_and_not_there_is_a_fault(self):
        for name, value in (("DOCKER_HOST", "unix:///nowhere/engine.sock"), ("DOCKER_CONTEXT", "nowhere")):
            found = self.about(self.doctor("localhost:1", env={name: value}), "engine")
            self.assertEqual(found["state"], "fault", found)
            self.assertIn("nowhere", found["seen"])

    def test_a_login_that_can_not_be_read_is_said_although_the_registry_is_not_there(self):
        config = self.folder / "docker/config.json"
        for content, said in (('{"credsStore": "nowhere"}', "docker-credential-nowhere"), ("{broken", "is not a JSON object")):
            config.write_text(content)
            config.chmod(0o600)
            seen = [f for f in self.doctor("localhost:1") if f["subject"] == "localhost:1"]
            self.assertEqual([f["state"] for f in seen], ["fault", "fault"])
            self.assertIn(said, seen[1]["seen"])

    def test_a_login_that_is_not_there(self):
        with Registry(users={"u": "p"}) as registry:
            seen = [f for f in self.doctor(registry.address) if f["subject"] == registry.address]
        self.assertEqual((seen[-1]["state"], seen[-1]["seen"]), ("ok", "no login for it is here"))

    def test_logins_that_others_can_read(self):
        config = self.folder / "docker/config.json"
        config.write_text('{"auths": {}}')
        config.chmod(0o644)
        found = self.about(self.doctor("localhost:1"), "logins")
        self.assertEqual((found["state"], found["remedy"]), ("warning", f"chmod 600 {config}"))
        config.chmod(0o600)
        self.assertNotIn("logins", [f["subject"] for f in self.doctor("localhost:1")])

    def test_a_helper_that_is_missing(self):
        config = self.folder / "docker/config.json"
        with Registry(users={"u": "p"}) as registry:
            config.write_text(json.dumps({"credHelpers": {registry.address: "nowhere"}}))
            config.chmod(0o600)
            seen = [f for f in self.doctor(registry.address) if f["subject"] == registry.address]
        self.assertIn("asks for a login", seen[0]["seen"])
        self.assertEqual(seen[-1]["state"], "fault")
        self.assertIn("docker-credential-nowhere", seen[-1]["seen"])

    def test_a_store_that_cannot_be_written(self):
        sealed = self.folder / "sealed"
        sealed.mkdir(mode=0o555)
        self.pipe.before = AS_PERMITTED
        found = self.about(self.doctor("localhost:1", env={"PIPE_STORE": sealed / "store"}), "store")
        self.assertEqual(found["state"], "fault", found)
        self.assertIn(f"{sealed} cannot be written", found["seen"])
        self.assertIn("chown", found["remedy"])

    def test_text_names_the_remedy_under_what_was_seen(self):
        result = self.pipe.run(["doctor", "--engine", "unix:///nowhere/engine.sock", "localhost:1"])
        self.assertEqual(result.code, 1, result)
        self.assertRegex(result.out, r"(?m)^FAULT +engine +.*\n +→ ")
        coloured = self.pipe.run(["doctor", "--engine", "unix:///nowhere/engine.sock", "localhost:1"], env={"CLICOLOR_FORCE": "1"})
        self.assertRegex(coloured.out, r"(?m)^\x1b\[31;1mFAULT  \x1b\[0m  engine ")
        self.assertRegex(coloured.out, r"(?m)^\x1b\[32mok     \x1b\[0m  store ")

    def test_a_name_that_is_none(self):
        result = self.pipe.run(["doctor", "UPPER CASE"])
        self.assertEqual(result.code, 2, result)


if __name__ == "__main__":
    unittest.main()
