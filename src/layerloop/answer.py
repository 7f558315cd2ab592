"""One output vector as an answer: the class or value that it stands for, with its probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop.decision import says_yes
from layerloop.vocabulary import onecold, softmax

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from layerloop.network import Chain


def answer_of(m: Chain, output: NDArray[Any], kind: str) -> dict[str, Any]:
    """Return what a network says of one row as plain data, with class names where it has them.

    Parameters
    ----------
    m : Chain
    output : (n_out,)
        m(x) for that row.
    kind : "classes", "labels" (any number of them at once) or "values"

    Examples
    --------
    >>> import numpy as np
    >>> from layerloop import Chain, Dense, softmax
    >>> m = Chain(Dense(3, 2), softmax, classes=("no", "yes"))
    >>> answer_of(m, np.array([0.25, 0.75]), "classes")
    {'prediction': 'yes', 'probability': 0.75, 'probabilities': {'no': 0.25, 'yes': 0.75}}
    """
    if kind == "values":
        return {"prediction": float(output[0]) if len(output) == 1 else output.tolist()}
    if kind == "labels":
        names = m.classes or tuple(map(str, range(len(output))))
        shares = dict(zip(names, output.tolist(), strict=True))
        return {"prediction": [name for name, share in shares.items() if says_yes(share)], "probabilities": shares}
    if len(output) == 1:  # a single yes or no
        output = np.concatenate([1 - output, output])
    names = m.classes or tuple(map(str, range(len(output))))
    if m.architecture.head == "identity":  # scores, of which the loss takes the softmax
        output = softmax(output)
    return {
        "prediction": onecold(output, names),
        "probability": float(output.max()),
        "probabilities": dict(zip(names, output.tolist(), strict=True)),
    }
