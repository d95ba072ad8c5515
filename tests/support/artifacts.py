"""What refers to images: signatures, SBOMs and attestations, and a registry in memory that lists them."""

import json
import re
import subprocess

from registries import OCI_INDEX, OCI_MANIFEST, Answer, FakeRegistry, digest_of

EMPTY = b"{}"


def descriptor_of(image, **more):
    """Of an Image, an Index or an Artifact."""
    return {"mediaType": image.media_type, "digest": image.digest, "size": len(image.manifest), **more}


def cosign_tag(image, kind="sig"):
    """Where cosign keeps what it has to say of an image."""
    return image.digest.replace(":", "-") + "." + kind


def fallback_tag(image):
    """distribution-spec, "Referrers Tag Schema"."""
    return image.digest.replace(":", "-")


def raw(name):
    """The manifest of an image as skopeo reads it."""
    return subprocess.run(
        ["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{name}"], check=True, capture_output=True
    ).stdout


class Artifact:
    """An OCI artifact; has the members of Image that a push needs. With `subject` it refers to that; without
    `payload` it has no layers at all."""

    def __init__(self, kind, payload=None, subject=None, media_type="application/octet-stream"):
        self.blobs, self.children, self.media_type = {digest_of(EMPTY): EMPTY}, [], OCI_MANIFEST
        config = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest_of(EMPTY), "size": len(EMPTY)}
        layers = []
        if payload is not None:
            self.blobs[digest_of(payload)] = payload
            layers.append({"mediaType": media_type, "digest": digest_of(payload), "size": len(payload)})
        manifest = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": kind, "config": config,
                    "layers": layers}  # fmt: skip
        if subject:
            manifest["subject"] = descriptor_of(subject)
        self.kind = kind
        self.manifest = json.dumps(manifest).encode()
        self.digest = digest_of(self.manifest)


class RawIndex:
    """An index of exactly these descriptors; `children` are pushed with it."""

    def __init__(self, descriptors, children=()):
        self.children, self.blobs, self.media_type = list(children), {}, OCI_INDEX
        self.manifest = json.dumps(
            {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(descriptors)}
        ).encode()
        self.digest = digest_of(self.manifest)


class ListingRegistry(FakeRegistry):
    """One that keeps the list of referrers itself (distribution-spec 1.1), and deletes tags alone."""

    def referrers(self, repository, digest):
        """The descriptors of what refers to a manifest there."""
        found = {}
        for media_type, body in self.manifests.get(repository, {}).values():
            manifest = json.loads(body)
            if manifest.get("subject", {}).get("digest") == digest:
                found[digest_of(body)] = {"mediaType": media_type, "digest": digest_of(body), "size": len(body),
                                          "artifactType": manifest.get("artifactType", "")}  # fmt: skip
        return list(found.values())

    def answer(self, request):
        if match := re.fullmatch(r"/v2/(.+)/referrers/(sha256:[0-9a-f]{64})", request.path):
            refused = self.fault(request) or self.refusal(request)
            return refused or Answer(200, RawIndex(self.referrers(*match.groups())).manifest, {"Content-Type": OCI_INDEX})
        match = re.fullmatch(r"/v2/(.+)/manifests/([^/:]+)", request.path)
        if match and request.method == "DELETE":
            gone = self.manifests.get(match[1], {}).pop(match[2], None)
            return Answer(202 if gone else 404)
        answer = super().answer(request)
        if request.method == "PUT" and "/manifests/" in request.path and answer.status == 201:
            subject = json.loads(request.body).get("subject")
            if subject:
                answer.headers["OCI-Subject"] = subject["digest"]
        return answer
