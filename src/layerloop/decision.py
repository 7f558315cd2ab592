"""From probabilities to an answer: yes where it is more likely than not, and of several classes the likeliest.

A probability of exactly 1/2 is a no, as in scikit-learn's binarisers: of a yes or no the first class is then the
answer, and `argmax` over both probabilities says the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

EVEN = 0.5  # the probability at which neither is more likely


def says_yes(p: Any, even: float = EVEN) -> Any:
    """Return whether each probability means yes: it is above 1/2. Of scores, `even` is 0, the score of 1/2.

    Examples
    --------
    >>> says_yes(np.array([0.2, 0.5, 0.9])).tolist(), says_yes(0.7), says_yes(2.0, even=0.0)
    ([False, False, True], True, True)
    """
    return p > even


def likeliest(outputs: NDArray[np.floating]) -> NDArray[np.intp]:
    """Return the class of each row of outputs (n, K): the largest, or whether a single one is above 1/2.

    Examples
    --------
    >>> likeliest(np.array([[0.2, 0.8], [0.9, 0.1]])).tolist(), likeliest(np.array([[0.2], [0.9]])).tolist()
    ([1, 0], [0, 1])
    """
    return outputs.argmax(axis=1) if outputs.shape[1] > 1 else np.asarray(says_yes(outputs[:, 0]), np.intp)
