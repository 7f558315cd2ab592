"""The code of the documentation runs as it stands, and the README names the commands that exist."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import numpy as np
import pytest

from layerloop.cli import COMMANDS
from layerloop.layers import LAYERS
from layerloop.losses import LOSSES
from layerloop.optim import RULES, SCHEDULES

ROOT = Path(__file__).parents[1]
PAGES = ["README.md", "CONTRIBUTING.md", *sorted(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md"))]


def python_blocks(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL)


def run(blocks: list[str], names: dict[str, object]) -> dict[str, object]:
    for block in blocks:
        exec(compile(block, "documentation", "exec"), names)
    return names


def test_the_page_of_layers_runs_and_has_a_row_for_each() -> None:
    network, step, members = python_blocks("docs/layers.md")
    names = run([network], {"X": np.ones((3, 20)), "y": [0, 1, 2]})
    run(["state = setup(Adam(), m)", step, members], names)
    rows = set(re.findall(r"^\| `(\w+)\(", (ROOT / "docs/layers.md").read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert rows == {kind.__name__ for kind in LAYERS.values()}


def test_the_page_of_losses_runs_and_has_a_row_for_each() -> None:
    names = run(python_blocks("docs/losses.md"), {"X": np.eye(3), "y": [0, 1, 1], "w": [1, 2, 3]})
    assert (repr(names["robust"]), repr(names["bands"])) == ("huber:delta=0.5", "quantile:levels=0.1,0.5,0.9")
    rows = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/losses.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert rows == list(LOSSES)


def test_the_page_of_letters_runs() -> None:
    names = run(python_blocks("docs/letters.md"), {})
    forward, ps = names["forward"], names["ps"]
    assert forward.z[3].shape == (2,)  # type: ignore[attr-defined]
    assert ps.W(1).shape == (3, 5)  # type: ignore[attr-defined]


def test_the_page_of_traces_runs_and_names_every_key() -> None:
    names = run(python_blocks("docs/trace.md"), {})
    plain: dict = names["plain"]  # type: ignore[assignment]
    text = (ROOT / "docs/trace.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(\w+)`", text.partition("## The dict")[2]))
    assert set(plain) | set(plain["steps"][0]) | set(plain["sample"]) | set(plain["layers"][0]) <= named


def test_the_page_of_reports_runs_and_names_every_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = run(python_blocks("docs/report.md"), {})
    assert (tmp_path / "digits.html").is_file()
    text = (ROOT / "docs/report.md").read_text(encoding="utf-8")
    assert set(names["facts"]) <= set(re.findall(r"`(\w+)`", text.partition("## The dict")[2]))  # type: ignore[call-overload]


def test_the_readme_runs_on_small_data(monkeypatch: pytest.MonkeyPatch) -> None:
    from layerloop import data

    X = np.eye(10, 784, dtype=np.float32)
    monkeypatch.setattr(data, "load", lambda name, split="train", **_: (X, np.arange(10)))
    w = np.linspace(-1, 1, 3 * 5 + 2 * 4)
    program, loop, formulas, *_ = python_blocks("README.md")
    names = run([program, loop], {})
    run([formulas], names | {"w": w, "x": np.ones(4), "y": np.array([0.0, 1.0, 0.0])})
    assert isinstance(names["value"], float)


def test_the_page_of_optimisers_runs_and_has_a_line_for_every_row() -> None:
    names = run(python_blocks("docs/optimisers.md"), {})
    assert names["history"].state.t == 20  # type: ignore[attr-defined]
    text = (ROOT / "docs/optimisers.md").read_text(encoding="utf-8")
    for name, row in {**RULES, **SCHEDULES}.items():
        assert f"| `{name}` | `{row.__name__}(" in text


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_the_page_of_the_drop_in_runs() -> None:
    names = run(python_blocks("docs/estimators-mlp.md"), {})
    assert (names["hidden"].shape, names["top"].shape) == ((5, 32), (5, 16))  # type: ignore[attr-defined]


def test_the_page_of_data_trains_on_a_sparse_matrix() -> None:
    program = next(block for block in python_blocks("docs/data.md") if "csr_array" in block)
    names = run([program], {})
    assert names["accuracy"](names["m"], names["X"], [0, 1] * 3) == 1  # type: ignore[operator]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_readme_shows_every_command(command: str) -> None:
    assert f"layerloop {command}" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_links_between_pages_lead_somewhere(page: str) -> None:
    here = ROOT / page
    for target in re.findall(r"\]\(([^)#:]+)\)", here.read_text(encoding="utf-8")):
        assert (here.parent / target).exists(), f"{page} links to {target}"


@pytest.mark.parametrize("page", PAGES)
def test_names_of_the_library_in_the_text_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for module, name in re.findall(r"`(maths|data|optim)\.(\w+)", text):
        assert hasattr(importlib.import_module(f"layerloop.{module}"), name), f"{page} speaks of {module}.{name}"
