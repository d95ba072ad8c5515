"""What was broken off goes on where it was: downloads and uploads, in the same run and after `kill -9`; and slow downloads
take several connections."""

import re
import subprocess
import threading
import time
import unittest

from pipe import PATIENCE
from registries import Answer, FakeRegistry, Image, digest_of
from steps import StepTest

MIB = 1 << 20
IMAGE = Image(sizes=(60 * MIB,), seed=77)
LAYER = IMAGE.layers[0]["digest"]
SIZE = IMAGE.layers[0]["size"]


class CarefulRegistry(FakeRegistry):
    """Keeps what came of an upload that broke off, says how much that is, and takes the rest (distribution-spec,
    "Pushing a blob in chunks"). `watch(bytes)` is called while bytes of the big layer come in."""

    def __init__(self, **options):
        super().__init__(**options)
        self.sessions, self.received, self.sent = {}, 0, 0
        self.watch = lambda count: None
        self.at_work = set()  # threads that take in a large body
        self.connections_at_once = self.sending = self.largest = 0  # largest: bytes of one answer that went out
        self.rate = 0  # bytes a second and connection of a download

    def _read_body(self, handler):
        length = int(handler.headers.get("Content-Length") or 0)
        if handler.command not in ("PUT", "PATCH") or length < MIB:
            return super()._read_body(handler)
        self.at_work.add(threading.get_ident())
        body = b""
        try:
            while len(body) < length and (piece := handler.rfile.read1(min(MIB, length - len(body)))):
                body += piece
                self.received += len(piece)
                if self.watch(self.received) is False:  # as a network that breaks
                    handler.close_connection = True
                    handler.connection.shutdown(2)
                    break
        except OSError:
            self.at_work.discard(threading.get_ident())
            raise
        return body

    def _upload(self, request, repository, session):
        try:
            return self._take(request, repository, session)
        finally:
            self.at_work.discard(threading.get_ident())

    def _take(self, request, repository, session):
        if request.method == "POST":
            return super()._upload(request, repository, session)
        kept = self.sessions.get(session, b"")
        if request.method == "GET":
            if not kept:
                return Answer(404)
            return Answer(204, headers={"Range": f"0-{len(kept) - 1}", "Location": request.path + "?_state=later"})
        if request.method == "PATCH":
            first = int(request.headers["Content-Range"].split("-")[0])
            # The last answer says where what follows is to go.
            if first != len(kept) or request.query.get("_state") != "later":
                return Answer(416, headers={"Range": f"0-{len(kept) - 1}"})
        if request.method == "PUT" and kept and request.query.get("_state") != "last":
            return Answer(404)
        self.sessions[session] = kept + request.body
        if request.method == "PATCH":
            return Answer(202, headers={"Location": request.path + "?_state=last"})
        if request.query["digest"] != digest_of(self.sessions[session]):
            return Answer(400, '{"errors":[{"code":"DIGEST_INVALID","message":"not all of it"}]}')
        whole = request._replace(body=self.sessions.pop(session))
        return super()._upload(whole, repository, session)

    def _blob(self, request, repository, digest):
        answer = super()._blob(request, repository, digest)
        if match := re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers.get("Range", "")):
            first, last = int(match[1]), int(match[2])
            data = self.blobs[repository][digest]
            headers = {"Content-Range": f"bytes {first}-{last}/{len(data)}"}
            answer = Answer(206, data[first : last + 1], headers)
        if request.method == "GET" and len(answer.body) >= MIB:
            answer.headers["Accept-Ranges"] = "bytes"
        return answer

    def _send_body(self, handler, body):
        if len(body) < MIB:
            return super()._send_body(handler, body)
        with self._lock:
            self.sending += 1
            self.connections_at_once = max(self.connections_at_once, self.sending)
        try:
            for at in range(0, len(body), MIB // 4):
                piece = body[at : at + MIB // 4]
                handler.wfile.write(piece)
                with self._lock:
                    self.sent += len(piece)
                    self.largest = max(self.largest, at + len(piece))
                time.sleep(len(piece) / self.rate if self.rate else 0)
        except OSError:
            handler.close_connection = True
        finally:
            with self._lock:
                self.sending -= 1


class Resume(StepTest):
    def setUp(self):
        super().setUp()
        self.registry = CarefulRegistry()
        self.registry.__enter__()
        self.addCleanup(self.registry.__exit__)
        self.name = f"{self.registry.address}/app:1"

    def start(self, *args):
        process = self.pipe.start(args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def kill_push(self, fraction, image):
        """Kills a push once so much of the layer came through: the registry reads no more until then."""
        reached, dead = threading.Event(), threading.Event()

        def hold(count):
            if count >= fraction * SIZE:
                reached.set()
                dead.wait()

        self.registry.watch = hold
        process = self.start("step", "push", "--image", image, "--to", self.name)
        self.assertTrue(reached.wait(PATIENCE), "it never came so far")
        process.kill()
        process.wait()
        dead.set()
        while self.registry.at_work:
            time.sleep(0.05)  # the server goes on with what is still under way

    def kill_pull(self, fraction):
        """Kills a pull once it has so much of the layer."""
        process = self.start("step", "pull", "--image", self.name)
        part, limit = self.pipe.store / ".partial" / LAYER.replace(":", "-"), time.monotonic() + PATIENCE
        while not part.exists() or part.stat().st_size < fraction * SIZE:
            self.assertLess(time.monotonic(), limit, "it never came so far")
            time.sleep(0.001)
        process.kill()
        process.wait()
        while self.registry.sending:
            time.sleep(0.05)  # the server goes on with what is still under way

    def store_image(self):
        source = FakeRegistry()
        with source:
            source.add(IMAGE, "app", "1")
            self.step("pull", image=f"{source.address}/app:1")
            return f"{source.address}/app:1"

    def test_an_upload_that_broke_goes_on(self):
        image = self.store_image()
        self.registry.watch = lambda count: count < SIZE // 2 or bool(self.registry.sessions)
        self.assertEqual(self.step("push", image=image, to=self.name)["digest"], IMAGE.digest)
        self.assertEqual(self.registry.blobs["app"][LAYER], IMAGE.blobs[LAYER])
        self.assertEqual(self.registry.count("PATCH"), 1)
        self.assertLess(self.registry.received, SIZE + 4 * MIB)
        self.assertEqual(list((self.pipe.store / ".uploads").iterdir()), [])

    def test_a_note_of_an_upload_makes_a_store_that_no_other_user_may_read(self):
        with FakeRegistry() as source:
            source.add(IMAGE, "app", "1")
            self.step("copy", **{"from": f"{source.address}/app:1", "to": self.name})
        self.assertEqual(self.pipe.store.stat().st_mode & 0o077, 0)

    def test_the_next_run_goes_on_with_an_upload(self):
        image = self.store_image()
        self.kill_push(0.9, image)
        before = self.registry.received
        self.assertEqual(self.step("push", image=image, to=self.name)["digest"], IMAGE.digest)
        self.assertEqual(self.registry.blobs["app"][LAYER], IMAGE.blobs[LAYER])
        self.assertLess(self.registry.received - before, 0.15 * SIZE)

    def test_an_upload_that_the_registry_forgot_begins_anew(self):
        image = self.store_image()
        self.kill_push(0.5, image)
        self.registry.sessions.clear()
        self.assertEqual(self.step("push", image=image, to=self.name)["digest"], IMAGE.digest)
        self.assertEqual(self.registry.blobs["app"][LAYER], IMAGE.blobs[LAYER])

    def test_an_upload_that_is_not_what_it_was_begins_anew(self):
        image = self.store_image()
        self.kill_push(0.5, image)
        self.registry.sessions = {name: b"x" * len(kept) for name, kept in self.registry.sessions.items()}
        self.assertEqual(self.step("push", image=image, to=self.name)["digest"], IMAGE.digest)
        self.assertEqual(self.registry.blobs["app"][LAYER], IMAGE.blobs[LAYER])

    def test_the_next_run_goes_on_with_a_download(self):
        self.registry.add(IMAGE, "app", "1")
        self.registry.rate = 100 * MIB
        self.kill_pull(0.9)
        before = self.registry.sent
        self.assertEqual(self.step("pull", image=self.name)["digest"], IMAGE.digest)
        self.assertLess(self.registry.sent - before, 0.2 * SIZE)
        self.assert_store_is_sound()

    def part(self, data):
        """Leaves `data` in the store as what a run that broke off got of the layer."""
        folder = self.pipe.store / ".partial"
        folder.mkdir(parents=True)
        (folder / LAYER.replace(":", "-")).write_bytes(data)

    def test_a_layer_of_which_all_came_is_not_asked_for(self):
        self.registry.add(IMAGE, "app", "1")
        self.part(IMAGE.blobs[LAYER])
        self.assertEqual(self.step("pull", image=self.name)["digest"], IMAGE.digest)
        self.assertFalse([r for r in self.registry.requests if r.path.endswith(LAYER)])
        self.assert_store_is_sound()

    def test_a_layer_of_which_all_came_wrong_is_fetched_anew(self):
        self.registry.add(IMAGE, "app", "1")
        self.part(b"x" * SIZE)
        self.assertEqual(self.step("pull", image=self.name)["digest"], IMAGE.digest)
        self.assert_store_is_sound()

    def test_a_slow_download_takes_several_connections(self):
        self.registry.add(IMAGE, "app", "1")
        self.registry.rate = 6 * MIB
        self.assertEqual(self.step("pull", image=self.name)["digest"], IMAGE.digest)
        self.assertLess(self.registry.largest, 0.7 * SIZE, "one of them had most of the work")
        self.assertIn(self.registry.connections_at_once, (4, 5))  # the first one may not have ended yet
        self.assert_store_is_sound()


if __name__ == "__main__":
    unittest.main()
