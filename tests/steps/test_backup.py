"""pipelines/registry-backup.toml and registry-restore.toml: a whole registry into a folder, and back; skopeo compares."""

import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
import unittest

from artifacts import Artifact, ListingRegistry, RawIndex, cosign_tag, descriptor_of, fallback_tag, raw
from pipe import SOURCE
from registries import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, Answer, Image, Index, Registry
from steps import StepTest

BACKUP = SOURCE / "pipelines/registry-backup.toml"
RESTORE = SOURCE / "pipelines/registry-restore.toml"
GUIDE = SOURCE / "docs/guide/backup.md"
APP = Image(sizes=(4000, 500), seed=700)
LIB = Image(sizes=(3000,), seed=701, docker=True)
MULTI = Index([Image(sizes=(700,), seed=702), Image(sizes=(800,), seed=703, architecture="arm64")])
DOCKER_MULTI = Index([Image(sizes=(900,), seed=704, docker=True), LIB], docker=True)
GONE = Image(sizes=(600,), seed=705)  # has no tag any more, and a signature
SBOM = Artifact("application/spdx+json", b"sbom", subject=APP)
OF_SBOM = Artifact("sig", b"signature of the sbom", subject=SBOM)


def fill(registry):
    """All kinds of what a registry can hold."""
    put = getattr(registry, "add", None) or registry.push
    put(APP, "team/app", "1")
    put(APP, "team/app", "latest")
    put(Artifact("sig", b"signature"), "team/app", cosign_tag(APP))
    put(Artifact("att"), "team/app", cosign_tag(APP, "att"))  # no layers at all
    put(APP, "mirror/app", "1")  # the same image, and nobody signed it here
    put(LIB, "deep/er/lib", "2")
    put(Artifact("sig", b"orphan"), "deep/er/lib", cosign_tag(GONE))
    put(MULTI, "multi", "1")
    put(Artifact("sig", b"of one platform"), "multi", cosign_tag(MULTI.children[1]))
    put(DOCKER_MULTI, "multi", "docker")


def fill_listed(registry, by_tag):
    """What refers to an image by its `subject`: listed by the registry, or by tags."""
    put = getattr(registry, "add", None) or registry.push
    if not by_tag:
        for artifact in (SBOM, OF_SBOM):
            put(artifact, "team/app")
        return
    put(RawIndex([descriptor_of(SBOM, annotations={"odd": "order"})], [SBOM]), "team/app", fallback_tag(APP))
    put(RawIndex([descriptor_of(OF_SBOM)], [OF_SBOM]), "team/app", fallback_tag(SBOM))


class Content:
    """All that a registry serves: repository -> tag -> digest, and what each digest of a repository is."""

    def __init__(self, registry):
        self.registry, self.tags, self.parts = registry, {}, {}
        for repository in self.list("/v2/_catalog", "repositories"):
            tags = self.list(f"/v2/{repository}/tags/list", "tags")
            if tags:
                self.tags[repository] = {tag: self.manifest(repository, tag) for tag in tags}

    def get(self, path, accept=""):
        status, headers, body = self.registry.request("GET", path, headers={"Accept": accept})
        assert status == 200, (status, path)
        return headers, body

    def list(self, path, key):
        return json.loads(self.get(path)[1])[key] or ()

    def manifest(self, repository, reference):
        accept = ", ".join((OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST))
        headers, body = self.get(f"/v2/{repository}/manifests/{reference}", accept)
        digest = "sha256:" + hashlib.sha256(body).hexdigest()
        assert digest == headers["Docker-Content-Digest"], reference
        if (repository, digest) in self.parts:
            return digest
        self.parts[repository, digest] = (headers["Content-Type"], body)
        manifest = json.loads(body)
        for child in manifest.get("manifests", ()):
            self.manifest(repository, child["digest"])
        for blob in [*manifest.get("layers", ()), *filter(None, [manifest.get("config")])]:
            content = self.get(f"/v2/{repository}/blobs/{blob['digest']}")[1]
            assert blob["digest"] == "sha256:" + hashlib.sha256(content).hexdigest()
            self.parts[repository, blob["digest"]] = content
        status, _, listed = self.registry.request("GET", f"/v2/{repository}/referrers/{digest}")
        if status == 200:
            referrers = sorted(entry["digest"] for entry in json.loads(listed)["manifests"])
            self.parts[repository, digest, "referrers"] = referrers
            for referrer in referrers:
                self.manifest(repository, referrer)
        return digest


