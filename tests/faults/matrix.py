"""The matrix: each fault, and how every operation ends under it. test_matrix.py holds that it does, and

    python3 tests/faults/matrix.py

prints it as docs/reference/faults.md (./dev docs).
"""

import email.utils
import re
import time

from fault_proxy import (Rule, answers, cut, drop_download, drop_upload, elsewhere, flip, hang_up, header, ignore_range, partial,
                         redirect, revoke_token, short, stall, surplus)  # fmt: skip
from operations import BREAK, LIMIT, OPERATIONS, STANDSTILL
from registries import Answer

RIGHT = "right"
STILL = f"nothing moved between here and … for {STANDSTILL} s"
WRONG_SIZE = "bytes, and … are right"
GONE = "the connection to … broke / closed the connection without an answer"
NOT_HTTP = "answers, but does not speak HTTP"


class Row:
    """One fault. `rules(cell, nth)` gives the proxy's rules, the fault's own last; `once` and `each` say how an
    operation ends under it: RIGHT, or what the error says ("…" stands for anything, " / " parts alternatives).
    `apart` has what differs, as {title of an operation: (once, each)}, None where the fault can't be met there; `only` one can meet it.
    `spoils`: nobody could keep another image from coming under the tag, as long as the error says so."""

    def __init__(self, name, title, rules, once=RIGHT, each=RIGHT, apart=None, needs=(), only=None, spoils=False):
        self.name, self.title, self.rules, self.needs, self.spoils = name, title, rules, needs, spoils
        self._once, self._each, self._apart, self._only = once, each, apart or {}, only

    def expected(self, operation, once):
        if self._only and operation.title != self._only:
            return None
        pair = self._apart.get(operation.title, (self._once, self._each))
        return pair and pair[0 if once else 1]


def fits(expected, error):
    """Whether an operation that said `error` ("" for a success) ended as expected."""
    if expected == RIGHT:
        return not error
    pattern = "|".join(".*".join(map(re.escape, said.split("…"))) for said in expected.split(" / "))
    return bool(error) and bool(re.search(pattern, error, re.DOTALL))


def blob(fault):
    """At the download of the large layer. `fault` is one, or makes one of the cell."""
    return lambda cell, nth: [Rule("GET", "/blobs/", _made(fault, cell), nth, cell.is_big_download)]


def rest_of_blob(fault):
    """At the download of its rest, after a break."""

    def rules(cell, nth):
        def ranged(request):
            return cell.is_big_download(request) and "Range" in request.headers

        def whole(request):
            return cell.is_big_download(request) and "Range" not in request.headers

        return [Rule("GET", "/blobs/", cut(BREAK), {1}, whole), Rule("GET", "/blobs/", _made(fault, cell), nth, ranged)]

    return rules


def whole_blob(fault):
    """At its download from the first byte."""
    return lambda cell, nth: [Rule("GET", "/blobs/", _made(fault, cell), nth,
                                   lambda r: cell.is_big_download(r) and "Range" not in r.headers)]  # fmt: skip


def manifest(fault):
    return lambda cell, nth: [Rule("GET", "/manifests/", _made(fault, cell), nth)]


def list_of_tags(fault):
    return lambda cell, nth: [Rule("GET", "/tags/list", _made(fault, cell), nth)]


def upload(fault):
    """At the upload of the large layer."""
    return lambda cell, nth: [Rule("PUT|PATCH", "/uploads/", _made(fault, cell), nth, cell.is_big_upload)]


def start_of_upload(fault):
    return lambda cell, nth: [Rule("POST", "/uploads/", _made(fault, cell), nth)]


def sent_manifest(fault):
    return lambda cell, nth: [Rule("PUT", "/manifests/", _made(fault, cell), nth)]


def question(fault):
    """At the look whether the large layer is there already."""
    return lambda cell, nth: [Rule("HEAD", "/blobs/", _made(fault, cell), nth, cell.is_big_download)]


def _made(fault, cell):
    return fault(cell) if callable(fault) else fault


def note(cell):
    """A byte of the manifest that no reader would miss."""
    return flip(cell.image.manifest.index(b"so much"))


def note_sent(cell):
    return flip(cell.image.manifest.index(b"so much"), upload=True)


def question_for_image(fault):
    """At the look whether the image is there already."""
    return lambda cell, nth: [Rule("HEAD", "/manifests/", _made(fault, cell), nth)]


def said_to_be_there(cell):
    return answers(Answer(200, headers={"Content-Length": str(len(cell.image.blobs[cell.big]))}))


def to_other(cell):
    return redirect(cell.other.url)


def upload_to_other(cell):
    return elsewhere(cell.other.url)


