"""One number of the loops opened to the numbers that made it: t_i,k to the products of row k, q_i,j of column j.

Places are counted from 1, as in the notes: ("W_1", 5, 785) is the bias of row 5 of a 784-32 layer.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop.errors import InputError
from layerloop.inspection.norms import DENSE
from layerloop.maths.affine import Dense, Scale

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from layerloop.inspection.steps import Loops

    Place = tuple[int, ...]
    Factor = dict[str, Any]
    Term = list[Factor]


def opened(t: Loops, name: str, *place: int) -> dict[str, Any]:
    """Return one number of a trace with the numbers that made it, as plain data.

    Parameters
    ----------
    t : Loops or Trace
    name : str
        A value of the loops, such as "z_2", "B_1", "q_1"; "W_1" or "G".
    place : int
        Where, from 1: one number for a vector, row and column for a matrix. An entry of p_i of a dense layer may be
        asked for by its row and column in W_i.

    Returns
    -------
    dict
        `name`, `at`, `value`, `text` (the formula of the whole value), `sum`, and `terms`. With `sum` the value is the
        sum of the terms' `value`, each the product of its `factors` (`name`, `at`, `value`); without, `terms` are what
        the formula is applied to. There are none for a number that is given, or where too large a matrix would have to
        be formed.

    Raises
    ------
    UnknownNameError
        When the loops have no such value.
    InputError
        When it has no such place.

    Examples
    --------
    >>> from layerloop import Chain, Dense, softmax, trace
    >>> t = trace(Chain(Dense(2, 3, "tanh"), Dense(3, 2), softmax, dtype="float64"), [1.0, -1.0], 1)
    >>> found = opened(t, "t_1", 2)
    >>> [[factor["name"] for factor in term["factors"]] for term in found["terms"]]
    [['W_1', 'z_1'], ['W_1', 'z_1'], ['W_1']]
    >>> found["value"] == float(t.value("t_1")[1])
    True
    """
    values = t.value(name)
    letter, _, number = name.partition("_")
    i = int(number or 0)
    at = _place_in_p(t, i, place) if letter == "p" and len(place) == 2 and _plain(t, i) else place
    _check_place(name, values.shape, at)
    is_sum, terms = OPENERS[letter](t, i, at)
    return {
        "name": name,
        "at": list(at),
        "value": float(values[tuple(k - 1 for k in at)]),
        "text": t.steps[name].text if name in t.steps else "",
        "sum": is_sum,
        "terms": [{"value": float(np.prod([f["value"] for f in term])), "factors": term} for term in terms],
    }


def _place_in_p(t: Loops, i: int, place: Place) -> Place:
    """Return the place in p_i of a row and column of W_i."""
    shape = t.value(f"W_{i}").shape
    _check_place(f"p_{i} as W_{i}", shape, place)
    return ((place[0] - 1) * shape[1] + place[1],)


def _check_place(name: str, shape: tuple[int, ...], place: Place) -> None:
    if len(place) != len(shape) or not all(1 <= k <= n for k, n in zip(place, shape, strict=False)):
        size = " x ".join(map(str, shape)) or "a single number"
        raise InputError(f"{name} is {size}, its places counted from 1; got {place}")


def _factor(t: Loops, name: str, *at: int) -> Factor:
    values = t.y if name == "y" else t.value(name)
    return {"name": name, "at": list(at), "value": float(values[tuple(k - 1 for k in at)])}


def _plain(t: Loops, i: int) -> bool:
    """Whether layer i is a dense one as the notes have it."""
    layer, _ = t.layer(i)
    return isinstance(layer, Dense) and not layer.ntk and layer.members == 1


def _augmented(t: Loops, i: int, j: int) -> Term:
    """Return entry j of z_i^{;1}: nothing for the 1 at its end."""
    return [] if j > t.forward.z[i].size else [_factor(t, f"z_{i}", j)]


Opened = tuple[bool, list["Term"]]


def _of_t(t: Loops, i: int, at: Place) -> Opened:
    """t_i,k = sum_j W_i,kj z_i^{;1},j."""
    if not _plain(t, i):
        return False, []
    n = t.forward.z[i].size
    W = t.value(f"W_{i}")[at[0] - 1]
    weights = ({"name": f"W_{i}", "at": [at[0], j], "value": float(W[j - 1])} for j in range(1, n + 2))
    return True, [[weight, *_augmented(t, i, j)] for j, weight in enumerate(weights, start=1)]


def _of_s(t: Loops, i: int, at: Place) -> Opened:
    return False, [[_factor(t, f"t_{i}", *at)]]


def _of_z(t: Loops, i: int, at: Place) -> Opened:
    """z_{i+1},k = f(t_i,k); the head takes all scores of its block, the loss every output beside its target."""
    L, K = t.net.L, t.net.K
    if i == 1:
        return False, []
    if i == L + 3:
        outputs = range(1, t.forward.z[L + 2].size + 1)
        return False, [[_factor(t, f"z_{L + 2}", k), _factor(t, "y", (k - 1) % K + 1)] for k in outputs]
    if i == L + 2:
        return False, [[_factor(t, f"z_{L + 1}", k)] for k in _scores_of(t, at[0])]
    layer, _ = t.layer(i - 1)
    return False, [[_factor(t, f"t_{i - 1}", *at)]] if isinstance(layer, Dense | Scale) else []


def _scores_of(t: Loops, k: int) -> range:
    """Return the places of the scores that enter output k: its own, or where the head mixes them its member's."""
    per, K = t.net.widths[-1] // t.net.k, t.net.K
    if t.net.head in ("softmax", "modified_softmax"):
        first = (k - 1) // K * per
        return range(first + 1, first + per + 1)
    return range(k, k + 1)


