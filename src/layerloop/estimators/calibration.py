"""Temperature: one number that makes probabilities as sure as they are right (Guo et al. 2017)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop.network import params

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from layerloop.network import Chain

RANGE = (0.2, 5.0)  # a temperature beyond says that the rows left out are too few to tell


def tempered(p: NDArray[np.floating], temperature: float) -> NDArray[np.float64]:
    """Return p^(1/T) / sum p^(1/T), row by row.

    Examples
    --------
    >>> tempered(np.array([[0.8, 0.2]]), 2.0).round(3).tolist()
    [[0.667, 0.333]]
    """
    scores = np.log(np.maximum(p.astype(np.float64), np.finfo(np.float64).tiny)) / temperature
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)  # type: ignore[no-any-return]


def fit_temperature(p: NDArray[np.floating], y: NDArray[Any], weights: NDArray[np.float64] | None = None) -> float:
    """Return the T that makes the log-loss of tempered probabilities least.

    Examples
    --------
    >>> sure = np.array([[0.99, 0.01]] * 10)
    >>> round(fit_temperature(sure, np.array([0] * 8 + [1] * 2)), 1)  # right in 8 of 10: less sure would be right
    3.3
    """
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        q = tempered(p, float(np.exp(log_temperature)))[np.arange(len(y)), y]
        return float(np.average(-np.log(np.maximum(q, np.finfo(np.float64).tiny)), weights=weights))

    found = minimize_scalar(loss, bounds=np.log(RANGE), method="bounded", options={"xatol": 1e-3})
    return float(np.exp(found.x))


def temper(m: Chain, temperature: float) -> None:
    """Divide a network's scores by T, in its last layer: nothing else has to be kept.

    Examples
    --------
    >>> from layerloop import Chain, Dense, softmax
    >>> m = Chain(Dense(2, 2), softmax)
    >>> before = m(np.eye(2))
    >>> temper(m, 2.0)
    >>> bool(np.allclose(m(np.eye(2)), tempered(before, 2.0)))
    True
    """
    last = f"layer{len(m.architecture.layers)}."
    for name, part in params(m).items():
        if name.startswith(last):
            part /= temperature
