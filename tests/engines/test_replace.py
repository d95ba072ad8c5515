"""The step `run` while it replaces a container, when things break: docs/design/replacement.md."""

import contextlib
import os
import signal
import threading
import time
import unittest

from engines import Dockerd, Passage, service_archive
from run_case import RunCase, free_port, get, get_soon, listening

docker = None


def setUpModule():
    global docker
    docker = Dockerd()
    docker.__enter__()
    unittest.addModuleCleanup(docker.__exit__)


class ReplaceCase(RunCase):
    def setUp(self):
        super().setUp()
        self.engine = docker.host
        self.aside = self.name + ".replaced-by-pipe"

    def clean_up(self, name):
        docker.remove(name)

    def soon(self, condition, seconds=90):
        limit = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), limit, "it did not come to that")
            time.sleep(0.01)

    def started(self, **changes):
        process = self.pipe.start(["run", self.pipeline(**changes)], start_new_session=True)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def kill(self, process):
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()

    def state(self, name=None):
        with contextlib.suppress(AssertionError):
            return docker.inspect(name or self.name)["State"]["Status"]
        return None

    def policy(self, name=None):
        return docker.inspect(name or self.name)["HostConfig"]["RestartPolicy"]["Name"]

    def assert_one_container(self):
        names = [n for n in docker.containers() if n.startswith(self.name)]
        self.assertEqual(names, [self.name])


class RollsBack(ReplaceCase):
    def test_one_that_never_gets_ready(self):
        before = self.step(env={"BODY": "old"}, restart="always")
        text = self.fails(env={"STATUS": "503 Busy", "SAY": "the database is away"}, restart="always", ready_timeout="3s")
        for part in ("did not get ready within 3 s", "the database is away", "the earlier container runs again"):
            self.assertIn(part, text)
        self.assertEqual(docker.inspect(self.name)["Id"], before["id"])
        self.assertEqual(self.policy(), "always")
        self.assertEqual(get(self.port), "old", "it answers by the time that the step has ended")
        self.assert_one_container()

    def test_one_that_the_engine_refuses(self):
        before = self.step(env={"BODY": "old"})
        text = self.fails(entrypoint=["/nowhere"], env={"BODY": "new"})
        self.assertIn("/nowhere", text)
        self.assertIn("the earlier container runs again", text)
        self.assertEqual(docker.inspect(self.name)["Id"], before["id"])
        self.assertEqual(get(self.port), "old")
        self.assert_one_container()

    def test_the_earlier_one_serves_until_the_new_one_is_made(self):
        before = self.step(env={"BODY": "old"})["id"]
        after = self.step(env={"BODY": "new"})["id"]
        done = docker.events(after, before)
        self.assertLess(done.index(("create", after)), done.index(("kill", before)))
        self.assertLess(done.index(("die", before)), done.index(("start", after)))
        self.assertEqual(get(self.port), "new")

    def fails_with_taken(self, port, **changes):
        """What is printed where the port is taken when the new container is about to be started, and who has it."""
        held = []

        def take(request):
            if not held and request.endswith("/start"):
                self.soon(lambda: held or not self.is_taken(port))
                held.append(listening(port))

        with Passage(self.folder, docker, take) as passage:
            text = self.fails(engine=passage.host, **changes)
        self.addCleanup(held[0].close)
        return text, held[0]

    def is_taken(self, port):
        with contextlib.suppress(OSError), listening(port):
            return False
        return True

    def test_a_port_that_is_taken_between_the_check_and_the_start(self):
        before = self.step(env={"BODY": "old"})
        old_port, self.port = self.port, free_port()
        text, _ = self.fails_with_taken(self.port, env={"BODY": "new"})
        self.assertIn("address already in use", text)
        self.assertIn("publish another one", text)
        self.assertIn("the earlier container runs again", text)
        self.assertEqual(docker.inspect(self.name)["Id"], before["id"])
        self.assertEqual(get(old_port), "old")
        self.assert_one_container()

    def test_its_own_port_that_is_taken_while_it_stops(self):
        before = self.step(env={"BODY": "old"})
        text, held = self.fails_with_taken(self.port, env={"BODY": "new"})
        self.assertIn("the earlier container is back under its name, but could not be started", text)
        self.assertEqual(docker.inspect(self.name)["Id"], before["id"])
        held.close()
        self.assertEqual(self.step(env={"BODY": "old"})["id"], before["id"])
        self.assertEqual(get(self.port), "old")

    def test_one_that_is_told_to_stop(self):
        before = self.step(env={"BODY": "old"}, restart="always")
        process = self.started(env={"DELAY": "30"}, restart="always")
        self.soon(lambda: self.state() == "running" and self.state(self.aside) == "exited")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 130)
        # That it runs again is said, too, unless the engine takes longer than the six seconds until SIGKILL.
        self.assertIn("told to stop while it replaced", err.decode())
        self.assertRegex(err.decode(), "the earlier container (is put back|runs again)")
        self.assertEqual(docker.inspect(self.name)["Id"], before["id"])
        self.assertEqual(self.policy(), "always")
        self.assertEqual(get_soon(self.port), "old")
        self.assert_one_container()

    def test_one_that_takes_longer_than_the_timeout_of_the_step(self):
        before = self.step(env={"BODY": "old"})
        path = self.pipeline(env={"DELAY": "30"})
        path.write_text(path.read_text() + 'timeout = "2s"\n')
        result = self.pipe.run(["run", path])
        self.assertEqual(result.code, 1, result)
        self.assertEqual(docker.inspect(self.name)["Id"], before["id"])
        self.assertEqual(get_soon(self.port), "old")
        self.assert_one_container()

    def test_a_stopped_one_is_not_started_by_a_failure(self):
        before = self.step(env={"BODY": "old"})
        docker.api("POST", f"/containers/{self.name}/stop?t=0")
        self.assertIn("the earlier container is back under its name", self.fails(env={"END": "1"}))
        self.assertEqual(docker.inspect(self.name)["Id"], before["id"])
        self.assertEqual(self.state(), "exited")

    def test_a_host_folder_that_can_not_be_written_to(self):
        before = self.step(env={"BODY": "old"})
        blocked = self.folder / "file"
        blocked.write_text("no folder")
        text = self.fails(env={"BODY": "new"}, volumes=[f"{blocked}/data:/data"])
        self.assertIn(f"can't look at the folder {blocked}/data", text)
        self.assertEqual(docker.inspect(self.name)["Id"], before["id"])
        self.assertEqual(get(self.port), "old")

    def test_a_service_that_may_not_write_to_its_folder(self):
        self.step(env={"BODY": "old"})
        data = self.folder / "theirs"
        data.mkdir(mode=0o755)
        text = self.fails(env={"WRITE": "/data/x", "MUST": "1", "BODY": "new"}, user="1234:2345", volumes=[f"{data}:/data"])
        self.assertIn("may not be able to write", text)
        self.assertIn("Permission denied", text)
        self.assertIn("the earlier container runs again", text)
        self.assertEqual(get(self.port), "old")


