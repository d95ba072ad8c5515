#!/usr/bin/env python3
"""The benchmark table: `pipe` and its peers in turn, on one machine, in one session.

What is measured, and why: docs/design/benchmarks.md.
"""

import argparse
import json
import os
import pathlib
import platform
import sys
import tempfile

from jobs import Jobs
from measure import HEAD, BenchError, line, lines, measure


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        model = next((text.split(":")[1].strip() for text in f if text.startswith("model name")), platform.machine())
    return f"{os.cpu_count()} × {model}, Linux {platform.release()}"


def options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", metavar="TEXT", help="jobs or groups whose name has TEXT in it")
    parser.add_argument("--quick", action="store_true", help="a tenth of the bytes, 3 rounds instead of 5")
    parser.add_argument("--json", metavar="FILE", help="the figures for machines")
    parser.add_argument("--no-docker", action="store_true", help="leave Docker out; no engine is started")
    return parser.parse_args()


def main():
    args = options()
    source = pathlib.Path(os.environ.get("PIPE_SOURCE_DIR", pathlib.Path(__file__).resolve().parents[2]))
    build = pathlib.Path(os.environ.get("PIPE_BUILD_DIR", source / "build/release"))
    failed, table = [], []
    with tempfile.TemporaryDirectory(prefix="pipe-bench-", ignore_cleanup_errors=True) as folder:
        jobs = Jobs(folder, source, build, args.quick, not args.no_docker)
        try:
            print(f"{machine()}\n\n{line(HEAD)}", flush=True)
            for group, make in jobs.all().items():
                for job in make():
                    if args.only not in group and args.only not in job.name:
                        continue
                    try:
                        rows = measure(build / "bin/bench-spawn", job)
                    except BenchError as error:
                        failed.append(f"{job.name}: {error}")
                        continue
                    table += rows
                    print("\n".join(lines(rows)), flush=True)
        finally:
            jobs.close()
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps({"machine": machine(), "rows": table}, indent=1))
    for text in failed:
        print(f"\nnot measured: {text}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