class BackupTest(StepTest):
    def setUp(self):
        super().setUp()
        self.there = self.registry()
        self.backup = self.folder / "backup"

    def registry(self, kind=Registry, **options):
        registry = kind(**options)
        registry.__enter__()
        self.addCleanup(registry.__exit__, None, None, None)
        return registry

    def fill(self):
        fill(self.there)
        fill_listed(self.there, by_tag=True)

    def words(self, file, registry, verb="run", **more):
        words = {"registry": registry.address, "folder": self.backup, **more}
        return [verb, file, *(w for k, v in words.items() for w in ("--set", f"{k}={v}"))]

    def call(self, file, registry, verb="run", env=None, **more):
        return self.pipe.run(self.words(file, registry, verb, **more), env=env)

    def done(self, file, registry, **more):
        said = self.call(file, registry, **more)
        self.assertEqual(said.code, 0, said)
        return said

    def back_up(self, registry=None, **more):
        return self.done(BACKUP, registry or self.there, **more)

    def restore(self, registry, **more):
        return self.done(RESTORE, registry, **more)

    def assert_equal(self, one, other):
        one, other = Content(one), Content(other)
        self.assertEqual(one.tags, other.tags)
        self.assertEqual(one.parts.keys(), other.parts.keys())
        self.assertEqual(one.parts, other.parts)
        return one

    def assert_unchanged(self, said):
        self.assertRegex(said.out + said.err, r"changed=0 unchanged=2")

    def assert_sound(self):
        """By pipe's own fsck, and by hashing each file."""
        self.assertEqual(self.step("fsck", folder=self.backup)["broken"], 0)
        for blob in (self.backup / "blobs/sha256").iterdir():
            self.assertEqual(blob.name, hashlib.sha256(blob.read_bytes()).hexdigest())

    def fetched(self, registry):
        """Digests of the blobs that it was asked for."""
        return sorted(p.rsplit("/", 1)[1] for m, p, _ in registry.requests if m == "GET" and "/blobs/" in p)


class RoundTrip(BackupTest):
    def test_an_equal_registry(self):
        self.fill()
        self.back_up()
        self.assert_sound()
        other = self.registry()
        self.restore(other)
        content = self.assert_equal(other, self.there)
        self.assertEqual(len(content.tags["team/app"]), 6)
        self.assertEqual(list(content.tags["mirror/app"]), ["1"])
        self.assertEqual(content.tags["team/app"][fallback_tag(APP)], self.there.digest("team/app", fallback_tag(APP)))
        for repository, tags in content.tags.items():  # as another client sees it
            listed = json.loads(subprocess.run(
                ["skopeo", "list-tags", "--tls-verify=false", f"docker://{other.address}/{repository}"],
                check=True, capture_output=True).stdout)  # fmt: skip
            self.assertEqual(sorted(listed["Tags"]), sorted(tags))
            for tag in tags:
                name = f"{repository}:{tag}"
                self.assertEqual(raw(f"{other.address}/{name}"), raw(f"{self.there.address}/{name}"))

    def test_a_registry_that_lists_referrers_itself(self):
        source, target = self.registry(Catalog), self.registry(Catalog)
        fill(source)
        fill_listed(source, by_tag=False)
        self.back_up(source)
        self.restore(target)
        content = self.assert_equal(target, source)
        self.assertEqual(content.parts["team/app", SBOM.digest, "referrers"], [OF_SBOM.digest])
        plain = self.registry()  # and one that does not
        self.restore(plain)
        listed = json.loads(raw(f"{plain.address}/team/app:{fallback_tag(APP)}"))
        self.assertEqual([entry["digest"] for entry in listed["manifests"]], [SBOM.digest])

    def test_another_tool_reads_the_folder(self):
        self.fill()
        self.back_up()
        names = {entry["annotations"]["org.opencontainers.image.ref.name"]: entry["digest"]
                 for entry in json.loads((self.backup / "index.json").read_text())["manifests"]}  # fmt: skip
        there = Content(self.there)
        self.assertEqual(names, {f"{self.there.address}/{repository}:{tag}": digest
                                 for repository, tags in there.tags.items() for tag, digest in tags.items()})  # fmt: skip
        for name, image in (("team/app:1", APP), ("multi:1", MULTI)):  # skopeo sees OCI images only
            said = subprocess.run(["skopeo", "inspect", "--raw", f"oci:{self.backup}:{self.there.address}/{name}"],
                                  check=True, capture_output=True)  # fmt: skip
            self.assertEqual(said.stdout, image.manifest)

    def test_one_image_of_it_brings_its_signatures(self):
        self.fill()
        self.back_up()
        other = self.registry()
        self.step("copy", **{"from": f"oci:{self.backup}:{self.there.address}/team/app:1", "to": f"{other.address}/x:1"})
        self.step("copy", **{"from": f"oci:{self.backup}:{self.there.address}/mirror/app:1", "to": f"{other.address}/y:1"})
        content = Content(other).tags
        self.assertEqual(set(content["x"]), {"1", cosign_tag(APP), cosign_tag(APP, "att"), fallback_tag(APP), fallback_tag(SBOM)})
        self.assertEqual(content["x"][fallback_tag(APP)], self.there.digest("team/app", fallback_tag(APP)))
        self.assertEqual(set(content["y"]), {"1"})

    def test_what_was_lost_comes_back_and_what_is_there_is_not_sent(self):
        self.fill()
        self.back_up()
        before = Content(self.there)
        self.assertEqual(self.there.request("DELETE", f"/v2/deep/er/lib/manifests/{LIB.digest}")[0], 202)
        self.there.push(LIB, "team/app", "1")  # a tag that was moved
        self.there.push(LIB, "team/app", "newer")  # and one that the backup does not know
        plan = self.done(RESTORE, self.there, verb="plan")
        self.assertIn(f"{self.there.address}/deep/er/lib:2", plan.out)
        self.there.forget_requests()
        self.restore(self.there)
        self.assertEqual([p for m, p, _ in self.there.requests if m in ("POST", "PATCH")], [])  # no blob
        after = Content(self.there).tags
        self.assertEqual(after["team/app"].pop("newer"), LIB.digest)
        self.assertEqual(after, before.tags)
        self.restore(self.there, delete_extra="true")
        self.assert_equal(self.there, before.registry)
        self.assertIsNone(self.there.digest("team/app", "newer"))

    def test_with_tls_and_a_password(self):
        users = {"me": "s3cret-of-the-backup"}
        there, other = self.registry(tls=True, users=users), self.registry(tls=True, users=users)
        fill(there)
        said = self.call(BACKUP, there, ca_file=there.ca_file)
        self.assertEqual(said.code, 1, said)
        self.assertRegex(said.err, r"wants a login")
        env = {"REGISTRY_PASSWORD": users["me"]}
        self.back_up(there, env=env, ca_file=there.ca_file, username="me")
        self.restore(other, env=env, ca_file=other.ca_file, username="me")
        self.assert_equal(other, there)
        there.write_login(self.folder / "docker")  # as `docker login` keeps it
        self.assert_unchanged(self.back_up(there, ca_file=there.ca_file))
        # The password is still in the shell that set the registry up: without a user name, it is nobody's.
        self.assert_unchanged(self.back_up(there, env=env, ca_file=there.ca_file))
        for path in self.folder.rglob("*"):
            if path.is_file() and path.parent.name != "docker":
                self.assertNotIn(users["me"].encode(), path.read_bytes(), path)