class Killed(ReplaceCase):
    """Each place at which `pipe` can be killed while it replaces a container."""

    def killed(self, when, **changes):
        """Kills `pipe` at the first moment at which `when` holds."""
        process = self.started(**changes)
        self.soon(when)
        self.kill(process)

    def killed_before(self, request, **changes):
        """Kills `pipe` when it is about to send the engine a request that ends so."""
        reached, dead = threading.Event(), threading.Event()

        def hold(line):
            if line.partition("?")[0].endswith(request):
                reached.set()
                return dead.wait()

        with Passage(self.folder, docker, hold) as passage:
            process = self.started(engine=passage.host, **changes)
            self.assertTrue(reached.wait(60))
            self.kill(process)
            dead.set()

    def settles(self, body, **changes):
        text = self.run_pipeline(**changes)
        self.assertEqual(get_soon(self.port), body)
        self.assert_one_container()
        return text

    def test_with_the_new_one_made_and_the_earlier_one_running(self):
        self.step(env={"BODY": "old"}, restart="always")
        self.killed_before("/stop", env={"BODY": "new"}, restart="always")
        self.assertEqual(self.state(), "created")
        self.assertEqual(get(self.port), "old")
        self.settles("new", env={"BODY": "new"}, restart="always")
        self.assertEqual(self.policy(), "always")

    def test_with_the_new_one_not_ready(self):
        self.step(env={"BODY": "old"})
        changes = self.held(BODY="new")
        self.killed(lambda: self.state() == "running" and self.state(self.aside) == "exited", **changes)
        self.release()
        text = self.settles("new", **changes)
        self.assertIn("going on from there", text)

    def test_with_a_new_one_that_never_gets_ready(self):
        before = self.step(env={"BODY": "old"}, restart="always")
        changes = {"env": {"STATUS": "500 No"}, "restart": "always"}
        self.killed(lambda: self.state() == "running" and self.state(self.aside) == "exited", **changes)
        self.assertIn("the earlier container runs again", self.run_pipeline(expect=1, ready_timeout="1s", **changes))
        self.assertEqual(docker.inspect(self.name)["Id"], before["id"])
        self.assertEqual(self.policy(), "always")
        self.assertEqual(get(self.port), "old")
        self.assert_one_container()

    def test_and_then_the_settings_are_taken_back(self):
        before = self.step(env={"BODY": "old"}, restart="always")
        changes = {"env": {"BODY": "new", "DELAY": "30"}, "restart": "always"}
        self.killed(lambda: self.state() == "running" and self.state(self.aside) == "exited", **changes)
        self.settles("old", env={"BODY": "old"}, restart="always")
        self.assertEqual(docker.inspect(self.name)["Id"], before["id"])
        self.assertEqual(self.policy(), "always")

    def test_with_the_earlier_one_renamed_only(self):
        before = self.step(env={"BODY": "old"})
        docker.api("POST", f"/containers/{before['id']}/rename?name={self.aside}")
        self.assertIn("replace", self.run_pipeline("plan", env={"BODY": "new"}))
        self.settles("new", env={"BODY": "new"})

    def test_with_the_new_one_ready_and_the_earlier_one_not_removed(self):
        before = self.step(env={"BODY": "old"})
        docker.api("POST", f"/containers/{before['id']}/stop?t=0")
        docker.api("POST", f"/containers/{before['id']}/rename?name={self.aside}")
        after = self.step(env={"BODY": "new"}, name=self.name + "-x", ports=[f"127.0.0.1:{self.port}:5000"])
        docker.api("POST", f"/containers/{after['id']}/rename?name={self.name}")
        self.settles("new", env={"BODY": "new"})
        self.assertEqual(docker.inspect(self.name)["Id"], after["id"], "it is not made a second time")

    def test_down_gives_back_what_it_had_found_there(self):
        archive = self.folder / "named.tar"
        service_archive(archive, names=["pipe.test/found:1"])
        docker.load(archive)
        found = docker.api("POST", f"/containers/create?name={self.name}", {
            "Image": "pipe.test/found:1", "Env": ["BODY=found"], "ExposedPorts": {"5000/tcp": {}},
            "HostConfig": {"PortBindings": {"5000/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(self.port)}]}},
        })["Id"]  # fmt: skip
        docker.api("POST", f"/containers/{found}/start")
        changes = {"env": {"BODY": "new", "DELAY": "30"}}
        self.killed(lambda: self.state() == "running" and self.state(self.aside) == "exited", **changes)
        self.run_pipeline("down", **changes)
        self.assertEqual(docker.inspect(self.name)["Id"], found)
        self.assertEqual(get_soon(self.port), "found")
        self.assert_one_container()


class EngineKilled(ReplaceCase):
    """The engine itself dies while a container is replaced, and starts again."""

    def test_nothing_is_lost_and_the_next_run_completes(self):
        self.step(env={"BODY": "old"}, restart="always")
        changes = {**self.held(BODY="new"), "restart": "always"}
        process = self.started(**changes)
        self.soon(lambda: self.state() == "running" and self.state(self.aside) == "exited")
        docker.kill()
        _, err = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 1, err)
        self.assertIn("run this again", err.decode())
        docker.start()
        self.release()
        self.soon(lambda: self.state() is not None)
        running = [n for n in (self.name, self.aside) if self.state(n) == "running"]
        self.assertLessEqual(len(running), 1, "two do not fight for the port")
        self.run_pipeline(**changes)
        self.assertEqual(get_soon(self.port), "new")
        self.assertEqual(self.policy(), "always")
        self.assert_one_container()

    def test_nothing_is_to_do_after_the_engine_was_started_again(self):
        self.step(env={"BODY": "still"}, restart="always")
        before = docker.inspect(self.name)["Id"]
        docker.kill()
        docker.start()
        self.assertEqual(get_soon(self.port), "still")
        self.assertIn("unchanged", self.run_pipeline(env={"BODY": "still"}, restart="always"))
        self.assertEqual(docker.inspect(self.name)["Id"], before)


if __name__ == "__main__":
    unittest.main()
