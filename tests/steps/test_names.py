"""registries.conf and daemon.json: mirrors, rewritten and blocked names, short names."""

import unittest

from registries import Answer, FakeRegistry, Image, Registry, free_port, write_login
from steps import StepTest

APP = Image()


class NamesTest(StepTest):
    @classmethod
    def setUpClass(cls):
        cls.registry = Registry().start()
        cls.addClassCleanup(cls.registry.__exit__)
        cls.registry.push(APP, "app", "1")
        cls.registry.push(APP, "library/app", "1")

    def configure(self, text, name="registries.conf"):
        self.pipe.write(f"home/.config/containers/{name}", text)

    def mirrored(self, *mirrors):
        """docker.io, which nobody asks here, with these mirrors and the test's registry behind them."""
        text = f'[[registry]]\nprefix = "docker.io"\nlocation = "{self.registry.address}"\n'
        self.configure(text + "".join(f'[[registry.mirror]]\nlocation = "{m}"\n' for m in mirrors))

    def pull(self, name="app:1", **params):
        """What pulling it had to say of its own; the image has to be the right one."""
        result = self.pipe.try_step("pull", image=name, policy="always", **params)
        self.assertEqual(result.code, 0, result)
        self.assertEqual(result.json["digest"], APP.digest)
        return "".join(line + "\n" for line in result.err.splitlines() if line.startswith("pull | "))


class Mirrors(NamesTest):
    def test_the_mirror_is_asked_and_nobody_else(self):
        with FakeRegistry() as mirror:
            mirror.add(APP, "hub/library/app", "1")
            self.mirrored(f"{mirror.address}/hub")
            self.registry.forget_requests()
            self.assertEqual(self.pull(), "")
            self.assertEqual(self.registry.requests, [])

    def test_one_that_is_down_is_passed_over_and_named_once(self):
        self.mirrored(f"127.0.0.1:{free_port()}")
        said = self.pull()
        self.assertEqual(said.count("is passed over"), 1, said)
        self.assertIn("Connection refused", said)

    def test_one_that_says_no_is_passed_over(self):
        for status, why in ((404, "does not exist"), (401, "log in"), (403, "403"), (400, "400")):
            with self.subTest(status=status), FakeRegistry(fault=lambda _: Answer(status)) as mirror:
                self.mirrored(mirror.address)
                self.assertRegex(self.pull(), f"the mirror {mirror.address} is passed over: .*{why}")

    def test_the_registrys_login_is_not_shown_to_the_mirror(self):
        with FakeRegistry(login=("mirror", "m")) as mirror, FakeRegistry(login=("me", "secret")) as registry:
            registry.add(APP, "app", "1")
            self.configure(
                f'[[registry]]\nlocation = "{registry.address}"\n[[registry.mirror]]\nlocation = "{mirror.address}"\n'
            )
            write_login(self.folder / "docker", registry.address, registry.login)
            self.assertIn("is passed over", self.pull(f"{registry.address}/app:1"))
            self.assertEqual({r.headers.get("Authorization") for r in mirror.requests}, {None})
            mirror.add(APP, "app", "1")
            write_login(self.folder / "docker", mirror.address, mirror.login)
            asked = len(registry.requests)
            self.assertEqual(self.pull(f"{registry.address}/app:1"), "")
            self.assertEqual(len(registry.requests), asked)

    def test_is_not_blamed_for_what_fails_at_the_target(self):
        def refuse(request):
            return Answer(403) if request.method in ("POST", "PUT") else None

        with FakeRegistry() as mirror, FakeRegistry(fault=refuse) as target:
            mirror.add(APP, "library/app", "1")
            self.mirrored(mirror.address)
            self.registry.forget_requests()
            said = self.failure("copy", r"403", **{"from": "app:1", "to": f"{target.address}/app:1"})
            self.assertNotIn("passed over", said)
            self.assertEqual(self.registry.requests, [])

    def test_are_asked_for_what_people_want_to_see(self):
        with FakeRegistry() as mirror:
            mirror.add(APP, "library/app", "mirrored")
            self.mirrored(f"127.0.0.1:{free_port()}", mirror.address)
            seen = self.pipe.run(["image", "inspect", "docker://app:mirrored"])
            self.assertIn(APP.digest, seen.out)
            self.assertEqual(seen.err.count("is passed over"), 1, seen.err)
            self.assertEqual(self.pipe.run(["image", "tags", "app"]).out.split(), ["mirrored"])

    def test_a_push_goes_to_the_registry(self):
        self.pull(f"{self.registry.address}/app:1")
        with FakeRegistry() as mirror:
            self.configure(
                f'[[registry]]\nlocation = "{self.registry.address}"\n[[registry.mirror]]\nlocation = "{mirror.address}"\n'
            )
            self.step("push", image=f"{self.registry.address}/app:1", to=f"{self.registry.address}/pushed:1")
            self.assertEqual(mirror.requests, [])
        self.assertEqual(self.registry.digest("pushed", "1"), APP.digest)

    def test_dockers_mirrors_are_for_the_hub(self):
        self.pipe.write("home/.config/docker/daemon.json", f'{{"registry-mirrors": ["http://{self.registry.address}"]}}')
        self.assertEqual(self.pull(), "")


