"""seeds.py FOLDER: writes the seeds that are binary files, into FOLDER/<target>/."""

import io
import json
import pathlib
import subprocess
import sys
import tarfile

from layouts import write_layout
from registries import Image, Index, digest_of

SOURCE = pathlib.Path(__file__).resolve().parents[2]
tarfile.RECORDSIZE = tarfile.BLOCKSIZE  # padding is nothing to search in


def write_tar(path, members, form=tarfile.USTAR_FORMAT):
    with tarfile.open(path, "w", format=form) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def docker_archive(folder):
    layer = b"a layer" + bytes(505)
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {},
                         "rootfs": {"type": "layers", "diff_ids": [digest_of(layer)]}}).encode()  # fmt: skip
    saved = [{"Config": f"{folder}c.json", "RepoTags": ["a:1"], "Layers": [f"{folder}layer.tar"]}]
    return {f"{folder}c.json": config, f"{folder}layer.tar": layer, "manifest.json": json.dumps(saved).encode()}


def archives(folder):
    one, other = Image([10]), Image([20], docker=True, seed=2, architecture="arm64")
    for name, image in (("image", one), ("index", Index([one, other]))):
        layout = write_layout(folder.parent / "layouts" / name, latest=image)
        files = [path for path in layout.rglob("*") if path.is_file()]
        write_tar(folder / f"oci-{name}", {str(path.relative_to(layout)): path.read_bytes() for path in files})
    write_tar(folder / "docker", docker_archive(""))
    write_tar(folder / "docker-pax", docker_archive("long/" * 60), tarfile.PAX_FORMAT)
    write_tar(folder / "docker-gnu", docker_archive("long/" * 60), tarfile.GNU_FORMAT)


def plugin_files(folder):
    # Without the space between segments that only a page table needs.
    subprocess.run(["cc", "-shared", "-fPIC", "-nostdlib", "-s", "-Wl,-z,noseparate-code,-z,max-page-size=64",
                    f"-I{SOURCE}/sdk/include", f"{SOURCE}/tests/plugins/noop.c", "-o", folder / "noop"], check=True)  # fmt: skip


def messages(folder):
    # Of a step that finds nothing to do: its verdict, and that it is done.
    (folder / "unchanged").write_bytes(bytes.fromhex("00 09000000 030100000000000000 05000000 0700000000"))


if __name__ == "__main__":
    for target, write in (("archive", archives), ("plugin_file", plugin_files), ("message", messages)):
        seeds = pathlib.Path(sys.argv[1], target)
        seeds.mkdir(parents=True, exist_ok=True)
        write(seeds)
