"""A proxy before a real registry that does wrong on chosen requests, and passes on all others.

    broken = Rule("GET", r"/blobs/", cut(1000), nth={1})          # the first download ends after 1000 bytes
    with Registry() as registry, FaultProxy(registry, [broken]) as proxy:
        ... proxy.address ...
        assert broken.played == 1

A rule chooses requests by method, path and what `when` says of them, and of those the `nth` (the first is 1; None:
each). The first rule that fits plays its fault. HTTP/1.1 with kept connections; bodies are streamed, never held.
"""

import collections
import contextlib
import http.client
import http.server
import os
import re
import socket
import ssl
import struct
import threading
import urllib.parse

from registries import Answer, Gate

CHUNK = 64 << 10
# Of one connection only (RFC 9110, section 7.6.1), and what is written anew here.
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer", "date", "server"}

Seen = collections.namedtuple("Seen", "method path query headers")


class Hangup(Exception):
    """The proxy leaves: with a reset, or with an end that looks orderly."""

    def __init__(self, reset):
        super().__init__()
        self.reset = reset


class Fault:
    """What is done to one exchange; as it stands, nothing. `proxy` is the FaultProxy."""

    reads_body = True  # of a request that `answer` answers

    def arrive(self, proxy, request):
        """Before anybody looks at the request."""

    def answer(self, proxy, request):
        """An Answer that is given instead of the registry's, or None."""

    def request_headers(self, headers):
        """What the registry is told; `headers` is a dict."""

    def upload(self, proxy, chunks):
        """The body on its way to the registry."""
        return chunks

    def response(self, proxy, status, headers):
        """The status; `headers` is a list of (name, value) that may be changed."""
        return status

    def download(self, proxy, chunks):
        """The body on its way back."""
        return chunks


def first(chunks, size):
    """`chunks` up to `size` bytes."""
    for chunk in chunks:
        yield chunk[:size]
        size -= len(chunk)
        if size <= 0:
            return


def with_one_byte_wrong(chunks, at):
    for chunk in chunks:
        if 0 <= at < len(chunk):
            chunk = bytearray(chunk)
            chunk[at] ^= 1
        at -= len(chunk)
        yield bytes(chunk)


def set_header(headers, name, value):
    """Replaces a header of that name; None takes it out."""
    headers[:] = [(n, v) for n, v in headers if n.lower() != name.lower()]
    if value is not None:
        headers.append((name, value))


def body_size(headers):
    return int(next(v for n, v in headers if n.lower() == "content-length"))


class _Drop(Fault):
    """The connection ends after that many bytes of a body."""

    def __init__(self, after, reset, upload):
        self.after, self.reset, self.is_upload = after, reset, upload

    def _end(self, proxy, chunks):
        yield from first(chunks, self.after)
        # A reset throws away what the other side has not read yet: give it time, so that `after` is right.
        proxy.wait(0.1)
        raise Hangup(self.reset)

    def upload(self, proxy, chunks):
        return self._end(proxy, chunks) if self.is_upload else chunks

    def download(self, proxy, chunks):
        return chunks if self.is_upload else self._end(proxy, chunks)


def drop_download(after):
    return _Drop(after, reset=True, upload=False)


def drop_upload(after):
    return _Drop(after, reset=True, upload=True)


def cut(after):
    """An orderly end before the Content-Length is reached."""
    return _Drop(after, reset=False, upload=False)


class hang_up(Fault):
    """No answer; the registry has done what it was asked for if it is `done`."""

    def __init__(self, done=False):
        self.done = done

    def arrive(self, proxy, request):
        if not self.done:
            raise Hangup(reset=False)

    def response(self, proxy, status, headers):
        raise Hangup(reset=False)


class stall(Fault):
    """Nothing moves for that many seconds, after `after` bytes of the answer's body (None: before its head) or
    of the request's; then the connection ends."""

    def __init__(self, seconds, after=None, upload=False):
        self.seconds, self.after, self.is_upload = seconds, after, upload

    def _stand(self, proxy):
        proxy.wait(self.seconds)
        raise Hangup(reset=True)

    def _slow(self, proxy, chunks):
        yield from first(chunks, self.after)
        self._stand(proxy)

    def upload(self, proxy, chunks):
        return self._slow(proxy, chunks) if self.is_upload else chunks

    def response(self, proxy, status, headers):
        if self.after is None:
            self._stand(proxy)
        return status

    def download(self, proxy, chunks):
        return chunks if self.is_upload else self._slow(proxy, chunks)


