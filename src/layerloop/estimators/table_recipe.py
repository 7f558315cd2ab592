"""How a table's network is built and trained, by rows and columns: all defaults in one place.

The ingredients are those of RealMLP (arXiv 2407.04491): learnable scaling of the columns, NTK scaling of the weights, a
parametric activation, a last layer that starts at zero, biases that start so that every unit switches within the data,
Adam with beta2 = 0.95 along coslog4. docs/tabular.md has what each is worth here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

FEW_ROWS = 20_000
LEAST_EPOCHS = 8


@dataclass(frozen=True)
class Recipe:
    """Widths, activation and all settings of training; plain data.

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
    bins: int = 0
    frequencies: int = 0
    number_width: int = 4
    embedding: int = 8
    dropout: float = 0.0
    loss: str = "crossentropy"
    smoothing: float = 0.0
    levels: tuple[float, ...] = ()
    folds: int = 5
    epochs: int = 64
    batch: int = 128
    rate: float = 0.04
    beta2: float = 0.95
    decay: float = 0.0
    patience: float = 1.0

    def with_(self, **settings: object) -> Recipe:
        """Return the recipe with some settings changed."""
        return replace(self, **settings)  # type: ignore[arg-type]


def recipe_for(kind: str, *, rows: int, sparse: bool = False, metric: str | None = None) -> Recipe:
    """Return the defaults for a table of so many rows; `kind` is "classes" or "values", `metric` what is to be good."""
    recipe = Recipe(kind, **_size(rows))  # type: ignore[arg-type]
    if kind == "values":
        loss = "mae" if metric == "mae" else "mse"
        recipe = recipe.with_(activation="mish", rate=0.2, loss=loss, frequencies=0 if sparse else 16)
    return recipe


def _size(rows: int) -> dict[str, int]:
    """Return folds, epochs and batch: large tables need fewer passes and fewer networks, and larger steps pay there."""
    if rows <= FEW_ROWS:
        return {"folds": 5, "epochs": 64, "batch": 128}
    epochs = max(LEAST_EPOCHS, 64 * FEW_ROWS // rows)
    return {
        "folds": 3 if rows <= 5 * FEW_ROWS else 1,
        "epochs": epochs,
        "batch": 256 if rows <= 10 * FEW_ROWS else 1024,
    }
