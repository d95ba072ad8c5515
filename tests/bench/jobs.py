"""The jobs: what `pipe` is asked to do, and its peers beside it."""

import os
import pathlib
import shutil
import subprocess

from engine import Docker
from measure import Contender, Job
from world import Registry, Site, fill, make_image, version


class Jobs:
    """The jobs, worked out in `folder`. Images and registries are made once, on first use."""

    def __init__(self, folder, source, build, quick=False, with_docker=True):
        self.folder, self.source, self.build = pathlib.Path(folder), pathlib.Path(source), pathlib.Path(build)
        self.quick = quick
        self.docker = Docker(folder) if with_docker and Docker.is_installed() else None
        self.rounds = 3 if quick else 5
        self.program = self.build / "bin/pipe"
        self.names = {
            "pipe": f"pipe {version(self.program, 'version')}",
            "skopeo": f"skopeo {version('skopeo')}",
            "ninja": f"ninja {version('ninja')}",
        }
        self.sites, self.more_sites = None, []
        self.env = {
            "HOME": str(self.folder / "home"),
            "XDG_STATE_HOME": str(self.folder / "state"),
            "XDG_DATA_HOME": str(self.folder / "share"),
            "DOCKER_CONFIG": str(self.folder / "docker"),
            "PIPE_STORE": str(self.folder / "store"),
            "PIPE_PLUGIN_PATH": str(self.build / "test-plugins"),
        }
        (self.folder / "home").mkdir()

    def close(self):
        for site in (*(self.sites or ()), *self.more_sites):
            site.close()
        if self.docker:
            self.docker.stop()

    def all(self):
        """(group, function that gives its jobs), in the order of the table."""
        return {
            "start": self.start,
            "steps": self.steps,
            "shown": self.shown,
            "again": self.again,
            "pull": self.pull,
            "push": self.push,
            "engine": self.engine,
            "copy": self.copy,
            "sync": self.sync,
        }

    # The runner's own cost.

    def start(self):
        peer = Contender(self.names["skopeo"], lambda _: ["skopeo", "--version"])
        file = self.source / "pipelines/registry.toml"
        yield Job("pipe --version", [self._pipe("--version"), peer], "≤ 8 ms", 4 * self.rounds)
        yield Job("pipe --help", [self._pipe("--help"), peer], "≤ 8 ms", 4 * self.rounds)

        def fill_store():
            self._once("step", "build", "--layers", f"{file}:/file", "--as", "n0:1")
            names = [word for i in range(1, 100) for word in ("--as", f"n{i}:1")]
            self._once("step", "tag", "--image", "n0:1", *names)
            return None, None

        # What a tab in a shell waits for: options of a step, variables of a file, a hundred images of the store.
        for words in (["step", "pull", "--"], ["run", file, "--set", ""], ["image", "rm", ""]):
            ours = self._pipe("completion", "words", *words)
            shown = " ".join(str(word) for word in words).replace(f"{self.source}/", "")
            yield Job(f"completion of `pipe {shown}`", [ours], "≤ 30 ms", 4 * self.rounds, setup=fill_store)
        yield Job("pipe check pipelines/registry.toml", [self._pipe("check", file), peer], "≤ 20 ms", 4 * self.rounds)

    def steps(self):
        for count in (1000,) if self.quick else (1000, 10000):
            steps = "".join(f'[[step]]\nuses = "noop"\nid = "s{i}"\nneeds = []\n' for i in range(count))
            file = self._pipeline(f"steps{count}", steps)
            for jobs in (1, 2):
                yield self._beside_ninja(f"{count:,} empty steps, --jobs {jobs}", file, count, jobs)
        values = ", ".join(f'"v{i}"' for i in range(1000))
        file = self._pipeline("each", f'[[step]]\nuses = "noop"\nid = "each"\nneeds = []\nfor_each = [{values}]\n')
        yield self._beside_ninja("for_each over 1,000, --jobs 2", file, 1000, 2)

    def shown(self):
        """What people look at: the graph of many steps, the report of many events."""
        needs = ['["s0"]' if i % 3 == 0 else f'["s{i - 1}", "s{i // 2}"]' for i in range(1, 10000)]
        steps = '[[step]]\nuses = "noop"\nid = "s0"\n' + "".join(
            f'[[step]]\nuses = "noop"\nid = "s{i}"\nneeds = {on}\n' for i, on in enumerate(needs, 1)
        )
        file = self._pipeline("graph", steps)
        yield Job("pipe check of 10,000 steps", [self._pipe("check", file)], "≤ 0.2 s", self.rounds)
        for form in ("text", "svg"):
            yield Job(f"pipe graph of 10,000 steps, {form}", [self._pipe("graph", file, "--format", form)], "≤ 1 s", self.rounds)
        # A step that runs has two events: it starts, and it ends.
        many = self._pipeline("events", "".join(f'[[step]]\nuses = "noop"\nid = "s{i}"\nneeds = []\n' for i in range(5000)))

        def setup():
            if not list((self.folder / "state/pipe/runs").glob("*-events")):
                self._once("run", many, "--output", "plain")
            return None, None

        report = self._pipe("report", "events", "--output", self.folder / "report.html")
        yield Job("pipe report of 10,000 events", [report], "≤ 0.5 s", self.rounds, setup=setup)
        yield Job("pipe runs, of 5,000 steps", [self._pipe("runs")], "≤ 20 ms", 4 * self.rounds, setup=setup)

    def _beside_ninja(self, name, file, count, jobs):
        folder = self.folder / f"ninja{count}"
        if not folder.exists():
            folder.mkdir()
            edges = "".join(f"build o{i}: empty\n" for i in range(count))
            (folder / "build.ninja").write_text("rule empty\n  command = true\n" + edges)
        ours = self._pipe("run", file, "--jobs", jobs, prepare=lambda _: _remove(self.folder / "state"))
        peer = Contender(
            self.names["ninja"],
            lambda _: ["ninja", "-C", folder, "-j", jobs],
            lambda _: _remove(folder / ".ninja_log"),
        )
        rounds = self.rounds if count <= 1000 else 1  # a minute each: what they show is that cost grows no faster than steps
        return Job(name, [ours, peer], "≤ 0.70 × peer", rounds, units=count)

    # Images.

    def again(self):
        ours = Contender(
            self.names["pipe"], lambda site: self._run(self._chain(site, "many", verify=True)), env=self.env
        )
        yield Job(
            "pull, tag, push, verify `many` again", [ours], "≤ 0.25 s", 2 * self.rounds, setup=self.images, again=True
        )

    def pull(self):
        layout = self.folder / "layout"
        for image in ("big", "many"):

            def ours(site, image=image):
                return [self.program, "step", "pull", "--image", f"{site.source.host}/{image}:1"]

            def peer(site, image=image):
                return self._skopeo(f"docker://{site.source.host}/{image}:1", f"oci:{layout}:1")

            def cold(_):
                _remove(self.folder / "store")
                _remove(layout)
                os.sync()

            name = f"pull `{image}` into the store"
            yield self._job(name, ours, peer, cold, "≤ 0.40 × peer")
        yield self._job("pull `many` again", ours, peer, None, "≤ 0.15 × peer")

    def push(self):
        for image in ("big", "many"):

            def setup(image=image):
                sites = self.images()
                self._once("step", "pull", "--image", f"{sites[0].source.host}/{image}:1")
                return sites

            def ours(site, image=image):
                name = f"{self.sites[0].source.host}/{image}:1"
                return [self.program, "step", "push", "--image", name, "--to", f"{site.target.host}/{image}:1"]

            def peer(site, image=image):
                return self._skopeo(f"oci:{self.folder / image}:1", f"docker://{site.target.host}/{image}:1")

            def cold(site):
                site.empty_target()

            target = {"big": "≤ 0.80 × peer", "many": "≤ 0.40 × peer"}[image]
            yield self._job(f"push `{image}` from the store", ours, peer, cold, target, setup)
        yield self._job("push `many` again", ours, peer, None, "≤ 0.15 × peer", setup)

    def engine(self):
        """Out of a Docker engine, the first time and once more."""
        if not (self.docker and self.docker.start()):
            return
        name = "localhost/big:1"

        def setup():
            sites = self.images()
            self.docker.load(self.folder / "big", name)
            return sites

        def ours(site):
            to = f"{site.target.host}/big:1"
            return [self.program, "step", "push", "--image", f"docker-daemon:{name}", "--to", to,
                    "--engine", self.docker.endpoint]  # fmt: skip

        def peer(site):
            docker, to = f"docker -H {self.docker.endpoint}", f"{site.target.host}/big:1"
            return ["sh", "-c", f"{docker} tag {name} {to} && {docker} push -q {to}"]

        def first(site):
            _remove(self.folder / "store")
            site.empty_target()

        for job, prepare, target in (
            ("push `big` from a Docker engine", first, "≤ 0.25 × docker"),
            ("the same to an empty registry again", lambda site: site.empty_target(), "nothing is compressed"),
        ):
            contenders = [
                Contender(self.names["pipe"], ours, prepare, self.env),
                Contender(f"docker {self.docker.version}", peer, prepare, by_daemon=True),
            ]
            yield Job(job, contenders, target, self.rounds, setup=setup, again=prepare is not first)

    def copy(self):
        for image in ("big", "many"):

            def ours(site, image=image):
                return self._run(self._chain(site, image))

            def peer(site, image=image):
                return self._skopeo(f"docker://{site.source.host}/{image}:1", f"docker://{site.target.host}/{image}:1")

            def cold(site):
                _remove(self.folder / "store")
                site.empty_target()

            target = {"big": "≤ 0.80 × skopeo, ≤ 0.15 × docker", "many": "≤ 0.40 × skopeo"}[image]
            job = self._job(f"pull, tag, push `{image}` elsewhere", ours, peer, cold, target)
            job.setup = lambda job=job, image=image: self._with_docker(job, image)
            yield job
        yield self._job("pull, tag, push `many` again", ours, peer, None, "≤ 0.15 × peer")

        for image in ("big", "many"):

            def step(site, image=image):
                at, to = (f"{registry.host}/{image}:1" for registry in (site.source, site.target))
                return [self.program, "step", "copy", "--from", at, "--to", to]

            def by_skopeo(site, image=image):
                return self._skopeo(f"docker://{site.source.host}/{image}:1", f"docker://{site.target.host}/{image}:1")

            target = {"big": "≤ 0.80 × peer", "many": "≤ 0.40 × peer"}[image]
            yield self._job(f"copy `{image}`", step, by_skopeo, lambda site: site.empty_target(), target)
        yield self._job("copy `many` again", step, by_skopeo, None, "≤ 0.15 × peer")

    def sync(self):
        """500 tags in 50 repositories, all of them there already."""
        sites = []

        def setup():
            if not sites:
                source = Registry(self.folder / "sync-source")
                fill(source.host, 50, 10)
                there = self.folder / "sync-target-data"
                shutil.copytree(source.storage, there)
                sites.append(Site(source, Registry(self.folder / "sync-target", there)))
                sites.append(
                    Site(
                        Registry(self.folder / "sync-source-logged", source.storage, logged=True),
                        Registry(self.folder / "sync-target-logged", there, logged=True),
                    )
                )
                self.more_sites += sites
            return sites

        def ours(site):
            entries = [word for number in range(50) for word in ("--images", f"r{number:02}:*")]
            return [self.program, "step", "sync", "--from", site.source.host, "--to", site.target.host, *entries]

        def peer(site):
            wanted = self.folder / f"sync-{site.source.port}.yaml"
            names = "".join(f"    r{number:02}: []\n" for number in range(50))
            wanted.write_text(f'"{site.source.host}":\n  tls-verify: false\n  images:\n{names}')
            return ["skopeo", "--insecure-policy", "sync", "--src", "yaml", "--dest", "docker", "--src-tls-verify=false",
                    "--dest-tls-verify=false", wanted, site.target.host]  # fmt: skip

        job = self._job("sync 500 tags, nothing new", ours, peer, None, "≤ 0.10 × peer", setup)
        job.units = 500
        yield job

    def _with_docker(self, job, image):
        """Docker is a contender where it is installed and an engine of the benchmark's own comes up."""
        if self.docker and self.docker.start():
            job.contenders.append(self._by_docker(image))
        return self.images()

    def _by_docker(self, image):
        def command(site):
            was, to = f"{site.source.host}/{image}:1", f"{site.target.host}/{image}:1"
            docker = f"docker -H {self.docker.endpoint}"
            return ["sh", "-c", f"{docker} pull -q {was} && {docker} tag {was} {to} && {docker} push -q {to}"]

        def cold(site):
            self.docker.forget_images()
            site.empty_target()

        return Contender(f"docker {self.docker.version}", command, cold, by_daemon=True)

    def images(self):
        """Two sites whose source holds `big` and `many`: one that is quiet, one that logs its requests."""
        if self.sites is None:
            source = Registry(self.folder / "source")
            quiet = Site(source, Registry(self.folder / "target"))
            logging = Site(
                Registry(self.folder / "source-logged", source.storage, logged=True),
                Registry(self.folder / "target-logged", logged=True),
            )
            self.sites = (quiet, logging)
            for name, layers, size in (("big", 8, 100 << 20), ("many", 40, 1 << 20)):
                make_image(self.folder / name, "1", layers, size // 10 if self.quick else size)
                subprocess.run(
                    self._skopeo(f"oci:{self.folder / name}:1", f"docker://{source.host}/{name}:1"),
                    check=True,
                    stdout=subprocess.DEVNULL,
                )
        return self.sites

    def _job(self, name, ours, peer, cold, target, setup=None):
        prepare = cold or (lambda _: None)
        contenders = [
            Contender(self.names["pipe"], ours, prepare, self.env),
            Contender(self.names["skopeo"], peer, prepare),
        ]
        rounds = self.rounds if cold else 2 * self.rounds
        return Job(name, contenders, target, rounds, setup=setup or self.images, again=cold is None)

    @staticmethod
    def _skopeo(source, target):
        return ["skopeo", "--insecure-policy", "copy", "--src-tls-verify=false", "--dest-tls-verify=false", source, target]

    def _chain(self, site, image, verify=False):
        """A pipeline that takes an image from one registry to the other."""
        steps = (
            f'[[step]]\nuses = "pull"\nwith.image = "{site.source.host}/{image}:1"\n'
            f'[[step]]\nuses = "tag"\nwith.image = "${{steps.pull.image}}"\nwith.as = "{site.target.host}/{image}:1"\n'
            '[[step]]\nuses = "push"\nwith.image = "${steps.tag.image}"\n'
        )
        if verify:
            steps += '[[step]]\nuses = "verify"\nwith.image = "${steps.push.image}"\nwith.digest = "${steps.push.digest}"\n'
        return self._pipeline("chain", steps)

    def _pipeline(self, name, steps):
        path = self.folder / f"{name}.toml"
        path.write_text(f'schema = 1\n[pipeline]\nname = "{name}"\n{steps}')
        return path

    def _run(self, file):
        return [self.program, "run", file]

    def _pipe(self, *args, prepare=lambda _: None):
        return Contender(self.names["pipe"], lambda _: [self.program, *args], prepare, self.env)

    def _once(self, *args):
        subprocess.run(
            [str(self.program), *map(str, args)],
            env={**os.environ, **self.env},
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


def _remove(path):
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