class flip(Fault):
    """One bit of the byte at `at` is wrong."""

    def __init__(self, at, upload=False):
        self.at, self.is_upload = at, upload

    def upload(self, proxy, chunks):
        return with_one_byte_wrong(chunks, self.at) if self.is_upload else chunks

    def download(self, proxy, chunks):
        return chunks if self.is_upload else with_one_byte_wrong(chunks, self.at)


class short(Fault):
    """`by` bytes are missing at the end, and Content-Length says nothing of them."""

    def __init__(self, by):
        self.by = by

    def response(self, proxy, status, headers):
        self.size = body_size(headers) - self.by
        set_header(headers, "Content-Length", str(self.size))
        return status

    def download(self, proxy, chunks):
        return first(chunks, self.size)


class surplus(Fault):
    """There are `by` bytes too many."""

    def __init__(self, by):
        self.by = by

    def response(self, proxy, status, headers):
        set_header(headers, "Content-Length", str(body_size(headers) + self.by))
        return status

    def download(self, proxy, chunks):
        yield from chunks
        yield b"x" * self.by


class answers(Fault):
    """`answer(request)` says what is answered instead of the registry. `reads_body` False: at once, and the
    connection ends."""

    def __init__(self, answer, reads_body=True):
        self._answer = answer if callable(answer) else lambda request: answer
        self.reads_body = reads_body

    def answer(self, proxy, request):
        return self._answer(request)


class ignore_range(Fault):
    def request_headers(self, headers):
        headers.pop("Range", None)


class partial(Fault):
    """A 206 with this Content-Range (None: without one), whatever was asked for; the first `skip` bytes of the body are missing."""

    def __init__(self, content_range, skip=0):
        self.content_range, self.skip = content_range, skip

    def response(self, proxy, status, headers):
        size = body_size(headers)
        set_header(headers, "Content-Length", str(size - self.skip))
        set_header(headers, "Content-Range", self.content_range and self.content_range.format(last=size - 1, size=size))
        return 206

    def download(self, proxy, chunks):
        left = self.skip
        for chunk in chunks:
            yield chunk[left:]
            left = max(0, left - len(chunk))


class revoke_token(Fault):
    """The token that the request brings is not valid any more."""

    def arrive(self, proxy, request):
        proxy.token_server.granted.pop(request.headers.get("Authorization", "").removeprefix("Bearer "), None)


class redirect(Fault):
    """The same path at another server (its `url`)."""

    def __init__(self, url):
        self.url = url

    def answer(self, proxy, request):
        return Answer(307, headers={"Location": self.url + request.path + (f"?{request.query}" if request.query else "")})


class elsewhere(Fault):
    """The registry's Location is moved to another server (its `url`)."""

    def __init__(self, url):
        self.url = url

    def response(self, proxy, status, headers):
        for name, value in list(headers):
            if name.lower() == "location":
                place = urllib.parse.urlsplit(value)
                set_header(headers, name, self.url + urllib.parse.urlunsplit(("", "", place.path, place.query, "")))
        return status


class header(Fault):
    """The answer has these headers more (after, or instead of, the registry's own of the same name); a None takes one out."""

    def __init__(self, *headers, replace=True):
        self.headers, self.replace = headers, replace

    def response(self, proxy, status, headers):
        for name, value in self.headers:
            if self.replace:
                set_header(headers, name, value)
            else:
                headers.append((name, value))
        return status


