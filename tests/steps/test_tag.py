"""tag: names in the store, seen by skopeo and umoci too."""

import pathlib
import subprocess
import tempfile
import unittest

from pipe import Pipe

APP = "docker.io/library/app:1"


class Tag(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="pipe-tag-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.pipe = Pipe(self.folder)
        self.digest = self.build("hello", "app:1")

    def build(self, text, name):
        file = self.pipe.write("content", text)
        return self.pipe.step("build", layers=[f"{file}:/content"], as_=name)["digest"]

    def names(self):
        """As umoci reads the store."""
        listed = subprocess.run(["umoci", "ls", "--layout", self.pipe.store], check=True, capture_output=True, text=True)
        return sorted(listed.stdout.split())

    def digest_of(self, name):
        """As skopeo reads it."""
        return subprocess.run(
            ["skopeo", "inspect", "--format", "{{.Digest}}", f"oci:{self.pipe.store}:{name}"],
            check=True, capture_output=True, text=True,
        ).stdout.strip()

    def pipeline(self, extra=""):
        return self.pipe.write(
            "names.toml",
            f'schema = 1\n[pipeline]\nname = "names"\n[[step]]\nuses = "tag"\nwith.image = "app:1"\n'
            f'with.as = ["localhost:5000/app:1", "localhost:5000/app:latest"]\n{extra}\n',
        )

    def test_a_plan_makes_no_store(self):
        fresh = self.pipe.folder / "fresh/store"
        pipeline = self.pipe.write(
            "fresh.toml",
            'schema = 1\n[pipeline]\nname = "t"\n[[step]]\nuses = "tag"\nwith.image = "app:1"\nwith.as = ["app:2"]\n',
        )
        plan = self.pipe.run(["plan", pipeline], env={"PIPE_STORE": fresh})
        self.assertEqual(plan.code, 0, plan)
        self.assertIn("nothing in the store yet", plan.out)
        self.assertFalse(fresh.parent.exists())

    def test_names_point_at_the_image(self):
        outputs = self.pipe.step("tag", image="app:1", as_=["localhost:5000/app:1", "two"])
        self.assertEqual(outputs["image"], "localhost:5000/app:1")
        self.assertEqual(outputs["images"], ["localhost:5000/app:1", "docker.io/library/two:latest"])
        self.assertEqual(outputs["digest"], self.digest)
        self.assertEqual(self.names(), sorted([APP, "localhost:5000/app:1", "docker.io/library/two:latest"]))
        self.assertEqual(self.digest_of("localhost:5000/app:1"), self.digest)

    def test_move_drops_the_old_name_and_may_be_repeated(self):
        for _ in range(2):
            outputs = self.pipe.step("tag", image="app:1", as_="localhost:5000/app:1", move=True)
            self.assertEqual(outputs["digest"], self.digest)
            self.assertEqual(self.names(), ["localhost:5000/app:1"])

    def test_an_archive_can_be_named(self):
        archive = self.folder / "app.tar"
        subprocess.run(["skopeo", "copy", "-q", f"oci:{self.pipe.store}:{APP}", f"oci-archive:{archive}:x"], check=True)
        outputs = self.pipe.step("tag", image=f"oci-archive:{archive}", as_="from/archive:1")
        self.assertEqual(self.digest_of("docker.io/from/archive:1"), outputs["digest"])

    def test_second_run_changes_nothing(self):
        first = self.pipe.run(["run", self.pipeline()])
        self.assertEqual(first.code, 0, first)
        self.assertIn("changed=1", first.out + first.err)
        second = self.pipe.run(["run", self.pipeline()])
        self.assertEqual(second.code, 0, second)
        self.assertIn("changed=0 unchanged=1", second.out + second.err)

    def test_plan_says_what_would_change_and_changes_nothing(self):
        other = self.build("other", "localhost:5000/app:1")
        self.assertNotEqual(other, self.digest)
        before = self.names()
        plan = self.pipe.run(["plan", self.pipeline()])
        self.assertIn(self.digest[:19], plan.out + plan.err, plan)
        self.assertEqual(self.names(), before)
        self.assertEqual(self.digest_of("localhost:5000/app:1"), other)

    def test_down_takes_back_what_run_did_and_no_more(self):
        earlier = self.build("other", "localhost:5000/app:latest")
        pipeline = self.pipeline("with.move = true")
        self.assertEqual(self.pipe.run(["run", pipeline]).code, 0)
        self.assertEqual(self.names(), ["localhost:5000/app:1", "localhost:5000/app:latest"])
        down = self.pipe.run(["down", pipeline])
        self.assertEqual(down.code, 0, down)
        self.assertEqual(self.names(), [APP, "localhost:5000/app:latest"])
        self.assertEqual(self.digest_of("localhost:5000/app:latest"), earlier)
        self.assertEqual(self.digest_of(APP), self.digest)

    def test_errors_say_what_to_do(self):
        for parameters, words in [
            ({"image": "nothing:1", "as_": "x"}, ["there is no image nothing:1", "pull"]),
            ({"image": "app:1", "as_": "App"}, ["upper case"]),
            ({"image": "app:1", "as_": "oci:x"}, ["is a place", "push"]),
            ({"image": "app:1", "as_": f"x@{self.digest}"}, ["has a digest"]),
        ]:
            with self.subTest(parameters):
                result = self.pipe.try_step("tag", **parameters)
                self.assertEqual(result.code, 1, result)
                for word in words:
                    self.assertIn(word, result.out + result.err)


if __name__ == "__main__":
    unittest.main()