def _of_A(t: Loops, i: int, at: Place) -> Opened:
    """A~_i: row k holds s_i,k z_i^{;1} in block k, zeros elsewhere."""
    if not _plain(t, i):
        return False, []
    k, j = _place_in_W(t, i, at[1])
    return True, [[_factor(t, f"s_{i}", k), *_augmented(t, i, j)]] if k == at[0] else []


def _place_in_W(t: Loops, i: int, c: int) -> tuple[int, int]:
    """Return row and column in W_i of entry c of w_i."""
    k, j = divmod(c - 1, t.forward.z[i].size + 1)
    return k + 1, j + 1


def _of_B(t: Loops, i: int, at: Place) -> Opened:
    """B~_i,kj = s_i,k W_i,kj; of the head, the two outputs that enter."""
    if i == t.net.L + 1:
        n = t.forward.z[i + 1].size
        return False, [[_factor(t, f"z_{i + 1}", k)] for k in dict.fromkeys(at) if k <= n]
    if not _plain(t, i):
        return False, []
    return True, [[_factor(t, f"s_{i}", at[0]), _factor(t, f"W_{i}", *at)]]


def _of_q(t: Loops, i: int, at: Place) -> Opened:
    """q_i,j = sum_k B_i,kj q_{i+1},k; q_{L+2} comes from the loss."""
    L = t.net.L
    if i == L + 2 or (t.fused and i == L + 1):
        places = at if at[0] <= t.forward.z[L + 2].size else ()
        return False, [[_factor(t, f"z_{L + 2}", k), _factor(t, "y", (k - 1) % t.net.K + 1)] for k in places]
    return _products(t, "B", i, at[0])


def _of_p(t: Loops, i: int, at: Place) -> Opened:
    """p_i,c = sum_k A_i,kc q_{i+1},k; of a dense layer one product, s_i,k z_i^{;1},j q_{i+1},k."""
    if _plain(t, i):
        k, j = _place_in_W(t, i, at[0])
        return True, [[_factor(t, f"s_{i}", k), *_augmented(t, i, j), _factor(t, f"q_{i + 1}", k)]]
    return _products(t, "A", i, at[0])


def _products(t: Loops, letter: str, i: int, column: int) -> Opened:
    """Return entry k of a column of A_i or B_i with q_{i+1},k, where the entry is not 0."""
    matrix = f"{letter}_{i}"
    if letter == "B" and i <= t.net.L and _plain(t, i):
        entries = t.value(f"s_{i}") * t.value(f"W_{i}")[:, column - 1]  # a column of a B that may be large
    elif math.prod(t.steps[matrix].shape) <= DENSE:
        entries = t.value(matrix)[:, column - 1]
    else:
        return False, []
    terms = []
    for k in np.flatnonzero(entries).tolist():
        entry = {"name": matrix, "at": [k + 1, column], "value": float(entries[k])}
        terms.append([entry, _factor(t, f"q_{i + 1}", k + 1)])
    return True, terms


def _of_G(t: Loops, _: int, at: Place) -> Opened:
    """The gradient at place c is an entry of the p_i whose stretch of w it lies in."""
    left = at[0]
    for i, p in sorted(t.backward.p.items()):
        if left <= p.size:
            return True, [[_factor(t, f"p_{i}", left)]]
        left -= p.size
    return False, []


OPENERS: Mapping[str, Callable[[Loops, int, Place], Opened]] = {
    "z": _of_z,
    "t": _of_t,
    "s": _of_s,
    "A": _of_A,
    "B": _of_B,
    "q": _of_q,
    "p": _of_p,
    "W": lambda *_: (False, []),  # what is given
    "w": lambda *_: (False, []),
    "G": _of_G,
}
