"""Files appear whole or not at all, and a failure leaves nothing behind."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from layerloop.atomic import check_writable, write_atomically
from layerloop.errors import OutputError


def fail(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_the_content_arrives_and_nothing_else_stays(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    assert write_atomically(str(target), b"one") == target
    assert write_atomically(target, b"two") == target
    assert target.read_bytes() == b"two"
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]


def test_the_file_has_the_rights_of_any_new_file(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        written = write_atomically(tmp_path / "a.bin", b"")
    finally:
        os.umask(old)
    assert written.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(("owner", "call"), [(os, "fsync"), (Path, "replace")])
def test_a_failure_keeps_the_old_file_and_leaves_no_part(
    owner: object, call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = write_atomically(tmp_path / "a.bin", b"old")
    with monkeypatch.context() as patch:
        patch.setattr(owner, call, fail)
        with pytest.raises(OutputError, match=r"cannot write .*a\.bin: No space left on device; name another place"):
            write_atomically(target, b"new")
    assert target.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]


def test_ctrl_c_goes_through_and_leaves_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = write_atomically(tmp_path / "a.bin", b"old")

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            write_atomically(target, b"new")
    assert target.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]


def test_a_folder_that_cannot_be_flushed_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", _refusing_folders(os.open))
        target = write_atomically(tmp_path / "a.bin", b"new")
    assert target.read_bytes() == b"new"


def _refusing_folders(real: object) -> object:
    def opened(path: object, flags: int, *rest: object, **named: object) -> object:
        if Path(os.fsdecode(path)).is_dir():  # type: ignore[arg-type]
            raise OSError(errno.EACCES, "Permission denied")
        return real(path, flags, *rest, **named)  # type: ignore[operator]

    return opened


@pytest.mark.parametrize("check", [check_writable, lambda path: write_atomically(path, b"x")])
def test_a_missing_folder_is_named(check: object, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"the folder .*nowhere does not exist; make it, or name another place"):
        check(tmp_path / "nowhere" / "a.bin")  # type: ignore[operator]


def test_a_folder_cannot_be_written_over(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(OutputError, match="cannot write"):
        write_atomically(folder, b"x")
    with pytest.raises(OutputError, match="it is a folder; name a file in it"):
        check_writable(folder)
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write into read-only folders")
def test_a_read_only_folder_is_found_before_work_and_at_writing(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        for check in (check_writable, lambda path: write_atomically(path, b"x")):
            with pytest.raises(OutputError, match="Permission denied"):
                check(tmp_path / "a.bin")
    finally:
        tmp_path.chmod(0o700)


def test_checking_leaves_no_trace(tmp_path: Path) -> None:
    assert check_writable(tmp_path / "a.bin") == tmp_path / "a.bin"
    assert not list(tmp_path.iterdir())


def test_a_link_stays_a_link_and_what_it_leads_to_is_written(tmp_path: Path) -> None:
    real, link = tmp_path / "real.bin", tmp_path / "link.bin"
    real.write_bytes(b"old")
    link.symlink_to(real)
    assert write_atomically(link, b"new") == link
    assert link.is_symlink()
    assert real.read_bytes() == b"new"