class Rewritten(NamesTest):
    def test_a_prefix_leads_elsewhere_and_the_name_stays(self):
        self.configure(f'[[registry]]\nprefix = "example.com/team"\nlocation = "{self.registry.address}/library"\n')
        self.pull("example.com/team/app:1")
        self.step("pull", image="example.com/team/app:1", policy="never")
        self.step("push", image="example.com/team/app:1", to="example.com/team/copy:1")
        self.assertEqual(self.registry.digest("library/copy", "1"), APP.digest)

    def test_verify_and_down_go_where_the_image_was_pushed(self):
        self.configure(f'[[registry]]\nprefix = "example.com/team"\nlocation = "{self.registry.address}/library"\n')
        pipeline = self.pipe.write("p.toml", """schema = 1
[[step]]
uses = "copy"
with.from = "example.com/team/app:1"
with.to = "example.com/team/verified:1"
[[step]]
uses = "verify"
with.image = "${steps.copy.image}"
with.digest = "${steps.copy.digest}"
""")
        self.said("run", pipeline)
        self.assertEqual(self.registry.digest("library/verified", "1"), APP.digest)
        self.said("down", pipeline)
        self.assertIsNone(self.registry.digest("library/verified", "1"))

    def test_verify_asks_nobody_who_is_blocked(self):
        self.configure(f'[[registry]]\nlocation = "{self.registry.address}"\nblocked = true\n')
        self.registry.forget_requests()
        for params in ({"registry": self.registry.address}, {"image": f"{self.registry.address}/app:1"}):
            self.failure("verify", "is blocked by", **params)
        self.assertEqual(self.registry.requests, [])

    def test_drop_ins_are_read(self):
        self.configure(
            f'[[registry]]\nprefix = "example.com"\nlocation = "{self.registry.address}"\n', "registries.conf.d/10.conf"
        )
        self.pull("example.com/app:1")

    def test_what_is_blocked_names_its_file(self):
        self.configure('[[registry]]\nlocation = "example.com"\nblocked = true\n', "registries.conf.d/b.conf")
        file = self.folder / "home/.config/containers/registries.conf.d/b.conf"
        self.failure("pull", f"example.com is blocked by {file}", "blocked = true", image="example.com/app:1")

    def test_a_mistake_is_named_with_its_line(self):
        self.configure('[[registry]]\nlocation = "https://example.com"\n')
        self.failure("pull", r"registries\.conf:2:12: .*without https://", image="example.com/app:1")

    def test_a_named_file_stands_alone(self):
        self.configure('[[registry]]\nlocation = "localhost"\nblocked = true\n')
        name = f"{self.registry.address}/app:1"
        self.step("pull", image=name, env={"CONTAINERS_REGISTRIES_CONF": self.pipe.write("own.conf", "")})


class ShortNames(NamesTest):
    def test_are_the_hubs_whatever_podman_says(self):
        self.mirrored(self.registry.address)
        self.configure('[aliases]\napp = "quay.io/org/app"\n', "registries.conf.d/a.conf")
        said = self.pull()
        self.assertRegex(said, r"app:1 is Docker Hub's here; Podman takes it for quay\.io/org/app \(.*/a\.conf\)")
        self.assertEqual(self.step("pull", image="app:1")["image"], "docker.io/library/app:1")


if __name__ == "__main__":
    unittest.main()
