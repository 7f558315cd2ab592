"""From a named data set and a recipe to all that `train` needs: network, batches, data to test on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from layerloop import describe, optim
from layerloop.data.batches import DataLoader
from layerloop.errors import InputError, NetworkError, SettingError, look_up
from layerloop.layers import ACTIVATIONS, Dropout, known_name
from layerloop.losses import LOSSES, LossSpec
from layerloop.network import Chain
from layerloop.plan import HEADS, fused_name
from layerloop.preprocessing import Inputs, standardised
from layerloop.readings import READINGS, classifier, dense_layers, dropped
from layerloop.settings import float_name, whole
from layerloop.training.task import Task

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from numpy.typing import NDArray

    from layerloop.data import Dataset
    from layerloop.training.task import Data

# A target this many times its own deviation away from zero keeps no three digits of that deviation in float32.
FARTHEST = {"float32": 1e4, "float64": 1e12}
# What a file's target serves as it is: one class of several, or one value whose unit the loss follows.
RECIPE_LOSSES = ("crossentropy", "logitcrossentropy", "mse", "mae")
SEEN = 2000  # pictures that are looked at to learn how large their drawings are
LARGEST = 1e150  # of a column to be standardised: squares beyond have no room in float64


@dataclass(frozen=True)
class Recipe:
    """How to train on a data set; the defaults are the notes' run (section 7.3).

    Parameters
    ----------
    reading : "program" or "notes"
    layers : tuple of int
        Widths of the hidden layers; empty for a single layer.
    activation, head, loss, optimizer : str
        Rows of the tables; head and loss by default those of the reading and of the kind of target. The optimizer
        may be "lbfgs" too, which has no rate: `epochs` are its iterations over all rows.
    rate : float, optional
        By default the optimiser's own.
    schedule : str, optional
        Row of the table of schedules, with the rate as its base.
    decay : float, optional
        Decoupled weight decay, on every parameter; by default the optimiser's own, which only adamw has.
    l2 : float, optional
        Of a penalty (l2 / 2) |w|^2 on all parameters, coupled: its gradient is part of the one that is stepped along.
    clip : float, optional
        Bound of the gradient's global norm.
    dropout, input_dropout : float
        Rates of `Dropout` behind the hidden layers, and of the input.
    smoothing : float
        Label smoothing of the loss that is trained for; figures are without it.
    class_weight : "balanced", optional
        Every class gets the same total weight.
    batch_size, epochs, seed : int
    validation, test : float
        Shares of the rows held out; `test` is taken where the data set has no test split of its own, and first.
    dtype : str

    Raises
    ------
    SettingError, UnknownNameError, NetworkError
        All that is wrong whatever the data are: found here, before any are read.

    Examples
    --------
    >>> Recipe(activation="rely")
    Traceback (most recent call last):
    layerloop.errors.UnknownNameError: unknown activation 'rely'. Did you mean 'relu'?
    """

    reading: str = "program"
    layers: tuple[int, ...] = (32,)
    activation: str = "sigmoid"
    head: str | None = None
    loss: str | None = None
    optimizer: str = "adam"
    rate: float | None = None
    schedule: str | None = None
    decay: float | None = None
    l2: float | None = None
    clip: float | None = None
    dropout: float = 0.0
    input_dropout: float = 0.0
    smoothing: float = 0.0
    class_weight: str | None = None
    batch_size: int = 128
    epochs: int = 20
    seed: int = 0
    validation: float = 0.0
    test: float = 0.2
    dtype: str = "float32"

    def __post_init__(self) -> None:
        self.rule()
        reading = look_up(READINGS, self.reading, "reading")
        known_name(self.activation, ACTIVATIONS, "activation")
        head = known_name(self.head or reading.head, HEADS, "head")
        if self.loss is not None:
            fused_name(head, known_name(self.loss, RECIPE_LOSSES, "loss"))
        if head == "identity" and self.loss == "crossentropy":
            raise NetworkError("crossentropy takes probabilities: head identity goes with loss logitcrossentropy")
        if self.smoothing:
            LossSpec("crossentropy", (("smoothing", self.smoothing),))
        for rate in filter(None, (self.dropout, self.input_dropout)):
            Dropout(rate)
        if self.class_weight not in (None, "balanced"):
            raise SettingError(f"class_weight must be balanced, or left out; got {self.class_weight!r}")
        for width in self.layers:
            whole(width, "the width of a layer", least=1)
        for name, least in (("batch_size", 1), ("epochs", 0), ("seed", 0)):
            whole(getattr(self, name), name, least=least)
        for name in ("validation", "test"):
            if not 0 <= getattr(self, name) < 1:
                raise SettingError(f"the share held out for {name} must be in [0, 1), got {getattr(self, name)!r}")
        float_name(self.dtype)

    def rule(self) -> optim.Rule | None:
        """Return the optimiser; None for L-BFGS, which is no step rule."""
        if self.optimizer == "lbfgs":
            self._check_lbfgs()
            return None
        settings: dict[str, Any] = {} if self.rate is None else {"rate": self.rate}
        if self.schedule is not None:
            rate = optim.base_of(optim.rule_named(self.optimizer, **settings).rate)
            settings["rate"] = optim.schedule_named(self.schedule, rate)
        around: dict[str, Any] = {} if self.clip is None else {"clip_norm": self.clip}
        if self.l2:
            around["l2"] = self.l2
        if self.decay is not None:
            (settings if self.optimizer == "adamw" else around)["decay"] = self.decay
        return optim.rule_named(self.optimizer, adjusted=around or None, **settings)

    def _check_lbfgs(self) -> None:
        """Refuse what L-BFGS has no use for: it chooses each step itself, and its loss is that of prediction."""
        if self.l2 is not None and not 0 <= self.l2 < np.inf:
            raise SettingError(f"l2 must be 0 or more and finite, got {self.l2!r}")
        for name in ("rate", "schedule", "decay", "clip", "dropout", "input_dropout"):
            if getattr(self, name):
                hint = "; its penalty is l2" if name == "decay" else ""
                raise SettingError(f"lbfgs goes over all rows at once and takes no {name}: leave it out{hint}")


ITERATIONS = 100  # of L-BFGS, where the command is told none
PICTURES = Recipe(
    layers=(512, 512),
    activation="relu",
    schedule="one_cycle",
    rate=2e-3,
    dropout=0.3,
    input_dropout=0.1,
    smoothing=0.1,
    batch_size=256,
)
# Recipes by name: the notes' own, one for pictures, chosen on a part of MNIST's training rows, and the same with more,
# smaller steps for folders of photographs, which seldom hold 60,000.
RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {"notes": Recipe(), "pictures": PICTURES, "photos": replace(PICTURES, batch_size=64, epochs=40)}
)


def prepare(data: Dataset, test: Dataset | None, recipe: Recipe) -> Task:
    """Return network, batches and held-out data for a data set.

    Raises
    ------
    InputError
        Too few rows or classes.
    SettingError, UnknownNameError, NetworkError
        A recipe that cannot be followed with these data.
    """
    done: list[str] = []
    loss = _loss(data, recipe)
    part, held = _held_out(data, test, recipe, done)
    inputs = _inputs(data, part[0], done)
    m = _network(data, recipe, inputs)
    target = (0.0, 1.0)
    if data.kind == "values":
        target = _standard(part[1], data.name, recipe.dtype)
        done.append("the target is standardised while training; every figure is in its own units")
        part, held = _scaled(part, target), {name: _scaled(pair, target) for name, pair in held.items()}
    if data.kind == "values" and (recipe.smoothing or recipe.class_weight):
        raise SettingError(f"the target of {data.name} holds values: smoothing and class_weight are for classes")
    weights: Any = {"class_weight": recipe.class_weight} if recipe.class_weight else {}
    loader = DataLoader(part, batchsize=recipe.batch_size, seed=recipe.seed, scale=data.scale, **weights)
    return Task(m, loader, loss, recipe.rule(), held, done, target, recipe.smoothing, recipe.l2 or 0.0)


def _loss(data: Dataset, recipe: Recipe) -> str:
    """Return the loss of the recipe, or the one that fits the target and the head."""
    if data.kind == "classes":
        loss = recipe.loss or ("logitcrossentropy" if recipe.head == "identity" else "crossentropy")
    else:
        loss = recipe.loss or "mse"
    if (LOSSES[loss].targets == "values") != (data.kind == "values"):
        raise NetworkError(f"the target of {data.name} holds {data.kind}, which loss {loss} does not fit: leave it out")
    return loss


def _held_out(data: Dataset, test: Dataset | None, recipe: Recipe, done: list[str]) -> tuple[Data, dict[str, Data]]:
    """Take the held-out shares out of the training rows, each class (or range of values) in its proportion."""
    held: dict[str, Data] = {} if test is None else {"test": (test.X, test.y)}
    shares = {"test": 0.0 if test is not None else recipe.test, "validation": recipe.validation}
    X, y = data.X, data.y
    for stream, (name, share) in enumerate(shares.items()):
        if not share:
            continue
        out = marked_rows(y, share, np.random.default_rng((recipe.seed, 7, stream)))
        rows = describe.count(len(y), "row")
        if out.all() or not out.any():
            are = "is" if len(y) == 1 else "are"
            raise InputError(
                f"{data.name}: {rows} {are} too few to hold out {share:.0%} for {name}; a share of 0 may do"
            )
        done.append(f"{out.sum():,} of {rows} ({share:.0%}) held out for {name}, drawn by the seed")
        held[name] = (X[out], y[out])
        X, y = X[~out], y[~out]
    return (X, y), held


def marked_rows(y: NDArray[np.generic], share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Mark that share of the rows, evenly along the sorted target and at random among equals."""
    order = np.lexsort((rng.random(len(y)), y))
    steps = np.floor(np.arange(len(y) + 1) * share + 0.5)
    marked = np.zeros(len(y), dtype=bool)
    marked[order] = np.diff(steps) > 0
    return marked


