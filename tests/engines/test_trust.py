"""The step trust: files that dockerd, skopeo (Podman's library) and containerd really read."""

import json
import shutil
import subprocess
import tomllib
import unittest
import urllib.parse

from engines import Dockerd, with_folder
from registries import Certificates, FakeRegistry, Image, Registry
from steps import StepTest

APP = Image()


class TrustTest(StepTest):
    """Everything below a root of its own; no engine of this machine is told anything."""

    def setUp(self):
        super().setUp()
        self.root = self.folder / "root"
        self.etc = self.root / "etc"
        for name in ("docker", "containers", "containerd"):
            (self.etc / name).mkdir(parents=True)
        shutil.copy("/etc/containers/policy.json", self.etc / "containers")
        self.ca = Certificates(self.folder / "theirs").ca_file

    def params(self, **more):
        return {"registry": "registry.lan:5000", "ca": self.ca, "root": self.root, "engines": ("docker", "podman", "containerd"), **more}

    def trust(self, **more):
        """Outputs, and whether something changed."""
        result = self.pipe.try_step("trust", **self.params(**more))
        self.assertEqual(result.code, 0, result)
        return json.loads(result.out), ": changed=1 " in result.err

    def refused(self, *expected, **more):
        return self.failure("trust", *expected, **self.params(**more))

    def pipeline(self, **more):
        lines = ["schema = 1", "[pipeline]", 'name = "trust"', "[[step]]", 'uses = "trust"']
        for key, value in self.params(**more).items():
            if value is not None:
                lines.append(f"with.{key} = {json.dumps(value if isinstance(value, (bool, tuple)) else str(value))}")
        return self.pipe.write("trust.toml", "\n".join(lines) + "\n")

    def call(self, verb, **more):
        result = self.pipe.run([verb, self.pipeline(**more)])
        self.assertEqual(result.code, 0, result)
        return result.out + result.err

    def files(self):
        """Of the root, without its run/ folder, and what is in them."""
        return {str(p.relative_to(self.etc)): p.read_text() for p in self.etc.rglob("*") if p.is_file()}

    def skopeo(self, *args, check=True):
        command = [*with_folder(self.etc / "containers", "/etc/containers"), "skopeo", *args]
        done = subprocess.run(list(map(str, command)), env={**self.pipe.env}, capture_output=True, text=True)
        if check:
            self.assertEqual(done.returncode, 0, done.stderr)
        return done


