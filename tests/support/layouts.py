"""OCI image layouts on disk, written without pipe."""

import json
import pathlib


def write_layout(folder, **images):
    """A layout with these images (registries.Image or Index), each under its name; gives the folder."""
    folder = pathlib.Path(folder)
    (folder / "blobs/sha256").mkdir(parents=True, exist_ok=True)
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    entries = []
    for name, image in images.items():
        for part in (image, *image.children):
            for digest, data in {**part.blobs, part.digest: part.manifest}.items():
                path = folder / "blobs" / digest.replace(":", "/")
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(data)
        entries.append({"mediaType": image.media_type, "digest": image.digest, "size": len(image.manifest),
                        "annotations": {"org.opencontainers.image.ref.name": name}})  # fmt: skip
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": entries}))
    return folder
