"""What a container can be asked to be, on Docker and on Podman: it is that, and a second run changes nothing."""

import contextlib
import json
import os
import unittest

from engines import Dockerd, FakeEngine, PodmanService, remove_podman_container, service_archive
from registries import Registry
from run_case import RunCase, get

EVERYTHING = {
    "read_only": True,
    "tmpfs": ["/tmp:size=1m"],
    "cap_drop": ["ALL"],
    "cap_add": ["cap_net_bind_service", "CHOWN"],
    "security_opt": ["no-new-privileges"],
    "ulimits": {"nofile": "512:1024"},
    "log": {"max-size": "1m"},
    "stop_timeout": "3s",
    "hostname": "box",
    "extra_hosts": ["upstream:192.0.2.7"],
    "sysctls": {"net.ipv4.ip_unprivileged_port_start": "0"},
}


class OptionsCase(RunCase):
    def mounts(self):
        return {m["Destination"]: m for m in self.inspect()["Mounts"]}

    def converges(self, **changes):
        """Runs with these settings, and sees that there is nothing left to do; gives what was printed first."""
        text = self.run_pipeline(**changes)
        self.assertIn("unchanged", self.run_pipeline(**changes))
        self.assertIn("up to date", self.run_pipeline("plan", **changes))
        return text

    def assert_differs(self, *parts, **changes):
        plan = self.run_pipeline("plan", **changes)
        for part in parts:
            self.assertIn(part, plan)


class Options(OptionsCase):
    """What has to hold on every engine; subclasses say which."""

    more = {}

    def test_everything_at_once(self):
        self.converges(**{**EVERYTHING, **self.more})
        found = self.inspect()
        host = found["HostConfig"]
        self.assertTrue(host["ReadonlyRootfs"])
        self.assertIn("size=1m", host["Tmpfs"]["/tmp"])
        limits = {u["Name"].lower().removeprefix("rlimit_"): u for u in host["Ulimits"]}
        self.assertEqual((limits["nofile"]["Soft"], limits["nofile"]["Hard"]), (512, 1024))
        self.assertEqual(found["Config"]["Hostname"], "box")
        self.assertEqual(get(self.port), "{}")

    def test_each_difference_is_named(self):
        self.run_pipeline(**{**EVERYTHING, **self.more})
        self.assert_differs(
            "replace", "read_only", "true -> (default)", "tmpfs", "cap_add", "NET_BIND_SERVICE", "log.max-size",
            "1m -> 2m", "ulimits.nofile", "512:1024 -> 2048", "stop_timeout", "3s -> 4s", "hostname",
            **{**EVERYTHING, "read_only": False, "tmpfs": [], "cap_add": ["CHOWN"], "log": {"max-size": "2m"},
               "ulimits": {"nofile": "2048"}, "stop_timeout": "4s", "hostname": "other"})  # fmt: skip

    def test_a_health_check_says_when_it_is_ready(self):
        health = {"command": "true", "interval": "1s", "retries": 2}
        self.converges(ready="healthy", health=health)
        self.assert_differs("health.command", "true -> exit 1", health={**health, "command": "exit 1"})
        text = self.fails(ready="healthy", health={**health, "command": "exit 1", "retries": 1}, ready_timeout="12s")
        self.assertIn("did not get ready", text)
        self.assertIn("its health check: unhealthy", text)
        self.assertIn("the earlier container runs again", text)

    def test_healthy_without_a_health_check_is_an_error(self):
        text = self.fails(ready="healthy")
        self.assertIn("has no health check", text)

    def test_networks_are_joined_made_and_removed(self):
        network = self.name[-20:] + "-net"
        self.addCleanup(self.remove_network, network)
        changes = {"networks": [f"{network}:registry,images"]}
        self.converges(**changes)
        joined = self.inspect()["NetworkSettings"]["Networks"]
        self.assertIn(network, joined)
        self.assertIn("registry", joined[network]["Aliases"])
        self.assertEqual(len(joined), 2, "it stays in its first network")
        self.assert_differs("networks", f"{network}:images,registry -> (none)", networks=[])
        self.run_pipeline("down", **changes)
        self.assertNotIn(network, self.networks())

    def test_a_network_that_was_there_stays(self):
        network = self.name[-20:] + "-net"
        self.addCleanup(self.remove_network, network)
        self.api.api("POST", "/networks/create", {"Name": network})
        self.run_pipeline(networks=[network])
        self.run_pipeline("down", networks=[network])
        self.assertIn(network, self.networks())

    def networks(self):
        return [n["Name"] for n in self.api.api("GET", "/networks")]

    def remove_network(self, name):
        self.clean_up(self.name)
        with contextlib.suppress(AssertionError):
            self.api.api("DELETE", f"/networks/{name}")