class Files(TrustTest):
    def test_each_engine_gets_the_authority_where_it_looks_for_it(self):
        out, changed = self.trust()
        self.assertTrue(changed)
        self.assertEqual(out["engines"], ["docker", "podman", "containerd"])
        for engine in ("docker", "containers", "containerd"):
            self.assertEqual((self.etc / engine / "certs.d/registry.lan:5000/ca.crt").read_bytes(), self.ca.read_bytes())
        self.assertEqual(set(out["files"]), {str(p) for p in self.etc.rglob("*") if p.is_file() and p.name != "policy.json"})
        self.assertFalse(self.trust()[1])

    def test_a_new_authority_takes_the_place_of_ours_and_stands_beside_theirs(self):
        folder = self.etc / "docker/certs.d/registry.lan:5000"
        folder.mkdir(parents=True)
        (folder / "ca.crt").write_text("theirs")
        self.call("run")
        before = self.files()
        self.assertEqual((folder / "ca.crt").read_text(), "theirs")
        self.assertEqual((folder / "pipe-ca.crt").read_bytes(), self.ca.read_bytes())
        self.ca = Certificates(self.folder / "new").ca_file
        self.call("run")
        self.assertEqual(set(self.files()), set(before))
        self.assertEqual((folder / "pipe-ca.crt").read_bytes(), self.ca.read_bytes())
        self.call("down")
        self.assertEqual([p.name for p in folder.iterdir()], ["ca.crt"])

    def test_only_engines_that_are_there_are_told_unless_they_are_named(self):
        shutil.rmtree(self.etc / "containers")
        self.assertEqual(self.trust(engines=None)[0]["engines"], ["docker"])
        (self.etc / "containerd/config.toml").write_text('config_path = "/etc/containerd/certs.d"\n')
        self.assertEqual(self.trust(engines=None)[0]["engines"], ["docker", "containerd"])

    def test_down_takes_back_what_it_wrote_and_nothing_else(self):
        mine = self.etc / "containerd/certs.d/docker.io/hosts.toml"
        mine.parent.mkdir(parents=True)
        mine.write_text('# mine\nserver = "https://registry-1.docker.io"\n\n[host."https://first.lan"]\n  capabilities = ["pull"]\n')
        (self.etc / "docker/daemon.json").write_text('{\n    "log-driver": "local",\n    "registry-mirrors": ["https://other.lan/"]\n}\n')
        before = self.files()
        changes = {"insecure": True, "ca": None, "mirror": "http://localhost:5001"}
        self.assertIn("registry-mirrors", self.call("plan", **changes))
        self.assertEqual(self.files(), before)
        self.call("run", **changes)
        daemon = json.loads((self.etc / "docker/daemon.json").read_text())
        self.assertEqual(daemon, {"log-driver": "local", "registry-mirrors": ["https://other.lan/", "http://localhost:5001"],
                                  "insecure-registries": ["registry.lan:5000"]})  # fmt: skip
        self.assertTrue(mine.read_text().startswith(before["containerd/certs.d/docker.io/hosts.toml"]))
        self.assertIn("changed=0", self.call("run", **changes))
        backup = self.etc / "docker/daemon.json.pipe-backup"
        self.assertEqual(backup.read_text(), before["docker/daemon.json"])
        self.call("down", **changes)
        after = self.files()
        self.assertEqual(json.loads(after.pop("docker/daemon.json")), json.loads(before.pop("docker/daemon.json")))
        self.assertEqual(after, before)

    def test_a_second_mirror_is_added_and_down_takes_both(self):
        before = self.files()
        mirrors = ("http://localhost:5001", "http://localhost:5002", "https://third.lan")
        for mirror in mirrors:
            self.call("run", ca=None, registry=None, mirror=mirror)
            self.assertIn("changed=0", self.call("run", ca=None, registry=None, mirror=mirror))
        files = self.files()
        self.assertEqual(json.loads(files["docker/daemon.json"])["registry-mirrors"], list(mirrors))
        podman = tomllib.loads(files["containers/registries.conf.d/pipe-docker.io.conf"])["registry"]
        self.assertEqual([m["location"] for m in podman[0]["mirror"]], ["localhost:5001", "localhost:5002", "third.lan"])
        self.assertEqual([m.get("insecure", False) for m in podman[0]["mirror"]], [True, True, False])
        self.assertEqual(list(tomllib.loads(files["containerd/certs.d/docker.io/hosts.toml"])["host"]), list(mirrors))
        for mirror in reversed(mirrors):
            self.call("down", ca=None, registry=None, mirror=mirror)
        self.assertEqual(self.files(), before)

    def test_one_that_is_insecure_no_more_is_taken_out_again(self):
        theirs = self.etc / "containerd/certs.d/registry.lan:5000/hosts.toml"
        theirs.parent.mkdir(parents=True)
        theirs.write_text('server = "https://registry.lan:5000"\n')
        (self.etc / "docker/daemon.json").write_text('{\n  "insecure-registries": [\n    "other.lan"\n  ]\n}\n')
        before = self.files()
        self.call("run", ca=None, insecure=True)
        during = self.files()
        self.assertIn("registry.lan:5000", during["docker/daemon.json"])
        self.assertIn("skip_verify", during["containerd/certs.d/registry.lan:5000/hosts.toml"])
        said = self.call("plan", ca=None)
        self.assertIn("would take back that registry.lan:5000 is insecure for podman", said)
        self.assertRegex(said, r"still insecure for docker, as \S+/daemon\.json says; `pipe run` removes there what it wrote itself")
        self.assertEqual(self.files(), during)
        self.assertRegex(self.call("run", ca=None), "changed .* took back that registry.lan:5000 is insecure for docker, podman and containerd")
        self.assertEqual(self.files(), before)
        said = self.call("run", ca=None)
        self.assertRegex(said, "unchanged .* there is nothing to tell of registry.lan:5000")
        self.assertNotIn("insecure", said)
        self.call("run", ca=None, insecure=True)
        self.call("run")
        self.assertNotIn("skip_verify", "".join(self.files().values()))
        self.call("down")
        self.assertEqual(self.files(), before)

    def test_what_is_insecure_because_of_others_stays_and_is_named(self):
        (self.etc / "docker/daemon.json").write_text('{"insecure-registries": ["registry.lan:5000"]}')
        drop_in = self.etc / "containers/registries.conf.d/pipe-registry.lan_5000.conf"
        drop_in.parent.mkdir()
        drop_in.write_text('# mine\n[[registry]]\nlocation = "registry.lan:5000"\ninsecure = true\n')
        before = self.files()
        said = self.call("run", ca=None, engines=("docker", "podman"))
        self.assertRegex(said, r'still insecure for docker, as \S+/daemon\.json .*remove there: "registry\.lan:5000" in "insecure-registries"')
        self.assertRegex(said, r"still insecure for podman, as \S+/pipe-registry\.lan_5000\.conf .*insecure = true")
        self.assertEqual(self.files(), before)

    def test_a_step_by_itself_takes_the_files_that_bear_its_name_and_names_the_rest(self):
        settings = {"ca": None, "engines": ("docker", "podman")}
        self.trust(**settings, insecure=True)
        result = self.pipe.try_step("trust", **self.params(**settings, insecure=False))
        self.assertRegex(result.err, r"still insecure for docker, as \S+/daemon\.json")
        self.assertRegex(result.err, "took back that registry.lan:5000 is insecure for podman")
        self.assertEqual(list((self.etc / "containers").rglob("*.conf")), [])
        self.assertIn("registry.lan:5000", self.files()["docker/daemon.json"])

    def test_down_takes_the_folders_that_it_made_and_no_others(self):
        there = self.etc / "containers/certs.d/registry.lan:5000"
        there.mkdir(parents=True)
        before = sorted(self.etc.rglob("*"))
        self.call("run")
        self.call("down")
        self.assertEqual(sorted(self.etc.rglob("*")), before)
        self.call("run")
        (self.etc / "docker/certs.d/mine").write_text("x")
        self.call("down")
        self.assertEqual(sorted(self.etc.rglob("*")), sorted([*before, self.etc / "docker/certs.d", self.etc / "docker/certs.d/mine"]))

    def test_down_leaves_what_it_found_and_what_was_changed_since(self):
        (self.etc / "docker/daemon.json").write_text('{"registry-mirrors": ["http://localhost:5001"]}')
        changes = {"engines": ("docker", "podman"), "mirror": "http://localhost:5001/"}
        self.call("run", **changes)
        drop_in = self.etc / "containers/registries.conf.d/pipe-docker.io.conf"
        drop_in.write_text(drop_in.read_text() + "# and mine\n")
        self.assertIn("changed by someone else since", self.call("down", **changes))
        self.assertIn("localhost:5001", (self.etc / "docker/daemon.json").read_text())
        self.assertTrue(drop_in.exists())

    def test_what_can_not_be_merged_is_refused_and_left_alone(self):
        daemon = self.etc / "docker/daemon.json"
        for broken, said in (('{"debug": true,}\n', r"daemon\.json:1: this is no JSON"), ("[]", "no JSON object"),
                             ('{"registry-mirrors": "x"}', "is no list")):  # fmt: skip
            daemon.write_text(broken)
            self.refused(said, mirror="http://localhost:5001")
            self.assertEqual(daemon.read_text(), broken)
        daemon.unlink()
        hub = self.etc / "containers/registries.conf.d/mine.conf"
        hub.parent.mkdir()
        hub.write_text('[[registry]]\nlocation = "docker.io"\n')
        self.refused(r"mine\.conf has a \[\[registry\]\] for docker\.io", "add to it there", mirror="http://localhost:5001")
        said = self.pipe.try_step("trust", **self.params(mirror="http://localhost:5001", engines=None))
        self.assertRegex(said.err, "podman is not told: .*mine")
        self.assertEqual(said.code, 0)
        hub.write_text("[[registry]\n")
        self.refused(r"mine\.conf:1:", mirror="http://localhost:5001")

    def test_what_makes_no_sense(self):
        self.refused("is no registry", registry="https://registry.lan")
        self.refused("`registry` is not given", registry=None)
        self.refused("has no scheme", mirror="localhost:5001")
        self.refused("Docker takes no path", mirror="http://localhost:5001/hub")
        self.refused("is not there", ca=self.folder / "nothing")
        self.refused("leave one of them out", insecure=True)
        self.refused("holds no certificate", ca=self.pipe.write("x", "x"))
        both = self.pipe.write("both", self.ca.read_text() + (self.ca.parent / "ca.key").read_text())
        self.refused("holds a private key", ca=both)
        self.refused('no engine "moby"', engines="moby")


