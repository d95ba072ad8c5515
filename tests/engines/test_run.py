"""The step `run` against engines that are not there, or that only play one: Docker 29's rules, errors, wrong answers."""

import json
import subprocess
import unittest
import urllib.parse

from engines import FakeEngine
from pipe import AS_PERMITTED
from run_case import RunCase

ID = "sha256:" + "1" * 64


class FakeCase(RunCase):
    def clean_up(self, name):
        pass

    def fake(self, answers=None, **kwargs):
        fake = FakeEngine(answers, **kwargs)
        self.enterContext(fake) if hasattr(self, "enterContext") else self.addCleanup(fake.__exit__)
        if not hasattr(self, "enterContext"):
            fake.__enter__()
        self.engine = fake.host
        return fake


class NoEngine(FakeCase):
    def test_no_such_socket(self):
        text = self.fails(engine=f"unix://{self.folder}/none.sock")
        self.assertIn("there is no such socket", text)
        self.assertIn("start the engine", text)

    def test_nothing_listens(self):
        fake = self.fake()
        path = fake.socket
        fake.server.shutdown()
        fake.server.server_close()
        self.assertTrue(path.exists())
        self.assertIn("nothing listens on that socket", self.fails())

    def test_docker_host_says_where_it_was_read(self):
        result = self.pipe.try_step("run", env={"DOCKER_HOST": "unix:///nowhere/docker.sock"}, **self.options(engine=None))
        self.assertIn("DOCKER_HOST", result.out + result.err)
        self.assertEqual(result.code, 1)

    def test_a_docker_context_that_is_not_there(self):
        (self.folder / "docker/config.json").write_text('{"currentContext": "lab"}')
        self.assertIn("no Docker context `lab`", self.fails(engine=None))

    def test_ssh_is_not_spoken(self):
        self.assertIn("SSH", self.fails(engine="ssh://me@host"))

    def test_what_is_no_engine(self):
        self.fake({}, headers={"Api-Version": "no version"})
        self.assertIn("no version of the Docker Engine API", self.fails())

    def test_a_socket_that_may_not_be_used(self):
        self.fake().socket.chmod(0)
        self.pipe.before = AS_PERMITTED
        said = self.fails()
        self.assertIn("no permission to use the engine's socket", said)
        self.assertIn("docker", said)


class Contexts(FakeCase):
    def test_the_current_context_is_used(self):
        fake = self.fake({("GET", f"/containers/{self.name}/json"): (404, {"message": "no"}),
                          ("GET", "/containers/json"): (500, {"message": "reached by the context"})})  # fmt: skip
        meta = self.folder / "docker/contexts/meta/abc"
        meta.mkdir(parents=True)
        (meta / "meta.json").write_text(json.dumps({"Name": "lab", "Endpoints": {"docker": {"Host": fake.host}}}))
        (self.folder / "docker/config.json").write_text('{"currentContext": "lab"}')
        self.assertIn("reached by the context", self.fails(engine=None))