class Catalog(ListingRegistry):
    def answer(self, request):
        if request.path == "/v2/_catalog":
            return Answer(200, json.dumps({"repositories": sorted(self.manifests)}))
        return super().answer(request)


class Again(BackupTest):
    def setUp(self):
        super().setUp()
        self.fill()
        self.back_up()
        self.there.forget_requests()

    def test_moves_nothing_and_costs_two_requests_a_tag(self):
        said = self.back_up()
        self.assert_unchanged(said)
        tags = sum(len(tags) for tags in Content(self.there).tags.values())
        self.there.forget_requests()
        self.back_up()
        asked = self.there.requests
        self.assertLessEqual(set(m for m, _, _ in asked), {"GET", "HEAD"})
        repositories = len(Content(self.there).tags)
        self.assertEqual([p for m, p, _ in asked if m == "GET" and ("/blobs/" in p or "/manifests/" in p)], [])
        self.assertLessEqual(len([p for _, p, _ in asked if "/manifests/" in p or "/referrers/" in p]), 2 * tags)
        rest = [p for _, p, _ in asked if "/manifests/" not in p and "/referrers/" not in p]
        self.assertLessEqual(len(rest), repositories + 2)  # lists of tags, the catalogue, /v2/

    def test_fetches_only_what_is_new(self):
        more = Image(sizes=(900,), seed=710)
        self.there.push(more, "team/app", "2")
        self.there.push(Artifact("sig", b"later"), "multi", cosign_tag(MULTI))
        self.there.forget_requests()
        self.back_up()
        later = Artifact("sig", b"later")
        self.assertEqual(self.fetched(self.there), sorted({*more.blobs, *later.blobs} - set(SBOM.blobs)))
        other = self.registry()
        self.restore(other)
        self.assert_equal(other, self.there)

    def test_a_signature_that_was_replaced(self):
        longer = RawIndex([descriptor_of(OF_SBOM), descriptor_of(SBOM)], [OF_SBOM, SBOM])
        self.there.push(longer, "team/app", fallback_tag(APP))
        self.back_up()
        other = self.registry()
        self.restore(other)
        self.assert_equal(other, self.there)

    def test_keeps_what_was_deleted_until_asked(self):
        self.assertEqual(self.there.request("DELETE", f"/v2/deep/er/lib/manifests/{LIB.digest}")[0], 202)
        for tag in Content(self.there).tags["mirror/app"].values():  # all of a repository
            self.assertEqual(self.there.request("DELETE", f"/v2/mirror/app/manifests/{tag}")[0], 202)
        self.back_up()
        lost = [f"{self.there.address}/{name}" for name in ("deep/er/lib:2", "mirror/app:1")]
        index = (self.backup / "index.json").read_text()
        for name in lost:
            self.assertIn(name, index)
        said = self.call(BACKUP, self.there, delete_extra="true", delete_max=1)
        self.assertEqual(said.code, 1, said)
        self.assertRegex(said.err, r"2 tags would be deleted, more than delete_max = 1: nothing is")
        self.assertEqual((self.backup / "index.json").read_text(), index)
        plan = self.done(BACKUP, self.there, verb="plan", delete_extra="true")
        self.assertRegex(plan.out, r"2 tags to be deleted")
        self.assertEqual((self.backup / "index.json").read_text(), index)
        self.assertRegex(self.back_up(delete_extra="true").err, r"2 tags deleted")
        index = (self.backup / "index.json").read_text()
        for name in lost:
            self.assertNotIn(name, index)
        self.assertTrue((self.backup / "blobs/sha256" / APP.digest[7:]).exists())  # of another repository
        self.assertTrue((self.backup / "blobs/sha256" / LIB.digest[7:]).exists())  # an entry of an index
        self.assert_sound()
        other = self.registry()
        self.restore(other)
        self.assert_equal(other, self.there)
        self.assert_unchanged(self.back_up(delete_extra="true"))

    def test_frees_what_is_deleted(self):
        only = Image(sizes=(2000,), seed=720)
        self.there.push(only, "tools", "1")
        self.back_up()
        files = [self.backup / "blobs/sha256" / digest[7:] for digest in (only.digest, *only.blobs)]
        self.assertTrue(all(f.exists() for f in files))
        self.there.request("DELETE", f"/v2/tools/manifests/{only.digest}")
        self.back_up(images='["team/*:*"]', delete_extra="true")  # speaks of others only
        self.assertTrue(all(f.exists() for f in files))
        self.back_up(delete_extra="true")
        self.assertFalse(any(f.exists() for f in files))

    def test_one_repository_of_it(self):
        other = self.registry()
        self.restore(other, images=f'["{self.there.address}/deep/er/lib:2"]')
        self.assertEqual(Content(other).tags, {"deep/er/lib": {"2": LIB.digest}})