class Validation(TrustTest):
    """What a dockerd is asked before its daemon.json is written: Docker's since 23.0, as its source has it."""

    def dockerd(self, script):
        """Puts a dockerd into PATH; its calls are in the file that it gives."""
        calls = self.folder / "calls"
        tool = self.pipe.write("bin/dockerd", f'#!/bin/sh\necho "$*" >>{calls}\n{script}\n')
        tool.chmod(0o755)
        self.pipe.env["PATH"] = f"{tool.parent}:{self.pipe.env['PATH']}"
        return calls

    MIRROR = {"registry": None, "ca": None, "mirror": "http://localhost:5001", "engines": ("docker",)}

    def test_what_it_takes_is_written(self):
        seen = self.folder / "seen"
        calls = self.dockerd(f'cp "$3" {seen}; echo "configuration OK"')
        daemon = self.etc / "docker/daemon.json"
        daemon.write_text('{"debug": true}')
        self.assertTrue(self.trust(**self.MIRROR)[1])
        self.assertRegex(calls.read_text(), r"\A--validate --config-file \S+\n\Z")
        self.assertEqual(seen.read_text(), daemon.read_text())
        self.assertEqual(json.loads(daemon.read_text()), {"debug": True, "registry-mirrors": ["http://localhost:5001"]})
        self.assertFalse(self.trust(**self.MIRROR)[1])
        self.assertEqual(len(calls.read_text().splitlines()), 1, "what is there already is not validated")

    def test_what_it_refuses_is_not_written(self):
        self.dockerd('echo "unable to configure the Docker daemon with file $3: the following directives don\'t match any '
                     'configuration option: debg" >&2; exit 1')  # fmt: skip
        daemon = self.etc / "docker/daemon.json"
        daemon.write_text('{"debg": true}')
        self.refused(r"dockerd would not take \S+/daemon\.json with that: .*directives don't match any configuration option: debg",
                     "correct it first", **self.MIRROR)  # fmt: skip
        self.assertEqual(self.files()["docker/daemon.json"], '{"debg": true}')
        self.assertEqual([p.name for p in (self.etc / "docker").iterdir()], ["daemon.json"])

    def test_the_real_one_of_this_machine_before_and_since_23(self):
        (self.etc / "docker/daemon.json").write_text('{"debg": true}')
        said = subprocess.run(["dockerd", "--validate"], capture_output=True, text=True).stderr
        if "unknown flag: --validate" in said:
            self.assertTrue(self.trust(**self.MIRROR)[1])
        else:
            self.refused("dockerd would not take .*debg", **self.MIRROR)

    def test_one_that_can_not_do_that_is_not_in_the_way(self):
        older = self.dockerd("""printf "Status: unknown flag: --validate\\nSee 'dockerd --help'., Code: 125\\n" >&2; exit 1""")
        self.assertTrue(self.trust(**self.MIRROR)[1])
        self.assertIn("--validate", older.read_text())


