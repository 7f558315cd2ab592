"""Losses as plain data: names, settings, and what targets each takes; `huber:delta=0.5` is one of them as text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from layerloop.errors import SettingError, UnknownNameError, did_you_mean
from layerloop.layers import known_name

if TYPE_CHECKING:
    from collections.abc import Mapping

Value = float | tuple[float, ...]


class Setting(NamedTuple):
    """One setting of a loss: its default, and whether a number may stand there (`allowed` says so in words).

    `each` says that there may be several, one for each output.
    """

    default: Value
    low: float
    high: float
    allowed: str
    each: bool = False


SMOOTHING = Setting(0.0, 0.0, 1.0, "in [0, 1)")
DELTA = Setting(1.0, 5e-324, float("inf"), "positive and finite", each=True)
LEVELS = Setting((0.5,), 5e-324, 1.0, "one or several in (0, 1)", each=True)


class LossRow(NamedTuple):
    """One row of :data:`LOSSES`.

    Attributes
    ----------
    targets : str
        "classes", "shares" (entries in [0, 1], such as labels of several kinds at once), "values" or "counts".
    figure : str or None
        What is reported beside the loss: "accuracy" or "r2".
    head : str or None
        The head whose outputs it is made for.
    on_scores : str or None
        The loss that takes the scores before that head.
    scores : bool
        Whether it is such a loss: it applies the head itself.
    unit : int or None
        The power of the target's unit that the loss is measured in; None where the target has no unit to choose.
    settings : mapping
        Its settings by name.
    """

    targets: str
    figure: str | None
    head: str | None = None
    on_scores: str | None = None
    scores: bool = False
    unit: int | None = None
    settings: Mapping[str, Setting] = MappingProxyType({})


LOSSES: Mapping[str, LossRow] = MappingProxyType(
    {
        "crossentropy": LossRow(
            "classes", "accuracy", "softmax", "logitcrossentropy", settings={"smoothing": SMOOTHING}
        ),
        "logitcrossentropy": LossRow("classes", "accuracy", "softmax", scores=True, settings={"smoothing": SMOOTHING}),
        "binarycrossentropy": LossRow("shares", "accuracy", "sigmoid", "logitbinarycrossentropy"),
        "logitbinarycrossentropy": LossRow("shares", "accuracy", "sigmoid", scores=True),
        "mse": LossRow("values", "r2", unit=2),
        "mae": LossRow("values", "r2", unit=1),
        "huber": LossRow("values", "r2", unit=2, settings={"delta": DELTA}),
        "quantile": LossRow("values", None, unit=1, settings={"levels": LEVELS}),
        "poisson": LossRow("counts", None, "exp"),
    }
)


@dataclass(frozen=True)
class LossSpec:
    """A loss of the table with its settings, as plain data.

    Parameters
    ----------
    name : str
        Row of :data:`LOSSES`.
    settings : tuple of (name, value)
        Those that are not as in the table; filled up with the table's. Levels may be several, and delta one for each
        output.

    Raises
    ------
    UnknownNameError
        An unknown loss or setting.
    SettingError
        A value outside its range.

    Examples
    --------
    >>> LossSpec("huber", (("delta", 0.5),)), LossSpec("huber")["delta"]
    (huber:delta=0.5, 1.0)
    """

    name: str
    settings: tuple[tuple[str, Any], ...] = ()

    def __post_init__(self) -> None:
        known = LOSSES[known_name(self.name, tuple(LOSSES), "loss")].settings
        given = dict(self.settings)
        for setting in given:
            if setting not in known:
                hint = did_you_mean(setting, known) if known else " It has none."
                raise UnknownNameError(f"unknown setting {setting!r} of {self.name}.{hint}")
        checked = {name: _checked(self.name, name, given.get(name, row.default), row) for name, row in known.items()}
        object.__setattr__(self, "settings", tuple(checked.items()))

    @property
    def row(self) -> LossRow:
        """What the table says of it."""
        return LOSSES[self.name]

    def __getitem__(self, setting: str) -> Value:
        value: Value = dict(self.settings)[setting]
        return value

    def with_(self, **settings: object) -> LossSpec:
        """Return the same loss with some settings changed."""
        return LossSpec(self.name, (*self.settings, *settings.items()))

    def in_units(self, *spreads: float) -> LossSpec:
        """Return the loss for targets divided by one spread, or one each: huber's delta is a length in their unit.

        Examples
        --------
        >>> LossSpec("huber").in_units(4.0), LossSpec("huber").in_units(4.0, 0.5)
        (huber:delta=0.25, huber:delta=0.25,2.0)
        """
        if "delta" not in dict(self.settings):
            return self
        deltas = self.columns(len(spreads))
        each = spreads * len(deltas) if len(spreads) == 1 else spreads
        return self.with_(delta=tuple(delta / spread for delta, spread in zip(deltas, each, strict=True)))

    def columns(self, width: int) -> tuple[float, ...]:
        """Return the number that each of so many columns of outputs has for itself: its level, or delta; else 0."""
        found = next((value for name, value in self.settings if name != "smoothing"), 0.0)
        values = found if isinstance(found, tuple) else (found,)
        return tuple(values) * width if len(values) == 1 else values

    @property
    def smoothing(self) -> float:
        """How much of every label is spread over all classes; 0 where the loss knows no such thing."""
        found = dict(self.settings).get("smoothing", 0.0)
        return found if isinstance(found, float) else 0.0

    @property
    def levels(self) -> int:
        """How many quantiles it is of; 1 where it is of none."""
        levels = dict(self.settings).get("levels")
        return len(levels) if isinstance(levels, tuple) else 1

    def __str__(self) -> str:
        """Return it as text that `spec_of` reads: the settings that differ from the table's behind the name."""
        changed = [(name, value) for name, value in self.settings if value != self.row.settings[name].default]
        return ":".join([self.name, *(f"{name}={_text(value)}" for name, value in changed)])

    __repr__ = __str__


