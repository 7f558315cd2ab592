"""Files appear whole or not at all: written beside their place, flushed to the disk, then renamed into it."""

from __future__ import annotations

import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from layerloop.errors import OutputError


def write_atomically(path: str | os.PathLike[str], content: bytes) -> Path:
    """Write `content` to `path`; whatever stood there stays until the new file is complete.

    The bytes go to a temporary file of the same folder, are flushed to the disk, and `os.replace` puts them in place.

    Raises
    ------
    OutputError
        When the folder is missing, read-only or full; the old file is then untouched.
    """
    target = Path(os.path.realpath(path))  # a link stays a link: what it leads to is written
    name = target.parent / f".{target.name[:100]}.{secrets.token_hex(8)}.part"
    try:
        handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    except OSError as error:
        raise OutputError(_sorry(target, error)) from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        name.replace(target)
        _flush_folder(target.parent)
    except BaseException as error:
        with suppress(OSError):
            name.unlink()
        if isinstance(error, OSError):
            raise OutputError(_sorry(target, error)) from None
        raise
    return Path(path)


def check_writable(path: str | os.PathLike[str]) -> Path:
    """Find out now, not after hours of work, whether `path` can be written.

    Raises
    ------
    OutputError
        When the folder is missing or read-only, or the path is a folder.
    """
    target = Path(path)
    if target.is_dir():
        raise OutputError(f"cannot write {target}: it is a folder; name a file in it")
    if target.exists() and not target.is_file():
        raise OutputError(f"cannot write {target}: it is no regular file; name another place")
    try:
        with tempfile.NamedTemporaryFile(prefix=f".{target.name[:100]}.", dir=target.parent):
            pass
    except OSError as error:
        raise OutputError(_sorry(target, error)) from None
    return target


def _sorry(target: Path, error: OSError) -> str:
    if not target.parent.is_dir():
        return f"cannot write {target}: the folder {target.parent} does not exist; make it, or name another place"
    return f"cannot write {target}: {error.strerror or error}; name another place"


def _flush_folder(folder: Path) -> None:
    """Flush the rename itself; systems that cannot open a folder keep the rename without it."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