class Podman(TrustTest):
    def test_skopeo_trusts_the_registry_until_down(self):
        with Registry(tls=True) as registry:
            registry.push(APP, "app", "1")
            name = f"docker://{registry.address}/app:1"
            settings = {"registry": registry.address, "ca": registry.ca_file, "engines": ("podman",)}
            self.assertRegex(self.skopeo("inspect", "--no-tags", name, check=False).stderr, "certificate")
            self.call("run", **settings)
            self.assertIn(APP.digest, self.skopeo("inspect", "--no-tags", name).stdout)
            self.call("down", **settings)
            self.assertRegex(self.skopeo("inspect", "--no-tags", name, check=False).stderr, "certificate")

    def test_skopeo_asks_the_mirror_before_docker_hub(self):
        with FakeRegistry() as mirror:
            mirror.add(APP, "library/app", "1")
            self.trust(registry=None, ca=None, mirror=mirror.url, engines=("podman",))
            self.assertIn(APP.digest, self.skopeo("inspect", "--no-tags", "docker://docker.io/library/app:1").stdout)

    def test_skopeo_takes_an_insecure_one(self):
        with FakeRegistry(host="127.0.0.2", bind="127.0.0.2") as registry:
            registry.add(APP, "app", "1")
            self.trust(registry=registry.address, ca=None, insecure=True, engines=("podman",))
            self.assertIn(APP.digest, self.skopeo("inspect", "--no-tags", f"docker://{registry.address}/app:1").stdout)


