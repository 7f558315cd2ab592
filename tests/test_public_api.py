"""The public names: every one resolves, the two lists of them agree, and importing them loads nothing early."""

from __future__ import annotations

import ast
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import layerloop

HEAVY = ("scipy", "sklearn", "PIL", "rich", "matplotlib", "safetensors", "threadpoolctl", "numpy")


@pytest.mark.parametrize("name", layerloop.__all__)
def test_every_public_name_resolves(name: str) -> None:
    value = getattr(layerloop, name)
    assert value is getattr(layerloop, name)
    assert getattr(value, "__doc__", None) or name == "__version__"


def test_dir_lists_all_public_names_once() -> None:
    assert sorted(dir(layerloop)) == sorted(layerloop.__all__)
    assert len(set(layerloop.__all__)) == len(layerloop.__all__)


def test_a_star_import_brings_all_of_them() -> None:
    space: dict[str, object] = {}
    exec("from layerloop import *", space)
    assert set(layerloop.__all__) <= set(space)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'layerloop' has no attribute 'Conv2d'"):
        layerloop.Conv2d  # noqa: B018


def names_for_type_checkers() -> dict[str, str]:
    """Each name of the TYPE_CHECKING block and the module it is imported from, without the package."""
    tree = ast.parse(Path(layerloop.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
    return {
        alias.name: (node.module or "").removeprefix("layerloop").removeprefix(".")
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_type_checkers_and_the_running_package_see_the_same_names_in_the_same_places() -> None:
    assert names_for_type_checkers() == layerloop._HOME


def test_no_public_function_bears_the_name_of_a_module_or_folder() -> None:
    modules = {module.name for module in pkgutil.iter_modules(layerloop.__path__)}
    functions = {name for name, home in layerloop._HOME.items() if home}
    assert not modules & functions


def run(code: str) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_the_package_imports_nothing_heavy_not_even_numpy() -> None:
    code = f"import sys, layerloop; print([name for name in {HEAVY} if name in sys.modules])"
    assert run(code) == "[]"


def test_a_network_needs_numpy_alone_until_a_row_asks_for_more() -> None:
    code = f"""
import sys, layerloop
from layerloop import Adam, Chain, DataLoader, Dense, load, relu, save, softmax, train
m = Chain(Dense(3, 2, relu), Dense(2, 2), softmax)
train(m, DataLoader(([[0.0, 1, 2], [2, 1, 0]], [0, 1])), optimizer=Adam(0.1))
m([0.0, 1, 2])
print([name for name in {HEAVY} if name in sys.modules])
"""
    assert run(code) == "['numpy']"
