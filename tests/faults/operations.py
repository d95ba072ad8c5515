"""What the matrix of faults does with an image: each operation once, through a FaultProxy, and what must be true of
store and registry afterwards, whatever happened."""

import json
import pathlib
import re
import shutil
import tempfile

from fault_proxy import FaultProxy, Rule, answers, cut, drop_upload
from pipe import Pipe
from registries import Answer, Certificates, Image, Registry, TokenServer, digest_of, write_login

BIG_SIZE = 400_000  # of the image's first layer
BREAK = 150_000  # where transfers of it break
LIMIT = 60  # seconds that a step may take, whatever the fault
STANDSTILL = 4  # seconds without progress that pipe allows where a fault stalls

_MEMORY = pathlib.Path("/dev/shm")  # registries sync each blob: a busy disk can take longer for that than STANDSTILL


class World:
    """What all cells share: an image, a registry that has it and one to write to, both real, and certificates."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="pipe-matrix-", dir=_MEMORY if _MEMORY.is_dir() else None))
        self.source, self.target = Registry(under=self.folder), Registry(under=self.folder)
        self.certificates = Certificates(self.folder)
        self.image = Image(sizes=(BIG_SIZE, 3000), seed=99, annotations={"note": "so much and no more"})

    def __enter__(self):
        self.source.start()
        self.target.start()
        self.source.push(self.image, "app", "1")
        self.image.write_layout(self.folder / "layout", "1")
        self._break_a_pull()
        return self

    def _break_a_pull(self):
        """`half` is the store that it leaves."""
        big = self.image.layers[0]["digest"]
        broken = Rule("GET", big, cut(BREAK), nth={1})
        gone = Rule("GET", big, answers(Answer(404)))
        with FaultProxy(self.source, [broken, gone]) as proxy:
            first = Pipe(self.folder / "first")
            result = first.try_step("pull", image=f"{proxy.address}/app:1")
            assert result.code == 1 and broken.played == gone.played == 1, result
        self.half = first.store

    def __exit__(self, *_):
        for registry in (self.source, self.target):
            registry.__exit__()
        shutil.rmtree(self.folder, ignore_errors=True)


class Cell:
    """One operation under one fault: a `pipe` and a proxy of its own, and where it writes a repository of its own.
    `needs` are of "tls", "login", "token", "other" (a second server, that leads to the same registry), and "patience"
    of the test: pipe shall have little."""

    def __init__(self, world, name, reads, needs=()):
        self.world, self.needs, self.image = world, needs, world.image
        self.folder = world.folder / name
        self.big = self.image.layers[0]["digest"]
        self.pipe = Pipe(self.folder)
        registry = world.source if reads else world.target
        self.other = FaultProxy(registry, host="127.0.0.1") if "other" in needs else None
        self.tokens = TokenServer() if "token" in needs else None
        self.proxy = FaultProxy(
            registry,
            certificates=world.certificates if "tls" in needs else None,
            token_server=self.tokens,
            login=("me", "s3cret") if "login" in needs else None,
        )
        self.source = (self.proxy if reads else world.source).address + "/app:1"
        self.home = (world.target if reads else self.proxy).address + "/" + name
        self.repository = name  # of the target, or what is below it
        if "login" in needs:
            write_login(self.folder / "docker", self.proxy.address, self.proxy.login)

    def __enter__(self):
        self._servers = [s.__enter__() for s in (self.tokens, self.other, self.proxy) if s]
        return self

    def __exit__(self, *_):
        for server in self._servers:
            server.__exit__()
        shutil.rmtree(self.folder, ignore_errors=True)

    def step(self, name, **params):
        env = {"PIPE_NO_PROGRESS_SECONDS": STANDSTILL} if "patience" in self.needs else {}
        # In one process: what the steps do is the same, and a third of the work is saved.
        return self.pipe.try_step(name, env, LIMIT, isolation="none", **params)

    def is_big_download(self, request):
        return request.path.endswith(self.big)

    def is_big_upload(self, request):
        return int(request.headers.get("Content-Length") or 0) > BIG_SIZE // 4 or "Transfer-Encoding" in request.headers

    def check_sound(self, spoiled=False):
        """No wrong byte: every blob of the store is what its name says, and every image there and at the target is
        whole; at the target it is the one that was sent, unless `spoiled`."""
        store = self.pipe.store
        for path in (store / "blobs").glob("*/*"):
            assert path.parent.name == "sha256" and digest_of(path.read_bytes()) == "sha256:" + path.name, f"{path} is wrong"
        for digest in self.stored().values():
            walk(digest, lambda d: (store / "blobs/sha256" / d.removeprefix("sha256:")).read_bytes())
        for name, digest in self.tags().items():
            assert spoiled or digest == self.image.digest, f"another image than the one that was sent is {name}: {digest}"
            walk(digest, lambda d: self.at_target(name.rpartition(":")[0], d))

    def stored(self):
        """Name -> digest of what the store has."""
        index = self.pipe.store / "index.json"
        entries = json.loads(index.read_text())["manifests"] if index.exists() else []
        return {str(e.get("annotations")): e["digest"] for e in entries}

    def tags(self):
        """Name -> digest of all that the cell made at the target, as the registry's storage has it."""
        home = storage(self.world.target) / "repositories"
        links = (home / self.repository).glob("**/_manifests/tags/*/current/link")
        return {f"{link.parents[4].relative_to(home)}:{link.parents[1].name}": link.read_text() for link in links}

    def at_target(self, repository, digest):
        """The bytes of a blob or manifest of a repository, from the target's storage."""
        algorithm, code = digest.split(":")
        home = storage(self.world.target) / "repositories" / repository
        linked = [home / part / algorithm / code / "link" for part in ("_layers", "_manifests/revisions")]
        assert any(link.exists() for link in linked), f"{digest} is not in {repository}"
        return (storage(self.world.target) / "blobs" / algorithm / code[:2] / code / "data").read_bytes()