class Engines(TrustTest):
    """dockerd, and the containerd that it has, with an etc/docker of their own."""

    def start(self, *options):
        docker = Dockerd(self.root, options)
        docker.__enter__()
        self.addCleanup(docker.__exit__)
        return docker

    def registry_at(self, address):
        """A TLS registry at an address that is not loopback, for which Docker would ask for no proof."""
        registry = Registry(tls=True).start()
        self.addCleanup(registry.__exit__)
        registry.stop()
        out = self.step("certificate", names=address, folder=self.folder / "pki")
        config = json.loads(registry._config.read_text())
        config["http"].update(addr=f"{address}:{registry.port}", tls={"certificate": out["cert"], "key": out["key"]})
        registry._config.write_text(json.dumps(config))
        registry.host, registry.ca_file = address, out["ca"]
        registry.start()
        registry.push(APP, "app", "1")
        return registry

    def pull(self, docker, name):
        """What the engine says at the end of a pull."""
        try:
            docker.api("POST", f"/images/create?fromImage={urllib.parse.quote(name, safe='')}")
        except AssertionError as error:
            return str(error)
        names = [n for i in docker.api("GET", "/images/json") for n in i["RepoTags"] or []]
        return "pulled" if name in names else "not pulled"

    def settings(self, docker, **more):
        return {"ca": None, "registry": None, "engines": ("docker",), "engine": docker.host, **more}

    def mirrors(self, docker):
        return docker.api("GET", "/info")["RegistryConfig"]["Mirrors"]

    def test_docker_and_containerd_pull_from_a_registry_that_they_are_told_of(self):
        docker = self.start()
        registry = self.registry_at(docker.address)
        name = f"{registry.address}/app:1"
        self.assertIn("x509", self.pull(docker, name))
        self.call("run", registry=registry.address, ca=registry.ca_file, engines=("docker", "containerd"))
        self.assertEqual(self.pull(docker, name), "pulled")
        ctr = ["ctr", "--address", docker.folder / "exec/containerd/containerd.sock", "images", "pull", "--snapshotter", "native"]
        bare = subprocess.run([*ctr, name], capture_output=True, text=True)
        self.assertIn("x509", bare.stdout + bare.stderr)
        told = subprocess.run([*ctr, "--hosts-dir", self.etc / "containerd/certs.d", name], capture_output=True, text=True)
        self.assertEqual(told.returncode, 0, told.stdout + told.stderr)

    def test_dockerd_reads_its_settings_again_without_a_restart(self):
        (self.etc / "docker/daemon.json").write_text('{"labels": ["a=b"]}')
        docker = self.start()
        settings = self.settings(docker, registry="registry.lan:5000", insecure=True, mirror="http://localhost:5001")
        pid = (self.root / "run/docker.pid").read_text()
        self.call("run", **settings)
        self.assertEqual(self.mirrors(docker), ["http://localhost:5001/"])
        self.assertFalse(docker.api("GET", "/info")["RegistryConfig"]["IndexConfigs"]["registry.lan:5000"]["Secure"])
        self.assertEqual((self.root / "run/docker.pid").read_text(), pid)
        self.assertIn("changed=0", self.call("run", **settings))
        settings["insecure"] = False
        self.assertIn("took back that registry.lan:5000 is insecure for docker", self.call("run", **settings))
        self.assertNotIn("registry.lan:5000", docker.api("GET", "/info")["RegistryConfig"]["IndexConfigs"])
        self.assertEqual(self.mirrors(docker), ["http://localhost:5001/"])
        self.assertTrue((self.etc / "docker/daemon.json.pipe-backup").exists())
        self.call("down", **settings)
        self.assertFalse((self.etc / "docker/daemon.json.pipe-backup").exists())
        self.assertEqual(json.loads((self.etc / "docker/daemon.json").read_text()), {"labels": ["a=b"]})
        self.assertFalse(self.mirrors(docker))

    def test_what_dockerd_does_not_take_is_rolled_back(self):
        docker = self.start("--log-level=info")
        daemon = self.etc / "docker/daemon.json"
        text = '{"log-level": "warn"}'  # as a flag and in the file: dockerd refuses to read it again
        daemon.write_text(text)
        self.refused("does not have http://localhost:5001 in registry-mirrors", r"is as it was before", "journalctl",
                     **self.settings(docker, mirror="http://localhost:5001"))  # fmt: skip
        self.assertEqual(daemon.read_text(), text)
        # key.json is what old versions of dockerd make themselves.
        self.assertEqual({p.name for p in daemon.parent.iterdir()} - {"key.json"}, {"daemon.json"})
        self.assertFalse(self.mirrors(docker))
        self.assertIsNone(docker.process.poll())

    def test_a_flag_that_stands_in_the_way_is_named_before_anything_is_written(self):
        docker = self.start("--registry-mirror=http://localhost:5009")
        self.refused("runs with --registry-mirror, and refuses registry-mirrors in daemon.json",
                     **self.settings(docker, mirror="http://localhost:5001"))  # fmt: skip
        self.assertFalse((self.etc / "docker/daemon.json").exists())


if __name__ == "__main__":
    unittest.main()