class Secrets(OptionsCase):
    secrets = {"password": "hunter2hunter2", "/etc/service/key": "-----KEY-----"}

    def files(self):
        return sorted(p for p in self.pipe.state.glob("pipe/secrets/**/*") if p.is_file())

    def content(self, target):
        with open(self.mounts()[target]["Source"]) as file:
            return file.read()

    def test_they_are_files_that_only_the_user_reads(self):
        text = self.converges(secrets=self.secrets, user="1234:2345")
        self.assertEqual(self.content("/run/secrets/password"), "hunter2hunter2")
        self.assertEqual(self.content("/etc/service/key"), "-----KEY-----")
        mount = self.mounts()["/run/secrets/password"]
        self.assertFalse(mount["RW"])
        info = os.stat(mount["Source"])
        self.assertEqual((info.st_mode & 0o7777, info.st_uid, info.st_gid), (0o400, 1234, 2345))
        self.assertEqual((self.pipe.state / "pipe/secrets").stat().st_mode & 0o777, 0o700)
        self.assertNotIn("hunter2", json.dumps(self.inspect()) + text)
        # Nothing that was made of the value, either: no hash of it can be tried against a list of passwords.
        self.assertNotIn("password", json.dumps({k: v for k, v in self.inspect()["Config"]["Labels"].items()}))

    def test_the_service_reads_them(self):
        path = "/run/secrets/password"
        self.step(secrets=self.secrets, user="1234:2345", env={"READ": path})
        self.fails(secrets=self.secrets, user="1234:2345", env={"READ": "/run/secrets/other"})

    def test_a_changed_value_replaces_the_container(self):
        first = self.step(secrets=self.secrets)
        changed = {**self.secrets, "password": "correct-horse"}
        plan = self.run_pipeline("plan", secrets=changed)
        self.assertIn("secrets./run/secrets/password", plan)
        self.assertNotIn("correct-horse", plan)
        self.assertNotIn("key", plan)
        second = self.step(secrets=changed)
        self.assertNotEqual(second["id"], first["id"])
        self.assertEqual(self.content("/run/secrets/password"), "correct-horse")
        self.assertEqual(len(self.files()), 2, "those of the earlier one are gone")
        self.assertIn("unchanged", self.run_pipeline(secrets=changed))

    def test_a_failed_replacement_keeps_those_of_the_earlier_one(self):
        self.step(secrets=self.secrets)
        self.fails(secrets={"password": "other"}, env={"END": "1"})
        self.assertEqual(self.content("/run/secrets/password"), "hunter2hunter2")
        self.assertEqual(len(self.files()), 2)
        self.assertIn("unchanged", self.run_pipeline(secrets=self.secrets))

    def test_down_removes_the_files(self):
        self.run_pipeline(secrets=self.secrets)
        self.run_pipeline("down", secrets=self.secrets)
        self.assertEqual(self.files(), [])

    def test_a_user_that_is_a_name_is_an_error(self):
        self.assertIn("write `user` in numbers", self.fails(secrets=self.secrets, user="nobody"))
        self.assertEqual(self.files(), [])


class OnDocker:
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.api = Dockerd()
        cls.api.__enter__()
        cls.addClassCleanup(cls.api.__exit__)

    def setUp(self):
        super().setUp()
        self.engine = self.api.host

    def clean_up(self, name):
        self.api.remove(name)

    def inspect(self):
        return self.api.inspect(self.name)


class OnPodman:
    """With the service that pipe starts itself; the tests look by one of their own."""

    engine = "podman"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.api = PodmanService()
        cls.api.__enter__()
        cls.addClassCleanup(cls.api.__exit__)

    def clean_up(self, name):
        remove_podman_container(name)

    def inspect(self):
        return self.api.inspect(self.name)