class Docker29(FakeCase):
    """Minimum API 1.44, no NetworkSettings.IPAddress, a configuration that leaves out what is empty."""

    def running(self, **config):
        labels = {"pipe.spec": "{}", "pipe.token": "x"}
        return {"Id": "abc", "Name": "/" + self.name, "Image": ID, "State": {"Status": "running", "Pid": 1},
                "Config": {"Image": "a:1", "Labels": labels, **config}, "HostConfig": {"RestartPolicy": {"Name": "no"}},
                "NetworkSettings": {"Ports": {}, "Networks": {"bridge": {"IPAddress": "172.17.0.2"}}}}  # fmt: skip

    def test_an_unchanged_container(self):
        fake = self.fake({
            ("GET", f"/containers/{self.name}/json"): (200, self.running()),
            ("GET", "/images/docker.io/library/a:1/json"): (200, {"Id": ID, "RepoTags": ["a:1"], "Config": {}}),
            ("GET", "/containers/abc/json"): (200, self.running()),
        }, api="1.55", oldest="1.44")  # fmt: skip
        outputs = self.step(image="a:1", ports=[], ready="none")
        self.assertEqual(outputs["id"], "abc")
        versions = {path.split("/")[1] for _, path, _ in fake.requests if path.startswith("/v1.")}
        self.assertEqual(versions, {"v1.52"})
        self.assertFalse([r for r in fake.requests if r[0] != "GET"], "nothing is changed")

    def replacing(self, answers=None):
        """An engine with a container that restarts always and is to be replaced; gives what it is asked for, GET aside."""
        old = self.running()
        old["HostConfig"]["RestartPolicy"]["Name"] = "always"
        old["Config"]["Labels"]["pipe.spec"] = '{"restart": "always"}'
        new = {**self.running(), "Id": "new"}
        fake = self.fake({
            ("GET", "/containers/json"): (200, []),
            ("GET", f"/containers/{self.name}/json"): (200, old),
            ("GET", "/containers/abc/json"): (200, old),
            ("GET", "/containers/new/json"): (200, new),
            ("GET", "/images/docker.io/library/a:1/json"): (200, {"Id": ID, "RepoTags": ["a:1"], "Config": {}}),
            ("POST", "/containers/create"): (201, {"Id": "new"}),
            **{("POST", f"/containers/{each}"): (204, b"") for each in ("abc/rename", "abc/stop", "abc/start", "new/start")},
            ("POST", "/containers/abc/update"): (200, {"Warnings": None}),
            ("DELETE", "/containers/abc"): (204, b""),
            ("DELETE", "/containers/new"): (204, b""),
            **(answers or {}),
        }, api="1.55", oldest="1.44")  # fmt: skip

        def asked():
            changes = []
            for method, path, body in fake.requests:
                if method != "GET":
                    name = urllib.parse.parse_qs(urllib.parse.urlsplit(path).query).get("name", [""])[0]
                    policy = json.loads(body)["RestartPolicy"]["Name"] if path.endswith("/update") else ""
                    where = urllib.parse.urlsplit(path).path.removeprefix("/v1.52/containers/")
                    changes.append(" ".join(filter(None, [method, where, name, policy])))
            return changes

        return fake, asked

    def test_a_replacement_step_by_step(self):
        fake, asked = self.replacing()
        changes = {"image": "a:1", "ports": [], "ready": "none", "restart": "always", "env": {"A": "1"}}
        self.step(**changes, memory="1MiB", health={"command": "true", "interval": "2s"})
        aside = self.name + ".replaced-by-pipe"
        self.assertEqual(asked(), [f"POST abc/rename {aside}", f"POST create {self.name}", "POST abc/update no",
                                   "POST abc/stop", "POST new/start", "DELETE abc"])  # fmt: skip
        body = json.loads(fake.asked("POST", "/containers/create")[0])
        self.assertEqual(json.loads(body["Labels"]["pipe.replaces"]), {"restart": "always", "running": True})
        self.assertEqual(body["HostConfig"]["Memory"], 1 << 20)
        self.assertEqual(body["Healthcheck"], {"Test": ["CMD-SHELL", "true"], "Interval": 2000000000})

    def test_a_replacement_that_fails_step_by_step(self):
        error = {"message": "driver failed: address already in use"}
        _, asked = self.replacing({("POST", "/containers/new/start"): (500, error)})
        text = self.fails(image="a:1", ports=[], ready="none", restart="always", env={"A": "1"})
        self.assertIn("address already in use", text)
        self.assertIn("the earlier container runs again", text)
        self.assertEqual(asked()[4:], ["POST new/start", "DELETE new", f"POST abc/rename {self.name}",
                                       "POST abc/update always", "POST abc/start"])  # fmt: skip

    def test_an_engine_that_is_too_new(self):
        self.fake({}, api="9.9", oldest="9.0")
        text = self.fails()
        self.assertIn("speaks no API version below 9.0", text)
        self.assertIn("install a newer pipe", text)