class Damage(BackupTest):
    def setUp(self):
        super().setUp()
        self.fill()
        self.back_up()
        self.there.forget_requests()

    def blob(self, digest):
        return self.backup / "blobs/sha256" / digest[7:]

    def spoil(self, digest):
        path = self.blob(digest)
        path.write_bytes(path.read_bytes()[:-1] + b"!")

    def test_a_damaged_backup_is_not_restored_and_is_mended(self):
        layer = LIB.layers[0]["digest"]
        self.spoil(layer)
        self.spoil(MULTI.digest)
        other = self.registry()
        said = self.call(RESTORE, other)
        self.assertEqual(said.code, 1, said)
        self.assertRegex(said.err, r"is damaged")
        self.assertEqual(Content(other).tags, {})
        (command,) = re.findall(r"`PIPE_STORE=(\S+) (pipe image fsck --repair)`", said.err)
        mended = self.pipe.run(command[1].split()[1:], env={"PIPE_STORE": command[0]})
        self.assertEqual(mended.code, 1, mended)  # not clean: they are missing now
        self.back_up()
        self.assertEqual(self.fetched(self.there), [layer])
        self.restore(other)
        self.assert_equal(other, self.there)

    def test_what_is_missing_comes_back(self):
        config, child = APP.config["digest"], MULTI.children[0].digest
        for digest in (config, child):
            self.blob(digest).unlink()
        plan = self.done(BACKUP, self.there, verb="plan")
        self.assertRegex(plan.out, r"3 images copied|4 images copied")
        self.back_up()
        self.assertEqual(self.fetched(self.there), [config])
        self.assert_sound()

    def test_an_index_that_is_gone_or_broken(self):
        index = self.backup / "index.json"
        names = sorted(json.loads(index.read_text())["manifests"], key=json.dumps)
        layer = APP.layers[0]["digest"]
        for text in (None, "", '{"manifests": [', "[]"):
            with self.subTest(text):
                index.unlink() if text is None else index.write_text(text)
                self.spoil(layer)
                plan = self.done(BACKUP, self.there, verb="plan")
                self.assertRegex(plan.out, r"would name all images in \S+ anew")
                self.there.forget_requests()
                said = self.back_up()
                self.assertRegex(said.err, r"the names in \S+ are written anew")
                self.assertEqual(self.fetched(self.there), [layer])
                self.assertEqual(sorted(json.loads(index.read_text())["manifests"], key=json.dumps), names)
                self.assert_sound()
        self.assertEqual((self.backup / "index.json.broken").read_text(), "[]")


