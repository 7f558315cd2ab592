"""How a table's network is built and trained, by rows and columns: all defaults in one place.

The ingredients are those of RealMLP (arXiv 2407.04491): learnable scaling of the columns, NTK scaling of the weights, a
parametric activation, a last layer that starts at zero, biases that start so that every unit switches within the data,
Adam with beta2 = 0.95 along coslog4. docs/tabular.md has what each is worth here.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from layerloop.errors import UnknownNameError, did_you_mean, look_up
from layerloop.optim import Cosine, CosLog4
from layerloop.settings import whole

if TYPE_CHECKING:
    from collections.abc import Mapping

SOME_ROWS = 10_000
MANY_ROWS = 100_000
LEAST_EPOCHS = 8
MANY_COLUMNS = 200_000  # of sparse rows
SCHEDULES = {"coslog4": CosLog4, "cosine": Cosine}
NAMES = {"folds": "n_members"}  # what a setting is called where people set it


@dataclass(frozen=True)
class Recipe:
    """Widths, activation and all settings of training; plain data.

    Attributes
    ----------
    kind : str
        "classes" or "values".
    widths, activation
        Of the hidden layers.
    parametric : bool
        Activations (1 - a) z + a f(z) with a learned a.
    scaled : bool
        A learned factor for each column in front.
    frequencies, number_width : int
        Waves and numbers that each column of numbers becomes (`Periodic`); 0 for none.
    embedding : int
        Numbers that a code becomes.
    placed : bool
        Biases start where the unit switches at one of the rows.
    loss, levels
        By name, and the levels of `quantile`.
    folds : int
        Networks, each with its own share of the rows left out.
    epochs, batch, rate, beta2, schedule
        Of training; the schedule is "coslog4" or "cosine".
    patience : float
        The share of all epochs without a better one after which training ends.

    Examples
    --------
    >>> recipe_for("classes", rows=500).widths
    (128, 128, 128)
    """

    kind: str
    widths: tuple[int, ...] = (128, 128, 128)
    activation: str = "selu"
    parametric: bool = True
    scaled: bool = True
    frequencies: int = 0
    number_width: int = 4
    embedding: int = 8
    placed: bool = True
    loss: str = "crossentropy"
    levels: tuple[float, ...] = ()
    folds: int = 5
    epochs: int = 64
    batch: int = 128
    rate: float = 0.04
    beta2: float = 0.95
    schedule: str = "coslog4"
    patience: float = 0.25

    def __post_init__(self) -> None:
        for name in ("folds", "epochs", "batch", "number_width", "embedding"):
            object.__setattr__(self, name, whole(getattr(self, name), NAMES.get(name, name), least=1))
        look_up(SCHEDULES, self.schedule, "schedule of a table's recipe")

    def with_(self, **settings: object) -> Recipe:
        """Return the recipe with some settings changed.

        Raises
        ------
        UnknownNameError
            It has no such setting.
        """
        known = [field.name for field in fields(self)]
        for name in settings:
            if name not in known:
                raise UnknownNameError(f"unknown setting {name!r} of a recipe.{did_you_mean(name, known)}")
        return replace(self, **settings)  # type: ignore[arg-type]


def recipe_for(kind: str, *, rows: int, sparse_columns: int = 0, metric: str | None = None) -> Recipe:
    """Return the defaults for a table.

    Parameters
    ----------
    kind : "classes" or "values"
    rows : int
    sparse_columns : int
        Columns where the rows are sparse, as hashed text is; 0 where they are not.
    metric : str, optional
        What is to be good.
    """
    recipe = Recipe(kind, **_size(rows))  # type: ignore[arg-type]
    if kind == "values":
        loss = "mae" if metric == "mae" else "mse"
        recipe = recipe.with_(activation="mish", rate=0.2, loss=loss, frequencies=16)
    return _for_sparse(recipe, sparse_columns) if sparse_columns else recipe


def recipe_in_file(kind: str, settings: Mapping[str, Any]) -> Recipe:
    """Return the recipe that a model file describes.

    It only tells how the model was trained: nothing that predicts depends on it. So what this version does not know of,
    in a file of another version, is left out, and what the file lacks is as it is by default.

    Examples
    --------
    >>> recipe_in_file("classes", {"widths": [32], "a setting of tomorrow": 1}).widths
    (32,)
    """
    known = {field.name for field in fields(Recipe)}
    kept = {name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()}
    return recipe_for(kind, rows=0).with_(**{name: value for name, value in kept.items() if name in known})


def _for_sparse(recipe: Recipe, columns: int) -> Recipe:
    """Return the recipe for sparse rows: one hidden layer does better, and the first layer is nearly all.

    Beyond MANY_COLUMNS a single narrow network is trained: its numbers and moments fill gigabytes otherwise.
    """
    rate = 0.03 if recipe.kind == "classes" else 0.1
    recipe = recipe.with_(widths=(128,), rate=rate, frequencies=0)
    return recipe.with_(widths=(32,), folds=1) if columns > MANY_COLUMNS else recipe


def _size(rows: int) -> dict[str, int]:
    """Return folds, epochs and batch: many rows can pay for more networks, very many need fewer passes and networks."""
    folds = 5 if rows < SOME_ROWS else 8 if rows <= MANY_ROWS else 1
    epochs = 64 if rows <= MANY_ROWS else max(LEAST_EPOCHS, 64 * MANY_ROWS // (5 * rows))
    return {"folds": folds, "epochs": epochs, "batch": 128 if rows <= MANY_ROWS else 1024}
