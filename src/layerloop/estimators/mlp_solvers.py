"""From `solver`, `learning_rate` and `schedule` to a rule of the engine, and its state between passes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop import optim
from layerloop.errors import SettingError, look_up
from layerloop.optim.compact import held
from layerloop.optim.schedules import as_rate

if TYPE_CHECKING:
    from layerloop.network import Chain

SOLVERS = ("lbfgs", "sgd", "adam")  # scikit-learn's
BY_PASSES = ("constant", "invscaling", "adaptive")  # its schedules, which change the rate between passes
TOO_SMALL = 1e-6  # the rate at which "adaptive" gives up instead of dividing by 5
LINEAR = (optim.Descent, optim.Momentum, optim.Nesterov)  # whose step grows with the gradient
FEW = 8  # penalties whose rules are kept: there are two of them, unless rows have weights


def is_stochastic(solver: object) -> bool:
    """Whether a solver takes steps along batches."""
    return not (isinstance(solver, str) and solver == "lbfgs")


def takes_steps(est: Any) -> bool:
    """Whether partial_fit is there: scikit-learn hides it for lbfgs."""
    if not is_stochastic(est.solver):
        raise AttributeError(
            f"partial_fit is only available for stochastic optimizers. {est.solver} is not stochastic."
        )
    return True


def rule_of(est: Any) -> optim.Rule:
    """Return the rule that `solver` stands for, with the estimator's settings.

    Raises
    ------
    UnknownNameError, SettingError
        A name in no table, a setting out of range, a schedule beside a rule that has a rate of its own.
    """
    if not isinstance(est.solver, str):
        optim.check_rule(est.solver)
        if est.schedule is not None and not (isinstance(est.schedule, str) and est.schedule in BY_PASSES):
            raise SettingError("a rule given as an object has its schedule inside: solver=Adam(Cosine(1e-3))")
        return est.solver  # type: ignore[no-any-return]
    rate = rate_of(est.schedule, est.learning_rate_init)
    betas = (est.beta_1, est.beta_2)
    rho = min(est.momentum, math.nextafter(1, 0))  # scikit-learn takes 1 too
    if est.solver == "sgd":
        kind: Any = optim.Nesterov if est.nesterovs_momentum else optim.Momentum
        return kind(rate, rho) if est.momentum > 0 else optim.Descent(rate)
    if est.solver == "adam":
        return optim.AdamHat(rate, betas, est.epsilon)
    kind = look_up({**dict.fromkeys(SOLVERS), **optim.RULES}, est.solver, "solver")
    if kind in (optim.Momentum, optim.Nesterov):
        return kind(rate, rho)  # type: ignore[no-any-return]
    like_adam = (optim.AdamHat, optim.AdamW, optim.NAdam, optim.RAdam, optim.LazyAdam)
    return kind(rate, betas=betas, epsilon=est.epsilon) if kind in like_adam else kind(rate)  # type: ignore[no-any-return]


def rate_of(schedule: Any, rate: float) -> Any:
    """Return what stands where a rate stands: a schedule by name, as an object or as plain data, or the rate."""
    if schedule is None or (isinstance(schedule, str) and schedule in BY_PASSES):
        return float(rate)
    if isinstance(schedule, str):
        look_up({**optim.SCHEDULES, **dict.fromkeys(BY_PASSES)}, schedule, "schedule")
        return optim.schedule_named(schedule, float(rate))
    found = as_rate(schedule)
    if isinstance(found, type) or not isinstance(found, optim.Schedule):
        raise SettingError(f"schedule is a name, a schedule such as Cosine(1e-3), or None; got {schedule!r}")
    return found


def times(rate: Any, factor: float) -> Any:
    """Return a rate, or a schedule's, times a factor."""
    if not isinstance(rate, optim.Schedule):
        return rate * factor
    if isinstance(rate, optim.Warmup):
        return optim.Warmup(times(rate.schedule, factor), rate.share, rate.steps)
    if isinstance(rate, optim.ReduceOnPlateau):
        return replace(rate, rate=rate.rate * factor, least=rate.least * factor)
    return replace(rate, rate=rate.rate * factor)  # type: ignore[type-var]


