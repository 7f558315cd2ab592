"""A small C library that stands before the system's own in a fresh process, or a reason why there is none here."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


def preloaded(source: str, folder: Path) -> dict[str, str]:
    """Build the source and return the environment of a process that begins with it; skip the test where it cannot."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        pytest.skip("no C compiler here to build a library with that stands before the system's")
    if os.environ.get("LD_PRELOAD"):
        pytest.skip("another library stands in for malloc: the sanitizers' own")
    file, library = folder / "preloaded.c", folder / "preloaded.so"
    file.write_text(source)
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, file], check=True)
    try:
        ctypes.CDLL(str(library))
    except OSError as error:  # of another C library, such as musl
        pytest.skip(f"no library before the system's: {error}")
    return {"LD_PRELOAD": str(library)}
