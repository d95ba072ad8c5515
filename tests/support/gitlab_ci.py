"""What GitLab makes of a .gitlab-ci.yml, as gitlab-ci-local has it: by GitLab's own schema. `./dev test` fetches it."""

import os
import pathlib
import subprocess
import tempfile

from pipe import SOURCE

PROGRAM = SOURCE / "build/gitlab-ci-local/node_modules/.bin/gitlab-ci-local"


class Invalid(Exception):
    """The text is what is wrong with the file."""


def jobs(files):
    """The names of the jobs of a repository with these files (texts by name); Invalid."""
    with tempfile.TemporaryDirectory(prefix="pipe-gitlab-") as name:
        folder = pathlib.Path(name)
        # It looks at nothing but the repository, and at no machine.
        env = {"PATH": os.environ["PATH"], "HOME": name, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        for who in ("AUTHOR", "COMMITTER"):
            env |= {f"GIT_{who}_NAME": "test", f"GIT_{who}_EMAIL": "test@example.com"}

        def call(*words, check=True):
            return subprocess.run(words, cwd=folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=check)

        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        call("git", "init", "-q", "-b", "main")
        call("git", "add", ".")
        call("git", "commit", "-qm", "first")
        call("git", "update-ref", "refs/remotes/origin/main", "HEAD")  # what `changes` is held against
        done = call(PROGRAM, "--list-csv-all", check=False)
    said = done.stdout + done.stderr
    if done.returncode != 0:
        raise Invalid(said)
    if "json schema validated" not in said:
        raise AssertionError(f"the schema was not looked at: {said}")
    rows = done.stdout.split("name;description;", 1)[1].splitlines()[1:]
    return [row.split(";", 1)[0] for row in rows if row]
