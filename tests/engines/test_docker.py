"""The step `run` against a real Docker Engine."""

import concurrent.futures
import json
import os
import pathlib
import signal
import time
import unittest

from engines import Dockerd, service_archive
from run_case import RunCase, free_port, get, get_soon, listening

docker = None


def setUpModule():
    global docker
    docker = Dockerd()
    docker.__enter__()
    unittest.addModuleCleanup(docker.__exit__)


class DockerCase(RunCase):
    def setUp(self):
        super().setUp()
        self.engine = docker.host

    def clean_up(self, name):
        docker.remove(name)

    def inspect(self):
        return docker.inspect(self.name)

    def state(self):
        return self.inspect()["State"]["Status"]


class Converges(DockerCase):
    def test_creates_then_leaves_alone(self):
        first = self.step(env={"BODY": "hello"})
        self.assertEqual(first["address"], f"127.0.0.1:{self.port}")
        self.assertEqual(first["id"], self.inspect()["Id"])
        self.assertEqual(get(self.port), "hello")
        self.assertIn("unchanged", self.run_pipeline(env={"BODY": "hello"}))
        self.assertEqual(self.inspect()["Id"], first["id"])

    def test_defaults_of_the_image_are_no_difference(self):
        first = self.step(env={"FROM_IMAGE": "yes"})
        self.assertEqual(self.step()["id"] == first["id"], False, "a variable taken away is a difference")
        second = self.step()
        self.assertEqual(self.step(env={"FROM_IMAGE": "yes"})["id"], second["id"], "the image gives it already")

    def test_each_difference_is_named_and_the_container_replaced(self):
        before = self.step(env={"A": "1"}, restart="no", user="1:1", labels={"team": "x"})
        changes = {"env": {"A": "2"}, "restart": "always", "user": "2:2", "labels": {"team": "y"}}
        plan = self.run_pipeline("plan", **changes)
        for part in ("env.A", "restart", "user", "labels.team", "1:1", "2:2"):
            self.assertIn(part, plan)
        self.assertEqual(self.inspect()["Id"], before["id"], "a plan changes nothing")
        text = self.run_pipeline(**changes)
        for part in ("env.A", "restart", "user", "labels.team"):
            self.assertIn(part, text)
        self.assertNotEqual(self.inspect()["Id"], before["id"])
        self.assertEqual(self.inspect()["HostConfig"]["RestartPolicy"]["Name"], "always")
        self.assertNotIn(self.name + ".replaced-by-pipe", docker.containers())

    def test_another_image_is_a_difference(self):
        before = self.step()
        other = self.images / "other.tar"
        service_archive(other, seed="other")
        plan = self.run_pipeline("plan", image=f"docker-archive:{other}")
        self.assertIn("image", plan)
        self.assertNotEqual(self.step(image=f"docker-archive:{other}")["id"], before["id"])

    def test_recreate_always_and_never(self):
        before = self.step()
        self.assertEqual(self.step(recreate="never", env={"A": "1"})["id"], before["id"])
        self.assertNotEqual(self.step(recreate="always")["id"], before["id"])

    def test_a_stopped_one_is_started(self):
        before = self.step()
        docker.api("POST", f"/containers/{self.name}/stop?t=0")
        self.assertIn("start", self.run_pipeline("plan"))
        after = self.step()
        self.assertEqual(after["id"], before["id"])
        self.assertEqual(self.state(), "running")
        self.assertEqual(get(self.port), "{}")

    def test_one_that_was_made_and_never_started_is_made_again(self):
        docker.load(self.archive_with_name("pipe.test/created:1"))
        made = docker.api("POST", f"/containers/create?name={self.name}", {"Image": "pipe.test/created:1"})
        after = self.step()
        self.assertNotEqual(after["id"], made["Id"])
        self.assertEqual(get(self.port), "{}")

    def make_theirs(self, image, **how):
        docker.load(self.archive_with_name(image))
        theirs = docker.api("POST", f"/containers/create?name={self.name}", {
            "Image": image, "Env": ["MORE=1"], "ExposedPorts": {"5000/tcp": {}},
            "HostConfig": {"PortBindings": {"5000/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(self.port)}]},
                           "RestartPolicy": {"Name": "always"}, **how},
        })["Id"]  # fmt: skip
        docker.api("POST", f"/containers/{theirs}/start")
        return theirs

    def test_one_that_someone_else_made_is_taken_over(self):
        image = "pipe.test/theirs:1"
        theirs = self.make_theirs(image)
        self.assertEqual(self.step(image=f"docker-daemon:{image}", restart="always")["id"], theirs)

    def test_one_that_someone_else_made_and_that_differs_is_kept(self):
        image, kept = "pipe.test/theirs:1", self.name + ".before-pipe"
        changes = {"image": f"docker-daemon:{image}", "user": "1:1"}
        for name in (kept, kept + "-2"):
            self.addCleanup(self.clean_up, name)
            theirs = self.make_theirs(image)
            said = f"was made by someone else: another takes its place, and it is kept, stopped, as {name}"
            self.assertIn(said, self.run_pipeline("plan", **changes))
            self.assertIn(said, self.run_pipeline(**changes))
            self.assertNotEqual(self.inspect()["Id"], theirs)
            there = docker.inspect(name)
            self.assertEqual((there["Id"], there["State"]["Status"]), (theirs, "exited"))
            self.assertEqual(there["HostConfig"]["RestartPolicy"]["Name"], "no")
            self.assertNotIn("someone else", self.run_pipeline(**{**changes, "user": "2:2"}))  # this one was made by it
            self.run_pipeline("down", **changes)
            self.assertEqual(docker.inspect(name)["Id"], theirs)

    def test_one_that_goes_when_it_is_stopped_is_no_failure(self):
        image = "pipe.test/theirs:1"
        self.make_theirs(image, AutoRemove=True, RestartPolicy={"Name": "no"})
        self.run_pipeline(image=f"docker-daemon:{image}", user="1:1")
        limit = time.monotonic() + 60  # the engine takes it away when it gets to it
        while [name for name in docker.containers() if name.startswith(self.name)] != [self.name]:
            self.assertLess(time.monotonic(), limit, docker.containers())
            time.sleep(0.1)

    def archive_with_name(self, name):
        path = self.folder / "named.tar"
        service_archive(path, names=[name])
        return path


class Data(DockerCase):
    def files_in(self, path):
        return sorted(os.listdir(path))

    def test_a_named_volume_outlives_replacement_and_down(self):
        volume = self.name + "-data"
        self.addCleanup(lambda: docker.api("DELETE", f"/volumes/{volume}?force=1"))
        self.step(volumes=[f"{volume}:/data"], env={"WRITE": "/data/first"})
        self.run_pipeline(volumes=[f"{volume}:/data"], env={"WRITE": "/data/second"})
        mountpoint = docker.api("GET", f"/volumes/{volume}")["Mountpoint"]
        self.assertEqual(self.files_in(mountpoint), ["first", "second"])
        self.run_pipeline("down", volumes=[f"{volume}:/data"], env={"WRITE": "/data/second"})
        self.assertNotIn(self.name, docker.containers())
        self.assertEqual(self.files_in(mountpoint), ["first", "second"])

    def test_down_takes_data_only_when_told_to(self):
        volume = self.name + "-data"
        self.run_pipeline(volumes=[f"{volume}:/data"])
        self.run_pipeline("down", volumes=[f"{volume}:/data"])
        self.assertNotIn(self.name, docker.containers())
        text = self.run_pipeline("down", "--data", volumes=[f"{volume}:/data"])
        self.assertRegex(text, rf"undone +run +\S+ +removed {volume}\b")
        self.assertIn("undone=1", text)
        names = [v["Name"] for v in docker.api("GET", "/volumes")["Volumes"] or []]
        self.assertNotIn(volume, names)

    def test_down_leaves_what_it_did_not_make(self):
        docker.load(self.archive)
        docker.api("POST", f"/containers/create?name={self.name}", {"Image": self.image_id})
        self.run_pipeline("down")
        self.assertIn(self.name, docker.containers())

    def named_images(self):
        return {name for image in docker.api("GET", "/images/json") for name in image["RepoTags"] or []}

    def own_image(self):
        archive = self.folder / "own.tar"
        service_archive(archive, volumes=[f"/of/{self.name}"])
        return {"image": f"docker-archive:{archive}"}

    def test_down_takes_the_image_that_the_engine_was_given(self):
        mine = self.own_image()
        before = self.named_images()
        self.run_pipeline(**mine)
        (given,) = self.named_images() - before
        self.run_pipeline(**mine)
        self.assertIn(f"removed the image {given} from the engine", self.run_pipeline("down", **mine))
        self.assertEqual(self.named_images(), before)

    def test_down_leaves_the_image_that_the_engine_had_or_that_another_container_uses(self):
        mine = self.own_image()
        before = self.named_images()
        self.run_pipeline(**mine)
        (given,) = self.named_images() - before
        other = docker.api("POST", f"/containers/create?name={self.name}-other", {"Image": given})["Id"]
        self.addCleanup(lambda: docker.api("DELETE", f"/containers/{other}?force=1"))
        self.assertIn(f"{given} stays in the engine: ", self.run_pipeline("down", **mine))
        self.run_pipeline(**mine)
        self.run_pipeline("down", **mine)
        self.assertIn(given, self.named_images())

    def test_down_takes_the_container_of_its_own_settings(self):
        other = {"name": f"{self.name}-2", "ports": [f"127.0.0.1:{free_port()}:5000"]}
        self.addCleanup(self.clean_up, other["name"])
        self.run_pipeline()
        self.run_pipeline(**other)
        self.run_pipeline("down")
        self.assertNotIn(self.name, docker.containers())
        self.assertIn(other["name"], docker.containers())
        self.run_pipeline("down", **other)
        self.assertNotIn(other["name"], docker.containers())

    def test_a_second_one_that_writes_to_the_same_data_is_warned_of(self):
        said = f"{self.name} and {self.name}-2 both write to "
        for data in (self.name + "-data", self.folder / "data"):
            first = {"volumes": [f"{data}:/data"]}
            second = {**first, "name": f"{self.name}-2", "ports": []}
            self.addCleanup(self.clean_up, second["name"])
            self.run_pipeline(**first)
            self.assertIn(f"{said}{data} at /data", self.run_pipeline("plan", **second))
            self.assertNotIn(said, self.run_pipeline("plan", **{**second, "volumes": [f"{data}:/elsewhere"]}))
            self.assertNotIn(said, self.run_pipeline("plan", **{**second, "volumes": [f"{data}:/data:ro"]}))
            self.assertIn(f"{said}{data} at /data", self.run_pipeline(**second))
            self.assertNotIn(" both write to ", self.run_pipeline(**first))
            self.run_pipeline("down", "--data", **second)
            self.run_pipeline("down", "--data", **first)
            self.assertNotIn(said, self.run_pipeline("plan", **second))

    def test_data_in_a_volume_without_a_name_goes_over(self):
        archive = self.folder / "volume.tar"
        service_archive(archive, volumes=["/data"])
        self.step(image=f"docker-archive:{archive}", env={"WRITE": "/data/first"})
        self.step(image=f"docker-archive:{archive}", env={"WRITE": "/data/second"})
        source = next(m["Source"] for m in self.inspect()["Mounts"] if m["Destination"] == "/data")
        self.assertEqual(self.files_in(source), ["first", "second"])

    def test_a_missing_host_folder_is_made_and_given_to_the_user(self):
        data = self.folder / "made/here"
        self.step(volumes=[f"{data}:/data"], user="1234:2345", env={"WRITE": "/data/written"})
        self.assertEqual((data.stat().st_uid, data.stat().st_gid), (1234, 2345))
        self.assertEqual((data / "written").stat().st_uid, 1234)

    def test_self_is_the_caller(self):
        self.step(user="self")
        self.assertEqual(self.inspect()["Config"]["User"], f"{os.geteuid()}:{os.getegid()}")

    def test_a_missing_path_that_is_only_read_is_an_error(self):
        text = self.fails(volumes=["/nowhere/htpasswd:/auth/htpasswd:ro"])
        self.assertIn("there is no /nowhere/htpasswd", text)
        self.assertFalse(pathlib.Path("/nowhere").exists())
        self.assertNotIn(self.name, docker.containers())


class Ports(DockerCase):
    def test_a_port_that_a_process_has_is_found_before_anything_is_touched(self):
        with listening(self.port):
            text = self.fails(volumes=[f"{self.name}-data:/data"])
        self.assertIn(f"port 127.0.0.1:{self.port} is taken by python", text)
        self.assertIn(f"pid {os.getpid()}", text)
        self.assertIn("is free", text)
        self.assertNotIn(self.name, docker.containers())
        names = [v["Name"] for v in docker.api("GET", "/volumes")["Volumes"] or []]
        self.assertNotIn(f"{self.name}-data", names)

    def test_a_port_that_a_container_has_is_named_after_it(self):
        other = self.name + "-other"
        self.addCleanup(docker.remove, other)
        self.step(name=other)
        self.assertIn(f"taken by the container {other}", self.fails())

    def test_a_replacement_with_a_taken_port_leaves_the_container_alone(self):
        before = self.step()
        other = self.port
        with listening(0) as listener:
            self.port = listener.getsockname()[1]
            self.fails()
        self.assertEqual(self.inspect()["Id"], before["id"])
        self.assertEqual(get(other), "{}")

    def test_the_engine_may_choose_the_port(self):
        address = self.step(ports=["127.0.0.1::5000"])["address"]
        self.assertEqual(get(address.rsplit(":", 1)[1]), "{}")
        self.assertIn("unchanged", self.run_pipeline(ports=["127.0.0.1::5000"]))


class Readiness(DockerCase):
    def test_waits_for_a_slow_start(self):
        started = time.monotonic()
        self.step(env={"DELAY": "1"})
        self.assertGreater(time.monotonic() - started, 1.0)
        self.assertEqual(get(self.port), "{}")

    def test_401_is_ready_and_503_is_not(self):
        self.step(env={"STATUS": "401 Unauthorized"})
        text = self.fails(env={"STATUS": "503 Busy", "SAY": "storage is away"}, ready_timeout="3s")
        for part in ("did not get ready within 3 s", "HTTP 503", "storage is away", "the earlier container runs again"):
            self.assertIn(part, text)

    def test_one_that_ends_is_an_error_with_exit_code_and_log(self):
        text = self.fails(env={"END": "37", "SAY": "no such file: /etc/config.yml"})
        self.assertIn("exit code 37", text)
        self.assertIn("no such file: /etc/config.yml", text)
        self.assertNotIn(self.name, docker.containers(), "a container that never worked is taken away again")

    def test_one_that_is_restarted_over_and_over_is_an_error(self):
        text = self.fails(env={"END": "3", "SAY": "bad config"}, restart="always")
        self.assertIn("keeps ending with exit code 3", text)
        self.assertIn("bad config", text)

    def test_a_replacement_that_does_not_get_ready_gives_way_to_the_earlier_one(self):
        before = self.step(env={"BODY": "old"})
        text = self.fails(env={"BODY": "new", "END": "1", "SAY": "cannot start"})
        self.assertIn("cannot start", text)
        self.assertIn("the earlier container runs again", text)
        self.assertEqual(self.inspect()["Id"], before["id"])
        self.assertEqual(get_soon(self.port), "old")

    def test_what_is_asked_can_be_chosen(self):
        self.step(ports=[], ready="none", name=self.name)
        self.step(ready=f"tcp://127.0.0.1:{self.port}")
        self.step(ready=f"http://127.0.0.1:{self.port}/healthz")
        text = self.fails(ready=f"http://127.0.0.1:{self.port}/", env={"STATUS": "404 Gone"}, ready_timeout="3s")
        self.assertIn("HTTP 404", text)

    def test_without_ports_it_has_to_keep_running(self):
        self.step(ports=[])
        self.assertIn("exit code 9", self.fails(ports=[], env={"END": "9", "DELAY": "0.1"}))


class Secrets(DockerCase):
    def test_no_value_of_env_is_shown_or_kept_in_a_label(self):
        file = self.pipe.write("env", "FROM_FILE=open-sesame\n")
        self.step(env={"PASSWORD": "hunter2hunter2"}, env_file=[file])
        inspect = self.inspect()
        self.assertIn("PASSWORD=hunter2hunter2", inspect["Config"]["Env"])
        self.assertIn("FROM_FILE=open-sesame", inspect["Config"]["Env"])
        self.assertNotIn("hunter2", json.dumps(inspect["Config"]["Labels"]))
        text = self.run_pipeline("plan", env={"PASSWORD": "correct-horse"}, env_file=[str(file)])
        self.assertIn("env.PASSWORD", text)
        self.assertNotIn("hunter2", text)
        self.assertNotIn("correct-horse", text)


class Killed(DockerCase):
    def test_a_kill_at_any_moment_leaves_what_the_next_run_completes(self):
        for number in range(8):
            with self.subTest(number=number):
                env = {"BODY": f"v{number}", "DELAY": "0.2"}
                path = self.pipeline(env=env)
                process = self.pipe.start(["run", path], start_new_session=True)
                time.sleep(0.08 * number)
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
                self.run_pipeline(env=env)
                self.assertEqual(get(self.port), f"v{number}")
                self.assertNotIn(self.name + ".replaced-by-pipe", docker.containers())

    def test_two_at_once_end_with_one_container(self):
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            codes = [r.code for r in pool.map(lambda _: self.pipe.try_step("run", **self.options()), range(2))]
        self.assertIn(0, codes)
        self.assertEqual(get(self.port), "{}")


if __name__ == "__main__":
    unittest.main()
