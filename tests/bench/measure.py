"""Runs programs, measures them, and puts the medians into a table."""

import dataclasses
import os
import statistics
import subprocess


@dataclasses.dataclass
class Contender:
    """One way to do a job: `command(site)` gives the arguments, `prepare(site)` runs before it and is not timed."""

    name: str
    command: object
    prepare: object = lambda site: None
    env: dict = dataclasses.field(default_factory=dict)
    by_daemon: bool = False  # the work is done in a daemon: CPU and memory of the client say nothing


@dataclasses.dataclass
class Job:
    """What is to be done, by `pipe` (the first contender) and by its peers."""

    name: str
    contenders: list
    target: str = ""
    rounds: int = 5
    units: int = 0  # steps, edges: the time of one is shown as well
    # Makes ready what the job needs; gives the sites to run against: a quiet one, and one that logs requests.
    setup: object = lambda: (None, None)
    again: bool = False  # what is measured is doing it once more


@dataclasses.dataclass
class Sample:
    wall: float  # seconds
    cpu: float  # seconds
    peak: int  # bytes


class BenchError(Exception):
    pass


def sample(spawn, contender, site):
    contender.prepare(site)
    command = [str(spawn), *map(str, contender.command(site))]
    done = subprocess.run(command, env={**os.environ, **contender.env}, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    fields = done.stdout.split()
    if done.returncode != 0 or len(fields) != 4 or fields[0] != b"0":
        text = (done.stdout + done.stderr).decode(errors="replace")[-2000:]
        raise BenchError(f"{' '.join(command[1:])} failed:\n{text}")
    return Sample(int(fields[1]) / 1e9, int(fields[2]) / 1e9, int(fields[3]) * 1024)


def requests(spawn, contender, again, site):
    """How many requests one run makes, from the logs of registries that keep them."""
    if site is None:
        return None
    if again:
        sample(spawn, contender, site)
    contender.prepare(site)
    before = site.requests()
    sample(spawn, dataclasses.replace(contender, prepare=lambda site: None), site)
    return site.requests() - before


def measure(spawn, job):
    """The contenders in turn, a warm-up and then `rounds`; one dict a contender."""
    quiet, logging = job.setup()
    samples = {c.name: [] for c in job.contenders}
    for i in range(job.rounds + 1):
        for contender in job.contenders:
            result = sample(spawn, contender, quiet)
            if i > 0:
                samples[contender.name].append(result)
    rows = [row(job, c, samples[c.name], requests(spawn, c, job.again, logging)) for c in job.contenders]
    rows[0]["target"] = job.target
    for peer in rows[1:]:
        peer["ratio"] = rows[0]["wall"] / peer["wall"]
        if peer.get("cpu"):
            peer["cpu_ratio"] = rows[0]["cpu"] / peer["cpu"]
    return rows


def row(job, contender, samples, count):
    walls = [s.wall for s in samples]
    result = {
        "job": job.name,
        "who": contender.name,
        "rounds": job.rounds,
        "wall": statistics.median(walls),
        "wall_min": min(walls),
        "wall_max": max(walls),
    }
    if not contender.by_daemon:
        result["cpu"] = statistics.median(s.cpu for s in samples)
        result["peak"] = max(s.peak for s in samples)
    if job.units:
        result["unit"] = result["wall"] / job.units
    if count is not None:
        result["requests"] = count
    return result


def seconds(value):
    if value is None:
        return ""
    if value < 0.0095:
        return f"{value * 1e3:.2f} ms"
    return f"{value * 1e3:.0f} ms" if value < 0.9995 else f"{value:.2f} s"


def mebibytes(value):
    return "" if value is None else f"{value / 2**20:.1f} MiB"


HEAD = ("job", "who", "wall", "min–max", "each", "CPU", "peak", "requests", "pipe/peer", "CPU", "target")
WIDTHS = (37, 30, 9, 17, 9, 9, 10, 8, 9, 6, 0)


def line(cells):
    return "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, WIDTHS)).rstrip()


def lines(rows):
    """The rows of one job, as text."""
    first = True
    for row in rows:
        yield line(
            (
                row["job"] if first else "",
                row["who"],
                seconds(row["wall"]),
                f"{seconds(row['wall_min'])}–{seconds(row['wall_max'])}",
                seconds(row.get("unit")),
                seconds(row.get("cpu")),
                mebibytes(row.get("peak")),
                str(row.get("requests", "")),
                f"{row['ratio']:.2f}" if "ratio" in row else "",
                f"{row['cpu_ratio']:.2f}" if "cpu_ratio" in row else "",
                row.get("target", ""),
            )
        )
        first = False