def in_a_moment(_):
    return Answer(429, "slow down", {"Retry-After": email.utils.formatdate(time.time() + 1.5, usegmt=True)})


TROUBLE = Answer(500, '{"errors":[{"code":"UNKNOWN","message":"disk on fire"}]}')
GATEWAY = Answer(502, "<html><head><title>502 Bad Gateway</title></head></html>", {"Content-Type": "text/html"})
PORTAL = Answer(200, "<!doctype html><title>Please log in</title>", {"Content-Type": "text/html"})
SOON = Answer(429, "slow down", {"Retry-After": "1"})
NEVER = Answer(429, "slow down", {"Retry-After": "99999999999999999999"})
LOST = Answer(404, '{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}')
NOBODY = "sha256:" + "0" * 64
JUNK = (("no colon at all\r\nX-Long", "x" * 60_000), ("X-Control", "\x01\x02"), ("X-Latin", "\xe9\xff"))

SLOW, TOKEN, LOGIN, TLS = ("patience",), ("token",), ("login", "other"), ("tls", "other")
SAYS_500, SAYS_502 = "500: UNKNOWN: disk on fire", '502: a web page, "502 Bad Gateway"'
SAYS_429 = "429: slow down"
TOO_LONG = SAYS_429 + " (it wants to be left alone for 86400 s)"
MORE = "has more than … " + WRONG_SIZE
OTHER = "other content"
NOT_THAT_RANGE = f'was asked for from byte {BREAK}, and came as "bytes 0-'
NO_RANGE = f'was asked for from byte {BREAK}, and came as ""'
A_PART = 'was asked for from byte 0, and came as "bytes 1000-'
NO_LIST = "the answer is no list of tags"
ALL_RIGHT = (RIGHT, RIGHT)

