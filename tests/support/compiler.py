"""Compiles small things the way a plugin's author does."""

import os
import pathlib
import re
import subprocess

from pipe import BUILD, SOURCE

INCLUDES = [SOURCE / "sdk/include", SOURCE / "sdk/testing"]
EXPORTS = SOURCE / "sdk/cmake/pipe-plugin.map"
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror"]


def compiler(language):
    """That of the build tree, else the machine's. `language`: C or CXX."""
    cache = BUILD / "CMakeCache.txt"
    found = re.search(rf"^CMAKE_{language}_COMPILER:\w+=(.+)$", cache.read_text(), re.M) if cache.exists() else None
    return found[1] if found else {"C": "cc", "CXX": "c++"}[language]


def call(*args, **kwargs):
    """Runs a tool and gives what it printed; its output is in the message when it fails."""
    args = [str(a) for a in args]
    done = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **kwargs)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(args)} -> {done.returncode}\n{done.stdout}")
    return done.stdout


def check_syntax(source, standard, includes=INCLUDES, text=None):
    """Compiles `source`, or `text`, as `standard` ("c11", "c++20"), warnings being errors."""
    cxx = standard.startswith("c++")
    call(
        compiler("CXX" if cxx else "C"), "-x", "c++" if cxx else "c", f"-std={standard}", *STRICT, "-fsyntax-only",
        *(f"-I{i}" for i in includes), source or "-", input=text,
    )  # fmt: skip


def build_plugin(folder, name, sources, flags=(), includes=INCLUDES):
    """pipe-<name>.so in `folder`, as pipe_add_plugin() links it."""
    cxx = any(pathlib.Path(s).suffix == ".cpp" for s in sources)
    result = pathlib.Path(folder) / f"pipe-{name}.so"
    call(
        compiler("CXX" if cxx else "C"), "-std=c++20" if cxx else "-std=c11", "-fPIC", "-shared", "-fvisibility=hidden",
        *(f"-I{i}" for i in includes), *sources, "-o", result, f"-Wl,--version-script={EXPORTS}", "-Wl,-z,now,-z,defs",
        *flags,
    )  # fmt: skip
    os.chmod(result, 0o755)
    return result


def exported(library):
    """The symbols that others can see."""
    lines = call("nm", "-D", "--defined-only", library).splitlines()
    return sorted(line.split()[-1].split("@")[0] for line in lines)


def metadata(library, folder):
    """The text of its section `pipemeta`."""
    out = pathlib.Path(folder) / "pipemeta"
    call("objcopy", "-O", "binary", "--only-section=pipemeta", library, out)
    return out.read_bytes().rstrip(b"\0").decode()