def in_unit(rule: optim.Rule, unit: float) -> optim.Rule:
    """Return the rule that steps along `unit` times a gradient as this one does along the gradient.

    Where the step grows with the gradient the rate is divided; where it does not, epsilon is multiplied. A rule of
    one's own steps along the engine's gradient.
    """
    if unit == 1:
        return rule
    if isinstance(rule, optim.Adjusted):
        bounds: Any = {
            name: None if (b := getattr(rule, name)) is None else b * unit for name in ("clip_value", "clip_norm")
        }
        decay = times(rule.decay, unit) if isinstance(rule.rule, LINEAR) and rule.decay else rule.decay
        return replace(rule, rule=in_unit(rule.rule, unit), l2=rule.l2 * unit, decay=decay, **bounds)
    if isinstance(rule, LINEAR):
        return replace(rule, rate=times(rule.rate, 1 / unit))
    epsilon = getattr(rule, "epsilon", None)
    return rule if epsilon is None else replace(rule, epsilon=epsilon * unit)  # type: ignore[type-var]


@dataclass
class Optimizer:
    """A rule under way, and what scikit-learn's schedules make of its rate between passes.

    Attributes
    ----------
    state : State
    learning_rate : float
        That of the next step, in scikit-learn's unit. (Its own Adam shows a rate with the corrections in it.)
    schedule : str
        Row of :data:`BY_PASSES`.
    """

    state: optim.State
    unit: float
    schedule: str
    power_t: float
    velocity: bool  # whether the slot holds scikit-learn's velocity divided by the rate
    penalised: bool  # whether the rule takes the estimator's alpha
    initial: float
    current: float
    rules: dict[float, optim.Rule] = field(default_factory=dict)

    @classmethod
    def begin(cls, est: Any, network: Chain, layout: Any, unit: float, steps: int | None) -> Optimizer:
        """Return it before the first step; `steps` are all there will be, None where nobody knows."""
        rule = in_unit(rule_of(est), unit)
        rule = rule if steps is None else optim.settled(rule, steps)
        if est.alpha and isinstance(rule, optim.LazyAdam):
            raise SettingError("LazyAdam leaves rows alone, a penalty would move them: alpha=0, or another solver")
        penalised = bool(est.alpha) and not isinstance(rule, optim.Adjusted)
        rule = optim.Adjusted(rule, l2=1.0, undecayed=["bias"]) if penalised else rule
        rate = optim.base_of(rule.rate) * (unit if isinstance(optim.base_rule(rule), LINEAR) else 1)
        if isinstance(est.solver, str) and (est.schedule is None or est.schedule in BY_PASSES):
            rate = float(est.learning_rate_init)  # exactly
        sgd = isinstance(est.solver, str) and est.solver == "sgd"
        by_passes = isinstance(est.schedule, str) and est.schedule in BY_PASSES
        schedule = est.schedule if by_passes else est.learning_rate if sgd and est.schedule is None else "constant"
        state = optim.init(rule, network.flat, layout)
        return cls(state, unit, schedule, est.power_t, sgd, penalised, rate, rate)

    @property
    def learning_rate(self) -> float:
        """The rate of the next step."""
        rate = self.state.rule.rate
        if not isinstance(rate, optim.Schedule):
            return self.current
        linear = isinstance(optim.base_rule(self.state.rule), LINEAR)
        return optim.value_at(rate, self.state.t) * self.state.scale * (self.unit if linear else 1)

    def own(self) -> None:
        """Copy a state that cannot be written to, such as one that joblib maps from a file."""
        if not all(slot.flags.writeable for slot in held(self.state.slots)):
            self.state = self.state.copy()

    def penalise(self, l2: float) -> None:
        """Give the rule the penalty of the next steps: the gradient of (l2 / 2) |w|^2, biases left out."""
        if not self.penalised:
            return
        if l2 not in self.rules:
            if len(self.rules) > FEW:
                self.rules.clear()
            self.rules[l2] = replace(self.state.rule, l2=l2 * self.unit)  # type: ignore[type-var]
        self.state.rule = self.rules[l2]

    def pass_ended(self, samples: int, row: dict[str, float]) -> None:
        """Follow a schedule at the end of a pass; "invscaling" counts the samples seen, and that from 1."""
        if self.schedule == "invscaling":
            self._go_on_with(self.initial / (samples + 1) ** self.power_t)
        optim.watch(self.state, row)

    def gives_up(self) -> bool:
        """Whether training ends for want of improvement; "adaptive" divides the rate by 5 first, as long as it can."""
        if self.schedule != "adaptive" or self.learning_rate <= TOO_SMALL:
            return True
        self._go_on_with(self.current / 5)
        return False

    def _go_on_with(self, rate: float) -> None:
        """Change the rate; a velocity of scikit-learn's keeps the steps that it holds."""
        if self.velocity and self.state.slots:
            np.multiply(self.state.slots[0], self.current / rate, out=self.state.slots[0])
        self.state.scale *= rate / self.current
        self.current = rate
