"""How a model came about and how to make it again, from the record in it: in sentences and as commands."""

from __future__ import annotations

import platform
import shlex
from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop.cores import core_count
from layerloop.engine import engine_name
from layerloop.table_files import is_table
from layerloop.training.recipe import ITERATIONS, Recipe
from layerloop.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from layerloop.preprocessing import Inputs


def command_of(record: Mapping[str, Any]) -> str | None:
    """Return the `layerloop train` that a record says of, settings at their defaults left out; None without a recipe.

    Examples
    --------
    >>> command_of({"data": "mnist", "target": None, "recipe": {"layers": [128, 64], "epochs": 5, "seed": 0}})
    'layerloop train mnist --layers 128,64 --epochs 5'
    """
    if not record.get("data") or not isinstance(record.get("recipe"), dict):
        return None
    words = ["layerloop", "train", str(record["data"])]
    if record.get("target") is not None:
        words += ["--target", str(record["target"])]
    options = list(_options(record["recipe"]))
    if is_table(record["data"]) and "--layers" not in options:  # without it a table gets the estimator
        options[:0] = ["--layers", ",".join(map(str, Recipe().layers))]
    return shlex.join([*words, *options])


def _options(recipe: Mapping[str, Any]) -> Iterator[str]:
    """Yield the settings that differ from those of the command."""
    rule = Recipe(optimizer=recipe.get("optimizer", "adam")).rule()
    usual_of = {"rate": rule.rate} if rule else {"epochs": ITERATIONS}
    for name, usual in {**vars(Recipe()), **usual_of}.items():
        value = recipe.get(name, usual)
        value = tuple(value) if isinstance(value, list) else value
        if value is None or value == usual:
            continue
        yield f"--{name.replace('_', '-')}"
        yield (",".join(map(str, value)) or "none") if isinstance(value, tuple) else str(value)


def made_with() -> dict[str, Any]:
    """Return the versions and the machine that a report was written with."""
    return {
        "layerloop": __version__,
        "engine": engine_name(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "system": f"{platform.system()} {platform.machine()}",
        "cores": core_count(),
    }


def said_of_inputs(inputs: Inputs, *, columns: bool = True) -> list[str]:
    """Return what is done to a row before the first layer, in sentences; without `columns`, not that they are scaled.

    Examples
    --------
    >>> from layerloop import Inputs
    >>> said_of_inputs(Inputs(scale=1 / 255, image=(28, 28)))
    ['bytes are multiplied by 1/255', 'a row is a picture of 28 x 28, row after row']
    """
    found = []
    if inputs.scale is not None:
        turned = round(1 / inputs.scale, 9)
        found.append(f"bytes are multiplied by {f'1/{turned:g}' if turned == int(turned) else f'{inputs.scale:g}'}")
    if inputs.standardises and columns:
        found.append(f"{len(inputs.center)} columns are centred and scaled as the training rows have it")
    if inputs.image is not None:
        each = ", each pixel as red, green, blue" if len(inputs.image) == 3 else ""
        found.append(f"a row is a picture of {inputs.image[0]} x {inputs.image[1]}, row after row{each}")
    if inputs.fit == "stretch":
        grey = "" if len(inputs.image or ()) == 3 else "turned to grey and "
        found.append(f"pictures of any size are {grey}stretched to it, whole")
    if inputs.box is not None:
        found.append(f"drawings are brought to {inputs.box} pixels along their longer side and centred by mass")
    return found