class Broken(BackupTest):
    def big(self):
        for n in range(6):
            self.there.push(Image(sizes=(3_000_000, 40_000), seed=730 + n), f"big/{n}", "1")
        self.fill()

    def killed(self, file, registry):
        """Kills it a little later each time, until one ended by itself. How many were killed."""
        for count in range(40):
            process = self.pipe.start(self.words(file, registry), start_new_session=True,
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
            time.sleep(0.02 * 1.2**count)
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            if process.wait() != -signal.SIGKILL:
                self.assertEqual(process.returncode, 0)
                return count
        raise AssertionError("it never got to its end")

    def test_kill_9_in_a_backup_and_in_a_restore(self):
        self.big()
        self.assertGreater(self.killed(BACKUP, self.there), 2)
        self.assert_sound()
        other = self.registry()
        self.assertGreater(self.killed(RESTORE, other), 2)
        self.restore(other)
        self.assert_equal(other, self.there)

    def test_a_registry_that_is_away(self):
        self.fill()
        self.there.stop()
        said = self.call(BACKUP, self.there)
        self.assertEqual(said.code, 1, said)
        self.there.start()
        self.back_up()
        self.assert_sound()

    def test_a_full_disk(self):
        disk = self.folder / "disk"
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", disk], check=True)
        self.backup = disk / "backup"
        self.fill()
        self.back_up()
        before = Content(self.there)
        large = Image(sizes=(300_000, 9_000_000), seed=740)
        self.there.push(large, "team/large", "1")
        said = self.call(BACKUP, self.there)
        self.assertEqual(said.code, 1, said)
        self.assertRegex(said.err, r"team/large:1: .*(not enough room|No space left)")
        self.assertRegex(said.err, r"free some space")
        self.assert_sound()
        other = self.registry()
        self.restore(other)  # what was there before is as good as ever
        self.assertEqual(Content(other).tags, before.tags)
        subprocess.run(["mount", "-o", "remount,size=40m", disk], check=True)
        self.back_up()
        self.restore(other)
        self.assert_equal(other, self.there)


class Guide(BackupTest):
    def test_its_commands(self):
        """Every command of docs/guide/backup.md, in its order, with a registry and a folder of this test."""
        users = {"admin": "pw-of-the-guide"}
        self.there = self.registry(tls=True, users=users)
        self.fill()
        self.there.write_login(self.folder / "docker")
        blocks = re.findall(r"^```\n(.*?)^```$", GUIDE.read_text(), re.M | re.S)
        trusted = self.folder / f"home/.config/containers/certs.d/{self.there.address}"
        trusted.mkdir(parents=True)
        shutil.copy(self.there.ca_file, trusted / "ca.crt")  # as `pipe step trust` does
        env = {}
        ran = 0
        for line in "".join(blocks).replace("\\\n", " ").splitlines():
            line = line.replace("registry.lan:5000", self.there.address).replace("/backup/registry", str(self.backup))
            line = line.replace("/etc/pipe/registry/ca.crt", str(self.there.ca_file)).replace("/etc/pipe/", "pipelines/")
            words = shlex.split(line.removeprefix("0 2 * * * "))
            if words[0] == "export":
                env["REGISTRY_PASSWORD"] = users["admin"]
                continue
            more = dict([words.pop(0).split("=", 1)]) if "=" in words[0] else {}
            self.assertEqual(words[0], "pipe", line)
            with_login = env if "username=admin" in line else {k: v for k, v in env.items() if k != "REGISTRY_PASSWORD"}
            result = self.pipe.run(words[1:], env={**with_login, **more}, cwd=SOURCE)
            self.assertEqual(result.code, 0, result)
            ran += 1
        self.assertGreater(ran, 10)


if __name__ == "__main__":
    unittest.main()
