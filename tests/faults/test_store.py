"""The store among many writers, under kill -9 and on a full disk: `pipe image fsck` is clean each time, and no
name is lost. PIPE_STORE_KILLS=200 makes the long form of it."""

import collections
import os
import random
import signal
import subprocess
import threading
import time
import unittest

from layouts import write_layout
from pipe import Pipe
from registries import Image, Index, Registry
from steps import StepTest

KILLS = int(os.environ.get("PIPE_STORE_KILLS", "20"))
WRITERS = 8


class StoreCase(StepTest):
    def layout(self, name, image):
        return write_layout(self.folder / "layouts" / name, x=image)

    def image(self, *words, code=0, pipe=None):
        result = (pipe or self.pipe).run(["image", *words])
        self.assertEqual(result.code, code, result)
        return result

    def names(self, pipe=None):
        """Name -> digest of all that is in the store."""
        listed = self.image("ls", "--output", "json", pipe=pipe).json["images"]
        return {i["name"].removeprefix("docker.io/library/"): i["digest"] for i in listed}

    def assert_clean(self, pipe=None):
        self.image("fsck", pipe=pipe)


class ManyWriters(StoreCase):
    def at_once(self, *jobs):
        """Each job is a list of command lines that one writer runs one after the other; gives all results."""
        results = [[] for _ in jobs]

        def work(number, lines):
            for words in lines:
                results[number].append(self.pipe.run(words))

        threads = [threading.Thread(target=work, args=(n, lines)) for n, lines in enumerate(jobs)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for result in (r for each in results for r in each):
            self.assertEqual(result.code, 0, result)

    def test_different_images(self):
        wanted, jobs = {}, []
        for writer in range(WRITERS):
            lines = []
            for number in range(3):
                image = Image(sizes=(50_000, 200), seed=100 * writer + number)
                folder = self.layout(f"{writer}-{number}", image)
                lines.append(["image", "import", folder, f"app{writer}:{number}"])
                wanted[f"app{writer}:{number}"] = image.digest
            jobs.append(lines)
        self.at_once(*jobs)
        self.assertEqual(self.names(), wanted)
        self.assert_clean()

    def test_the_same_image(self):
        index = Index([Image(sizes=(400_000, 3000), seed=1), Image(sizes=(300_000,), seed=2, architecture="arm64")])
        folder = self.layout("same", index)
        self.at_once(*([["image", "import", folder, f"same:{writer}"], ["image", "import", folder, "same:all"]]
                       for writer in range(WRITERS)))  # fmt: skip
        self.assertEqual(self.names(), {f"same:{n}": index.digest for n in [*range(WRITERS), "all"]})
        self.assert_clean()
        self.assertEqual(list((self.pipe.store / ".partial").iterdir()), [])

    def test_pulls_beside_names_that_come_and_go_and_gc(self):
        images = [Image(sizes=(120_000, 900), seed=n) for n in range(4)]
        gone = self.layout("gone", Image(sizes=(60_000,), seed=50))
        with Registry() as registry:
            for number, image in enumerate(images):
                registry.push(image, "app", str(number))
            pulls = [[["step", "pull", "--image", f"{registry.address}/app:{n % 4}"]] * 2 for n in range(4)]
            self.image("import", gone, "gone:1")  # gc and fsck make no store
            come_and_go = [["image", "import", gone, "gone:1"], ["image", "rm", "gone:1"]] * 2
            collect = [["image", "gc", "--wait", "4m"]] * 3
            self.at_once(*pulls, come_and_go, collect, collect, [["image", "fsck"]] * 3)
            wanted = {f"{registry.address}/app:{n}": image.digest for n, image in enumerate(images)}
        self.assertEqual(self.names(), wanted)
        self.assert_clean()
        self.image("gc")
        for image in images:
            for digest in (image.digest, *image.blobs):
                self.assertTrue((self.pipe.store / "blobs/sha256" / digest[7:]).exists())


class Killed(StoreCase):
    """Whatever a writer is doing when it is killed, the store is whole, and has all names that were given."""

    IMAGES = [Image(sizes=(1_500_000, 40_000, 500), seed=n) for n in range(3)]

    def setUp(self):
        super().setUp()
        self.seed = random.randrange(1 << 30)
        self.dice = random.Random(self.seed)
        self.layouts = [self.layout(str(n), image) for n, image in enumerate(self.IMAGES)]
        self.took = collections.defaultdict(lambda: 0.1)  # seconds, by kind of writer
        self.killed = collections.Counter()

    def something(self, names, pulled):
        """A kind of writer, its command line, the name that it changes, and the digest which that gets."""
        # What is taken away is written again later.
        kind = self.dice.choice(["import", "import", "pull", "rm", "gc"])
        others = sorted(names.keys() - {"kept:1"})
        if kind == "rm" and others:
            name = self.dice.choice(others)
            return kind, ["image", "rm", name], name, None
        if kind == "gc":
            return kind, ["image", "gc"], None, None
        if kind == "pull":
            return kind, ["step", "pull", "--image", pulled], pulled, self.IMAGES[2].digest
        number, name = self.dice.randrange(3), f"new:{self.dice.randrange(4)}"
        return "import", ["image", "import", self.layouts[number], name], name, self.IMAGES[number].digest

    def run_and_kill(self, kind, words):
        writer = self.pipe.start(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        begun = time.monotonic()
        try:
            writer.wait(self.dice.uniform(0, self.took[kind] * 1.1))
            self.took[kind] = 0.7 * self.took[kind] + 0.3 * (time.monotonic() - begun)
        except subprocess.TimeoutExpired:
            writer.send_signal(signal.SIGKILL)
            writer.wait()
            self.killed[kind] += 1
            self.took[kind] *= 1.1

    def test_kill_at_random_points(self):
        self.image("import", self.layouts[0], "kept:1")
        names = self.names()
        with Registry() as registry:
            registry.push(self.IMAGES[2], "app", "1")
            pulled = f"{registry.address}/app:1"
            for turn in range(6 * KILLS):
                if self.killed.total() == KILLS:
                    break
                kind, words, changed, digest = self.something(names, pulled)
                self.run_and_kill(kind, words)
                self.assert_clean()
                before, names = names, self.names()
                where = f"turn {turn} of seed {self.seed}: {words}"
                for name in before.keys() | names.keys():
                    may_be = {before.get(name)} | ({digest} if name == changed else set())
                    if name == pulled:  # its step may live a moment longer than the pipe that was killed
                        may_be.add(self.IMAGES[2].digest)
                    self.assertIn(names.get(name), may_be, f"{name} after {where}")
            self.assertEqual(self.killed.total(), KILLS, f"too few were killed in time: {self.killed}")
            print(f"killed {dict(self.killed)} in {turn} turns")
            # What killed writers left is no hindrance.
            self.step("pull", image=pulled)
            self.image("import", self.layouts[1], "last:1")
            self.assert_clean()
            self.image("gc")
            self.assert_clean()
            self.assertEqual([p for p in (self.pipe.store / ".partial").iterdir() if p.name.startswith("new-")], [])


class FullDisk(StoreCase):
    """A small file system of its own, which only root can mount."""

    SIZE = 4 << 20

    def setUp(self):
        super().setUp()
        self.disk = self.folder / "disk"
        self.disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={self.SIZE}", "tmpfs", self.disk], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", self.disk], check=True)
        self.full = Pipe(self.folder, env={"PIPE_STORE": self.disk / "store"})

    def fill(self, leave):
        """Leaves so many bytes free."""
        filler = self.disk / "filler"
        filler.unlink(missing_ok=True)
        state = os.statvfs(self.disk)
        with open(filler, "wb") as file:
            file.write(bytes(max(state.f_bavail * state.f_frsize - leave, 0)))

    def test_an_image_that_does_not_fit(self):
        small = Image(sizes=(1000,), seed=1)
        self.image("import", self.layout("small", small), "small:1", pipe=self.full)
        large = self.layout("large", Image(sizes=(1_000_000, self.SIZE), seed=2))
        result = self.image("import", large, "large:1", code=1, pipe=self.full)
        self.assertRegex(result.err, r"not enough room|No space left")
        self.assertIn("free some space", result.err)
        self.assert_clean(self.full)
        self.assertEqual(self.names(self.full), {"small:1": small.digest})
        # What came of it before is no image; gc needs no room to take it away.
        self.fill(0)
        self.image("gc", pipe=self.full)
        self.assert_clean(self.full)
        self.assertEqual(self.names(self.full), {"small:1": small.digest})

    def test_wherever_the_room_ends(self):
        first = Image(sizes=(1000,), seed=1)
        self.image("import", self.layout("first", first), "first:1", pipe=self.full)
        second = Image(sizes=(9000, 3000), seed=2)
        folder, page, fitted = self.layout("second", second), 4096, []
        for pages in range(12):
            self.fill(pages * page)
            result = self.full.run(["image", "import", folder, "second:1"])
            if result.code == 0:
                fitted.append(pages)
            else:
                self.assertRegex(result.err, r"not enough room|No space left")
            (self.disk / "filler").unlink()
            with self.subTest(pages=pages):
                self.assert_clean(self.full)
                expected = {"first:1": first.digest, **({"second:1": second.digest} if result.code == 0 else {})}
                self.assertEqual(self.names(self.full), expected)
            if result.code == 0:
                self.image("rm", "second:1", pipe=self.full)
            self.image("gc", pipe=self.full)
        self.assertIn(11, fitted, "with room it works")
        self.assertNotIn(0, fitted, "without room it can't")

    def test_a_name_can_not_be_taken_away_without_room_and_is_whole_then(self):
        images = {f"app:{n}": Image(sizes=(100,), seed=n) for n in range(20)}
        for name, image in images.items():
            self.image("import", self.layout(name.replace(":", "-"), image), name, pipe=self.full)
        self.fill(0)
        result = self.full.run(["image", "rm", "app:1"])
        self.assertEqual(result.code, 1, result)
        self.assertIn("free some space", result.err)
        self.assert_clean(self.full)
        self.assertEqual(self.names(self.full), {name: image.digest for name, image in images.items()})


if __name__ == "__main__":
    unittest.main()