# fmt: off
READING = [
    Row("drop", "connection reset in the middle of a blob", blob(drop_download(BREAK))),
    Row("cut", "blob cut short: less than its announced length", blob(cut(BREAK))),
    Row("hang_up", "connection closed without an answer", blob(hang_up()), RIGHT, "closed the connection without an answer"),
    Row("short", "blob with a byte too few, and a length to match", blob(short(1)), RIGHT, WRONG_SIZE,
        {"verify content": (WRONG_SIZE, WRONG_SIZE)}),
    Row("surplus", "blob with a byte too many", blob(surplus(1)), RIGHT, MORE, {"verify content": (MORE, MORE)}),
    Row("flip", "one bit of a blob wrong", blob(flip(BREAK + 1000)), RIGHT, OTHER, {"verify content": (OTHER, OTHER)}),
    Row("stall", "blob stands still in the middle", blob(stall(LIMIT, BREAK)), RIGHT, STILL, {"pull, second run": ALL_RIGHT}, SLOW),
    Row("stall_first", "no answer to the request for a blob", blob(stall(LIMIT)), RIGHT, STILL, needs=SLOW),
    Row("429", "429 with Retry-After in seconds", blob(answers(SOON)), RIGHT, SAYS_429),
    Row("429_date", "429 with Retry-After as a date", blob(answers(in_a_moment)), RIGHT, SAYS_429),
    Row("429_absurd", "429 with Retry-After of an aeon", blob(answers(NEVER)), TOO_LONG, TOO_LONG),
    Row("500", "500 for a blob", blob(answers(TROUBLE)), RIGHT, SAYS_500),
    Row("502", "502 for a blob, as a web page", blob(answers(GATEWAY)), RIGHT, SAYS_502),
    Row("portal", "200 with a web page for a blob", blob(answers(PORTAL)), "a web page came where the blob", "a web page came where the blob"),
    Row("range_wrong", "206 with another range than asked for", rest_of_blob(partial("bytes 0-{last}/{size}")),
        RIGHT, NOT_THAT_RANGE, {"verify content": (NOT_THAT_RANGE, NOT_THAT_RANGE), "copy": ALL_RIGHT, "sync": ALL_RIGHT}),
    Row("range_unnamed", "206 that does not say which range", rest_of_blob(partial(None)),
        RIGHT, NO_RANGE, {"verify content": (NO_RANGE, NO_RANGE), "copy": ALL_RIGHT, "sync": ALL_RIGHT}),
    Row("range_ignored", "200 for a range", rest_of_blob(ignore_range())),
    Row("range_refused", "416 for a range", rest_of_blob(answers(Answer(416)))),
    Row("206", "206 with all of a blob, not asked for", whole_blob(partial("bytes 0-{last}/{size}")),
        apart={"pull, second run": None}),
    Row("206_part", "206 with a part of a blob, not asked for", whole_blob(partial("bytes 1000-{last}/{size}", skip=1000)),
        RIGHT, A_PART, {"verify content": (A_PART, A_PART), "pull, second run": None}),
    Row("token", "token expires in the middle of the transfer", blob(revoke_token()), RIGHT, "wants a login", needs=TOKEN),
    Row("redirect", "redirect of a blob to another host (which must see no login)", blob(to_other), needs=LOGIN),
    Row("redirect_plain", "redirect of a blob from https to plain http", blob(to_other),
        "redirects from https to plain http", "redirects from https to plain http", needs=TLS),
    Row("junk", "headers that are none", blob(header(*JUNK, replace=False)), NOT_HTTP, NOT_HTTP),
    Row("two_lengths", "two lengths for a blob", blob(header(("Content-Length", "100"), replace=False)), RIGHT, "gives two lengths for one answer"),
    Row("manifest_flip", "one bit of a manifest wrong", manifest(note), RIGHT, "has another content"),
    Row("manifest_digest", "manifest with the digest of another", manifest(header(("Docker-Content-Digest", NOBODY))), RIGHT,
        "has another content", {t: ALL_RIGHT for t in ("verify content", "copy", "sync")}),
    Row("manifest_cut", "manifest cut short: less than its announced length", manifest(cut(100)), RIGHT, "was cut short"),
    Row("manifest_short", "manifest with a byte too few, and a length to match", manifest(short(1)),
        RIGHT, "has another content"),
    Row("manifest_stall", "no answer to the request for a manifest", manifest(stall(LIMIT)), STILL, STILL,
        {t: (RIGHT, STILL) for t in ("verify content", "copy", "sync")}, SLOW),
    Row("manifest_429", "429 for a manifest", manifest(answers(SOON)), RIGHT, SAYS_429),
    Row("manifest_500", "500 for a manifest", manifest(answers(TROUBLE)), RIGHT, SAYS_500),
    Row("manifest_502", "502 for a manifest, as a web page", manifest(answers(GATEWAY)), RIGHT, SAYS_502),
    Row("manifest_portal", "200 with a web page for a manifest", manifest(answers(PORTAL)),
        "answers with a web page where a manifest was asked for", "answers with a web page where a manifest was asked for"),
    Row("tags_500", "500 for the list of tags", list_of_tags(answers(TROUBLE)), RIGHT, "can't list the tags of …: " + SAYS_500, only="sync"),
    Row("tags_stall", "no answer to the request for the list of tags", list_of_tags(stall(LIMIT)), STILL, STILL, None, SLOW, "sync"),
    Row("tags_cut", "list of tags cut short: less than its announced length", list_of_tags(cut(10)), RIGHT, "was cut short", only="sync"),
    Row("tags_short", "list of tags with a byte too few, and a length to match", list_of_tags(short(2)), NO_LIST, NO_LIST, only="sync"),
    Row("tags_elsewhere", "list of tags that goes on at another host", list_of_tags(header(("Link", '<http://127.0.0.1/more>; rel="next"'))),
        "it goes on at another host, http://127.0.0.1", "it goes on at another host, http://127.0.0.1", only="sync"),
]

