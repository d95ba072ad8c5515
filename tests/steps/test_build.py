"""build: images of files, read back by skopeo, umoci and bsdtar; and the pipeline that makes a registry's."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from pipe import PROGRAM, SOURCE, Pipe


def output_of(*command):
    return subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout


class Build(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="pipe-build-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.temporary = self.folder / "tmp"
        self.temporary.mkdir()
        self.pipe = Pipe(self.folder, env={"TMPDIR": str(self.temporary)})
        self.pipe.write("site/index.html", "<p>hello")
        self.pipe.write("site/data/a", "a")
        (self.folder / "site/link").symlink_to("data/a")
        self.pipe.write("app", "#!/bin/sh\n").chmod(0o755)
        self.layers = [f"{self.folder}/site:/var/www", f"{self.folder}/app:/usr/bin/"]

    def config(self, name):
        return json.loads(output_of("skopeo", "inspect", "--config", name))

    def pipeline(self, target):
        layers = ", ".join(f'"{layer}"' for layer in self.layers)
        return self.pipe.write(
            "image.toml",
            f'schema = 1\n[pipeline]\nname = "image"\n[[step]]\nuses = "build"\nwith.layers = [{layers}]\n{target}\n',
        )

    def test_others_read_what_was_built(self):
        outputs = self.pipe.step(
            "build", layers=self.layers, as_="app:1", entrypoint=["/usr/bin/app"], command=["-v"],
            env_={"A": "1"}, ports=["80", "53/udp"], volumes=["/data"], user="7:8", labels={"k": "v"},
            platform="linux/arm64",
        )
        self.assertEqual(outputs["image"], "docker.io/library/app:1")
        config = self.config(f"oci:{self.pipe.store}:docker.io/library/app:1")
        self.assertEqual(config["architecture"], "arm64")
        self.assertEqual(
            config["config"],
            {"User": "7:8", "ExposedPorts": {"53/udp": {}, "80/tcp": {}}, "Env": ["A=1"],
             "Entrypoint": ["/usr/bin/app"], "Cmd": ["-v"], "Volumes": {"/data": {}}, "Labels": {"k": "v"}},
        )
        bundle = self.folder / "bundle"
        output_of("umoci", "unpack", "--rootless", "--image", f"{self.pipe.store}:docker.io/library/app:1", bundle)
        rootfs = bundle / "rootfs"
        self.assertEqual((rootfs / "var/www/index.html").read_text(), "<p>hello")
        self.assertEqual(os.readlink(rootfs / "var/www/link"), "data/a")
        self.assertEqual((rootfs / "usr/bin/app").stat().st_mode & 0o777, 0o755)

    def test_the_same_files_give_the_same_image(self):
        first = self.pipe.step("build", layers=self.layers, to=f"oci-archive:{self.folder}/a.tar")
        copy = self.folder / "copy"
        shutil.copytree(self.folder / "site", copy / "site", symlinks=True)
        shutil.copy(self.folder / "app", copy / "app")
        for path in copy.rglob("*"):
            if path.is_file() and not path.is_symlink():
                path.chmod(0o700 if path.name == "app" else 0o600)
                os.utime(path, (1, 1))
        layers = [layer.replace(str(self.folder), str(copy)) for layer in self.layers]
        other = Pipe(self.folder / "elsewhere")
        second = other.step("build", layers=layers, to=f"oci-archive:{self.folder}/b.tar")
        self.assertEqual(first["digest"], second["digest"])
        self.assertEqual((self.folder / "a.tar").read_bytes(), (self.folder / "b.tar").read_bytes())
        self.pipe.env["SOURCE_DATE_EPOCH"] = "86400"
        later = self.pipe.step("build", layers=self.layers, as_="later")
        self.assertNotEqual(later["digest"], first["digest"])

    def test_every_kind_of_target(self):
        for target, name in [
            (f"oci-archive:{self.folder}/new/a.tar", None),
            (f"oci:{self.folder}/layout:app", None),
            (f"docker-archive:{self.folder}/d.tar:app:1", f"docker-archive:{self.folder}/d.tar"),
        ]:
            with self.subTest(target):
                outputs = self.pipe.step("build", layers=self.layers, to=target)
                self.assertEqual(outputs["image"], target)
                self.assertEqual(self.config(name or target)["os"], "linux")
        manifest = json.loads(output_of("bsdtar", "-xOf", self.folder / "d.tar", "manifest.json"))
        self.assertEqual(manifest[0]["RepoTags"], ["docker.io/library/app:1"])

    def test_a_base_is_kept_under_the_layers(self):
        self.pipe.step("build", layers=self.layers[:1], as_="base:1", env_={"PATH": "/bin"}, command=["sh"])
        self.pipe.step("build", layers=self.layers[1:], base="base:1", as_="app:1", labels={"k": "v"})
        config = self.config(f"oci:{self.pipe.store}:docker.io/library/app:1")
        self.assertEqual(len(config["rootfs"]["diff_ids"]), 2)
        self.assertEqual(config["config"], {"Env": ["PATH=/bin"], "Cmd": ["sh"], "Labels": {"k": "v"}})

    def test_a_plan_upon_a_base_makes_no_store(self):
        other = Pipe(self.folder / "other")
        archive = f"oci-archive:{self.folder}/base.tar"
        other.step("build", layers=self.layers[:1], to=archive)
        pipeline = self.pipeline(f'with.base = "{archive}"\nwith.as = "app:1"')
        plan = self.pipe.run(["plan", pipeline])
        self.assertEqual(plan.code, 0, plan)
        self.assertIn("create", plan.out)
        by_name = self.pipe.run(["plan", self.pipeline('with.base = "base:1"\nwith.as = "app:1"')])
        self.assertEqual(by_name.code, 0, by_name)
        self.assertIn("nothing in the store yet", by_name.out)
        self.assertFalse(self.pipe.store.exists())
        self.assertEqual(list(self.temporary.iterdir()), [])

    def test_plan_knows_whether_there_is_something_to_do(self):
        archive = self.folder / "a.tar"
        pipeline = self.pipeline(f'with.to = "oci-archive:{archive}"')
        self.assertEqual(self.pipe.run(["plan", "--exit-code", pipeline]).code, 10)
        self.assertFalse(archive.exists())
        self.assertFalse(self.pipe.store.exists())
        first = self.pipe.run(["run", pipeline])
        self.assertEqual(first.code, 0, first)
        self.assertEqual(self.pipe.run(["plan", "--exit-code", pipeline]).code, 0)
        second = self.pipe.run(["run", pipeline])
        self.assertIn("changed=0 unchanged=1", second.out + second.err)
        self.pipe.write("site/index.html", "changed")
        self.assertEqual(self.pipe.run(["plan", "--exit-code", pipeline]).code, 10)

    def test_down_removes_what_was_made(self):
        archive = self.folder / "a.tar"
        pipeline = self.pipeline(f'with.to = "oci-archive:{archive}"')
        self.assertEqual(self.pipe.run(["run", pipeline]).code, 0)
        self.assertEqual(self.pipe.run(["down", pipeline]).code, 0)
        self.assertFalse(archive.exists())
        archive.write_bytes(b"mine")
        self.assertEqual(self.pipe.run(["down", pipeline]).code, 0)
        self.assertTrue(archive.exists())

    def test_errors_say_what_to_do(self):
        file = self.layers[0]
        for parameters, words in [
            ({"layers": [file]}, ["neither `as` nor `to`"]),
            ({"layers": [file], "as_": "a", "to": "oci:x"}, ["both given"]),
            ({"layers": [file], "to": "host/app:1"}, ["neither a file nor a folder", "push"]),
            ({"layers": ["nothing:/x"], "as_": "a"}, ["there is no file or folder nothing"]),
            ({"layers": ["app"], "as_": "a"}, ["does not say what goes where", "HOST_PATH:/IMAGE_PATH"]),
            ({"layers": [file], "as_": "a", "ports": ["http"]}, ['"http" is no port']),
            ({"layers": [file], "as_": "a", "volumes": ["data"]}, ["no absolute path"]),
            ({"layers": [file], "as_": "a", "base": "none:1"}, ["there is no image none:1"]),
            ({"layers": [file], "as_": "a", "platform": "linux"}, ["bad platform"]),
        ]:
            with self.subTest(parameters):
                result = self.pipe.try_step("build", **parameters)
                self.assertEqual(result.code, 1, result)
                for word in words:
                    self.assertIn(word, result.out + result.err)


class BadDisk(unittest.TestCase):
    """The store on a file system of its own."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="pipe-disk-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.pipe = Pipe(self.folder)
        self.pipe.write("small", "x")
        self.pipe.store.mkdir()

    def in_shell(self, script):
        as_root = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        done = subprocess.run(
            ["unshare", *as_root, "--mount", "sh", "-c", script],
            env={**self.pipe.env, "PIPE": str(PROGRAM)}, cwd=self.folder, capture_output=True, text=True, check=False,
        )
        self.assertEqual(done.returncode, 0, done)
        return done

    def test_a_store_that_cannot_be_made(self):
        self.pipe.write("file", "x")
        for store, words in [
            (self.folder / "file/store", [f"can't create the image store {self.folder}/file/store", "file is not a folder"]),
            (self.folder / "small", [f"can't create the image store {self.folder}/small", "small is not a folder"]),
            ("/proc/none/store", ["can't create the image store /proc/none/store", "No such file or directory"]),
        ]:
            with self.subTest(store=store):
                result = self.pipe.try_step("build", env={"PIPE_STORE": store}, layers=["small:/small"], as_="small:1")
                self.assertEqual(result.code, 1, result)
                for word in [*words, "hint: ", "PIPE_STORE"]:
                    self.assertIn(word, result.err)

    def test_a_full_disk_is_called_so_and_leaves_the_store_whole(self):
        (self.folder / "large").write_bytes(os.urandom(2_000_000))
        done = self.in_shell(
            'mount -t tmpfs -o size=1m tmpfs "$PIPE_STORE" || exit 99\n'
            '"$PIPE" step build --layers small:/small --as small:1 || exit 98\n'
            '"$PIPE" step build --layers large:/large --as large:1 && exit 97\n'
            'ls -A "$PIPE_STORE/.partial"; umoci ls --layout "$PIPE_STORE"\n'
        )
        self.assertIn("No space left on device", done.stderr)
        self.assertIn("free some space", done.stderr)
        self.assertEqual(done.stdout.split()[-1], "docker.io/library/small:1")

    def test_a_read_only_store_is_called_so_and_can_still_be_read(self):
        done = self.in_shell(
            'mount -t tmpfs tmpfs "$PIPE_STORE" || exit 99\n'
            '"$PIPE" step build --layers small:/small --as small:1 || exit 98\n'
            'mount -o remount,ro "$PIPE_STORE" || exit 99\n'
            '"$PIPE" step push --image small:1 --to oci-archive:out.tar || exit 96\n'
            '"$PIPE" step tag --image small:1 --as other:1 && exit 97\n'
            'exit 0\n'
        )
        self.assertRegex(done.stderr, "(?i)read-only file system")
        self.assertIn(str(self.pipe.store), done.stderr)
        self.assertIn("PIPE_STORE", done.stderr)
        self.assertTrue((self.folder / "out.tar").exists())