class Errors(FakeCase):
    def answers(self, **more):
        return {("GET", "/containers/json"): (200, []), **{tuple(k.split(" ")): v for k, v in more.items()}}

    def test_an_error_inside_the_stream_of_a_load(self):
        stream = b'{"stream":"Loading"}\r\n{"errorDetail":{"message":"write /x: no space left on dev'
        stream += b'ice"},"error":"old"}\r\n'
        self.fake(self.answers(**{"POST /images/load": (200, stream)}))
        text = self.fails()
        self.assertIn("loading the image: write /x: no space left on device", text)
        self.assertIn("free some space", text)

    def test_a_load_that_is_cut_short_is_no_success(self):
        self.fake(self.answers(**{"POST /images/load": (200, b'{"stream":"Loaded im')}))
        self.assertIn("cut short", self.fails())

    def test_a_load_that_says_nothing_is_no_success(self):
        self.fake(self.answers(**{"POST /images/load": (200, b'{"stream":"hm"}')}))
        self.assertIn("loaded nothing", self.fails())

    def test_a_plan_of_an_archive_makes_no_store(self):
        self.fake(self.answers())
        plan = self.pipe.run(["plan", self.pipeline()])
        self.assertEqual(plan.code, 0, plan)
        self.assertIn(f"create {self.name}", plan.out)
        self.assertFalse(self.pipe.store.exists())

    def test_a_container_that_is_removed_while_podman_looks_at_it_is_none(self):
        gone = {"message": "container abc does not exist in database: no such container"}
        self.fake({**self.answers(), ("GET", f"/containers/{self.name}/json"): (500, gone)})
        plan = self.pipe.run(["plan", self.pipeline()])
        self.assertEqual(plan.code, 0, plan)
        self.assertIn(f"create {self.name}", plan.out)

    def test_the_archive_that_is_loaded_has_the_image(self):
        fake = self.fake(self.answers(**{"POST /images/load": (500, {"message": "not now"})}))
        self.fails()
        archive = self.folder / "sent.tar"
        archive.write_bytes(fake.asked("POST", "/images/load")[0])
        listing = subprocess.run(["tar", "tf", archive], check=True, capture_output=True, text=True).stdout
        self.assertIn("manifest.json", listing)

    def test_an_engine_error_is_made_readable(self):
        self.fake(self.answers(**{"POST /images/load": (500, {"message": "driver \"overlay2\" failed"})}))
        text = self.fails()
        self.assertIn('loading the image: driver "overlay2" failed', text)
        self.assertNotIn("{", text.split("error", 1)[-1].split("\n", 1)[0])

    def test_an_image_that_is_nowhere(self):
        self.fake(self.answers())
        text = self.fails(image="registry.example/app:1", pull="never")
        self.assertIn("registry.example/app:1 is neither in the store nor in the engine", text)
        self.assertIn("pull", text)

    def test_a_start_that_fails_leaves_no_container(self):
        image = {"Id": ID, "RepoTags": ["a:1"]}
        fake = self.fake({
            ("GET", "/containers/json"): (200, []),
            ("GET", "/images/docker.io/library/a:1/json"): (200, image),
            ("POST", "/containers/create"): (201, {"Id": "abc", "Warnings": ["swap is off"]}),
            ("POST", "/containers/abc/start"): (500, {"message": "Bind for 127.0.0.1:1 failed: port is already allocated"}),
            ("DELETE", "/containers/abc"): (204, b""),
        })  # fmt: skip
        text = self.fails(image="a:1")
        self.assertIn("port is already allocated", text)
        self.assertIn("swap is off", text)
        self.assertEqual(len(fake.asked("DELETE", "/containers/abc")), 1)

    def test_a_removal_that_fails_does_not_hide_what_failed_first(self):
        improper = "cannot remove container abc as it could not be stopped: container state improper: stopped"
        busy = {"message": improper}
        for answers, tries in (([(500, busy), (500, busy), (204, b"")], 3), ([(500, {"message": "disk full"})], 1)):
            left = list(answers)
            fake = self.fake({
                ("GET", "/containers/json"): (200, []),
                ("GET", "/images/docker.io/library/a:1/json"): (200, {"Id": ID, "RepoTags": ["a:1"]}),
                ("POST", "/containers/create"): (201, {"Id": "abc"}),
                ("POST", "/containers/abc/start"): (500, {"message": "the port is already allocated"}),
                ("DELETE", "/containers/abc"): lambda _, left=left: left.pop(0),
            })  # fmt: skip
            text = self.fails(image="a:1")
            self.assertRegex(text, "error: .*the port is already allocated")
            self.assertEqual(len(fake.asked("DELETE", "/containers/abc")), tries)
            self.assertEqual("the container stays, as it could not be removed" in text, tries == 1, text)

    def test_a_start_without_the_port_is_an_error(self):
        created = {"Id": "abc", "Name": "/x", "State": {"Status": "running"}, "NetworkSettings": {"Ports": {}}}
        fake = self.fake({
            ("GET", "/containers/json"): (200, []),
            ("GET", "/images/docker.io/library/a:1/json"): (200, {"Id": ID}),
            ("POST", "/containers/create"): (201, {"Id": "abc"}),
            ("POST", "/containers/abc/start"): (204, b""),
            ("GET", "/containers/abc/json"): (200, created),
            ("DELETE", "/containers/abc"): (204, b""),
        })  # fmt: skip
        self.assertIn(f"started without its port 127.0.0.1:{self.port}->5000/tcp", self.fails(image="a:1"))
        self.assertEqual(len(fake.asked("DELETE", "/containers/abc")), 1)


class BadInput(FakeCase):
    def test_parameters_are_checked_before_the_engine_is_asked_for_anything(self):
        fake = self.fake()
        for changes, part in [({"ports": ["localhost:1:2"]}, "`localhost` is no IP address"),
                              ({"volumes": ["data"]}, "no source or no target"),
                              ({"env_file": ["/nowhere/env"]}, "/nowhere/env"),
                              ({"image": "UPPER:1"}, "UPPER"),
                              ({"ready": "soon"}, "soon")]:  # fmt: skip
            with self.subTest(**changes):
                self.assertIn(part, self.fails(**changes))
        self.assertFalse([r for r in fake.requests if r[0] != "GET"])


if __name__ == "__main__":
    unittest.main()
