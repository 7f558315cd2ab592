"""How many threads a process may compute in: affinity mask, container quotas of both versions, environment."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from layerloop import cores
from layerloop.cores import core_count, limits
from layerloop.errors import SettingError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of eight cores whose environment asks for nothing."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.delenv(cores.VARIABLE, raising=False)


class Container:
    """The files in which a system tells a process its groups and their quotas."""

    def __init__(self, folder: Path) -> None:
        self.proc, self.groups = folder / "cgroup", folder / "groups"

    def tells(self, proc: str, **files: str) -> list[tuple[int, str]]:
        self.proc.write_text(proc)
        for name, text in files.items():
            place = self.groups / name.replace("__", "/").replace("cpu_", "cpu.")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
        return limits(self.proc, self.groups)


@pytest.fixture
def container(tmp_path: Path) -> Container:
    return Container(tmp_path)


def test_cores_are_those_of_the_affinity_mask(monkeypatch: pytest.MonkeyPatch, container: Container) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 3, 5}, raising=False)
    assert container.tells("") == [(3, "the cores of the affinity mask")]


def test_cores_without_an_affinity_mask_are_those_of_the_machine(
    monkeypatch: pytest.MonkeyPatch, container: Container
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert container.tells("") == [(1, "the cores of the machine")]


@pytest.mark.parametrize(
    ("text", "count"),
    [("150000 100000", 2), ("200000 100000\n", 2), ("50000 100000", 1), ("100 100000", 1), ("210000 100000", 3)],
)
def test_a_quota_of_the_second_version_is_rounded_up(container: Container, text: str, count: int) -> None:
    found = container.tells("0::/\n", cpu_max=text)
    assert min(found).threads == count
    assert min(found).why == f"the cgroup's quota of {int(text.split()[0]) / 100000:g} cores"


def test_the_least_quota_of_a_group_and_those_around_it_holds(container: Container) -> None:
    found = container.tells(
        "0::/outer/inner\n", outer__cpu_max="300000 100000", outer__inner__cpu_max="400000 100000", cpu_max="max 100000"
    )
    assert min(found).threads == 3


@pytest.mark.parametrize("mount", ["cpu,cpuacct", "cpu"])
def test_a_quota_of_the_first_version_is_read_under_either_name(container: Container, mount: str) -> None:
    files = {f"{mount}__job__cpu_cfs_quota_us": "250000\n", f"{mount}__job__cpu_cfs_period_us": "100000\n"}
    assert min(container.tells("5:memory:/job\n3:cpu,cpuacct:/job\n", **files)).threads == 3
    files = {f"{mount}__job__cpu_cfs_quota_us": "-1\n"}
    assert min(container.tells("3:cpu,cpuacct:/job\n", **files)).threads == 8


def test_a_path_from_outside_the_container_leads_to_its_mount(container: Container) -> None:
    files = {"cpu__cpu_cfs_quota_us": "100000", "cpu__cpu_cfs_period_us": "100000"}
    assert min(container.tells("1:cpu:/../../kubepods/pod1\n", **files)).threads == 1
    assert min(container.tells("1:cpu:/not/here\n", **files)).threads == 1


@pytest.mark.parametrize("text", ["max 100000", "max", "", "0 100000", "100000", "100000 0", "a b", "1e5 100000"])
def test_what_is_no_quota_limits_nothing(container: Container, text: str) -> None:
    assert container.tells("0::/\nnonsense\n\n", cpu_max=text) == [(8, "the cores of the affinity mask")]


def test_the_environment_asks_for_fewer_and_never_gets_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAYERLOOP_THREADS", "1")
    assert core_count() == 1
    assert min(limits()).why == "LAYERLOOP_THREADS=1"
    monkeypatch.setenv("LAYERLOOP_THREADS", "64")
    assert core_count() <= 8


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5", "²"])
def test_a_number_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("LAYERLOOP_THREADS", text)
    with pytest.raises(SettingError, match="LAYERLOOP_THREADS must be a whole number of at least 1, got"):
        core_count()
