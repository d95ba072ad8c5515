"""The registry's own image, made of Debian's docker-registry by the pipeline that is there for it."""

import shutil

from pipe import SOURCE


def build_image(pipe, archive, **settings):
    """Makes the oci-archive; `config` says where the image has its configuration. What `pipe` said."""
    settings = {"archive": archive, "program": shutil.which("docker-registry"), **settings}
    words = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    result = pipe.run(["run", SOURCE / "pipelines/registry-image.toml", *words])
    if result.code != 0:
        raise AssertionError(repr(result))
    return result