class DockerOptions(OnDocker, Options):
    def test_limits_of_memory_cpus_and_processes(self):
        changes = {"memory": "64MiB", "cpus": 0.5, "pids": 50}
        self.converges(**changes)
        host = self.inspect()["HostConfig"]
        self.assertEqual((host["Memory"], host["NanoCpus"], host["PidsLimit"]), (64 << 20, 500000000, 50))
        self.assert_differs("memory", "64 MiB -> 128 MiB", **{**changes, "memory": "128MiB"})
        self.api.api("POST", f"/containers/{self.name}/update", {"PidsLimit": 70})
        self.assert_differs("pids", "70 -> 50", **changes)

    def test_one_that_someone_else_made_with_the_same_is_taken_over(self):
        image = "pipe.test/options:1"
        archive = self.folder / "named.tar"
        service_archive(archive, names=[image])
        self.api.load(archive)
        theirs = self.api.api("POST", f"/containers/create?name={self.name}", {
            "Image": image, "ExposedPorts": {"5000/tcp": {}},
            "HostConfig": {"PortBindings": {"5000/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(self.port)}]},
                           "Memory": 64 << 20, "CapDrop": ["ALL"], "SecurityOpt": ["no-new-privileges:true"],
                           "Ulimits": [{"Name": "nofile", "Soft": 512, "Hard": 1024}], "ReadonlyRootfs": True},
        })  # fmt: skip
        self.api.api("POST", f"/containers/{theirs['Id']}/start")
        same = {"image": f"docker-daemon:{image}", "memory": "64MiB", "cap_drop": ["all"], "read_only": True,
                "security_opt": ["no-new-privileges"], "ulimits": {"nofile": "512:1024"}}  # fmt: skip
        self.assertEqual(self.step(**same)["id"], theirs["Id"])
        self.assertNotEqual(self.step(**{**same, "cap_drop": ["CHOWN"]})["id"], theirs["Id"])


class Pull(OnDocker, OptionsCase):
    """An image that neither store nor engine has."""

    def test_it_is_fetched_from_its_registry(self):
        with Registry() as registry:
            name = f"{registry.address}/service:1"
            self.pipe.step("push", image=self.image, to=name)
            never = self.fails(image=name, pull="never")
            self.assertIn("is neither in the store nor in the engine", never)
            self.assertIn("blobs fetched", self.run_pipeline(image=name))
            self.assertIn("unchanged", self.run_pipeline(image=name))
        self.assertIn("unchanged", self.run_pipeline(image=name), "the registry is not asked again")
        self.run_pipeline("down", image=name)
        self.assertNotIn(name, self.pipe.run(["image", "ls"]).out)

    def test_always_follows_the_registry(self):
        with Registry() as registry:
            name = f"{registry.address}/service:1"
            self.pipe.step("push", image=self.image, to=name)
            first = self.step(image=name, pull="always")
            self.assertEqual(self.step(image=name, pull="always")["id"], first["id"])
            other = self.folder / "other.tar"
            service_archive(other, seed="other")
            self.pipe.step("push", image=f"docker-archive:{other}", to=name)
            self.assertEqual(self.step(image=name)["id"], first["id"], "missing does not ask")
            self.assert_differs("image", image=name, pull="always")
            self.assertNotEqual(self.step(image=name, pull="always")["id"], first["id"])


class DockerSecrets(OnDocker, Secrets):
    pass


class PodmanOptions(OnPodman, Options):
    # Given one, Podman leaves out those of containers.conf: here nproc may not be raised.
    more = {"ulimits": {"nofile": "512:1024", "nproc": "1000"}}


class PodmanSecrets(OnPodman, Secrets):
    pass


class Bad(RunCase):
    engine = "unix:///nowhere"

    def clean_up(self, name):
        pass

    def test_what_is_wrong_is_said(self):
        for changes, part in [
            ({"networks": ["a b"]}, "`a b` is no network's name"),
            ({"health": {"command": "x", "often": "1s"}}, "there is no `often`"),
            ({"health": {"interval": "1s"}}, "it has no command"),
            ({"health": {"command": "x", "interval": "soon"}}, "interval is no time"),
            ({"ulimits": {"nofile": "many"}}, "`many` is no limit"),
            ({"tmpfs": ["tmp"]}, "`tmp` is no absolute path"),
            ({"secrets": {"a/b": "x"}}, "`a/b` is neither a name nor an absolute path"),
        ]:
            with self.subTest(**changes):
                with FakeEngine() as fake:
                    self.assertIn(part, self.fails(engine=fake.host, **changes))


del Options, Secrets, OptionsCase

if __name__ == "__main__":
    unittest.main()
