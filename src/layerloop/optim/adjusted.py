"""What may be put around any rule: clipping, weight decay of both kinds, rate factors, averages of the parameters.

One step of `Adjusted(rule, ...)`, in this order, each line only where it is asked for. Letters: w parameters, g
gradient, R the rule's rate times the part's factor, d the part's factor of decay (0 or 1), a the average:

    1. g <- min(max(g, -clip_value), clip_value)          clipping by value
    2. g <- g min(1, clip_norm / |g|)                     clipping by global norm, |g| over all parameters
    3. g <- g + l2 d w                                    coupled decay: the gradient of (l2 / 2) |w|^2
    4. w <- (1 - R decay d) w                             decoupled decay
    5. the rule's own step along g, with rate R           part by part
    6. a <- a + c_k (w - a)                               average

With k the number of parameter vectors in the average, c_k = 1 / k makes it their mean (`tail`) and
c_k = (1 - ema) / (1 - ema^k) their exponential mean, in which w of j steps ago weighs ema^j (weights that sum to 1 from
the first step on).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from layerloop.errors import SettingError, UnknownNameError, did_you_mean
from layerloop.optim.ranges import NOT_NEGATIVE, POSITIVE, SHARE, check_ranges
from layerloop.optim.rate import Rate, Schedule, value_at
from layerloop.optim.rules import AdamW, LazyAdam
from layerloop.optim.schedules import as_rate, plateau_in
from layerloop.optim.state import Part, Rule, State, rate_now
from layerloop.settings import whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from layerloop.optim.state import Vector

# Names and sizes of the parts of w, in their order, such as (("layer1.weight", 96), ("layer1.bias", 32)).
Layout = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Adjusted:
    """A rule with things added around its step; the module says what happens, and in which order.

    Parts of the parameters are named as `params(m)` names them. A name stands for every part that it is, or that has it
    between its dots: "layer1.weight", "layer1" (weights and biases), "bias" (those of all layers).

    Parameters
    ----------
    rule : Rule
        What makes the step; no `Adjusted`, as the order of two of them would say nothing.
    clip_value, clip_norm : float, optional
        Bounds of each component of the gradient, and of the norm of all of it.
    l2 : float
        Coupled weight decay, added to the gradient.
    decay : float or Schedule
        Decoupled weight decay, multiplied by the rate (Loshchilov and Hutter 2019); `AdamW` brings its own.
    undecayed : sequence of str
        Parts on which neither decay acts, such as ["bias"].
    factors : dict of str to float
        What the rate is multiplied by; where several names stand for a part, by all of their factors. 0 freezes.
    ema : float, optional
        Keep the exponential mean of the parameters after every step.
    tail : float, optional
        Keep the mean of the parameters after the steps past this share of training; 0 for all steps.
    steps : int, optional
        All steps there will be, for `tail`; `train` fills it in.

    Raises
    ------
    SettingError
        A setting out of range, both averages at once, a second decay on AdamW, an `Adjusted` inside.

    Examples
    --------
    >>> from layerloop.optim import Adam, CosLog4, FlatCos, init
    >>> rule = Adjusted(  # RealMLP's (arXiv 2407.04491)
    ...     Adam(CosLog4(0.04), betas=(0.9, 0.95)), decay=FlatCos(0.02), undecayed=["bias"], factors={"bias": 0.1}
    ... )
    >>> rule.rate
    CosLog4(rate=0.04, steps=None)
    """

    rule: Rule
    clip_value: float | None = None
    clip_norm: float | None = None
    l2: float = 0.0
    decay: Rate = 0.0
    undecayed: Sequence[str] = ()
    factors: dict[str, float] = field(default_factory=dict)
    ema: float | None = None
    tail: float | None = None
    steps: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "decay", as_rate(self.decay))
        if not isinstance(self.undecayed, str | list | tuple) or not isinstance(self.factors, dict):
            raise SettingError(
                f"Adjusted: undecayed takes names, factors a dict of names; got {self.undecayed!r} and {self.factors!r}"
            )
        names = (self.undecayed,) if isinstance(self.undecayed, str) else tuple(self.undecayed)
        object.__setattr__(self, "undecayed", names)
        object.__setattr__(self, "factors", dict(self.factors))
        self._check_rule()
        optional = {"clip_value": POSITIVE, "clip_norm": POSITIVE, "ema": SHARE, "tail": SHARE}
        check_ranges(self, **{name: r for name, r in optional.items() if getattr(self, name) is not None})
        check_ranges(self, l2=NOT_NEGATIVE, **({} if isinstance(self.decay, Schedule) else {"decay": NOT_NEGATIVE}))
        for name, factor in self.factors.items():
            if not isinstance(factor, int | float | np.number) or not 0 <= factor < math.inf:
                raise SettingError(f"Adjusted: the factor of {name} must be in [0, inf), got {factor!r}")
        if plateau_in(self.decay):
            raise SettingError(
                "Adjusted: a plateau lowers the rate, and the decay with it; decay takes another schedule"
            )
        if self.ema is not None and self.tail is not None:
            raise SettingError("Adjusted: one average is kept, ema or tail; give one of them")
        if self.steps is not None:
            whole(self.steps, "Adjusted: steps", least=1)

    def _check_rule(self) -> None:
        if isinstance(self.rule, type) or not isinstance(self.rule, Rule) or isinstance(self.rule, Adjusted):
            raise SettingError(f"Adjusted goes around one rule such as Adam(1e-3), got {self.rule!r}")
        if isinstance(self.rule, LazyAdam):
            raise SettingError("Adjusted acts on every parameter, LazyAdam leaves rows alone: use Adjusted(Adam(...))")
        if isinstance(self.rule, AdamW) and self.decay != 0:
            raise SettingError("AdamW has a decay of its own: AdamW(..., decay=...), or Adjusted(Adam(...), decay=...)")

    @property
    def rate(self) -> Rate:
        """The rule's rate."""
        return self.rule.rate

    @property
    def averages(self) -> bool:
        """Whether an average of the parameters is kept, as the last slot."""
        return self.ema is not None or self.tail is not None

    @property
    def changes_gradient(self) -> bool:
        """Whether the rule steps along another gradient than it is given."""
        return self.clip_value is not None or self.clip_norm is not None or self.l2 > 0

    @property
    def slots(self) -> int:
        """The rule's slots, and one for the average."""
        return self.rule.slots + self.averages

    def parts(self, n: int, layout: Layout) -> tuple[Part, ...]:
        """Return the parts of a vector of n parameters with their factors, neighbours with equal ones joined.

        Raises
        ------
        SettingError
            When parts are named, but the layout is not known.
        UnknownNameError
            For a name that stands for no part.
        """
        if not self.factors and not self.undecayed:
            return (Part(0, n),)
        if not layout:
            raise SettingError("Adjusted: factors and undecayed name parts of a network; setup(rule, m) knows them")
        for name in (*self.factors, *self.undecayed):
            if not any(means_part(name, part) for part, _ in layout):
                known = {word for part, _ in layout for word in (part, *part.split("."))}
                raise UnknownNameError(f"no part of the parameters is {name!r}.{did_you_mean(name, sorted(known))}")
        found: list[Part] = []
        stop = 0
        for part, size in layout:
            start, stop = stop, stop + size
            rate = math.prod(factor for name, factor in self.factors.items() if means_part(name, part))
            decay = float(not any(means_part(name, part) for name in self.undecayed))
            if found and (found[-1].rate, found[-1].decay) == (rate, decay):
                start = found.pop().start
            found.append(Part(start, stop, rate, decay))
        return tuple(found)

    def averaged(self, t: int) -> int:
        """Return the number k of parameter vectors in the average after t steps."""
        if self.tail is None:
            return t
        return max(t - round(self.tail * (self.steps or 0)), 0)

    def share(self, t: int) -> float:
        """Return c_k, the share of the newest parameters in the average after t steps; 0 where there is none yet."""
        k = self.averaged(t) if self.averages else 0
        if not k:
            return 0.0
        return 1 / k if self.ema is None else (1 - self.ema) / (1 - self.ema**k)

    def step(self, w: Vector, g: Vector, state: State) -> None:
        """One step; see the module."""
        state.parts = state.parts or self.parts(len(w), ())
        along = self._gradient(w, g, state)
        after = state
        for part in state.parts:
            cut = slice(part.start, part.stop)
            slots = tuple(slot[cut] for slot in state.slots[: self.rule.slots])
            scale = state.scale * part.rate
            after = State(self.rule, state.t, slots, state.scratch[cut], scale, dict(state.numbers))
            factor = value_at(self.decay, state.t) * part.decay
            if factor:
                w[cut] *= 1 - rate_now(self.rate, after) * factor
            self.rule.step(w[cut], along[cut], after)
        state.t, state.numbers = after.t, after.numbers
        if self.averages:
            self._average(w, state)

    def _gradient(self, w: Vector, g: Vector, state: State) -> Vector:
        """Return g as it is, or changed, in the second half of the scratch."""
        if not self.changes_gradient:
            return g
        s, changed = np.split(state.scratch, 2)
        np.copyto(changed, g)
        if self.clip_value is not None:
            np.clip(changed, -self.clip_value, self.clip_value, out=changed)
        if self.clip_norm is not None:
            norm = _norm(changed, s)
            if norm > self.clip_norm:
                np.multiply(changed, self.clip_norm / norm, out=changed)
        if self.l2:
            for part in state.parts:
                cut = slice(part.start, part.stop)
                np.multiply(w[cut], self.l2 * part.decay, out=s[cut])
            np.add(changed, s, out=changed)
        return changed

    def _average(self, w: Vector, state: State) -> None:
        """a <- a + c_k (w - a)."""
        share = self.share(state.t)
        if not share:
            return
        a, s = state.slots[-1], state.scratch[: len(w)]
        np.subtract(w, a, out=s)
        np.multiply(s, share, out=s)
        np.add(a, s, out=a)


