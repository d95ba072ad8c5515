"""The step `run` with Podman: started on demand, and by its socket."""

import os
import pathlib
import signal
import subprocess
import time
import unittest

from engines import PodmanService, remove_podman_container
from run_case import RunCase, get


def podman(*args):
    return subprocess.run(["podman", *args], check=True, capture_output=True, text=True).stdout.strip()


def services(folder):
    """Process IDs of `podman system service` whose socket is under `folder`."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"service" in words and any(str(folder).encode() in w for w in words):
            found.append(int(entry.parent.name))
    return found


class PodmanCase(RunCase):
    engine = "podman"

    def clean_up(self, name):
        remove_podman_container(name)

    def pid(self):
        return podman("container", "inspect", "--format", "{{.State.Pid}}", self.name)

    def state(self):
        return podman("container", "inspect", "--format", "{{.State.Status}}", self.name)

    def counting(self):
        """Puts a podman into PATH that notes each call; gives the file it notes in."""
        notes = self.folder / "calls"
        tool = self.folder / "bin/podman"
        tool.parent.mkdir(exist_ok=True)
        tool.write_text(f'#!/bin/sh\necho "$*" >>{notes}\nexec /usr/bin/podman "$@"\n')
        tool.chmod(0o755)
        notes.touch()
        self.pipe.env["PATH"] = f"{tool.parent}:{self.pipe.env['PATH']}"
        return notes


class OnDemand(PodmanCase):
    def test_creates_and_the_container_outlives_the_service(self):
        outputs = self.step(env={"BODY": "hello"}, engine=None)
        self.assertEqual(outputs["engine"], "podman")
        self.assertEqual(services(self.folder), [])
        self.assertEqual(self.state(), "running")
        self.assertEqual(get(self.port), "hello")

    def test_the_path_of_a_user_is_enough(self):
        """As `su` leaves it to root: podman needs iptables, which is not there."""
        self.pipe.env["PATH"] = "/usr/bin:/bin"
        self.step(env={"BODY": "hello"}, engine=None)
        self.assertEqual(get(self.port), "hello")

    def test_a_second_run_changes_nothing_and_does_not_even_start_podman(self):
        calls = self.counting()
        first = self.step()
        self.assertIn("system service", calls.read_text())
        calls.write_text("")
        self.assertEqual(self.step()["id"], first["id"])
        self.assertEqual(calls.read_text(), "")

    def test_a_difference_is_seen_without_podman_and_made_with_it(self):
        first = self.step(env={"BODY": "old", "PASSWORD": "hunter2hunter2"})
        notes = "".join(f.read_text() for f in self.pipe.state.glob("pipe/podman/*.json"))
        self.assertIn(first["id"], notes)
        self.assertNotIn("hunter2", notes)
        text = self.run_pipeline("plan", env={"BODY": "new", "PASSWORD": "hunter2hunter2"})
        text += self.run_pipeline(env={"BODY": "new", "PASSWORD": "hunter2hunter2"})
        self.assertIn("env.BODY", text)
        self.assertNotIn("someone else", text)
        self.assertNotIn("env.PASSWORD", text)
        self.assertEqual(get(self.port), "new")

    def test_at_every_address_it_is_reached(self):
        ports = [f"0.0.0.0:{self.port}:5000"]
        first = self.step(env={"BODY": "open"}, ports=ports)
        self.assertEqual(get(self.port), "open")
        self.assertEqual(self.step(env={"BODY": "open"}, ports=ports)["id"], first["id"])
        self.assertEqual(first["address"], f"127.0.0.1:{self.port}")
        said = self.run_pipeline(env={"BODY": "open"}, ports=ports)
        self.assertIn(f"{self.name} is running at 127.0.0.1:{self.port} and all other addresses", said)
        self.assertNotIn("all other addresses", self.run_pipeline(env={"BODY": "open"}))

    def test_one_that_was_stopped_since_is_started(self):
        first = self.step()
        podman("stop", "--time=0", self.name)
        second = self.step()
        self.assertEqual(second["id"], first["id"])
        self.assertEqual(self.state(), "running")
        self.assertEqual(get(self.port), "{}")

    def test_one_that_was_removed_since_is_made_again(self):
        first = self.step()
        podman("rm", "--force", "--time=0", self.name)
        self.assertNotEqual(self.step()["id"], first["id"])
        self.assertEqual(get(self.port), "{}")

    def test_a_replacement_that_fails_gives_way_to_the_earlier_one(self):
        self.step(env={"BODY": "old"})
        text = self.fails(env={"END": "5", "SAY": "broken"})
        self.assertIn("exit code 5", text)
        self.assertIn("broken", text)
        self.assertEqual(get(self.port), "old")

    def test_one_that_is_restarted_over_and_over_is_an_error_and_taken_away(self):
        for delay in ("0", "0.2"):
            text = self.fails(ports=[], restart="always", env={"END": "2", "SAY": "bad config", "DELAY": delay})
            self.assertRegex(text, "keeps ending(?s:.)*bad config")
            self.assertEqual(podman("ps", "--all", "--quiet", "--filter", f"name={self.name}"), "")

    def test_one_that_is_restarted_over_and_over_is_not_up_to_date(self):
        ends = {"ports": [], "restart": "always", "env": {"END": "2", "SAY": "bad config", "DELAY": "0.2"}}
        self.step(**ends, ready="none")
        first, limit = self.pid(), time.monotonic() + 60
        while self.pid() == first:
            self.assertLess(time.monotonic(), limit, "it is not started again")
            time.sleep(0.05)
        self.assertRegex(self.fails(**ends), "keeps ending(?s:.)*bad config")

    def test_down_removes_the_container(self):
        self.run_pipeline()
        self.run_pipeline("down")
        self.assertEqual(podman("ps", "--all", "--quiet", "--filter", f"name={self.name}"), "")

    def test_a_killed_pipe_takes_its_service_along_and_the_next_run_completes(self):
        for seconds in (0.1, 0.5, 1.0):
            with self.subTest(seconds=seconds):
                env = {"DELAY": "1", "BODY": f"after {seconds}"}
                process = self.pipe.start(["run", self.pipeline(env=env)], start_new_session=True)
                time.sleep(seconds)
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
                limit = time.monotonic() + 120  # it ends when nobody has asked it for ten seconds
                while services(self.folder) and time.monotonic() < limit:
                    time.sleep(0.02)
                self.assertEqual(services(self.folder), [])
                self.run_pipeline(env=env)
                self.assertEqual(get(self.port), f"after {seconds}")

    def test_a_service_that_is_killed_while_it_replaces_loses_nothing(self):
        """As an engine that dies: Podman's own part of it."""
        self.step(env={"BODY": "old"}, restart="always")
        changes = {**self.held(BODY="new"), "restart": "always"}
        before = podman("container", "inspect", "--format", "{{.Id}}", self.name)
        process = self.pipe.start(["run", self.pipeline(**changes)], start_new_session=True)
        self.addCleanup(process.kill)
        limit = time.monotonic() + 60
        while True:
            done = subprocess.run(["podman", "container", "inspect", "--format", "{{.Id}} {{.State.Status}}", self.name],
                                  capture_output=True, text=True)  # fmt: skip
            if done.stdout.endswith("running\n") and before not in done.stdout:
                break
            self.assertLess(time.monotonic(), limit, "it is not replaced")
            time.sleep(0.05)
        for service in services(self.folder):
            os.kill(service, signal.SIGKILL)
        _, err = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 1, err)
        self.assertIn("run this again", err.decode())
        self.release()
        self.run_pipeline(**changes)
        self.assertEqual(get(self.port), "new")
        self.assertEqual(podman("ps", "--all", "--format", "{{.Names}}", "--filter", f"name={self.name}"), self.name)

    def test_one_of_root_that_someone_set_up_is_left_as_it_is(self):
        config = self.pipe.write("mine.conf", '[engine]\nruntime = "nothing-like-it"\n')
        result = self.pipe.try_step("run", env={"CONTAINERS_CONF": config}, **self.options())
        self.assertEqual(result.code, 1, result)
        self.assertIn("nothing-like-it", result.out + result.err)
        self.assertFalse((self.pipe.state / "pipe/containers.conf").exists())

    def test_what_podman_needs_here_is_said_when_it_is_written_and_not_again(self):
        config = self.pipe.state / "pipe/containers.conf"
        first = self.run_pipeline("plan")
        if not config.exists():
            self.assertNotIn("podman's defaults", first)
            self.skipTest("podman's defaults do on this machine")
        self.assertIn("podman's defaults can't start a container here", first)
        self.assertIn("\n# - ", config.read_text())
        self.assertNotIn("podman's defaults", self.run_pipeline())
        config.write_text("# of an earlier pipe\n")
        self.assertIn("podman's defaults", self.run_pipeline("down"))


class BySocket(PodmanCase):
    """A podman service that someone else runs: with a configuration that this machine needs, as pipe would write it."""

    def test_converges(self):
        self.step(ports=[], ready="none")  # writes what podman needs here, if anything
        config = self.pipe.state / "pipe/containers.conf"
        with PodmanService(config if config.exists() else None) as service:
            self.engine = service.host
            self.assertIn("replace", self.run_pipeline("plan", env={"BODY": "new"}))
            self.run_pipeline(env={"BODY": "new"})
            self.assertEqual(get(self.port), "new")
            self.assertIn("unchanged", self.run_pipeline(env={"BODY": "new"}))
            self.assertIsNone(service.process.poll(), "it is not ours to end")


if __name__ == "__main__":
    unittest.main()
