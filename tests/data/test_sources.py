"""Named sets are found in their order, checked by sum, and never replaced in silence; files become one record."""

from __future__ import annotations

import gzip
import os
import re
import struct
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pytest

from layerloop.data import named, sources
from layerloop.data.idx import sha256
from layerloop.data.named import FILES, PARTS, SOURCES, Search, Source, cache_folder
from layerloop.data.sources import fetch, has_test, load, read, read_rows, status
from layerloop.errors import (
    DataFormatError,
    DataNotFoundError,
    InputError,
    LabelError,
    NonFiniteInputError,
    OutputError,
    ShapeError,
    UnknownNameError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Two small sets in the place of the large ones: part -> uncompressed bytes.


def idx_bytes(array: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def small_set(seed: int) -> dict[str, bytes]:
    random = np.random.default_rng(seed)
    parts = {}
    for split, n in (("train", 6), ("t10k", 3)):
        parts[f"{split}-images"] = idx_bytes(random.integers(0, 256, (n, 4, 5)))
        parts[f"{split}-labels"] = idx_bytes(np.arange(n) % 3)
    parts["train-labels"] = idx_bytes(np.arange(seed, seed + 6) % 3)
    parts["t10k-labels"] = idx_bytes(np.arange(seed, seed + 3) % 3)
    return parts


SMALL = {"mnist": small_set(1), "fashion-mnist": small_set(2)}


def no_registry() -> dict[str, bytes]:
    raise DataNotFoundError("no client is installed")


def small_source(name: str, **settings: object) -> Source:
    fields: dict[str, object] = {
        "classes": ("a", "b", "c"),
        "sums": {part: sha256(content) for part, content in SMALL[name].items()},
        "mirrors": (),
        "registry": no_registry,
        "image": (4, 5),
        "rows": (6, 3),
    }
    return Source(**(fields | settings))  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Small sets without mirrors, and a cache in the test's own folder; returns the cache."""
    monkeypatch.setattr(named, "SOURCES", {name: small_source(name) for name in SMALL})
    monkeypatch.delenv("LAYERLOOP_DATA", raising=False)
    monkeypatch.setenv("LAYERLOOP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def replace(monkeypatch: pytest.MonkeyPatch, name: str, **settings: object) -> Source:
    source = small_source(name, **settings)
    monkeypatch.setattr(named, "SOURCES", {**named.SOURCES, name: source})
    return source


def lay(folder: Path, name: str = "mnist", spell: str = "{}", parts: tuple[str, ...] = PARTS) -> Path:
    """Write a small set into a folder, under the spelling given."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in parts:
        file = folder / spell.format(FILES[part]).replace("DOT", ".idx")
        content = SMALL[name][part]
        file.write_bytes(gzip.compress(content) if file.suffix == ".gz" else content)
    return folder


def lay_dotted(folder: Path, ending: str) -> Path:
    folder.mkdir(parents=True)
    for part in PARTS:
        content = SMALL["mnist"][part]
        name = FILES[part].replace("-idx", ".idx") + ending
        (folder / name).write_bytes(gzip.compress(content) if ending else content)
    return folder


# The search.


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("dotted", [False, True], ids=["dash", "dot"])
@pytest.mark.parametrize("inner", ["mnist", "."], ids=["own folder", "flat"])
def test_layouts_and_spellings(tmp_path: Path, ending: str, dotted: bool, inner: str) -> None:
    folder = tmp_path / "data" / inner
    lay_dotted(folder, ending) if dotted else lay(folder, spell="{}" + ending)
    for split, rows in (("train", 6), ("test", 3)):
        data = read("mnist", split, data_dir=tmp_path / "data")
        assert data.X.shape == (rows, 20)
        assert data.X.dtype == np.uint8
        assert data.X.tobytes() == SMALL["mnist"][f"{'train' if rows == 6 else 't10k'}-images"][16:]
        assert data.y.dtype == np.int64
        assert data.y.tolist() == [(i + 1) % 3 for i in range(rows)]
        assert (data.kind, data.classes, data.scale, data.image, data.box) == (
            "classes",
            ("a", "b", "c"),
            1 / 255,
            (4, 5),
            20,
        )


def test_the_order_of_places(tmp_path: Path, nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace(monkeypatch, "mnist", system=str(lay(tmp_path / "system")))

    def found() -> str:
        told: list[str] = []
        read("mnist", say=told.append)
        assert told[0] == "looking for mnist"
        return told[1]

    assert found() == f"found mnist in {tmp_path / 'system'}"
    lay(nowhere / "mnist")
    assert found() == f"found mnist in {nowhere / 'mnist'}"
    monkeypatch.setenv("LAYERLOOP_DATA", str(lay(tmp_path / "env" / "mnist").parent))
    assert found() == f"found mnist in {tmp_path / 'env' / 'mnist'}"
    told: list[str] = []
    read("mnist", data_dir=lay(tmp_path / "given"), say=told.append)
    assert told[1] == f"found mnist in {tmp_path / 'given'}"


def test_one_split_needs_its_own_files_only(tmp_path: Path) -> None:
    lay(tmp_path / "data", parts=("t10k-images", "t10k-labels"))
    assert len(read("mnist", "test", data_dir=tmp_path / "data").X) == 3
    with pytest.raises(DataNotFoundError, match="has no train-images-idx3-ubyte and no train-labels-idx1-ubyte"):
        read("mnist", "train", data_dir=tmp_path / "data")


DAMAGE: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "one bit": (lambda b: b[:-1] + bytes([b[-1] ^ 1]), "is damaged or another file: the SHA-256"),
    "cut": (lambda b: b[:-1], "but only"),
    "longer": (lambda b: b + b"x", "more follow"),
    "cut gzip": (lambda b: gzip.compress(b)[:-9], "is damaged gzip"),
    "no IDX": (lambda _: b"<html>404</html>", "is not an IDX file"),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGE.values(), ids=DAMAGE)
@pytest.mark.parametrize("by", ["argument", "environment"])
def test_damage_in_a_given_folder_is_an_error_that_names_the_file(
    tmp_path: Path, nowhere: Path, monkeypatch: pytest.MonkeyPatch, damage: Callable, message: str, by: str
) -> None:
    lay(nowhere / "mnist")  # a sound copy elsewhere is no excuse
    folder = lay(tmp_path / "data")
    file = folder / FILES["train-images"]
    file.write_bytes(damage(SMALL["mnist"]["train-images"]))
    if by == "environment":
        monkeypatch.setenv("LAYERLOOP_DATA", str(folder))
    with pytest.raises(DataFormatError, match=message) as caught:
        read("mnist", data_dir=folder if by == "argument" else None)
    assert str(file) in str(caught.value)


def test_another_set_in_a_flat_folder_is_passed_over(tmp_path: Path, nowhere: Path) -> None:
    lay(tmp_path / "data", "fashion-mnist")
    with pytest.raises(DataNotFoundError, match="train-images-idx3-ubyte belongs to fashion-mnist"):
        read("mnist", data_dir=tmp_path / "data")
    lay(nowhere / "mnist")
    assert read("mnist", data_dir=tmp_path / "data").y.tolist() == [1, 2, 0, 1, 2, 0]


def test_a_given_folder_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match=r"data_dir .*nope is not a folder; name the folder that holds mnist"):
        read("mnist", data_dir=tmp_path / "nope")


def test_a_set_that_cannot_be_had_lists_all_that_was_tried(
    tmp_path: Path, nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAYERLOOP_DATA", str(tmp_path))
    replace(monkeypatch, "mnist", mirrors=("http://127.0.0.1:9/a/", "http://127.0.0.1:9/b/"), system="/no/such/folder")
    with pytest.raises(DataNotFoundError) as caught:
        read("mnist")
    lines = str(caught.value).split("\n")
    assert lines[0] == "mnist cannot be had. Tried:"
    assert lines[1] == f"  - {tmp_path / 'mnist'} is not a folder"
    assert lines[2].startswith(f"  - {tmp_path} has no train-images-idx3-ubyte")
    assert lines[3] == f"  - {nowhere / 'mnist'} is not a folder"
    assert lines[4] == "  - /no/such/folder is not a folder"
    assert lines[5] == "  - 127.0.0.1:9: Connection refused"
    assert lines[-2] == "  - no client is installed"
    assert "LAYERLOOP_DATA or data_dir" in lines[-1]
    assert "train-images-idx3-ubyte.gz" in lines[-1]


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"LAYERLOOP_CACHE": "/a", "XDG_CACHE_HOME": "/b"}, "/a"),
        ({"XDG_CACHE_HOME": "/b"}, "/b/layerloop"),
        ({"XDG_CACHE_HOME": "relative", "HOME": "/h"}, "/h/.cache/layerloop"),
        ({"HOME": "/h"}, "/h/.cache/layerloop"),
    ],
)
def test_where_the_cache_lies(monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], wanted: str) -> None:
    for name in ("LAYERLOOP_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == Path(wanted)


# Mirrors, served by this machine.


class Mirror(BaseHTTPRequestHandler):
    """Serves SMALL["mnist"] under /good/, and faults under the other folders."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        _, kind, name = self.path.split("/")
        part = next(part for part in PARTS if FILES[part] + ".gz" == name)
        content = gzip.compress(SMALL["mnist"][part])
        if kind == "moved":
            self.send_response(302)
            self.send_header("Location", f"ftp://127.0.0.1/{name}")
            self.end_headers()
            return
        if kind == "missing" or (kind == "partial" and part.startswith("t10k")):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if kind == "cut":
            content = content[:-10]
        if kind == "wrong":
            content = gzip.compress(SMALL["fashion-mnist"][part])[: len(content)]
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    Mirror.asked = []
    with HTTPServer(("127.0.0.1", 0), Mirror) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_a_mirror_fills_the_cache(mirror: str, nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace(monkeypatch, "mnist", mirrors=(mirror + "good/",))
    told: list[str] = []
    assert read("mnist", "test", say=told.append).y.tolist() == [1, 2, 0]
    host = mirror.split("/")[2]
    assert told[0] == "looking for mnist"
    assert told[1] == f"downloading train-images (0.0 MB) from {host}"
    assert told[-1] == f"stored mnist in {nowhere / 'mnist'}"
    assert sorted(p.name for p in (nowhere / "mnist").iterdir()) == sorted(f"{file}.gz" for file in FILES.values())
    assert len(Mirror.asked) == 4
    assert read("mnist").X.shape == (6, 20)
    assert len(Mirror.asked) == 4


FAULTS = {
    "missing": "Not Found",
    "cut": "broke off after|IncompleteRead",
    "wrong": "belongs to fashion-mnist",
    "moved": "leads on to ftp://127.0.0.1/.*, which is not followed",
}


@pytest.mark.parametrize(("fault", "why"), FAULTS.items(), ids=FAULTS)
def test_a_faulty_mirror_is_left_for_the_next(
    mirror: str, monkeypatch: pytest.MonkeyPatch, nowhere: Path, fault: str, why: str
) -> None:
    search = Search("mnist", small_source("mnist", mirrors=(f"{mirror}{fault}/", f"{mirror}good/")))
    content = search.from_afar()
    assert {part: bytes(numbers) for part, numbers in content.items()} == SMALL["mnist"]
    assert len(search.tried) == 1
    assert re.search(why, search.tried[0])
    assert len(Mirror.asked) == 5  # one request to the faulty mirror, not four


@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_half_is_left_in_the_cache(mirror: str, nowhere: Path, fault: str) -> None:
    search = Search("mnist", small_source("mnist", mirrors=(f"{mirror}{fault}/",)))
    with pytest.raises(DataNotFoundError, match="no client is installed"):
        search.from_afar()
    assert list((nowhere / "mnist").iterdir()) == []


def test_what_one_mirror_brought_is_not_asked_of_the_next(mirror: str) -> None:
    search = Search("mnist", small_source("mnist", mirrors=(f"{mirror}partial/", f"{mirror}good/")))
    assert len(search.from_afar()) == 4
    assert [path.split("/")[1] for path in Mirror.asked] == ["partial", "partial", "partial", "good", "good"]


def test_downloads_are_bounded(mirror: str, monkeypatch: pytest.MonkeyPatch) -> None:
    search = Search("mnist", small_source("mnist", mirrors=(f"{mirror}good/",)))
    monkeypatch.setattr(named, "MOST_BYTES", 20)
    with pytest.raises(DataNotFoundError, match="sends more than 20 bytes"):
        search.from_afar()
    monkeypatch.setattr(named, "MOST_BYTES", 1000)
    monkeypatch.setattr(named, "DOWNLOAD_SECONDS", -1.0)
    with pytest.raises(DataNotFoundError, match="is too slow"):
        search.from_afar()


def test_a_broken_proxy_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    search = Search("mnist", small_source("mnist", mirrors=("http://mirror.invalid/",)))
    with pytest.raises(DataNotFoundError, match=r"- mirror\.invalid: Connection refused"):
        search.from_afar()


def test_a_damaged_cache_heals(mirror: str, nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay(nowhere / "mnist")
    damaged = nowhere / "mnist" / FILES["train-images"]
    damaged.write_bytes(damaged.read_bytes()[:-1])
    replace(monkeypatch, "mnist", mirrors=(f"{mirror}good/",))
    assert read("mnist").X.shape == (6, 20)
    assert not damaged.exists()
    Mirror.asked.clear()
    assert read("mnist").X.shape == (6, 20)
    assert Mirror.asked == []


def test_the_registry_is_the_last_resort(nowhere: Path) -> None:
    search = Search("mnist", small_source("mnist", registry=lambda: SMALL["mnist"]))
    assert bytes(search.from_afar()["t10k-labels"]) == SMALL["mnist"]["t10k-labels"]
    assert sorted(p.name for p in (nowhere / "mnist").iterdir()) == sorted(FILES.values())


def test_the_registry_is_checked_too(nowhere: Path) -> None:
    search = Search("mnist", small_source("mnist", registry=lambda: SMALL["fashion-mnist"]))
    with pytest.raises(DataNotFoundError, match="the registry's train-images belongs to fashion-mnist"):
        search.from_afar()
    assert list((nowhere / "mnist").iterdir()) == []


def test_a_cache_that_cannot_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("LAYERLOOP_CACHE", str(tmp_path / "file"))
    replace(monkeypatch, "mnist", registry=lambda: pytest.fail("nothing may be fetched for nothing"))
    with pytest.raises(DataNotFoundError, match=r"Not a directory .*LAYERLOOP_CACHE names another folder"):
        read("mnist")


# fetch and status.


def test_fetch_copies_what_is_near_and_trusts_what_it_has(
    tmp_path: Path, nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAYERLOOP_DATA", str(lay(tmp_path / "data", spell="{}.gz")))
    assert fetch("mnist") == nowhere / "mnist"
    for part in PARTS:
        assert (nowhere / "mnist" / FILES[part]).read_bytes() == SMALL["mnist"][part]
    monkeypatch.delenv("LAYERLOOP_DATA")
    told: list[str] = []
    assert fetch("mnist", say=told.append) == nowhere / "mnist"
    assert told == [f"found mnist in {nowhere / 'mnist'}"]


def test_fetch_from_afar(mirror: str, nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace(monkeypatch, "mnist", mirrors=(f"{mirror}good/",))
    assert fetch("mnist") == nowhere / "mnist"
    assert len(list((nowhere / "mnist").iterdir())) == 4


def test_fetch_says_what_it_cannot_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown data set 'mnits'. Did you mean 'mnist'"):
        fetch("mnits")
    with pytest.raises(DataNotFoundError, match="digits is part of scikit-learn"):
        fetch("digits")
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("LAYERLOOP_CACHE", str(tmp_path / "file"))
    with pytest.raises(OutputError, match=r"cannot make .*LAYERLOOP_CACHE"):
        fetch("mnist", data_dir=lay(tmp_path / "data"))


def test_status_tells_what_is_here(tmp_path: Path, nowhere: Path) -> None:
    lay(tmp_path / "data", "fashion-mnist")
    rows = {row["name"]: row for row in status(data_dir=tmp_path / "data")}
    assert rows["mnist"] == {"name": "mnist", "train": 6, "test": 3, "classes": 3, "where": None, "bytes": None}
    assert rows["fashion-mnist"]["where"] == str(tmp_path / "data")
    assert rows["fashion-mnist"]["bytes"] == sum(map(len, SMALL["fashion-mnist"].values()))
    assert (rows["digits"]["where"], rows["digits"]["train"], rows["digits"]["test"]) == ("scikit-learn", 1437, 360)
    lay(nowhere / "mnist")
    assert {row["name"]: row["where"] for row in status()}["mnist"] == str(nowhere / "mnist")


# The tables.


@pytest.mark.parametrize("name", SOURCES)
def test_the_table_of_sources(name: str) -> None:
    source = SOURCES[name]
    assert set(source.sums) == set(PARTS)
    assert all(len(total) == 64 and set(total) <= set("0123456789abcdef") for total in source.sums.values())
    assert source.mirrors
    assert all(address.startswith("https://") and address.endswith("/") for address in source.mirrors)
    assert len(source.classes) == 10
    assert source.classes[9] == {"mnist": "9", "fashion-mnist": "Ankle boot"}[name]


@pytest.mark.parametrize("name", SOURCES)
def test_the_real_sets(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = REAL / name
    if not (folder / "train-images-idx3-ubyte.gz").is_file():
        pytest.skip(f"LAYERLOOP_DATA does not hold {name}")
    monkeypatch.setattr(named, "SOURCES", SOURCES)
    for split, rows in (("train", 60_000), ("test", 10_000)):
        X, y = load(name, split, data_dir=REAL)
        assert (X.shape, X.dtype, X.min(), X.max()) == ((rows, 784), np.float32, 0.0, 1.0)
        assert y.shape == (rows,)
        assert set(np.unique(y)) == set(range(10))
    raw, _ = load(name, "test", raw=True, data_dir=REAL)
    assert raw.dtype == np.uint8
    np.testing.assert_array_equal(X, raw * np.float32(1 / 255))


REAL = Path(os.environ.get("LAYERLOOP_DATA", "/nowhere"))


# Digits and files.


def test_digits_are_read_from_scikit_learns_file_as_by_its_function(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sources.digits_file() is not None  # or one way would be held against itself
    own = [read("digits", split) for split in ("train", "test")]
    monkeypatch.setattr(sources, "digits_file", lambda: None)
    for ours, theirs in zip(own, [read("digits", split) for split in ("train", "test")], strict=True):
        for one, other in ((ours.X, theirs.X), (ours.y, theirs.y)):
            assert (one.dtype, one.shape, one.flags.c_contiguous) == (other.dtype, other.shape, True)
            np.testing.assert_array_equal(one, other)


def test_digits_split_keeps_the_order() -> None:
    train, test = read("digits"), read("digits", "test")
    assert (train.X.shape, test.X.shape) == ((1437, 64), (360, 64))
    assert (train.X.dtype, train.scale, train.image, train.box) == (np.uint8, 1 / 16, (8, 8), 8)
    assert train.classes == tuple("0123456789")
    assert (train.X.max(), train.y[:4].tolist(), test.y[-3:].tolist()) == (16, [0, 1, 2, 3], [8, 9, 8])
    X, y = load("digits", "test")
    assert (X.dtype, X.max(), y.dtype) == (np.float32, 1.0, np.int64)


@pytest.mark.parametrize("settings", [{"target": "y"}, {"kind": "values"}])
def test_named_sets_have_fixed_targets(settings: dict[str, str]) -> None:
    with pytest.raises(InputError, match="digits has fixed classes: leave out target and kind"):
        read("digits", **settings)  # type: ignore[arg-type]
    assert read("digits", kind="classes").kind == "classes"


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.tsv", "T.CSV"])
def test_tables_become_data_sets(tmp_path: Path, name: str) -> None:
    content = b"a\tb\tprice\n1\t2\t0.5\n3\t4\t1.5\n" if "tsv" in name else b"a,b,price\n1,2,0.5\n3,4,1.5\n"
    file = tmp_path / name
    file.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    data = read(file, target="price")
    assert (data.name, data.kind, data.columns, data.target) == (str(file), "values", ("a", "b"), "price")
    assert (data.scale, data.image, data.box, data.guessed) == (None, None, None, False)
    assert data.X.dtype == np.float64
    X, y = load(str(file), target="price")
    assert (X.dtype, X.tolist(), y.tolist()) == (np.float32, [[1, 2], [3, 4]], [0.5, 1.5])


def test_npy_becomes_a_data_set(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([[1.0, 2, 7], [3, 4, 9], [5, 6, 7]]))
    for target in (-1, "-1", 2, "2"):
        data = read(tmp_path / "a.npy", target=target)
        assert (data.kind, data.classes, data.y.tolist()) == ("classes", ("7", "9"), [0, 1, 0])
        assert data.X.tolist() == [[1, 2], [3, 4], [5, 6]]
    with pytest.raises(InputError, match="which column is the target"):
        read(tmp_path / "a.npy")
    with pytest.raises(ShapeError, match="from -3 to 2, got 3"):
        read(tmp_path / "a.npy", target=3)
    assert read_rows(tmp_path / "a.npy").shape == (3, 3)


def test_npz_becomes_a_data_set_with_its_own_test_split(tmp_path: Path) -> None:
    pictures = np.arange(3 * 2 * 2, dtype=np.uint8).reshape(3, 2, 2)
    file = tmp_path / "a.npz"
    np.savez(file, x_train=pictures, y_train=np.array([4, 2, 9]), x_test=pictures[:1], y_test=np.array([9]))
    assert has_test(file)
    train, test = read(file), read(file, "test")
    assert (train.classes, train.y.tolist(), train.scale, train.image) == (("2", "4", "9"), [1, 0, 2], 1 / 255, (2, 2))
    assert (test.classes, test.y.tolist(), test.X.tolist()) == (("2", "4", "9"), [2], [[0, 1, 2, 3]])
    assert load(file, "test")[0].tolist() == [[np.float32(i) * np.float32(1 / 255) for i in range(4)]]
    assert read_rows(file).shape == (3, 4)
    np.savez(file, x_train=pictures, y_train=np.array([4, 2, 9]), x_test=pictures[:1], y_test=np.array([5]))
    with pytest.raises(LabelError, match="y_test in row 0 holds '5'"):
        read(file, "test")


def test_npz_without_a_target(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", X=np.eye(3))
    with pytest.raises(InputError, match=r"a\.npz has no array y"):
        read(tmp_path / "a.npz")
    with pytest.raises(InputError, match="leave out target='y'"):
        read(tmp_path / "a.npz", target="y")
    assert read_rows(tmp_path / "a.npz").tolist() == np.eye(3).tolist()


def test_bytes_of_a_table_are_numbers_without_a_scale(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", X=np.array([[30], [250]], np.uint8), y=np.array([0.5, 1.0]))
    data = read(tmp_path / "a.npz")
    assert (data.X.dtype, data.X.tolist(), data.scale) == (np.float32, [[30], [250]], None)


def test_a_test_split_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,y\n1,2\n")
    assert not has_test(tmp_path / "t.csv")
    assert has_test("mnist")
    with pytest.raises(InputError, match=r"t\.csv has no test split of its own"):
        read(tmp_path / "t.csv", "test")
    with pytest.raises(UnknownNameError, match=r"unknown split 'tset'. Did you mean 'test'"):
        read("digits", "tset")


def test_a_number_beyond_float32_is_named(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b,y\n1,2,0\n1,1e300,1\n")
    assert read(tmp_path / "t.csv").X[1, 1] == 1e300
    with pytest.raises(NonFiniteInputError, match=r"t\.csv: 1e\+300 in row 1, column 'b' is beyond float32"):
        load(tmp_path / "t.csv")


NAMES: dict[str, tuple[str, type[Exception], str]] = {
    "slip": ("mnits", UnknownNameError, "unknown data set 'mnits'. Did you mean 'mnist'"),
    "slip in case": ("MNIST", UnknownNameError, "Did you mean 'mnist'"),
    "far off": ("xyz", UnknownNameError, "Known: mnist, fashion-mnist, digits"),
    "missing table": ("prices.csv", DataNotFoundError, "the file prices.csv does not exist; expected a data set"),
    "missing path": ("data/prices", DataNotFoundError, "the file data/prices does not exist"),
    "unknown ending": (__file__, DataFormatError, r"test_sources\.py is of an unknown kind; expected \.csv"),
}


@pytest.mark.parametrize(("name", "error", "message"), NAMES.values(), ids=NAMES)
def test_names_that_mean_nothing(name: str, error: type[Exception], message: str) -> None:
    for ask in (read, has_test, load, read_rows):
        with pytest.raises(error, match=message):
            ask(name)


def test_a_folder_holds_classes(tmp_path: Path) -> None:
    for ask in (read, load):
        with pytest.raises(DataNotFoundError, match="is a folder without sub-folders; expected a sub-folder of pict"):
            ask(tmp_path)
    with pytest.raises(DataNotFoundError, match="is a folder; expected a data set"):
        read_rows(tmp_path)
    assert not has_test(tmp_path)


def test_rows_come_from_arrays_only(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,y\n1,2\n")
    with pytest.raises(DataFormatError, match="holds no array"):
        read_rows(tmp_path / "t.csv")


def test_the_import_is_light() -> None:
    heavy = ["sklearn", "scipy", "PIL", "rich", "urllib.request", "ssl", "http.client"]
    code = f"import sys, layerloop.data; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