def storage(registry):
    return registry.data / "docker/registry/v2"


def walk(digest, read):
    """Reads and hashes all that a manifest names."""
    data = read(digest)
    assert digest_of(data) == digest, f"{digest} has other content"
    manifest = json.loads(data)
    for child in manifest.get("manifests", ()):
        walk(child["digest"], read)
    for blob in [manifest["config"], *manifest["layers"]] if "config" in manifest else ():
        data = read(blob["digest"])
        assert digest_of(data) == blob["digest"], f"{blob['digest']} has other content"
        assert len(data) == blob["size"], f"{blob['digest']} has another size"


def check_rehashed(registry):
    """Every blob of a registry's storage, reachable or not, is what its name says. Gives how many there are."""
    count = 0
    for path in (storage(registry) / "blobs").glob("*/*/*/data"):
        assert digest_of(path.read_bytes()) == "sha256:" + path.parent.name, f"{path} is wrong"
        count += 1
    return count


class Operation:
    """`title` heads its column, `step` is what it runs; `reads` says on which side of it the faulty registry is."""

    title, step, reads = "", "", True

    def prepare(self, cell):
        """Before the fault is there."""

    def run(self, cell):
        """The step's Result."""

    def check_done(self, cell, result):
        """After a success: all is where it should be."""


class Pull(Operation):
    title = step = "pull"

    def run(self, cell):
        return cell.step("pull", image=cell.source, ca_file=cell.proxy.ca_file)

    def check_done(self, cell, result):
        assert result.json["digest"] == cell.image.digest, result
        assert list(cell.stored().values()) == [cell.image.digest], "the store has another image"


class PullAgain(Pull):
    """A second run, where the first one broke."""

    title = "pull, second run"

    def prepare(self, cell):
        shutil.copytree(cell.world.half, cell.pipe.store)

    def check_done(self, cell, result):
        super().check_done(cell, result)
        first = next(r for r in cell.proxy.requests if r.method == "GET" and cell.is_big_download(r))
        assert re.fullmatch(rf"bytes={BREAK}-\d*", first.headers.get("Range", "")), "it began anew"


