"""Both loops of the notes on one sample of a trained network, every number of them, in float64.

What the network sees is its own: z_1 is what is left after its inputs were scaled, in its float type; from there on
everything is float64. Letters as in `inspection.steps`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop import describe
from layerloop.decision import likeliest
from layerloop.errors import InputError
from layerloop.gradient_check import Finding, check_gradient, notes_net, seen_by_notes, target_row
from layerloop.inspection.norms import norm
from layerloop.inspection.opened import opened
from layerloop.inspection.steps import Loops, Step, activation_of, kind_of_layer
from layerloop.inspection.subject import kind_of, loss_of, subject_of
from layerloop.inspection.trace_text import trace_html, trace_text
from layerloop.losses import LossSpec
from layerloop.maths.differences import central_differences
from layerloop.maths.loops import backward_from_scores, backward_loop, f, forward_loop
from layerloop.maths.losses import FUSED
from layerloop.network import AnyLoss, Chain, make_plan
from layerloop.settings import whole

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import ArrayLike, NDArray

    from layerloop.arraylike import Samples
    from layerloop.maths.activations import Array
    from layerloop.maths.loops import Backward, Forward
    from layerloop.maths.net import Net

SMALL = 1_000  # numbers of a matrix, a p_i or a w_i that a plain dict holds without being asked
MANY = 200  # entries of each w_i that are checked by default: a few tenths of a second for the notes' network


@dataclass(frozen=True, repr=False)
class Trace(Loops):
    """The two loops on one sample, as `trace` returns them: with `net`, `w`, `y`, `forward` and `backward` of `Loops`.

    Attributes
    ----------
    chain : Chain
        The network.
    classes : tuple of str
        Names of its classes.
    x : array
        The sample as it was given, for the network.
    check : Differences or None
        Finite differences beside the gradient, where they were asked for.

    Examples
    --------
    >>> from layerloop import Chain, Dense, softmax
    >>> t = trace(Chain(Dense(4, 3, "tanh"), Dense(3, 2), softmax), [1.0, -1.0, 0.5, 0.0], 1)
    >>> t.value("A_1").shape, t.value("q_1").shape
    ((3, 15), (4,))
    """

    chain: Chain
    classes: tuple[str, ...]
    x: NDArray[np.generic]
    check: Differences | None = None

    @property
    def value_of_loss(self) -> float:
        """z_{L+3}."""
        return float(self.forward.z[self.net.L + 3])

    @property
    def outputs(self) -> Array:
        """What the network answers, (K,): z_{L+2} or, behind `Members`, the mean of its blocks."""
        return np.asarray(np.mean(np.split(self.forward.z[self.net.L + 2], self.net.k), axis=0))

    def opened(self, name: str, *place: int) -> dict[str, Any]:
        """Return one number with the numbers that made it; see :func:`layerloop.inspection.opened.opened`."""
        return opened(self, name, *place)

    def as_dict(self, full: bool | Collection[str] = ()) -> dict[str, Any]:
        """Return the trace as plain data: numbers, text, lists and dicts.

        Every step has its shape and norm. The vectors z, t, s and q have their `entries`; A, B, p, the parameters and
        the gradient have them where they are small, all with `full=True`, or those that `full` names. Without entries,
        A and B have no `least` and `largest` either: they are not formed.

        Examples
        --------
        >>> from layerloop import Chain, Dense, softmax
        >>> t = trace(Chain(Dense(4, 3, "tanh"), Dense(3, 2), softmax), [1.0, -1.0, 0.5, 0.0], 1)
        >>> [step["name"] for step in t.as_dict()["steps"]][-5:]
        ['q_3', 'p_2', 'q_2', 'p_1', 'q_1']
        """
        net, architecture = self.net, self.chain.architecture
        return {
            "model": repr(self.chain).partition("  #")[0],
            "dtype": self.chain.dtype,
            "parameters": architecture.size,
            "L": net.L,
            "K": net.K,
            "members": net.k,
            "widths": list(net.widths),
            "head": net.head,
            "loss": self.loss,
            "layers": [self._layer(i) for i in range(1, net.L + 1)],
            "sample": self._sample(),
            "value": self.value_of_loss,
            "steps": [self._step(step, full) for step in self.steps.values()],
            "weights": [self._numbers(name, self.value(name), full) for name in self.weights.values()],
            "gradient": self._numbers("G", self.gradient, full),
            "notes": self._notes(),
            "check": None if self.check is None else self.check.as_dict(),
        }

    def _step(self, step: Step, full: bool | Collection[str]) -> dict[str, Any]:
        letter, _, i = step.name.partition("_")
        row = {
            "name": step.name,
            "letter": letter,
            "i": int(i),
            "loop": step.loop,
            "formula": step.formula,
            "text": step.text,
            "from": list(step.sources),
            "shape": list(step.shape),
            "norm": step.norm,
        }
        wanted = full is True or step.name in (full or ()) or math.prod(step.shape) <= SMALL or letter in "ztsq"
        if letter in "AB" and not wanted:
            return {**row, "least": None, "largest": None, "entries": None}
        return {**row, **_summary(self.value(step.name)), "entries": self.value(step.name).tolist() if wanted else None}

    def _layer(self, i: int) -> dict[str, Any]:
        layer, _ = self.layer(i)
        return {
            "i": i,
            "kind": kind_of_layer(layer),
            "text": repr(self.chain.architecture.layers[i - 1]),
            "n_in": layer.takes,
            "n_out": layer.gives,
            "activation": activation_of(layer) or None,
            "parameters": layer.size,
            "parts": [{"name": part.name, "shape": list(part.shape)} for part in layer.parts],
        }

    def _numbers(self, name: str, values: Array, full: bool | Collection[str]) -> dict[str, Any]:
        wanted = full is True or name in (full or ()) or values.size <= SMALL
        row = {"name": name, "shape": list(values.shape), "norm": norm(values)}
        return {**row, **_summary(values), "entries": values.tolist() if wanted else None}

    def _sample(self) -> dict[str, Any]:
        inputs, outputs = self.chain.inputs, self.outputs
        names = self.classes or tuple(map(str, range(len(outputs))))
        yes_or_no = outputs.size == 1 and len(self.classes) == 2
        classes = (kind_of(self.chain) == "classes" and outputs.size > 1) or yes_or_no
        one = classes and self.y.sum() in (1, 0)[: 1 + yes_or_no] and self.y.max() == self.y.sum()
        return {
            "x": self.x.tolist(),
            "y": self.y.tolist(),
            "outputs": outputs.tolist(),
            "classes": list(names) if classes else [],
            "label": names[likeliest(self.y[np.newaxis])[0]] if one else None,
            "predicted": names[likeliest(outputs[np.newaxis])[0]] if classes else None,
            "columns": list(inputs.columns),
            "image": None if inputs.image is None else list(inputs.image),
        }

    def _notes(self) -> list[str]:
        """Return what a reader might stumble over."""
        L, found = self.net.L, []
        if self.fused:
            found.append(
                f"an output with y_k > 0 underflowed to 0, so q_{L + 2} is infinite; "
                f"q_{L + 1} is that of head and loss taken together"
            )
        elif not np.isfinite(self.gradient).all():
            found.append("the gradient is not finite")
        if self.net.head == "modified_softmax" and self.chain.architecture.last_activation == "sigmoid":
            found.append("the scores are positive and the last class has score 0, so it is never predicted")
        if any(kind_of_layer(layer) in ("dropout", "batch_norm") for layer in self.net.layers):
            found.append("as in prediction: dropout drops nothing, batch normalisation uses its running statistics")
        return found

    def __str__(self) -> str:
        return trace_text(self.as_dict())

    def _repr_html_(self) -> str:
        return trace_html(self.as_dict())

    def __repr__(self) -> str:
        return f"Trace of {repr(self.chain).partition('  #')[0]}: loss {describe.figure(self.value_of_loss)}"


@dataclass(frozen=True)
class Differences:
    """Finite differences beside the gradient.

    Attributes
    ----------
    finding : Finding
        Loops against differences and engine against loops, with the worst of each.
    entries : array of int
        Which entries of w, from 0.
    by_loops, by_differences : array
        The partial derivatives there.
    layers : array of int
        The layer of each.
    """

    finding: Finding
    entries: NDArray[np.int64]
    by_loops: Array
    by_differences: Array
    layers: NDArray[np.int64]

    def as_dict(self) -> dict[str, Any]:
        """Return plain data: the finding, and for each layer its entries side by side."""
        rows = []
        for i in sorted(set(self.layers.tolist())):
            own = self.layers == i
            gap = np.abs(self.by_loops - self.by_differences)[own]
            rows.append(
                {
                    "name": f"p_{i}",
                    "checked": int(own.sum()),
                    "largest": float(np.abs(self.by_loops[own]).max()),
                    "largest_difference": float(gap.max()),
                    "entries": self.entries[own].tolist(),
                    "by_loops": self.by_loops[own].tolist(),
                    "by_differences": self.by_differences[own].tolist(),
                }
            )
        return {**self.finding.as_dict(), "text": str(self.finding), "layers": rows}


def trace(
    model: object,
    x: Samples,
    y: ArrayLike | None = None,
    loss: AnyLoss | None = None,
    *,
    check: bool | int = False,
    seed: int = 0,
) -> Trace:
    """Run both loops of the notes on one sample, and keep every number.

        forward   z_1 = x, z_{i+1} = g_i(w_i; z_i), (A_i B_i) = J_{g_i}(w_i; z_i);   z_{L+2} head, z_{L+3} loss
        backward  q_{L+2}, q_{L+1} = B_{L+1}^T q_{L+2};   p_i = A_i^T q_{i+1}, q_i = B_i^T q_{i+1}, i = L, ..., 1

    Parameters
    ----------
    model : Chain, or a fitted estimator with `network_`
    x : (n_in,)
        One sample, as the model takes it.
    y : int, str, float or (K,)
        Its class, value or target row; without one, the class that the network predicts.
    loss : loss or its name
        By default that of the training, as the model's record has it, or the one that fits its head.
    check : bool or int
        Whether to set finite differences beside the gradient, or for how many entries of each w_i (200 by default).
    seed : int
        Draws those entries.

    Raises
    ------
    InputError
        No network, no single sample, or no y for a network that predicts values.
    ShapeError, LabelError
        As the network raises them.

    Examples
    --------
    >>> from layerloop import Chain, Dense, softmax
    >>> t = trace(Chain(Dense(4, 3, "tanh"), Dense(3, 2), softmax, dtype="float64"), [1.0, -1.0, 0.5, 0.0], 1)
    >>> t.value("B_1").shape, t.gradient.shape
    ((3, 4), (23,))
    """
    subject = subject_of(model)
    m = subject.chain
    row = _one_row(subject.rows(x))
    chosen = loss_of(m) if loss is None else loss
    target = _predicted(m, row) if y is None else subject.targets(y)
    net, w = notes_net(m, chosen, target)
    forward = forward_loop(net, w, seen_by_notes(m, row), wanted := target_row(m, target, chosen), dense=False)
    backward, fused = _back(net, w, forward, wanted, make_plan(m, chosen).loss)
    named = "a loss of one's own" if isinstance(chosen, tuple) else str(make_plan(m, chosen).loss)
    found = Trace(net, w, named, wanted, forward, backward, fused, m, subject.classes, _raw(row))
    if check is False:
        return found
    entries = _drawn(net, MANY if check is True else whole(check, "check", least=1), seed)
    finding = check_gradient(m, row, target, chosen, entries=entries.tolist())
    return replace(found, check=_differences(found, finding, entries))


def _one_row(x: Any) -> Any:
    """Return one sample; a batch of one is taken for it."""
    return x[0] if isinstance(x, np.ndarray) and x.ndim == 2 and len(x) == 1 else x


def _raw(row: Any) -> NDArray[np.generic]:
    return np.asarray(row.toarray()[0] if hasattr(row, "toarray") else row)


def _predicted(m: Chain, row: Any) -> int:
    if kind_of(m) != "classes":
        raise InputError("this network predicts values: pass the target y of the sample")
    return int(np.argmax(m(row)))


def _back(net: Net, w: Array, forward: Forward, y: Array, loss: LossSpec | tuple[Any, Any]) -> tuple[Backward, bool]:
    """Return the backward loop, and whether it starts from the fused q_{L+1} since the literal one is not finite."""
    literal = backward_loop(net, w, forward, y)
    scores = forward.z[net.L + 1]
    finite = np.isfinite(literal.q[net.L + 1]).all() or not np.isfinite(scores).all()
    if finite or not isinstance(loss, LossSpec) or (net.head, loss.name) not in FUSED:
        return literal, False
    fused = FUSED[net.head, loss.name]
    q = np.concatenate([fused(block, y, **dict(loss.settings))[1] for block in np.split(scores, net.k)]) / net.k
    found = backward_from_scores(net, w, forward, q)
    return replace(found, q={net.L + 2: literal.q[net.L + 2], **found.q}), True


def _drawn(net: Net, most: int, seed: int) -> NDArray[np.int64]:
    """Return the places in w of at most so many trained entries of each layer."""
    rng, trained = np.random.default_rng(seed), _trained(net)
    found = [np.empty(0, np.int64)]
    for i in range(1, net.L + 1):
        own = np.flatnonzero(trained & (_layer_of(net) == i))
        found.append(own if own.size <= most else np.sort(rng.choice(own, most, replace=False)))
    return np.concatenate(found)


def _layer_of(net: Net) -> NDArray[np.int64]:
    """Return the number of the layer of each entry of w."""
    return np.repeat(np.arange(1, net.L + 1), [layer.size for layer in net.layers])


def _differences(found: Trace, finding: Finding, entries: NDArray[np.int64]) -> Differences:
    """Return central differences at the entries that were checked."""
    net, x, y = found.net, found.forward.z[1], found.y
    slopes = central_differences(lambda v: f(net, v, x, y), found.w, entries=entries.tolist())
    return Differences(finding, entries, found.gradient[entries], slopes, _layer_of(net)[entries])


def _trained(net: Net) -> Array:
    """Return for each entry of w whether it is trained; running statistics are not."""
    parts = [np.full(part.size, part.trained) for layer in net.layers for part in layer.parts]
    return np.concatenate([np.empty(0, bool), *parts])


def _summary(values: Array) -> dict[str, float | None]:
    if not values.size:
        return {"least": None, "largest": None}
    return {"least": float(np.min(values)), "largest": float(np.max(values))}