def means_part(name: str, part: str) -> bool:
    """Whether a name stands for a part: it is the part's, or stands between its dots."""
    return name == part or name in part.split(".")


def _norm(g: Vector, s: Vector) -> float:
    """|g|, by way of the largest component, so that no square overflows; s is scratch.

    Summed by NumPy, not by BLAS: the same bits whatever the number of threads.
    """
    np.abs(g, out=s)
    largest = float(s.max(initial=0.0))
    if not 0 < largest < math.inf:
        return largest
    np.divide(s, largest, out=s)
    np.multiply(s, s, out=s)
    return largest * math.sqrt(float(np.add.reduce(s, dtype=np.float64)))


def average_of(state: State) -> Vector:
    """Return a copy of the average of the parameters that a state holds.

    Raises
    ------
    SettingError
        When its rule keeps none, or nothing has been averaged yet.

    Examples
    --------
    >>> from layerloop.optim import Descent, init
    >>> rule, w = Adjusted(Descent(1.0), tail=0.0, steps=2), np.array([4.0]); state = init(rule, w)
    >>> for g in (1.0, 2.0): rule.step(w, np.array([g]), state)
    >>> average_of(state)  # of 3 and 1
    array([2.])
    """
    rule = state.rule
    if not isinstance(rule, Adjusted) or not rule.averages:
        raise SettingError(f"{rule} keeps no average; Adjusted(rule, ema=0.999) or Adjusted(rule, tail=0.75) does")
    if not rule.averaged(state.t):
        raise SettingError(
            f"no parameters have been averaged after {state.t} of {rule.steps} steps: tail is {rule.tail}"
        )
    return state.slots[-1].copy()
