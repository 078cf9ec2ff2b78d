"""A library that is loaded into a process before the system's own, so that it answers some calls in its place."""

import os
import pathlib
import subprocess


def preloaded(source: str, library: pathlib.Path, **constants) -> dict[str, str]:
    """Builds the library from C++, with these constants defined; returns what the process's environment needs for it.

    It has to do with straight system calls: then nothing is allocated, and it gets along with any allocator.
    """
    subprocess.run(["g++", "-shared", "-fPIC", *[f"-D{name}={value}" for name, value in constants.items()], "-x", "c++",
                    "-", "-o", library], check=True, input=source, text=True, capture_output=True)
    options = [os.environ.get("ASAN_OPTIONS"), "verify_asan_link_order=0"]
    return {"LD_PRELOAD": str(library), "ASAN_OPTIONS": ":".join(filter(None, options))}
