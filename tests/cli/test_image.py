"""`pipe image`: what is in the store, in registries and in files; and looking after the store."""

import fcntl
import json
import re
import shutil
import subprocess
import tarfile
import unittest

from cli_case import CliCase
from layouts import write_layout
from pipe import BUILD, PROGRAM
from registries import Image, Index, Registry

APP = Image(sizes=(3000, 500), seed=1)
OTHER = Image(sizes=(700,), seed=2)
AMD64, ARM64 = Image(seed=3), Image(seed=4, architecture="arm64")
BOTH = Index([AMD64, ARM64])
VERBS = ["ls", "inspect", "tags", "rm", "gc", "fsck", "export", "import"]


class ImageCase(CliCase):
    def image(self, *words, code=0, **options):
        result = self.pipe.run(["image", *words], **options)
        self.assert_code(result, code)
        return result

    def json(self, *words, code=0):
        return self.image(*words, "--output", "json", code=code).json

    def put(self, image, name):
        """Into the store, from a layout that pipe did not write."""
        folder = write_layout(self.folder / "layouts" / image.digest[7:19], x=image)
        self.image("import", folder, name)

    def blob(self, digest):
        return self.pipe.store / "blobs/sha256" / digest[7:]

    def names(self):
        return [i["name"] for i in self.json("ls")["images"]]