class Rule:
    """Which requests get a fault; `played` counts them."""

    def __init__(self, method, path, fault, nth=None, when=None):
        self._method, self._path = re.compile(method), re.compile(path)
        self.fault, self._nth, self._when = fault, nth, when
        self.met = self.played = 0

    def takes(self, request):
        if not self._method.fullmatch(request.method) or not self._path.search(request.path):
            return False
        if self._when and not self._when(request):
            return False
        self.met += 1
        if self._nth is not None and self.met not in self._nth:
            return False
        self.played += 1
        return True


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    proxy = None  # set in a class of each proxy's own
    upstream = None

    def handle_one_request(self):
        try:
            super().handle_one_request()
        except Hangup as end:
            self._leave(end.reset)
        except (OSError, http.client.HTTPException):  # one of the two others is gone
            self._leave(reset=False)

    def _leave(self, reset):
        self.close_connection = True
        if self.upstream:
            self.upstream.close()
            self.upstream = None
        if reset:
            with contextlib.suppress(OSError):
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                os.close(self.connection.detach())  # what the server would do is an orderly end first

    def do(self):
        path, _, query = self.path.partition("?")
        request = Seen(self.command, path, query, self.headers)
        fault = self.proxy.fault_for(request)
        fault.arrive(self.proxy, request)
        answer = self.proxy.refusal(request) or fault.answer(self.proxy, request)
        if answer:
            self._give(answer, reads_body=fault.reads_body)
        else:
            self._pass_on(request, fault)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do

    def _give(self, answer, reads_body):
        if reads_body:
            collections.deque(self._sent(), maxlen=0)
        self.send_response(answer.status)
        for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)
        if not reads_body:  # says so, and takes what is still on its way, as a server does that closes with care
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_WR)
            collections.deque(self._sent(), maxlen=0)

    def _pass_on(self, request, fault):
        # The registry makes its Locations of Host: they lead here.
        headers = {n: v for n, v in self.headers.items() if n.lower() not in HOP_BY_HOP | {"authorization"}}
        if self.proxy.ca_file:
            headers["X-Forwarded-Proto"] = "https"
        fault.request_headers(headers)
        if not self.upstream:
            self.upstream = http.client.HTTPConnection("127.0.0.1", self.proxy.registry.port, timeout=120)
        self.upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            self.upstream.putheader(name, value)
        chunked = "Content-Length" not in headers and "Transfer-Encoding" in self.headers
        if chunked:
            self.upstream.putheader("Transfer-Encoding", "chunked")
        self.upstream.endheaders()
        for chunk in fault.upload(self.proxy, self._sent()):
            if chunk:
                self.upstream.send(b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunked else chunk)
        if chunked:
            self.upstream.send(b"0\r\n\r\n")
        self._give_back(self.upstream.getresponse(), fault)

    def _give_back(self, response, fault):
        headers = [(n, v) for n, v in response.getheaders() if n.lower() not in HOP_BY_HOP]
        has_body = self.command != "HEAD" and response.status not in (204, 304)
        body = iter(lambda: response.read(CHUNK), b"")
        if has_body and response.getheader("Content-Length") is None:
            whole = b"".join(body)
            headers.append(("Content-Length", str(len(whole))))
            body = iter([whole])
        if not has_body:
            response.read()
        self.send_response(fault.response(self.proxy, response.status, headers))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        if has_body:
            for chunk in fault.download(self.proxy, body):
                self.wfile.write(chunk)
            response.read()  # what the fault left, so that the connection can be used again
            if response.length:  # the registry ended before what it had promised: so does this
                raise Hangup(reset=False)

    def _sent(self):
        """The request's body."""
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return
        left = int(self.headers.get("Content-Length") or 0)
        while left > 0:
            chunk = self.rfile.read1(min(left, CHUNK))
            if not chunk:
                raise ConnectionResetError
            left -= len(chunk)
            yield chunk

    def finish(self):
        if self.upstream:
            self.upstream.close()
        with contextlib.suppress(OSError, ValueError):
            super().finish()

    def log_message(self, *_):
        pass


class FaultProxy(Gate):
    """Stands before `registry` (plain http) on a port of its own. `rules` may be changed while it runs. With
    `certificates` it speaks https; with `token_server` or `login` it lets only those in who have it. `requests` are
    all that came, as (method, path, query, headers)."""

    def __init__(self, registry, rules=(), certificates=None, token_server=None, login=None, host="localhost"):
        self.registry, self.rules = registry, list(rules)
        self.token_server, self.login, self.host = token_server, login, host
        self.requests = []
        self.ca_file = certificates and certificates.ca_file
        self._lock = threading.Lock()
        self._over = threading.Event()

        class Server(http.server.ThreadingHTTPServer):
            block_on_close = False
            request_queue_size = 64

            def handle_error(self, *_):  # a TLS greeting to a plain port, a certificate that is refused
                pass

        self._server = Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"proxy": self}))
        self.port = self._server.server_address[1]
        if certificates:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificates.cert, certificates.key)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def address(self):
        return f"{self.host}:{self.port}"

    @property
    def url(self):
        return f"{'https' if self.ca_file else 'http'}://{self.address}"

    def wait(self, seconds):
        """Sleeps, but not beyond the proxy's own end."""
        self._over.wait(seconds)

    def fault_for(self, request):
        with self._lock:
            self.requests.append(request)
            return next((rule.fault for rule in self.rules if rule.takes(request)), Fault())
