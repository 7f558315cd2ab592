"""What each step of the two loops computes, in the notes' letters: one row a kind of layer, a head, a loss.

In the texts `i` and `j` = i + 1 stand for numbers of layers and `f` for the activation's name; `o` is the product entry
by entry, `^T` the transpose, `z^;1` a vector with a 1 at its end.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class LayerFormula(NamedTuple):
    """How one kind of layer computes, and its Jacobians; `t` is what its activation is applied to, "" without one."""

    z: str
    A: str
    B: str
    t: str = ""


LAYERS: Mapping[str, LayerFormula] = MappingProxyType(
    {
        "dense": LayerFormula("{f}(t_{i})", "diag(s_{i}) A[z_{i}]", "diag(s_{i}) B[w_{i}]", "W_{i} z_{i}^;1"),
        "dense, ntk": LayerFormula(
            "{f}(t_{i})",
            "diag(s_{i}) (c z_{i}; 1)",
            "diag(s_{i}) c W_{i}",
            "c W_{i} z_{i} + b_{i}, c = 1 / sqrt(n_{i})",
        ),
        "scale": LayerFormula("{f}(t_{i})", "diag(s_{i} o z_{i})", "diag(s_{i} o w_{i})", "w_{i} o z_{i} (+ b_{i})"),
        "parametric": LayerFormula(
            "(1 - w_{i}) o z_{i} + w_{i} o {f}(z_{i})",
            "diag({f}(z_{i}) - z_{i})",
            "diag(1 - w_{i} + w_{i} o s_{i})",
            "z_{i}",
        ),
        "dropout": LayerFormula("z_{i}", "(no parameters)", "I"),
        "batch_norm": LayerFormula(
            "gamma o (z_{i} - mu) / sqrt(v + epsilon) + beta, running mu and v",
            "(diag((z_{i} - mu) / sqrt(v + epsilon))  I)",
            "diag(gamma / sqrt(v + epsilon))",
        ),
        "layer_norm": LayerFormula(
            "gamma o (z_{i} - mean z_{i}) / sqrt(var z_{i} + epsilon) + beta", "dz_{j}/dw_{i}", "dz_{j}/dz_{i}"
        ),
        "residual": LayerFormula("z_{i} + F(w_{i}; z_{i})", "dF/dw_{i}", "I + dF/dz_{i}"),
        "embedding": LayerFormula(
            "(z_{i}'s other columns; a row of a table for each code)", "one-hot rows", "dz_{j}/dz_{i}"
        ),
        "periodic": LayerFormula(
            "(other columns; (x, W2 cos(2 pi w1 x + b1) + b2) for each x)", "dz_{j}/dw_{i}", "dz_{j}/dz_{i}"
        ),
        "piecewise_linear": LayerFormula("(other columns; W^T e(x) + b for each x)", "dz_{j}/dw_{i}", "dz_{j}/dz_{i}"),
        "members": LayerFormula("(z_{i}; z_{i}; ...; z_{i})", "(no parameters)", "(I; I; ...; I)"),
    }
)

# Head: its name as a function, and that of its Jacobian.
HEADS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "identity": ("z_{i}", "I"),
        "softmax": ("softmax(z_{i})", "diag(z_{j}) - z_{j} z_{j}^T"),
        "modified_softmax": ("gamma~(z_{i})", "C_K[z_{i}]"),
        "sigmoid": ("sigmoid(z_{i})", "diag(sigmoid'(z_{i}))"),
        "exp": ("exp(z_{i})", "diag(exp(z_{i}))"),
    }
)

# Loss: its value and its gradient in the outputs, n being how many there are.
LOSSES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "crossentropy": ("-sum_k y_k log z_{i},k", "-y / z_{i}"),
        "logitcrossentropy": ("-sum_k y_k log softmax(z_{i})_k", "softmax(z_{i}) - y"),
        "binarycrossentropy": (
            "-(1/n) sum_k y_k log z_{i},k + (1 - y_k) log(1 - z_{i},k)",
            "((1 - y) / (1 - z_{i}) - y / z_{i}) / n",
        ),
        "logitbinarycrossentropy": (
            "-(1/n) sum_k y_k log sigmoid(z_{i},k) + (1 - y_k) log sigmoid(-z_{i},k)",
            "(sigmoid(z_{i}) - y) / n",
        ),
        "mse": ("(1/n) sum_k (z_{i},k - y_k)^2", "(2/n) (z_{i} - y)"),
        "mae": ("(1/n) sum_k |z_{i},k - y_k|", "sign(z_{i} - y) / n"),
        "huber": ("(1/n) sum_k H(z_{i},k - y_k)", "(z_{i} - y, held within +-delta) / n"),
        "quantile": ("(1/n) sum_k max(tau_k d_k, (tau_k - 1) d_k), d = y - z_{i}", "(1{y < z_i} - tau) / n"),
        "poisson": ("(1/n) sum_k z_{i},k - y_k log z_{i},k", "(1 - y / z_{i}) / n"),
    }
)
OWN_LOSS = ("ell_y(z_{i})", "gradient of ell_y at z_{i}")

# Where head and loss are taken together: q_{L+1} at once.
FUSED: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("softmax", "crossentropy"): "z_{j} - y",
        ("modified_softmax", "crossentropy"): "(z_{j} - y)_1..K-1",
        ("sigmoid", "binarycrossentropy"): "(z_{j} - y) / n",
        ("exp", "poisson"): "(z_{j} - y) / n",
    }
)


def written(text: str, i: int, f: str = "") -> str:
    """Return a formula with the numbers of its layers and the name of its activation.

    Examples
    --------
    >>> written("W_{i} z_{i}^;1", 2), written("{f}(t_{i})", 1, "tanh"), written("{f}(t_{i})", 1, "identity")
    ('W_2 z_2^;1', 'tanh(t_1)', 't_1')
    """
    if f == "identity":
        text = text.replace("{f}(t_{i})", "t_{i}").replace("{f}(z_{i})", "z_{i}")
    for letter, value in (("{i}", f"{i}"), ("{j}", f"{i + 1}"), ("{f}", f)):
        text = text.replace(letter, value)
    return text