class VerifyContent(Pull):
    title, step = "verify content", "verify"

    def run(self, cell):
        return cell.step("verify", image=cell.source, checks="content", ca_file=cell.proxy.ca_file)

    def check_done(self, cell, result):
        pass  # nothing is kept: that it says so is all


class Push(Operation):
    title, step, reads = "push", "push", False

    def run(self, cell):
        return cell.step("push", image=f"oci:{cell.world.folder}/layout:1", to=f"{cell.home}:1", ca_file=cell.proxy.ca_file)

    def check_done(self, cell, result):
        assert result.json["digest"] == cell.image.digest, result
        assert cell.tags() == {f"{cell.repository}:1": cell.image.digest}, f"the registry has {cell.tags()}"


class PushAgain(Push):
    """A second run, where an upload of the first one broke."""

    title = "push, second run"

    def prepare(self, cell):
        broken = Rule("PUT|PATCH", "/uploads/", drop_upload(BREAK), nth={1}, when=cell.is_big_upload)
        refused = Rule(".*", "/uploads/", answers(Answer(403)), when=lambda request: broken.played)
        cell.proxy.rules = [broken, refused]
        result = self.run(cell)
        assert result.code == 1 and broken.played == 1 and refused.played, result


class Copy(Push):
    """From one registry to another; the faulty one is the source if it `reads`, else the target."""

    title = step = "copy"

    def __init__(self, reads):
        self.reads = reads

    def run(self, cell):
        side = "from_ca_file" if self.reads else "to_ca_file"
        return cell.step("copy", **{"from_": cell.source, "to": f"{cell.home}:1", side: cell.proxy.ca_file})


class Sync(Copy):
    """The same for every tag that a pattern selects: here it is one."""

    title = step = "sync"

    def run(self, cell):
        side = "from_ca_file" if self.reads else "to_ca_file"
        host = cell.source.partition("/")[0]
        return cell.step("sync", **{"from_": host, "to": cell.home, "images": ["app:*"], side: cell.proxy.ca_file})

    def check_done(self, cell, result):
        assert result.json["copied"] + result.json["unchanged"] == 1, result
        assert cell.tags() == {f"{cell.repository}/app:1": cell.image.digest}, f"the registry has {cell.tags()}"


OPERATIONS = (Pull(), PullAgain(), VerifyContent(), Copy(True), Sync(True), Push(), PushAgain(), Copy(False), Sync(False))


def play(world, row, operation, once):
    """Runs one cell; gives what pipe said ("" for a success). After an error the fault is taken away: then the next
    run has to end right. AssertionError: what may never be."""
    name = re.sub(r"\W+", "-", f"{row.name}.{operation.title}.{'once' if once else 'each'}")
    with Cell(world, name, operation.reads, row.needs) as cell:
        operation.prepare(cell)
        rules = row.rules(cell, {1} if once else None)
        cell.proxy.requests.clear()
        cell.proxy.rules = rules
        result = operation.run(cell)
        assert rules[-1].played, f"the fault was not met: {[r[:2] for r in cell.proxy.requests]}\n{result}"
        check(cell, operation, result, row.spoils and result.code != 0)
        if result.code != 0 and not once:
            cell.proxy.rules = []
            again = operation.run(cell)
            assert again.code == 0, f"without the fault it fails still\n{again}"
            check(cell, operation, again)
        return result.err if result.code else ""


def check(cell, operation, result, spoiled=False):
    assert result.code in (0, 1), result
    for dirt in ("Traceback", "terminate called", "signal", "std::"):
        assert dirt not in result.err, result
    assert result.code == 0 or f"error: {operation.step}: " in result.err, result
    cell.check_sound(spoiled)
    if result.code == 0:
        operation.check_done(cell, result)
    for request in cell.other.requests if cell.other else ():
        assert "Authorization" not in request.headers, "the login went to another server"
        assert "tls" not in cell.needs, "encryption was given up"