class RegistryImage(unittest.TestCase):
    def test_it_runs_and_is_the_same_each_time(self):
        with tempfile.TemporaryDirectory(prefix="pipe-registry-image-") as name:
            folder = pathlib.Path(name)
            digests = set()
            for user in ("one", "two"):
                pipe = Pipe(folder / user)
                archive = folder / f"{user}.tar"
                result = pipe.run(["run", SOURCE / "pipelines/registry-image.toml", "--set", f"archive={archive}",
                                   "--set", f"program={shutil.which('docker-registry')}"])  # fmt: skip
                self.assertEqual(result.code, 0, result)
                digests.add(output_of("skopeo", "inspect", "--format", "{{.Digest}}", f"oci-archive:{archive}"))
            self.assertEqual(len(digests), 1)
            self.assertEqual((folder / "one.tar").read_bytes(), (folder / "two.tar").read_bytes())

            output_of("skopeo", "copy", "-q", f"oci-archive:{archive}", f"oci:{folder}/layout:registry")
            output_of("umoci", "unpack", "--rootless", "--image", f"{folder}/layout:registry", folder / "bundle")
            rootfs = folder / "bundle/rootfs"
            config = json.loads(output_of("skopeo", "inspect", "--config", f"oci-archive:{archive}"))["config"]
            self.assertEqual(config["Entrypoint"], ["/usr/bin/docker-registry", "serve"])
            self.assertTrue((rootfs / config["Cmd"][0].lstrip("/")).is_file())
            # With the loader and the library that are in the image, and no others.
            loader = next(path for path in rootfs.rglob("ld-linux-*") if path.is_file())
            library = next(path for path in rootfs.rglob("libc.so.6")).parent
            version = output_of(loader, "--library-path", library, rootfs / "usr/bin/docker-registry", "--version")
            self.assertIn("docker/distribution", version)


if __name__ == "__main__":
    unittest.main()