def _text(value: Value) -> str:
    return ",".join(map(repr, value)) if isinstance(value, tuple) else repr(value)


def _checked(loss: str, name: str, value: object, row: Setting) -> Value:
    """Return a value as the table wants it: a number, or several as a tuple; one too where the default is a tuple."""
    try:
        several = row.each and isinstance(value, Iterable) and not isinstance(value, str)
        numbers = tuple(map(float, value if several else (value,)))  # type: ignore[call-overload]
    except (TypeError, ValueError):
        numbers = ()
    if not numbers or not all(row.low <= number < row.high for number in numbers):
        raise SettingError(f"{loss}: {name} must be {row.allowed}, got {value!r}")
    return numbers if isinstance(row.default, tuple) or len(numbers) > 1 else numbers[0]


def spec_of(loss: object) -> LossSpec:
    """Return the loss that a name, a text such as "quantile:levels=0.1,0.9", or an object like `mse` stands for.

    Raises
    ------
    UnknownNameError, SettingError
        A name that is in no table, or a value that cannot be read or is out of range.

    Examples
    --------
    >>> spec_of("quantile:levels=0.1,0.9")["levels"]
    (0.1, 0.9)
    >>> spec_of("huber:0.5")["delta"]  # of a loss with one setting
    0.5
    >>> spec_of("huber:dleta=2")
    Traceback (most recent call last):
    layerloop.errors.UnknownNameError: unknown setting 'dleta' of huber. Did you mean 'delta'?
    """
    spec = getattr(loss, "spec", loss)
    if isinstance(spec, LossSpec):
        return spec
    if not isinstance(spec, str):
        return LossSpec(known_name(spec, tuple(LOSSES), "loss"))
    name, *parts = spec.split(":")
    pairs = [_pair(name, part) for part in parts]
    return LossSpec(name, tuple((key, value.split(",") if "," in value else value) for key, value in pairs))


def _pair(loss: str, part: str) -> tuple[str, str]:
    """Return name and value of a setting; the name may be left out where a loss has one setting only."""
    key, equals, value = part.partition("=")
    known = LOSSES[loss].settings if loss in LOSSES else {}
    return (next(iter(known)), part) if not equals and len(known) == 1 and part not in known else (key, value)