class Program(ImageCase):
    def test_help(self):
        listed = self.image("--help").out
        for verb in VERBS:
            self.assertRegex(listed, rf"(?m)^  image {verb} +\S")
            by_option, by_verb = self.image(verb, "--help"), self.pipe.run(["help", "image", verb])
            self.assert_says(by_option.out, f"usage: pipe image {verb}", "options:\n", "--help")
            self.assertEqual(by_verb.out, by_option.out)
        self.assertEqual(self.pipe.run(["help", "image"]).out, listed)
        self.assertEqual(self.image(code=2).out, listed)

    def test_misuse(self):
        for words, message in [
            (["insepct"], "there is no verb `image insepct`\n  hint: did you mean `image inspect`?"),
            (["frobnicate"], "`pipe help image` lists them"),
            (["ls", "--outptu", "json"], "did you mean `--output`?"),
            (["ls", "--output", "xml"], "expected text or json"),
            (["ls", "more"], "`more` is one word too many for `pipe image ls`"),
            (["rm"], "usage: pipe image rm NAME…"),
            (["gc", "--wait", "soon"], "expected a time such as 30s"),
            (["tags", "app:1"], "names one image"),
            (["inspect", "UPPER/Case"], "UPPER"),
            (["inspect", "app:1", "--platform", "linux"], "bad platform"),
            (["export", "app:1", "f", "--format", "zip"], "expected oci or docker"),
        ]:
            with self.subTest(words):
                self.assertIn(message, self.image(*words, code=2).err)

    def test_pipe_itself_loads_neither_curl_nor_openssl(self):
        linked = subprocess.run(["ldd", PROGRAM], check=True, capture_output=True, text=True).stdout
        for library in ("libcurl", "libcrypto", "libssl"):
            self.assertNotIn(library, linked)

    def test_a_program_that_is_not_there_is_an_error_for_people(self):
        alone = self.folder / "elsewhere/bin"
        alone.mkdir(parents=True)
        shutil.copy(PROGRAM, alone / "pipe")
        done = subprocess.run([alone / "pipe", "image", "ls"], env=self.pipe.env, capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        self.assert_says(done.stderr, "elsewhere/libexec/pipe/pipe-image", "install pipe as a whole")

    def test_it_is_found_through_a_link_to_pipe(self):
        link = self.folder / "pipe-link"
        link.symlink_to(PROGRAM)
        subprocess.run([link, "image", "ls"], env=self.pipe.env, check=True, capture_output=True)
        self.assertTrue(list(BUILD.glob("libexec/pipe/pipe-image")))


class Store(ImageCase):
    def test_no_store_yet(self):
        self.assertEqual(self.json("ls"), {"store": str(self.pipe.store), "images": []})
        self.assertIn("there is no image in the store", self.image("ls").err)
        for words in (["rm", "app:1"], ["gc"], ["fsck"], ["export", "app:1", "f.tar"]):
            self.assertIn(f"there is no store at {self.pipe.store}", self.image(*words, code=1).err)
        self.assertFalse(self.pipe.store.exists(), "looking must not make a store")

    def test_ls(self):
        self.put(APP, "app:1")
        self.put(BOTH, "localhost:5000/both:2")
        first, second = self.json("ls")["images"]
        self.assertEqual(first["name"], "docker.io/library/app:1")
        self.assertEqual(first["digest"], APP.digest)
        self.assertEqual(first["size_on_disk"], APP.size + len(APP.manifest))
        self.assertEqual(first["platforms"], ["linux/amd64"])
        self.assertEqual(second["name"], "localhost:5000/both:2")
        self.assertEqual(second["platforms"], ["linux/amd64", "linux/arm64"])
        header, app, both = self.image("ls").out.splitlines()
        self.assertEqual(header.split(), ["NAME", "DIGEST", "SIZE", "PLATFORMS"])
        self.assertRegex(app, rf"^app:1 +{APP.digest[:19]} +[\d.]+ kB +linux/amd64$")
        self.assertRegex(both, r"^localhost:5000/both:2 .* linux/amd64, linux/arm64$")

    def test_ls_of_an_index_that_is_there_in_part(self):
        folder = write_layout(self.folder / "part", x=BOTH)
        for digest in (ARM64.digest, *ARM64.blobs):
            (folder / "blobs/sha256" / digest[7:]).unlink()
        self.image("import", folder, "both:1")
        (entry,) = self.json("ls")["images"]
        self.assertEqual((entry["platforms"], entry["platforms_elsewhere"]), (["linux/amd64"], ["linux/arm64"]))
        self.assertIn("linux/amd64 (1 more elsewhere)", self.image("ls").out)
        self.assertTrue(self.json("fsck")["clean"])

    def test_rm_and_gc(self):
        self.put(APP, "app:1")
        self.put(OTHER, "other:1")
        for name in ("app:1", "docker.io/library/app:1"):
            self.put(APP, "app:1")
            said = self.json("rm", name)
            self.assertEqual(said["removed"], [{"name": "docker.io/library/app:1", "digest": APP.digest}])
            self.assertEqual(said["gc"], {"blobs": 4, "bytes": APP.size + len(APP.manifest)})
        self.assertEqual(self.names(), ["docker.io/library/other:1"])
        dry = self.json("gc", "--dry-run")
        self.assertEqual(sorted(dry["blobs"]), sorted([APP.digest, *APP.blobs]))
        self.assertTrue(self.blob(APP.digest).exists())
        self.assertRegex(self.image("gc").out, r"^freed [\d.]+ kB \(4 blobs\); [\d.]+ kB \(3 blobs\) belong to images$")
        for digest in (APP.digest, *APP.blobs):
            self.assertFalse(self.blob(digest).exists())
        self.assertTrue(self.json("fsck")["clean"])
        self.assertEqual(self.json("gc")["blobs"], [])

    def test_rm_takes_all_or_nothing(self):
        self.put(APP, "app:1")
        self.put(OTHER, "other:1")
        result = self.image("rm", "app:1", "othr:1", code=1)
        self.assert_says(result.err, "there is no image othr:1", "did you mean `other:1`?")
        self.assertEqual(len(self.names()), 2)
        self.assertIn("app:1", self.image("rm", "app:1", "other:1").out)
        self.assertEqual(self.names(), [])

    def test_rm_says_where_nothing_is_freed(self):
        self.put(APP, "app:1")
        self.put(APP, "app:2")
        self.assertIn("would free nothing", self.image("rm", "app:1").out)

    def test_gc_waits_for_who_uses_the_store(self):
        self.put(APP, "app:1")
        self.image("rm", "app:1")
        with open(self.pipe.store / ".in-use", "rb") as in_use:
            fcntl.flock(in_use, fcntl.LOCK_SH)  # as a pull that is under way
            result = self.image("gc", "--wait", "100ms", code=1)
            self.assert_says(result.err, "is in use", "try again")
            self.assertTrue(self.blob(APP.digest).exists())
            waiting = self.pipe.start(["image", "gc", "--wait", "60s"])
            self.assertIn(b"waiting", waiting.stderr.readline())
        out, err = waiting.communicate(timeout=60)
        self.assertEqual(waiting.returncode, 0, (out, err))
        self.assertFalse(self.blob(APP.digest).exists())

    def test_export_and_import(self):
        self.put(BOTH, "both:1")
        archive = self.folder / "sub/both.tar"
        self.assertIn("both:1", self.image("export", "both:1", archive).out)
        said = self.json("export", "both:1", archive)
        self.assertEqual((said["digest"], said["size"]), (BOTH.digest, archive.stat().st_size))
        self.image("rm", "both:1")
        self.image("gc")
        self.assertEqual(
            self.json("import", archive), {"names": ["docker.io/library/both:1"], "digest": BOTH.digest}
        )
        self.image("import", archive, "again:1")
        self.assertEqual(self.names(), ["docker.io/library/again:1", "docker.io/library/both:1"])
        self.assertTrue(self.json("fsck")["clean"])

    def test_export_of_one_platform(self):
        self.put(BOTH, "both:1")
        said = self.json("export", "both:1", self.folder / "arm.tar", "--platform", "linux/arm64")
        self.assertEqual(said["digest"], ARM64.digest)
        result = self.image("export", "both:1", self.folder / "x.tar", "--platform", "linux/s390x", code=1)
        self.assertIn("linux/amd64, linux/arm64", result.err)
        self.put(APP, "app:1")
        result = self.image("export", "app:1", self.folder / "x.tar", "--platform", "linux/arm64", code=1)
        self.assertIn("app:1 is made for linux/amd64 only, not for linux/arm64", result.err)
        self.image("export", "app:1", self.folder / "x.tar", "--platform", "linux/amd64")

    def test_export_as_docker_takes_it(self):
        self.put(APP, "app:1")
        file = self.folder / "app.tar"
        self.image("export", "app:1", file, "--format", "docker")
        with tarfile.open(file) as archive:
            (saved,) = json.load(archive.extractfile("manifest.json"))
        self.assertEqual(saved["RepoTags"], ["docker.io/library/app:1"])
        subprocess.run(["skopeo", "inspect", f"docker-archive:{file}"], check=True, capture_output=True)

    def test_other_tools_read_what_is_exported(self):
        self.put(APP, "app:1")
        file = self.folder / "app.tar"
        self.image("export", "app:1", file)
        seen = subprocess.run(["skopeo", "inspect", f"oci-archive:{file}"], check=True, capture_output=True, text=True)
        self.assertEqual(json.loads(seen.stdout)["Digest"], APP.digest)

    def test_import_never_turns_a_name_to_another_image(self):
        self.put(APP, "app:1")
        file = self.folder / "app.tar"
        self.image("export", "app:1", file)
        self.image("rm", "app:1")
        self.put(OTHER, "app:1")
        result = self.image("import", file, code=1)
        self.assert_says(result.err, "calls its image app:1, which is another image", f"pipe image import {file} NAME")
        self.assertEqual(self.json("ls")["images"][0]["digest"], OTHER.digest)
        self.image("import", file, "app:1")  # said so
        self.assertEqual(self.json("ls")["images"][0]["digest"], APP.digest)

    def test_import_without_a_name_inside(self):
        folder = write_layout(self.folder / "nameless", latest=APP)
        self.assertIn("has no name", self.image("import", folder, code=1).err)
        two = write_layout(self.folder / "two", one=APP, two=OTHER)
        self.assertIn("one, two", self.image("import", two, "x:1", code=1).err)
        self.image("import", f"oci:{two}:two", "x:1")
        self.assertEqual(self.json("ls")["images"][0]["digest"], OTHER.digest)

    def test_import_of_a_file_that_is_none(self):
        self.assertIn("there is no file", self.image("import", "nowhere.tar", "x:1", code=1).err)
        self.assertIn("is a place, not a name", self.image("import", "nowhere.tar", "oci:x", code=2).err)


class Fsck(ImageCase):
    def damage(self, digest):
        data = bytearray(self.blob(digest).read_bytes())
        data[len(data) // 2] ^= 1
        self.blob(digest).write_bytes(data)

    def test_clean(self):
        self.put(APP, "app:1")
        self.assertRegex(self.image("fsck").out, r"^clean: 4 blobs \([\d.]+ kB\) and 1 name of ")
        self.assertEqual(self.json("fsck")["flaws"], [])

    def test_missing_is_mended_by_the_command_it_names(self):
        with Registry() as registry:
            registry.push(APP, "app", "1")
            name = f"{registry.address}/app:1"
            self.pipe.step("pull", image=name)
            layer = APP.layers[0]["digest"]
            self.blob(layer).unlink()
            result = self.image("fsck", code=1)
            self.assertIn(f"missing layer {layer} ({name}): it is not there", result.out)
            (mend,) = re.findall(r"mend: pipe (.*)", result.out)
            self.assertEqual(self.pipe.run(mend.split()).code, 0)
            self.assertTrue(self.json("fsck")["clean"])

    def test_damaged_is_moved_away_and_fetched_again(self):
        with Registry() as registry:
            registry.push(APP, "app", "1")
            name = f"{registry.address}/app:1"
            self.pipe.step("pull", image=name)
            layer = APP.layers[0]["digest"]
            self.damage(layer)
            (flaw,) = self.json("fsck", code=1)["flaws"]
            self.assertEqual((flaw["kind"], flaw["part"], flaw["digest"], flaw["moved"]), ("damaged", "layer", layer, False))
            self.assertEqual(flaw["images"], [name])
            self.assertTrue(self.blob(layer).exists(), "without --repair nothing is changed")
            self.assertEqual(flaw["mend"][0], "pipe image fsck --repair")
            self.assertIn("moved to .damaged", self.image("fsck", "--repair", code=1).out)
            self.assertTrue((self.pipe.store / ".damaged" / layer.replace(":", "-")).exists())
            self.assertEqual(self.pipe.run(flaw["mend"][1].split()[1:]).code, 0)
            self.assertTrue(self.json("fsck")["clean"])

    def test_damaged_manifest(self):
        self.put(APP, "app:1")
        self.put(OTHER, "other:1")
        self.damage(APP.digest)
        (flaw,) = self.json("fsck", code=1)["flaws"]
        self.assertEqual((flaw["kind"], flaw["part"], flaw["digest"]), ("damaged", "manifest", APP.digest))
        self.assertIn("`pipe image fsck` says more", self.image("ls").out)
        refused = self.image("gc", code=1)
        self.assert_says(refused.err, "app:1 needs can't be told", "pipe image fsck")
        self.assertTrue(self.blob(APP.layers[0]["digest"]).exists())

    def test_what_no_image_needs(self):
        self.put(APP, "app:1")
        self.image("rm", "app:1")
        self.assertIn("no name leads to 4 blobs", self.image("fsck").out)
        self.damage(APP.layers[0]["digest"])
        self.assertIn("no image needs it", self.image("fsck", code=1).out)
        self.assertTrue(self.json("fsck", "--repair")["clean"])

    def test_a_broken_index(self):
        self.put(APP, "app:1")
        (self.pipe.store / "index.json").write_text("{")
        self.assertIn("index.json", self.image("fsck", code=1).err)


class Inspect(ImageCase):
    def test_an_image_of_the_store(self):
        self.put(APP, "app:1")
        seen = self.json("inspect", "app:1")
        self.assertEqual(
            {k: seen[k] for k in ("name", "place", "digest", "type", "platforms")},
            {"name": "docker.io/library/app:1", "place": "store", "digest": APP.digest, "type": "image",
             "platforms": ["linux/amd64"]},
        )  # fmt: skip
        (image,) = seen["images"]
        self.assertEqual(image["size"], APP.size)
        self.assertEqual(image["config"]["command"], ["/file-0"])
        self.assertEqual([(x["digest"], x["size"]) for x in image["layers"]], [(x["digest"], x["size"]) for x in APP.layers])
        text = self.image("inspect", "app:1").out
        self.assert_says(text, "in the store", APP.digest, 'command     ["/file-0"]', APP.layers[1]["digest"])
        self.assertEqual(self.json("inspect", APP.digest)["name"], "docker.io/library/app:1")

    def test_everywhere_the_same(self):
        layout = write_layout(self.folder / "layout", app=APP)
        self.put(APP, "app:1")
        self.image("export", "app:1", self.folder / "oci.tar")
        self.image("export", "app:1", self.folder / "docker.tar", "--format", "docker")
        with Registry() as registry:
            registry.push(APP, "app", "1")
            places = {"registry": f"{registry.address}/app:1", "layout": f"oci:{layout}"}
            archives = [f"oci-archive:{self.folder}/oci.tar", f"docker-archive:{self.folder}/docker.tar"]
            for place, name in [*places.items(), *(("archive", a) for a in archives)]:
                with self.subTest(name):
                    seen = self.json("inspect", name)
                    self.assertEqual((seen["place"], seen["digest"]), (place, APP.digest))
                    self.assertEqual(seen["images"], self.json("inspect", "app:1")["images"])

    def test_an_old_docker_archive(self):
        # As Docker wrote them before 25: no layout in it, layers unpacked.
        self.put(APP, "app:1")
        self.image("export", "app:1", self.folder / "new.tar", "--format", "docker")
        subprocess.run(
            ["skopeo", "copy", "--insecure-policy", f"docker-archive:{self.folder}/new.tar",
             f"docker-archive:{self.folder}/old.tar:app:1"], check=True, capture_output=True,
        )  # fmt: skip
        seen = self.json("inspect", f"docker-archive:{self.folder}/old.tar")
        self.assertEqual(seen["images"][0]["config"]["command"], ["/file-0"])
        self.assertEqual(len(seen["images"][0]["layers"]), 2)
        self.assertEqual(self.json("import", self.folder / "old.tar", "old:1")["digest"], seen["digest"])

    def test_an_index(self):
        with Registry() as registry:
            registry.push(BOTH, "both", "1")
            name = f"{registry.address}/both:1"
            seen = self.json("inspect", name)
            self.assertEqual((seen["type"], seen["digest"]), ("index", BOTH.digest))
            self.assertEqual([m["platform"] for m in seen["manifests"]], ["linux/amd64", "linux/arm64"])
            every = self.json("inspect", name, "--platform", "all")["images"]
            self.assertEqual([i["platform"] for i in every], ["linux/amd64", "linux/arm64"])
            (arm,) = self.json("inspect", name, "--platform", "linux/arm64")["images"]
            self.assertEqual(arm["digest"], ARM64.digest)
            self.assertIn("linux/arm64", self.image("inspect", name, "--platform", "linux/riscv64", code=1).err)
            text = self.image("inspect", name, "--platform", "all").out
            self.assert_says(text, "index", f"linux/arm64 {ARM64.digest}")
            layers = {x["digest"] for i in (AMD64, ARM64) for x in i.layers}
            fetched = [path for _, path, _ in registry.requests if path.rpartition("/")[2] in layers]
            self.assertEqual(fetched, [], "no layer is needed to look at an image")

    def test_the_store_first_unless_the_registry_is_meant(self):
        with Registry() as registry:
            registry.push(APP, "app", "1")
            name = f"{registry.address}/app:1"
            self.put(OTHER, name)
            self.assertEqual(self.json("inspect", name)["digest"], OTHER.digest)
            self.assertEqual(self.json("inspect", f"docker://{name}")["digest"], APP.digest)

    def test_what_is_not_there(self):
        with Registry() as registry:
            self.assertIn("does not exist", self.image("inspect", f"{registry.address}/app:1", code=1).err)
        self.assertIn("there is no file", self.image("inspect", "oci-archive:nowhere.tar", code=1).err)
        self.assertIn("engine", self.image("inspect", "docker-daemon:app:1", code=1).err)

    def test_tags(self):
        with Registry(tls=True, users={"me": "pw"}) as registry:
            for tag in ("1", "1.1", "latest"):
                registry.push(APP, "team/app", tag)
            repository = f"{registry.address}/team/app"
            refused = self.image("tags", repository, "--ca-file", registry.ca_file, code=1)
            self.assertIn("login", refused.err)
            registry.write_login(self.pipe.folder / "docker")
            result = self.image("tags", repository, "--ca-file", registry.ca_file)
            self.assertEqual(sorted(result.out.split()), ["1", "1.1", "latest"])
            seen = self.json("tags", repository, "--ca-file", registry.ca_file)
            self.assertEqual((seen["repository"], sorted(seen["tags"])), (repository, ["1", "1.1", "latest"]))
            self.assertIn("certificate", self.image("tags", repository, code=1).err)


if __name__ == "__main__":
    unittest.main()