def _inputs(data: Dataset, X: NDArray[np.generic], done: list[str]) -> Inputs:
    if data.scale is not None or data.image is not None:
        box = data.box
        if box is None and data.image is not None and data.fit is None:
            box = _box(X[:SEEN].reshape(-1, *data.image))
        inputs = Inputs(scale=data.scale, image=data.image, box=box, fit=data.fit)
        return inputs if data.fit is None else _centred(inputs, X, done)
    largest = float(np.abs(X).max())  # of float32, which has no room for the bound itself
    if not largest < LARGEST:
        raise InputError(f"{data.name}: a column reaches {largest:.3g}: rescale it")
    done.append("every column is brought to mean 0 and standard deviation 1, as it is in the training rows")
    return standardised(X, data.columns)


def _centred(inputs: Inputs, X: NDArray[np.generic], done: list[str]) -> Inputs:
    """Return inputs that take the mean picture off photographs, whose ground is not 0, and divide by one deviation."""
    unit = 1.0 if inputs.scale is None else inputs.scale
    deviation = unit * float(X[:: -(-len(X) // SEEN)].std())
    done.append("the mean of the training pictures is taken off each, and one deviation divides all pixels")
    center = unit * X.mean(axis=0, dtype=np.float64)
    return replace(inputs, center=tuple(center.tolist()), spread=(deviation or 1.0,) * len(center))


def _box(pictures: NDArray[np.generic]) -> int:
    """Return the median length of the longer side of the ink, to which a drawing of another size is brought.

    Ink is brighter than a quarter of the brightest: what is fainter does not count in `prepare_image` either.
    """
    values = pictures.astype(np.float64)
    ink = values > 0.25 * values.max()
    sides = [_lengths(ink.any(axis=axis)) for axis in (1, 2)]
    longer = int(np.median(np.maximum(*sides)))
    h, w = ink.shape[1:]
    return int(min(max(longer, 1), h, w))


def _lengths(lines: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return the length from the first to the last True of each line, 0 where there is none."""
    ends = lines.shape[1] - lines[:, ::-1].argmax(axis=1)
    return np.where(lines.any(axis=1), ends - lines.argmax(axis=1), 0)


def _network(data: Dataset, recipe: Recipe, inputs: Inputs) -> Chain:
    n_in = data.X.shape[1]
    settings = {"seed": recipe.seed, "dtype": recipe.dtype, "inputs": inputs}
    if data.kind == "classes":
        if len(data.classes) < 2:
            raise InputError(
                f"{data.name} has a single class, {', '.join(data.classes)}; there is nothing to tell apart"
            )
        return classifier(
            recipe.reading,
            n_in,
            recipe.layers,
            len(data.classes),
            activation=recipe.activation,
            head=recipe.head,
            dropout=recipe.dropout,
            input_dropout=recipe.input_dropout,
            classes=data.classes,
            **settings,  # type: ignore[arg-type]
        )
    if recipe.reading != "program" or recipe.head not in (None, "identity"):
        raise NetworkError("a target of values has neither reading nor head: leave both out")
    layers = dropped(dense_layers((n_in, *recipe.layers, 1), recipe.activation), recipe.dropout, recipe.input_dropout)
    return Chain(*layers, **settings)  # type: ignore[arg-type]


def _standard(y: NDArray[np.generic], name: str, dtype: str) -> tuple[float, float]:
    """Return center and spread, where the network's numbers can hold them once they are folded into its last layer."""
    values = y.astype(np.float64)
    largest = float(np.abs(values).max())
    hint = "use dtype float64, or " if dtype == "float32" else ""
    if not largest < np.sqrt(float(np.finfo(dtype).max)) / 10:  # its square must have room
        raise InputError(f"the target of {name} reaches {largest:.3g}, too much for {dtype}: {hint}rescale it")
    center, spread = float(values.mean()), float(values.std())
    if spread <= 1e-14 * largest:
        return center, 1.0
    if abs(center) > FARTHEST[dtype] * spread:
        raise InputError(
            f"the target of {name} is {center:.6g} +- {spread:.2g}, which {dtype} has too few digits for: "
            f"{hint}subtract {center:.6g}"
        )
    return center, spread


def _scaled(data: Data, target: tuple[float, float]) -> Data:
    return data[0], (data[1].astype(np.float64) - target[0]) / target[1]