WRITING = [
    Row("up_drop", "connection reset in the middle of an upload", upload(drop_upload(BREAK)), RIGHT, "the connection to … broke"),
    Row("up_hang_up", "connection closed before an upload", upload(hang_up()), RIGHT, GONE),
    Row("up_unanswered", "upload taken, and no answer", upload(hang_up(done=True))),
    Row("up_flip", "one bit of an upload wrong", upload(flip(1000, upload=True)), RIGHT, "DIGEST_INVALID"),
    Row("up_stall", "upload stands still in the middle", upload(stall(LIMIT, BREAK, upload=True)), RIGHT, STILL, needs=SLOW),
    Row("up_stall_last", "no answer to an upload", upload(stall(LIMIT)), needs=SLOW),
    Row("up_429", "429 with Retry-After in seconds", upload(answers(SOON)), RIGHT, SAYS_429),
    Row("up_429_date", "429 with Retry-After as a date", upload(answers(in_a_moment)), RIGHT, SAYS_429),
    Row("up_429_absurd", "429 with Retry-After of an aeon", upload(answers(NEVER)), TOO_LONG, TOO_LONG),
    Row("up_500", "500 for an upload", upload(answers(TROUBLE)), RIGHT, SAYS_500),
    Row("up_500_early", "500 before an upload is read, and the end", upload(answers(TROUBLE, reads_body=False)), RIGHT, SAYS_500),
    Row("up_502", "502 for an upload, as a web page", upload(answers(GATEWAY)), RIGHT, SAYS_502),
    Row("up_lost", "404: the registry knows nothing of the upload", upload(answers(LOST)), RIGHT, "404: BLOB_UPLOAD_UNKNOWN"),
    Row("up_digest", "upload confirmed with another digest", upload(header(("Docker-Content-Digest", NOBODY))),
        RIGHT, "was stored as sha256:0000"),
    Row("up_token", "token expires in the middle of the transfer", upload(revoke_token()), RIGHT, "wants a login", needs=TOKEN),
    Row("up_junk", "headers that are none", upload(header(*JUNK, replace=False)), NOT_HTTP, NOT_HTTP),
    Row("post_429", "429 for the start of an upload", start_of_upload(answers(SOON)), RIGHT, SAYS_429),
    Row("post_500", "500 for the start of an upload", start_of_upload(answers(TROUBLE)), RIGHT, SAYS_500),
    Row("post_nowhere", "upload without a place to send it to", start_of_upload(header(("Location", None))),
        "does not say where to send the blob", "does not say where to send the blob"),
    Row("post_elsewhere", "upload sent to another host (which must see no login)", start_of_upload(upload_to_other), needs=LOGIN),
    Row("post_plain", "upload sent from https to plain http", start_of_upload(upload_to_other),
        "wants the upload by plain http…X-Forwarded-Proto", "wants the upload by plain http…X-Forwarded-Proto", needs=TLS),
    Row("head_image_500", "500 where the image is looked for", question_for_image(answers(TROUBLE)), RIGHT, "can't read …: 500"),
    Row("head_500", "500 where a blob is looked for", question(answers(TROUBLE)), RIGHT, "can't look for the blob …: 500"),
    Row("head_lie", "a blob that is not there is said to be", question(said_to_be_there), "can't push …: MANIFEST_BLOB_UNKNOWN", "can't push …: MANIFEST_BLOB_UNKNOWN"),
    Row("put_flip", "one bit of a manifest wrong (each time: what came is under the tag, until the next run)", sent_manifest(note_sent),
        RIGHT, "was sent as …, and the registry has", spoils=True),
    Row("put_unanswered", "manifest taken, and no answer", sent_manifest(hang_up(done=True)), RIGHT, GONE),
    Row("put_stall", "no answer to a manifest", sent_manifest(stall(LIMIT)), RIGHT, STILL, needs=SLOW),
    Row("put_429", "429 for a manifest", sent_manifest(answers(SOON)), RIGHT, SAYS_429),
    Row("put_500", "500 for a manifest", sent_manifest(answers(TROUBLE)), RIGHT, SAYS_500),
    Row("put_digest", "manifest confirmed with another digest", sent_manifest(header(("Docker-Content-Digest", NOBODY))),
        RIGHT, "and the registry has sha256:0000"),
]
# fmt: on

INTRODUCTION = """# Faults, and how they end

<!-- Made by tests/faults/matrix.py (./dev docs). -->

A proxy before a real registry does what networks, proxies and registries do wrong, once (then all is well), or each time that it can.
**right**: the step succeeds, and the image is whole where it belongs, with its digest. **error**: the step fails with exit code 1, and
says what the last column has (`…` stands for what differs); once the fault is gone, the next run ends right. Whatever happens, it ends
within {limit} s, no login reaches another host, and there is no wrong byte in store or registry: after every cell the test reads the
storage of both and hashes all that is named there, and at the end all that is there.

Each cell is asserted by `tests/faults/test_matrix.py`. Where something has to stand still, pipe is told to wait {standstill} s
(`PIPE_NO_PROGRESS_SECONDS`) where it would wait 60.
"""


def table(rows, reads):
    operations = [o for o in OPERATIONS if o.reads == reads]
    yield "| fault | | " + " | ".join(o.title for o in operations) + " | the error says |"
    yield "|---" * (len(operations) + 3) + "|"
    for row in rows:
        lines = {}
        for once in (True, False):
            expected = tuple(row.expected(o, once) for o in operations)
            lines.setdefault(expected, []).append("once" if once else "each time")
        for number, (expected, when) in enumerate(lines.items()):
            cells = ["–" if e is None else "right" if e == RIGHT else "error" for e in expected]
            says = dict.fromkeys(f"`{said}`" for e in expected if e not in (None, RIGHT) for said in e.split(" / "))
            yield " | ".join(["| " + ("" if number else row.title), ", ".join(when), *cells, " or ".join(says) + " |"])


def page():
    yield INTRODUCTION.format(limit=LIMIT, standstill=STANDSTILL)
    yield "## Reading from a registry\n"
    yield from table(READING, True)
    yield "\n## Writing to a registry\n"
    yield from table(WRITING, False)


if __name__ == "__main__":
    print("\n".join(page()))
