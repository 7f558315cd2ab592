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
from layerloop.losses import LossSpec, spec_of
from layerloop.network import Chain, params
from layerloop.plan import HEADS, check_columns, fused_name
from layerloop.readings import READINGS, classifier, dense_layers, dropped
from layerloop.settings import float_name, whole
from layerloop.training.recipe_inputs import inputs_for
from layerloop.training.standard import AS_IT_IS, Standard, standard_of
from layerloop.training.task import Task
from layerloop.vocabulary import Head

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from numpy.typing import NDArray

    from layerloop.data import Dataset
    from layerloop.preprocessing import Inputs
    from layerloop.training.task import Data

# What serves a target as it is read: one class of several, labels that are each yes or no, one value, a count.
RECIPE_LOSSES = (
    *("crossentropy", "logitcrossentropy", "binarycrossentropy"),
    *("mse", "mae", "huber", "quantile", "poisson"),
)
HEAD_LOSSES = {"identity": "logitcrossentropy", "sigmoid": "binarycrossentropy", "exp": "poisson"}  # by its head


@dataclass(frozen=True)
class Recipe:
    """How to train on a data set; the defaults are the notes' run (section 7.3).

    Parameters
    ----------
    reading : "program" or "notes"
    layers : tuple of int
        Widths of the hidden layers; empty for a single layer.
    activation, head, loss, optimizer : str
        Rows of the tables; head and loss by default those of the reading and of the kind of target. A loss may have its
        settings with it, "huber:delta=0.5", "quantile:levels=0.1,0.5,0.9" (an output for each level). Where a row has
        several values, each is standardised by itself, and a single delta is in deviations of each. The optimizer may
        be "lbfgs" too, which has no rate: `epochs` are its iterations over all rows.
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
    centred : bool
        Whether the mean of the training pictures is taken off each, and one deviation divides all pixels. Photographs
        always are, and columns of a table have a mean and a deviation each.
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
    centred: bool = False
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
        if self.head is not None:
            known_name(self.head, HEADS, "head")
        if self.loss is not None:
            self._check_loss(spec_of(self.loss), reading.head)
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

    def _check_loss(self, loss: LossSpec, usual: str) -> None:
        """Refuse a loss that is none for a recipe, or that does not go with the head."""
        known_name(loss.name, RECIPE_LOSSES, "loss")
        head = self.head or (loss.row.head if loss.row.head in HEAD_LOSSES else usual)
        fused_name(head, loss.name)
        if head == "identity" and loss.name == "crossentropy":
            raise NetworkError("crossentropy takes probabilities: head identity goes with loss logitcrossentropy")
        if HEAD_LOSSES.get(head, loss.name) != loss.name and (head != "identity" or loss.row.head in HEAD_LOSSES):
            raise NetworkError(f"head {head} goes with loss {HEAD_LOSSES[head]}, not with {loss}: leave it out")

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
        if self.optimizer == "lazy_adam":
            self._check_lazy_adam()
            around = {}
        return optim.rule_named(self.optimizer, adjusted=around or None, **settings)

    def _check_lazy_adam(self) -> None:
        """Refuse what acts on every parameter."""
        names = " or ".join(name for name in ("clip", "l2", "decay") if getattr(self, name))
        if names:
            raise SettingError(
                f"lazy_adam leaves rows alone and takes no {names}, which acts on all: use adam, or leave it out"
            )

    def _check_lbfgs(self) -> None:
        """Refuse what L-BFGS has no use for: it chooses each step itself, and its loss is that of prediction."""
        if self.l2 is not None and not 0 <= self.l2 < np.inf:
            raise SettingError(f"l2 must be 0 or more and finite, got {self.l2!r}")
        for name in ("rate", "schedule", "decay", "clip", "dropout", "input_dropout"):
            if getattr(self, name):
                hint = "; its penalty is l2" if name == "decay" else ""
                raise SettingError(f"lbfgs goes over all rows at once and takes no {name}: leave it out{hint}")


SEVERAL = (
    "each target is standardised while training: losses of passes are in deviations, the figures before and after in "
    "the targets' own units"
)
ITERATIONS = 100  # of L-BFGS, where the command is told none
PICTURES = Recipe(
    layers=(512, 512),
    activation="gelu",
    centred=True,
    schedule="one_cycle",
    rate=2e-3,
    dropout=0.3,
    input_dropout=0.1,
    smoothing=0.1,
    batch_size=256,
)
# Recipes by name: the notes' own, one for pictures, chosen on a part of the training rows of MNIST and of Fashion-MNIST
# (docs/benchmarks.md), and the same with more, smaller steps for folders of photographs, which seldom hold 60,000.
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
    if (recipe.smoothing or recipe.class_weight) and data.kind != "classes":
        raise SettingError(f"the target of {data.name} holds {data.kind}: smoothing and class_weight are for classes")
    if recipe.smoothing and "smoothing" not in loss.row.settings:
        raise SettingError(f"{loss} knows no smoothing of the labels: leave it out, or use crossentropy")
    part, held = _held_out(data, test, recipe, done)
    inputs = inputs_for(data, part[0], done, centred=recipe.centred)
    m = _network(data, recipe, inputs, loss)
    target = AS_IT_IS
    if loss.row.unit is not None:
        target = standard_of(part[1], _names_of_targets(data), recipe.dtype)
        done.append(
            SEVERAL if target.several else "the target is standardised while training; every figure is in its own units"
        )
        loss = _with_delta_for_each(loss, target, done)
        part = part[0], target.applied(part[1])
        held = {name: (X, target.applied(y)) for name, (X, y) in held.items()}
    if loss.name == "poisson":
        _begin_at_mean(m, part[1], data.name)
    weights: Any = {"class_weight": recipe.class_weight} if recipe.class_weight else {}
    loader = DataLoader(part, batchsize=recipe.batch_size, seed=recipe.seed, scale=data.scale, **weights)
    return Task(
        m, loader, loss, recipe.rule(), held, done, target, recipe.smoothing, recipe.l2 or 0.0, data.first_column
    )


def _loss(data: Dataset, recipe: Recipe) -> LossSpec:
    """Return the loss of the recipe, or the one that fits the target and the head."""
    usual = {"labels": "binarycrossentropy", "values": "mse"}.get(data.kind, "crossentropy")
    plain = data.kind == "values" and recipe.head == "identity"
    by_head = usual if plain else HEAD_LOSSES.get(recipe.head or "", usual)
    loss = spec_of(recipe.loss or by_head)
    wanted = {"classes": "classes", "shares": "labels"}.get(loss.row.targets, "values")
    two = wanted == "labels" and data.kind == "classes" and len(data.classes) == 2
    if wanted != data.kind and not two:
        what = f"{len(data.classes)} classes" if wanted == "labels" and data.kind == "classes" else data.kind
        raise NetworkError(f"the target of {data.name} holds {what}, which loss {loss} does not fit: leave it out")
    if data.y.ndim > 1 and data.kind == "values":
        _check_several(data, loss)
    return loss


def _check_several(data: Dataset, loss: LossSpec) -> None:
    """Refuse a loss of several quantiles of several values, or with other deltas than there are values a row."""
    width = data.y.shape[1]
    if loss.levels > 1:
        raise NetworkError(f"{data.name} has {width} values a row, and {loss} is of one: name one level, or one target")
    check_columns(loss, width)


def _with_delta_for_each(loss: LossSpec, target: Standard, done: list[str]) -> LossSpec:
    """Return huber with a delta in the units of each of several targets; a single one is taken in their deviations.

    As one length for all it would be next to nothing beside a target of large numbers, which would hardly be learned.
    """
    delta = dict(loss.settings).get("delta")
    if not target.several or not isinstance(delta, float):
        return loss
    done.append(f"huber's delta is {delta:g}, in deviations of each target")
    return loss.with_(delta=tuple(float(f"{delta * spread:.6g}") for spread in target.spreads))


def _names_of_targets(data: Dataset) -> list[str]:
    """Return what messages call the target, or each of several values a row."""
    if data.y.ndim == 1:
        return [f"the target of {data.name}"]
    names = (data.target or "").split(",")
    names = names if len(names) == data.y.shape[1] else list(map(str, range(data.y.shape[1])))
    return [f"target {name.strip()} of {data.name}" for name in names]


def kind_of_target(loss: str) -> str:
    """Return as what a target is to be read for a loss: "classes", which labels are too, or "values".

    Examples
    --------
    >>> kind_of_target("huber:delta=2"), kind_of_target("binarycrossentropy")
    ('values', 'classes')
    """
    return "values" if spec_of(loss).row.targets in ("values", "counts") else "classes"


def _begin_at_mean(m: Chain, y: NDArray[np.generic], name: str) -> None:
    """Set the last bias so that the first rates are about the mean counts, of whatever size they are."""
    if y.min() < 0:
        raise InputError(f"the target of {name} reaches {y.min():g}; poisson is for counts, from 0 on")
    mean = np.atleast_1d(y.astype(np.float64).mean(axis=0))
    bias = params(m)[f"layer{len(m.architecture.layers)}.bias"]
    bias[mean > 0] += np.log(mean[mean > 0])


def _held_out(data: Dataset, test: Dataset | None, recipe: Recipe, done: list[str]) -> tuple[Data, dict[str, Data]]:
    """Take the held-out shares out of the training rows, each class (or range of values) in its proportion."""
    held: dict[str, Data] = {} if test is None else {"test": (test.X, test.y)}
    shares = {"test": 0.0 if test is not None else recipe.test, "validation": recipe.validation}
    X, y = data.X, data.y
    for stream, (name, share) in enumerate(shares.items()):
        if not share:
            continue
        out = held_out_rows(y, share, recipe.seed, stream)
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


def held_out_rows(y: NDArray[np.generic], share: float, seed: int, stream: int = 0) -> NDArray[np.bool_]:
    """Mark the rows that are held out by a seed; `stream` is 0 for those of the test, 1 for those of validation."""
    return marked_rows(_kinds(y), share, np.random.default_rng((seed, 7, stream)))


def _kinds(y: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return one number a row to be held out evenly by: of several labels or values, its place when rows are sorted."""
    return y if y.ndim == 1 else np.unique(y, axis=0, return_inverse=True)[1].reshape(len(y))


