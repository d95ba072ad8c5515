"""Runs the `pipe` that was built, isolated from the machine's own settings and state."""

import json
import os
import pathlib
import re
import subprocess

SOURCE = pathlib.Path(os.environ.get("PIPE_SOURCE_DIR", pathlib.Path(__file__).resolve().parents[2]))
BUILD = pathlib.Path(os.environ.get("PIPE_BUILD_DIR", SOURCE / "build/dev"))
PROGRAM = BUILD / "bin/pipe"
TEST_PLUGINS = BUILD / "test-plugins"

# Words before a command that hold root, too, to what files permit. Another user might not even reach this checkout.
_CAPABILITIES = "-dac_override,-dac_read_search"
AS_PERMITTED = ["setpriv", f"--inh-caps={_CAPABILITIES}", f"--bounding-set={_CAPABILITIES}", "--"] if os.geteuid() == 0 else []
PATIENCE = 600  # seconds for one call of `pipe`: what takes longer hangs, however slow the machine is

# What would reach outside the test: the state, stores, engines and credentials of whoever runs it.
_FOREIGN = re.compile(
    r"^(PIPE_(?!SOURCE_DIR|BUILD_DIR)|XDG_|DOCKER_|CONTAINER_|CONTAINERS_|REGISTRY_|GITHUB_|SSL_CERT_|[a-z]+_proxy$|[A-Z]+_PROXY$)"
)


class Result:
    """How one call of `pipe` ended."""

    def __init__(self, args, code, out, err):
        self.args, self.code, self.out, self.err = args, code, out, err

    def __repr__(self):
        return f"{' '.join(self.args)} -> {self.code}\n--- stdout\n{self.out}--- stderr\n{self.err}---"

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def events(self):
        """What `--output json` printed."""
        return [json.loads(line) for line in self.out.splitlines()]


class StepFailed(AssertionError):
    """`Pipe.step` was given a step that failed; `result` has the output."""

    def __init__(self, result):
        super().__init__(repr(result))
        self.result = result


class Pipe:
    """`pipe` with home, state, store and credentials of its own under `folder`; `before` are words to put before it."""

    def __init__(self, folder, plugins=(), env=None, before=()):
        self.folder, self.before = pathlib.Path(folder), before
        self.store = self.folder / "store"
        self.state = self.folder / "state"
        self.runs = self.state / "pipe/runs"
        for name in ("home", "state", "data", "docker", "runtime"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "runtime").chmod(0o700)
        self.env = {k: v for k, v in os.environ.items() if not _FOREIGN.match(k)}
        self.env.update(
            HOME=str(self.folder / "home"),
            XDG_STATE_HOME=str(self.state),
            XDG_DATA_HOME=str(self.folder / "data"),
            XDG_RUNTIME_DIR=str(self.folder / "runtime"),
            DOCKER_CONFIG=str(self.folder / "docker"),
            PIPE_STORE=str(self.store),
        )
        if plugins:
            self.env["PIPE_PLUGIN_PATH"] = ":".join(map(str, plugins))
        self.env.update(env or {})

    def _env(self, env):
        merged = {**self.env, **(env or {})}
        return {k: str(v) for k, v in merged.items() if v is not None}

    def start(self, args, env=None, cwd=None, **popen):
        """A running `pipe`; a variable that is None is taken out of its environment."""
        return subprocess.Popen(
            [*self.before, str(PROGRAM), *map(str, args)],
            env=self._env(env),
            cwd=cwd or self.folder,
            stdin=subprocess.DEVNULL,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **popen},
        )

    def run(self, args, env=None, cwd=None, timeout=PATIENCE):
        process = self.start(args, env, cwd)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(
                f"pipe {' '.join(map(str, args))} still ran after {timeout} s\n{err.decode(errors='replace')}"
            ) from None
        return Result(
            ["pipe", *map(str, args)], process.returncode, out.decode(errors="replace"), err.decode(errors="replace")
        )

    def step(self, name, /, env=None, timeout=PATIENCE, **params):
        """The outputs of one step. A list is given as repeated options, a map as key=value; parameters
        named like an argument here get an underscore behind: env_={...}."""
        result = self.try_step(name, env, timeout, **params)
        if result.code != 0:
            raise StepFailed(result)
        return result.json

    def try_step(self, name, /, env=None, timeout=PATIENCE, **params):
        """As `step`, for a step that may fail: gives the Result."""
        args = ["step", name, "--output", "json"]
        for key, value in params.items():
            if value is not None:
                args += _option("--" + key.rstrip("_"), value)
        return self.run(args, env, timeout=timeout)

    def write(self, name, text):
        """A file of the test's folder; gives its path."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def journals(self):
        """The events.jsonl of every run so far, oldest first."""
        return sorted(self.runs.glob("*/events.jsonl"))


def _option(name, value):
    if isinstance(value, bool):
        return [f"{name}={'true' if value else 'false'}"]
    if isinstance(value, dict):
        return [word for key, item in value.items() for word in (name, f"{key}={item}")]
    if isinstance(value, (list, tuple)):
        return [word for item in value for word in (name, str(item))]
    return [f"{name}={value}"]


def normalised(text):
    """Output without what differs from run to run: durations, run folders, process ids."""
    text = re.sub(r"\b\d+(\.\d+)?(ms|s)\b", "<time>", text)
    text = re.sub(r"\d{8}T\d{6}[.\d]*Z?-", "<run>-", text)
    return re.sub(r"\bpid \d+", "pid <pid>", text)
