"""From a rule to its state, and to plain data and back: what other parts of the library do with any rule."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import TYPE_CHECKING

import numpy as np

from layerloop.errors import SettingError, UnknownNameError, look_up
from layerloop.memory import aligned_zeros, check_memory
from layerloop.optim.adjusted import Adjusted
from layerloop.optim.compact import CompactSlots, held
from layerloop.optim.rate import check_settled, settle_rate, value_at, values
from layerloop.optim.rules import RULES, LazyAdam, NAdam
from layerloop.optim.schedules import plateau_in, rate_as_plain
from layerloop.optim.state import Rule, State

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from layerloop.optim.adjusted import Layout
    from layerloop.optim.state import Vector


def init(rule: Rule, w: Vector, layout: Layout = ()) -> State:
    """Return the state of a rule before its first step: t = 0, every slot zero.

    Parameters
    ----------
    rule : Rule
    w : ndarray
        The parameters; the state's vectors are like it.
    layout : sequence of (name, size)
        The parts of w in their order, which `Adjusted` may name.

    Raises
    ------
    SettingError
        When `rule` is no rule, such as the class Adam instead of Adam(1e-3), or does not know how many steps there are.
    MemoryError
        When the vectors and w together are larger than the memory that this process may have.
    """
    check_rule(rule)
    _check_settled(rule)
    lazy = isinstance(rule, LazyAdam)
    if not lazy:  # the vectors of a lazy rule take no memory where no step comes
        what = f"the {len(w):,} parameters with the {rule.slots} numbers that the optimizer keeps for each"
        check_memory((1 + rule.slots) * w.nbytes, what)
    slots, rows = tuple(aligned_zeros(len(w), w.dtype) for _ in range(rule.slots)), _rows(rule, w, layout)
    compact = CompactSlots(slots, rows, zero=True) if lazy else slots
    return State(rule, 0, compact, _scratch(rule, w), parts=_parts(rule, w, layout), rows=rows)


def resume(state: State, rule: Rule, w: Vector, layout: Layout = ()) -> State:
    """Return a copy of a state to go on from with `rule`, which may have other settings than before.

    What a plateau has made of the rate is kept where the rule has the same plateau schedule as before.

    Raises
    ------
    SettingError
        When the state is not that of such a rule on a vector like w, or the rule's schedule has ended at rate 0.
    """
    check_rule(rule)
    _check_settled(rule)
    slots = held(state.slots)
    if len(slots) != rule.slots or any(s.shape != w.shape or s.dtype != w.dtype for s in slots):
        raise SettingError(
            f"the state is one of {state.rule} with slots {[f'{s.dtype} {s.shape}' for s in slots]}; it does not "
            f"serve {rule} on parameters {w.dtype} {w.shape}: go on with the same network and rule, or without a state"
        )
    _check_unfinished(rule, state.t)
    found = replace(state.copy(), rule=rule, scratch=_scratch(rule, w), parts=_parts(rule, w, layout))
    found.rows = _rows(rule, w, layout)
    if isinstance(found.slots, CompactSlots) and found.rows != found.slots.rows:
        found.slots = tuple(found.slots)
    if plateau_in(rule.rate) != plateau_in(state.rule.rate):
        found.scale = 1.0
        found.numbers = {name: n for name, n in found.numbers.items() if name not in ("best", "waited")}
    return found


def settled(rule: Rule, steps: int) -> Rule:
    """Return the rule whose schedules, and whose `tail`, know that there are so many steps in all.

    What has a number of steps of its own keeps it.

    Examples
    --------
    >>> from layerloop.optim import Adam, Cosine
    >>> settled(Adam(Cosine(0.1)), 100).rate
    Cosine(rate=0.1, end=0.0, steps=100)
    """
    if isinstance(rule, Adjusted):
        known = steps if rule.steps is None else rule.steps
        return replace(rule, rule=settled(rule.rule, steps), decay=settle_rate(rule.decay, steps), steps=known)
    rate = settle_rate(rule.rate, steps)
    return rule if rate is rule.rate else replace(rule, rate=rate)  # type: ignore[type-var]


def watch(state: State, figures: Mapping[str, float]) -> None:
    """Tell a state the figures of a pass: a `ReduceOnPlateau` in its rate may lower `state.scale`.

    `train` calls it with every row of the history; a loop of one's own calls it when it has figures.

    Raises
    ------
    UnknownNameError
        When the figure that is watched is not among them.

    Examples
    --------
    >>> from layerloop.optim import Adam, ReduceOnPlateau, init
    >>> state = init(Adam(ReduceOnPlateau(0.1, factor=0.5, patience=0)), np.zeros(3))
    >>> for loss in (0.7, 0.6, 0.6): watch(state, {"loss": loss})
    >>> state.scale
    0.5
    """
    plateau = plateau_in(state.rule.rate)
    if plateau:
        figure = look_up(figures, plateau.on, "figure to watch")
        state.scale, state.numbers = plateau.watched(figure, state.scale, state.numbers)


def rates(state: State, steps: int) -> Vector:
    """Return the rates of the next steps as they will be unless a plateau comes between.

    Examples
    --------
    >>> from layerloop.optim import Adam, Cosine, init
    >>> rates(init(Adam(Cosine(0.8, steps=2)), np.zeros(3)), 3).round(12)
    array([0.8, 0.4, 0. ])
    """
    return values(state.rule.rate, state.t, steps) * state.scale


def base_rule(rule: Rule) -> Rule:
    """Return the rule that makes the steps, without what is around it.

    Examples
    --------
    >>> from layerloop.optim import Adam, Adjusted
    >>> base_rule(Adjusted(Adam(0.1), clip_norm=1.0)) == base_rule(Adam(0.1))
    True
    """
    return rule.rule if isinstance(rule, Adjusted) else rule


def count_steps(state: State, steps: int) -> None:
    """Count steps that an engine has taken by itself, with all that the rule keeps beside its slots.

    Examples
    --------
    >>> rule, w, g = NAdam(0.1), np.array([1.0]), np.array([4.0])
    >>> one, other = init(rule, w), init(rule, w)
    >>> rule.step(w, g, one); count_steps(other, 1)
    >>> (one.t, one.numbers) == (other.t, other.numbers)
    True
    """
    rule = base_rule(state.rule)
    if isinstance(rule, NAdam):
        momenta = (rule.mu(t) for t in range(state.t + 1, state.t + steps + 1))
        state.numbers["mu_product"] = math.prod(momenta, start=state.numbers.get("mu_product", 1.0))
    state.t += steps


def check_rule(rule: object) -> None:
    """Raise SettingError for what is no optimiser; a class without its settings is none either."""
    if isinstance(rule, type) or not isinstance(rule, Rule):
        shown = f"the class {rule.__name__}" if isinstance(rule, type) else repr(rule)
        raise SettingError(f"optimizer must be a rule such as Adam(1e-3), got {shown}")


def _check_settled(rule: Rule) -> None:
    check_settled(rule.rate)
    if isinstance(rule, Adjusted):
        check_settled(rule.decay)
        if rule.tail and rule.steps is None:
            raise SettingError("Adjusted: tail is a share of all steps; train knows them, else give steps=")


def _check_unfinished(rule: Rule, t: int) -> None:
    """Refuse a schedule that is over and ended at 0: no step would change anything, and nobody would be told."""
    steps = getattr(rule.rate, "steps", None)
    if steps is not None and t >= steps and value_at(rule.rate, t) == 0:
        raise SettingError(
            f"{rule.rate} ended after {steps} steps with rate 0; to go on, give optimizer= a rule whose schedule "
            f"knows of more steps, as in {type(rule.rate).__name__}(..., steps={2 * steps})"
        )


def _scratch(rule: Rule, w: Vector) -> Vector:
    return np.empty(len(w) * (1 + (isinstance(rule, Adjusted) and rule.changes_gradient)), w.dtype)


def _parts(rule: Rule, w: Vector, layout: Layout) -> tuple[Any, ...]:
    return rule.parts(len(w), layout) if isinstance(rule, Adjusted) else ()


def _rows(rule: Rule, w: Vector, layout: Layout) -> tuple[int, int]:
    """Return number and width of the first layer's rows where a lazy rule wants to know; single numbers if unknown."""
    if not isinstance(rule, LazyAdam):
        return (0, 0)
    (first, size), (second, width) = (*layout, ("", 0), ("", 0))[:2]
    dense = first.endswith(".weight") and second.endswith(".bias") and width and size % width == 0
    return (size // width, width) if dense else (len(w), 1)


# -- plain data -------------------------------------------------------------------------------------------------------


def rule_named(name: str, *, adjusted: Mapping[str, Any] | None = None, **settings: Any) -> Rule:
    """Return the rule of this name with these settings (the command's and a file's way to a rule).

    Parameters
    ----------
    name : str
        A row of the table.
    adjusted : mapping, optional
        Settings of the `Adjusted` around it.
    **settings
        The rule's own; a rate may be a schedule's plain dict.

    Raises
    ------
    UnknownNameError
        For an unknown rule or setting.
    SettingError
        For a setting out of its range.

    Examples
    --------
    >>> rule_named("descent", rate={"name": "cosine", "rate": 0.1}, adjusted={"clip_norm": 1.0}).rate
    Cosine(rate=0.1, end=0.0, steps=None)
    """
    kind = look_up(RULES, name, "optimizer")
    _check_names(kind, settings, name)
    rule = kind(**settings)
    if adjusted is None:
        return rule
    _check_names(Adjusted, adjusted, "Adjusted")
    return Adjusted(rule, **adjusted)


def _check_names(kind: Any, settings: Mapping[str, object], name: str) -> None:
    known = {field.name: None for field in fields(kind) if field.name != "rule"}
    for setting in settings:
        look_up(known, setting, f"setting of {name}")


def as_dict(rule: Rule) -> dict[str, Any]:
    """Return a rule as plain data: its name in the table and its settings; `rule_named(**as_dict(rule)) == rule`.

    Raises
    ------
    UnknownNameError
        For a rule that is no row of the table.

    Examples
    --------
    >>> from layerloop.optim import Descent
    >>> as_dict(Descent(0.5))
    {'name': 'descent', 'rate': 0.5}
    """
    if isinstance(rule, Adjusted):
        around = {field.name: getattr(rule, field.name) for field in fields(rule) if field.name != "rule"}
        return {**as_dict(rule.rule), "adjusted": {**around, "decay": rate_as_plain(rule.decay)}}
    names = {kind: name for name, kind in RULES.items()}
    if type(rule) not in names:
        raise UnknownNameError(f"{type(rule).__name__} is no row of the table of optimisers: {', '.join(RULES)}")
    settings = {field.name: getattr(rule, field.name) for field in fields(rule)}  # type: ignore[arg-type]
    return {"name": names[type(rule)], **settings, "rate": rate_as_plain(rule.rate)}


def state_as_dict(state: State) -> dict[str, Any]:
    """Return all of a state but its slots as plain data; slots are vectors like the parameters, saved as such.

    Examples
    --------
    >>> from layerloop.optim import Descent, init
    >>> state_as_dict(init(Descent(0.5), np.zeros(2)))
    {'rule': {'name': 'descent', 'rate': 0.5}, 't': 0, 'scale': 1.0, 'numbers': {}}
    """
    return {"rule": as_dict(state.rule), "t": state.t, "scale": state.scale, "numbers": dict(state.numbers)}


def state_from_dict(plain: Mapping[str, Any], slots: Sequence[Vector], w: Vector, layout: Layout = ()) -> State:
    """Return the state of `state_as_dict` and its slots, for parameters w with that layout."""
    rule = rule_named(**plain["rule"])
    numbers = dict(plain["numbers"])
    parts, rows = _parts(rule, w, layout), _rows(rule, w, layout)
    return State(rule, plain["t"], tuple(slots), _scratch(rule, w), plain["scale"], numbers, parts, rows)