def marked_rows(y: NDArray[np.generic], share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Mark that share of the rows, evenly along the sorted target and at random among equals."""
    order = np.lexsort((rng.random(len(y)), y))
    steps = np.floor(np.arange(len(y) + 1) * share + 0.5)
    marked = np.zeros(len(y), dtype=bool)
    marked[order] = np.diff(steps) > 0
    return marked


def _network(data: Dataset, recipe: Recipe, inputs: Inputs, loss: LossSpec) -> Chain:
    n_in = data.X.shape[1]
    settings: dict[str, Any] = {"seed": recipe.seed, "dtype": recipe.dtype, "inputs": inputs, "classes": data.classes}
    dropout: dict[str, Any] = {"dropout": recipe.dropout, "input_dropout": recipe.input_dropout}
    if data.kind == "classes" and len(data.classes) < 2:
        raise InputError(f"{data.name} has a single class, {', '.join(data.classes)}; there is nothing to tell apart")
    if loss.row.targets == "classes":
        return classifier(
            recipe.reading,
            n_in,
            recipe.layers,
            len(data.classes),
            activation=recipe.activation,
            head=recipe.head,
            **dropout,
            **settings,
        )
    head = loss.row.head or "identity"
    if recipe.reading != "program" or recipe.head not in (None, head):
        raise NetworkError(f"a target of {data.kind} with loss {loss} has neither reading nor head: leave both out")
    n_out = data.y.shape[1] if data.y.ndim > 1 else loss.levels
    layers = dropped(dense_layers((n_in, *recipe.layers, n_out), recipe.activation), **dropout)
    return Chain(*layers, *([] if head == "identity" else [Head(head)]), **settings)
