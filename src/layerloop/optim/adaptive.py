"""Rules with a rate for each parameter, by the size of its past gradients: AdaGrad, RMSProp, Adam and its kin.

Letters: w parameters, g gradient, r rate (a number or a schedule), t the number of this step counted from 1; all
operations componentwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from layerloop.optim.descent import blend, settle
from layerloop.optim.ranges import NOT_NEGATIVE, SHARE
from layerloop.optim.state import State, rate_now

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from layerloop.optim.rate import Rate
    from layerloop.optim.state import Vector


def _descend(w: Vector, m: Vector, v: Vector, epsilon: float, r: float, s: Vector) -> None:
    """w <- w - r m / (sqrt(v) + epsilon)."""
    np.sqrt(v, out=s)
    np.add(s, epsilon, out=s)
    np.divide(m, s, out=s)
    np.multiply(s, r, out=s)
    np.subtract(w, s, out=w)


@dataclass(frozen=True)
class AdaGrad:
    """Rate per parameter that only falls: v <- v + g^2, w <- w - r g / (sqrt(v) + epsilon).

    Duchi, Hazan and Singer 2011; epsilon outside the root as in PyTorch. It suits rare features: the rate of a
    parameter falls only when it has a gradient.

    Examples
    --------
    >>> from layerloop.optim import init
    >>> rule, w = AdaGrad(0.5, epsilon=0.0), np.array([1.0]); state = init(rule, w)
    >>> for g in (3.0, 4.0): rule.step(w, np.array([g]), state)
    >>> w.round(12)  # 1 - 0.5 * 3 / 3 - 0.5 * 4 / 5
    array([0.1])
    """

    slots: ClassVar[int] = 1
    rate: Rate = 0.01
    epsilon: float = 1e-10

    def __post_init__(self) -> None:
        settle(self, epsilon=NOT_NEGATIVE)

    def step(self, w: Vector, g: Vector, state: State) -> None:
        """v <- v + g^2; w <- w - r g / (sqrt(v) + epsilon)."""
        (v,), s, r = state.slots, state.scratch, rate_now(self.rate, state)
        state.t += 1
        np.multiply(g, g, out=s)
        np.add(v, s, out=v)
        _descend(w, g, v, self.epsilon, r, s)


@dataclass(frozen=True)
class RMSProp:
    """Rate per parameter: v <- rho v + (1 - rho) g^2, w <- w - r g / (sqrt(v) + epsilon) (Hinton 2012)."""

    slots: ClassVar[int] = 1
    rate: Rate = 0.001
    rho: float = 0.9
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        settle(self, rho=SHARE, epsilon=NOT_NEGATIVE)

    def step(self, w: Vector, g: Vector, state: State) -> None:
        """v <- rho v + (1 - rho) g^2; w <- w - r g / (sqrt(v) + epsilon)."""
        (v,), s, r = state.slots, state.scratch, rate_now(self.rate, state)
        state.t += 1
        np.multiply(g, g, out=s)
        blend(v, self.rho, s, s)
        _descend(w, g, v, self.epsilon, r, s)


def _moments(betas: tuple[float, float], g: Vector, state: State) -> tuple[Vector, Vector]:
    """m <- b1 m + (1 - b1) g; v <- b2 v + (1 - b2) g^2."""
    (m, v), s = state.slots, state.scratch
    blend(m, betas[0], g, s)
    np.multiply(g, g, out=s)
    blend(v, betas[1], s, s)
    return m, v


def _adam(
    r: float, betas: tuple[float, float], epsilon: float, w: Vector, g: Vector, state: State, *, hat: bool = False
) -> None:
    """One step of Adam; both bias corrections are folded into two scalars, so the vectors are passed over once each.

    r m^ / (sqrt(v^) + eps) = (r c / (1 - b1^t)) m / (sqrt(v) + c eps),   c = sqrt(1 - b2^t);   `hat` leaves c from eps
    """
    state.t += 1
    m, v = _moments(betas, g, state)
    c = math.sqrt(1 - betas[1] ** state.t)
    _descend(w, m, v, epsilon if hat else c * epsilon, r * c / (1 - betas[0] ** state.t), state.scratch)


@dataclass(frozen=True)
class Adam:
    """Adam: moments m and v of the gradient, corrected for their start at zero (Kingma and Ba 2015).

    m <- b1 m + (1 - b1) g, v <- b2 v + (1 - b2) g^2, m^ = m / (1 - b1^t), v^ = v / (1 - b2^t),
    w <- w - r m^ / (sqrt(v^) + epsilon): epsilon stands outside the root, after the correction, as in the paper.

    Examples
    --------
    >>> from layerloop.optim import init
    >>> w = np.array([1.0]); state = init(Adam(0.1), w)
    >>> Adam(0.1).step(w, np.array([4.0]), state); w.round(6)
    array([0.9])
    """

    slots: ClassVar[int] = 2
    rate: Rate = 0.001
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        settle(self, betas=SHARE, epsilon=NOT_NEGATIVE)

    def step(self, w: Vector, g: Vector, state: State) -> None:
        """One step; see the class."""
        _adam(rate_now(self.rate, state), self.betas, self.epsilon, w, g, state)


@dataclass(frozen=True)
class AdamHat:
    """Adam with the paper's epsilon-hat: the shorter form at the end of section 2 of Kingma and Ba 2015.

    m and v as in Adam, w <- w - r c / (1 - b1^t) m / (sqrt(v) + epsilon) with c = sqrt(1 - b2^t): epsilon stands before
    the correction, so it weighs 1 / c times as much as Adam's, 32 times at the first step. scikit-learn's MLP and Keras
    compute this one.

    Examples
    --------
    >>> from layerloop.optim import init
    >>> rule, w = AdamHat(0.1, betas=(0.5, 0.75), epsilon=1.0), np.array([1.0]); state = init(rule, w)
    >>> rule.step(w, np.array([4.0]), state); w.round(6)  # 1 - 0.1 * 0.5 / 0.5 * 2 / (2 + 1)
    array([0.933333])
    """

    slots: ClassVar[int] = 2
    rate: Rate = 0.001
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        settle(self, betas=SHARE, epsilon=NOT_NEGATIVE)

    def step(self, w: Vector, g: Vector, state: State) -> None:
        """One step; see the class."""
        _adam(rate_now(self.rate, state), self.betas, self.epsilon, w, g, state, hat=True)


@dataclass(frozen=True)
class AdamW:
    """Adam with decoupled weight decay: w <- (1 - r decay) w, then Adam's step (Loshchilov and Hutter 2019).

    The decay acts on every parameter, biases included.
    """

    slots: ClassVar[int] = 2
    rate: Rate = 0.001
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    decay: float = 0.01

    def __post_init__(self) -> None:
        settle(self, betas=SHARE, epsilon=NOT_NEGATIVE, decay=NOT_NEGATIVE)

    def step(self, w: Vector, g: Vector, state: State) -> None:
        """w <- (1 - r decay) w, then Adam."""
        r = rate_now(self.rate, state)
        np.multiply(w, 1 - r * self.decay, out=w)
        _adam(r, self.betas, self.epsilon, w, g, state)


@dataclass(frozen=True)
class LazyAdam:
    """Adam that leaves rows of the first layer alone where their column does not occur in the batch.

    A row is the weights of one input. Where its gradient is zero, its w, m and v stay as they are; where it is not, and
    in all other parameters, the step is Adam's. A step on sparse rows then costs what their entries cost, however many
    columns there are. It is another rule than Adam: m and v of a row forget only when the row is seen, it does not
    drift on along old moments, and t counts all steps, so a row seen late takes first steps of up to
    (1 - b1) / sqrt(1 - b2) times the rate, 3.2 by default.

    Without a network's layout (`setup` knows it) every parameter is a row of its own.

    Examples
    --------
    >>> from layerloop.optim import init
    >>> w = np.array([1.0, 1.0]); state = init(LazyAdam(0.1), w)
    >>> for _ in range(2): LazyAdam(0.1).step(w, np.array([4.0, 0.0]), state)
    >>> w.round(6), state.slots[0].round(6)
    (array([0.8, 1. ]), array([0.76, 0.  ]))
    """

    slots: ClassVar[int] = 2
    rate: Rate = 0.001
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        settle(self, betas=SHARE, epsilon=NOT_NEGATIVE)

    def step(self, w: Vector, g: Vector, state: State) -> None:
        """One step; see the class."""
        n, width = state.rows
        self.step_rows(w, g, state, np.flatnonzero(g[: n * width].reshape(n, width).any(axis=1)))

    def step_rows(self, w: Vector, g: Vector, state: State, rows: NDArray[np.integer]) -> None:
        """One step in which only these rows, ascending, may have a gradient: the others of g are not looked at."""
        n, width = state.rows
        (W, M, V, G), rest = ([x[: n * width].reshape(n, width) for x in (w, *state.slots, g)], slice(n * width, None))
        r, rows = rate_now(self.rate, state), rows[G[rows].any(axis=1)]
        seen = W[rows]
        some = State(self, state.t, (M[rows], V[rows]), np.empty_like(seen))
        _adam(r, self.betas, self.epsilon, seen, G[rows], some)
        W[rows], M[rows], V[rows] = seen, *some.slots
        others = State(self, state.t, tuple(slot[rest] for slot in state.slots), state.scratch[rest])
        _adam(r, self.betas, self.epsilon, w[rest], g[rest], others)
        state.t += 1


@dataclass(frozen=True)
class NAdam:
    """Adam that looks ahead: Nesterov's momentum in the place of m^ (Dozat 2016, in PyTorch's form).

    m and v as in Adam, mu_t = b1 (1 - 0.96^(t psi) / 2) with psi = momentum_decay, M_t = mu_1 mu_2 ... mu_t,
    w <- w - r (mu_{t+1} m / (1 - M_{t+1}) + (1 - mu_t) g / (1 - M_t)) / (sqrt(v^) + epsilon).

    M_t is kept in the state, as `numbers["mu_product"]`.

    Examples
    --------
    >>> from layerloop.optim import init
    >>> rule, w = NAdam(0.1), np.array([1.0]); state = init(rule, w)
    >>> rule.step(w, np.array([4.0]), state); w.round(6)
    array([0.894355])
    """

    slots: ClassVar[int] = 2
    rate: Rate = 0.002
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    momentum_decay: float = 0.004

    def __post_init__(self) -> None:
        settle(self, betas=SHARE, epsilon=NOT_NEGATIVE, momentum_decay=NOT_NEGATIVE)

    def mu(self, t: int) -> float:
        """mu_t = b1 (1 - 0.96^(t psi) / 2)."""
        return float(self.betas[0] * (1 - 0.5 * 0.96 ** (t * self.momentum_decay)))

    def step(self, w: Vector, g: Vector, state: State) -> None:
        """One step; see the class. The two terms of the numerator are taken one after the other."""
        r, s = rate_now(self.rate, state), state.scratch
        state.t += 1
        mu, ahead = self.mu(state.t), self.mu(state.t + 1)
        product = state.numbers["mu_product"] = state.numbers.get("mu_product", 1.0) * mu
        m, v = _moments(self.betas, g, state)
        c = math.sqrt(1 - self.betas[1] ** state.t)
        _descend(w, g, v, c * self.epsilon, r * c * (1 - mu) / (1 - product), s)
        _descend(w, m, v, c * self.epsilon, r * c * ahead / (1 - product * ahead), s)


@dataclass(frozen=True)
class RAdam:
    """Adam that waits for its second moment: rectified while v rests on few gradients (Liu et al. 2020).

    m, v and m^ as in Adam, rho_inf = 2 / (1 - b2) - 1, rho_t = rho_inf - 2 t b2^t / (1 - b2^t).
    Where rho_t <= 5: w <- w - r m^. Beyond, with c = sqrt(1 - b2^t) and
    q = sqrt((rho_t - 4) (rho_t - 2) rho_inf / ((rho_inf - 4) (rho_inf - 2) rho_t)):
    w <- w - r q c m^ / (sqrt(v) + epsilon), epsilon placed as in PyTorch. With b2 = 0.999 the first five steps are
    plain momentum.

    Examples
    --------
    >>> from layerloop.optim import init
    >>> rule, w = RAdam(0.1), np.array([1.0]); state = init(rule, w)
    >>> rule.step(w, np.array([4.0]), state); w.round(6)
    array([0.6])
    """

    slots: ClassVar[int] = 2
    rate: Rate = 0.001
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        settle(self, betas=SHARE, epsilon=NOT_NEGATIVE)

    def step(self, w: Vector, g: Vector, state: State) -> None:
        """One step; see the class."""
        r, s = rate_now(self.rate, state), state.scratch
        state.t += 1
        m, v = _moments(self.betas, g, state)
        r /= 1 - self.betas[0] ** state.t
        rectified = _rectification(self.betas[1], state.t)
        if rectified is None:
            np.multiply(m, r, out=s)
            np.subtract(w, s, out=w)
        else:
            _descend(w, m, v, self.epsilon, r * rectified, s)


def _rectification(beta2: float, t: int) -> float | None:
    """Return q c of RAdam, or None where rho_t <= 5."""
    left = 1 - beta2**t
    rho_inf = 2 / (1 - beta2) - 1
    rho = rho_inf - 2 * t * beta2**t / left
    if rho <= 5:
        return None
    q = (rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho)
    return math.sqrt(q * left)
