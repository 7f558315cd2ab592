"""What the two estimators accept and refuse, case by case: the table of docs/estimators-mlp.md."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

from layerloop import MLPClassifier, MLPRegressor

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X = np.random.default_rng(0).normal(size=(30, 4))
CLASSES = np.arange(30) % 3
KINDS = [MLPClassifier, MLPRegressor]
QUICK: dict[str, Any] = {"hidden_layer_sizes": (3,), "max_iter": 2, "random_state": 0}


def changed(value: object, at: Any = (5, 2), values: Any = X, dtype: Any = float) -> Any:
    copy = np.array(values, dtype=dtype)
    copy[at] = value
    return copy


def sparse64() -> Any:
    found = csr_array(X)
    found.indices, found.indptr = found.indices.astype(np.int64), found.indptr.astype(np.int64)
    return found


def sparse_with_nan() -> Any:
    return csr_array(changed(np.nan))


FRAME = pd.DataFrame(X, columns=list("abcd"))

# Data, and what the message says.
REFUSED: dict[str, tuple[Any, Any, str]] = {
    "NaN in X": (changed(np.nan), CLASSES, r"NaN.*(?s:.*)row 5, column 2"),
    "infinity in X": (changed(np.inf), CLASSES, r"infinity(?s:.*)row 5, column 2"),
    "NaN in a data frame": (
        pd.DataFrame(changed(np.nan, (7, 0)), columns=list("abcd")),
        CLASSES,
        r"row 7, column 0 \('a'\)",
    ),
    "NaN in sparse rows": (sparse_with_nan(), CLASSES, r"row 5, column 2"),
    "too large a number for its type": (changed(1e39).astype(object), changed(np.nan, 3, CLASSES), r"row 3"),
    "NaN in y": (X, changed(np.nan, 4, CLASSES), r"NaN(?s:.*)row 4"),
    "infinity in y": (X, changed(np.inf, 4, CLASSES), r"infinity(?s:.*)row 4"),
    "no rows": (X[:0], CLASSES[:0], r"0 sample\(s\)"),
    "no columns": (X[:, :0], CLASSES, r"0 feature\(s\)"),
    "text": (np.full((30, 4), "a"), CLASSES, "could not convert string to float"),
    "one dimension": (X[:, 0], CLASSES, "Expected 2D array, got 1D"),
    "three dimensions": (X.reshape(15, 2, 4), CLASSES[:15], "dim 3"),
    "complex numbers": (X + 1j, CLASSES, "Complex data not supported"),
    "y of another length": (X, CLASSES[:29], r"inconsistent numbers of samples: \[30, 29\]"),
    "y missing": (X, None, "requires y to be passed"),
    "ragged rows": ([[1, 2], [3]], [0, 1], "inhomogeneous|sequence"),
}


def refusal(call: Callable[[], object], said: str) -> float:
    """Return the seconds until a call is refused with these words: the least of a few, on a machine with other work."""
    taken = []
    for _ in range(4):
        start = time.perf_counter()
        with pytest.raises((ValueError, TypeError), match=said):
            call()
        taken.append(time.perf_counter() - start)
    return min(taken)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", REFUSED)
def test_refused_data(case: str, kind: Any) -> None:
    rows, y, said = REFUSED[case]
    assert refusal(lambda: kind(**QUICK).fit(rows, y), said) < 0.1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("weights", "said"),
    [
        (changed(-1.0, 6, np.ones(30)), r"-1 in row 6"),
        (changed(np.nan, 6, np.ones(30)), r"NaN(?s:.*)nan in row 6"),
        (changed(np.inf, 6, np.ones(30)), r"inf in row 6"),
        (np.zeros(30), "zero"),
        (np.ones(29), r"\(29,\)"),
        (np.ones((30, 1)), "1D"),
    ],
    ids=["negative", "NaN", "infinite", "all 0", "another number", "a column"],
)
def test_refused_weights(weights: Any, said: str, kind: Any) -> None:
    for fit in (kind(**QUICK).fit, lambda *a, **k: kind(**QUICK).fit(X, CLASSES, eval_set=(*a, k["sample_weight"]))):
        with pytest.raises(ValueError, match=said):
            fit(X, CLASSES, sample_weight=weights)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"hidden_layer_sizes": 0}, "hidden_layer_sizes"),
        ({"hidden_layer_sizes": (3, 0)}, r"hidden_layer_sizes must be > 0, got \[3, 0\]"),
        ({"hidden_layer_sizes": (3, -1)}, r"got \[3, -1\]"),
        ({"hidden_layer_sizes": (3.5,)}, r"got \[3.5\]"),
        ({"learning_rate_init": 0}, "learning_rate_init"),
        ({"learning_rate_init": -0.1}, "learning_rate_init"),
        ({"alpha": -1}, "alpha"),
        ({"batch_size": 0}, "batch_size"),
        ({"max_iter": 0}, "max_iter"),
        ({"momentum": 2}, "momentum"),
        ({"beta_1": 1.0}, "beta_1"),
        ({"epsilon": 0}, "epsilon"),
        ({"tol": -1}, "tol"),
        ({"dropout": 1.0}, "dropout"),
        ({"dropout": [0.1, 0.1]}, "dropout has 2 entries"),
        ({"l2_scaling": "rows"}, "l2_scaling"),
        ({"learning_rate": "cosine"}, "learning_rate"),
        ({"random_state": "x"}, "random_state"),
        ({"activation": "rleu"}, "Did you mean 'relu'"),
        ({"solver": "adm"}, "Did you mean 'adam'"),
        ({"callbacks": 3}, "not iterable|callback"),
        ({"n_threads": 0}, "n_threads"),
    ],
    ids=str,
)
def test_refused_settings(settings: dict[str, Any], said: str, kind: Any) -> None:
    assert refusal(lambda: kind(**{**QUICK, **settings}).fit(X, CLASSES), said) < 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_refused_for_a_fitted_estimator(kind: Any) -> None:
    fitted = kind(**QUICK).fit(FRAME, CLASSES)
    for call in (fitted.predict, fitted.hidden_activations):
        with pytest.raises(ValueError, match="feature names should match those that were passed during fit"):
            call(FRAME[list("dcba")])
        with pytest.raises(ValueError, match="feature names should match"):
            call(FRAME[["a", "b", "c"]])
        with pytest.raises(ValueError, match=r"row 5, column 2 \('c'\)"):
            call(pd.DataFrame(changed(np.nan), columns=list("abcd")))
    plain = kind(**QUICK).fit(X, CLASSES)
    for call in (plain.predict, lambda some: plain.fit(X, CLASSES, eval_set=(some, CLASSES))):
        with pytest.raises(ValueError, match="X has 3 features, but"):
            call(X[:, :3])
    with pytest.raises(ValueError, match="eval_set is a tuple"):
        kind(**QUICK).fit(X, CLASSES, eval_set=X)


def test_refused_labels() -> None:
    names = np.array(list("abc"))[CLASSES]
    fitted = MLPClassifier(**QUICK).partial_fit(X, names, classes=list("abc"))
    wrong = changed("z", 11, names, dtype=object)
    with pytest.raises(ValueError, match=r"first unknown one is 'z' in row 11"):
        fitted.partial_fit(X, wrong)
    with pytest.raises(ValueError, match=r"first unknown one is 'z' in row 11"):
        MLPClassifier(**QUICK).fit(X, names, eval_set=(X, wrong))
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        MLPClassifier(**QUICK).fit(X, X[:, 0])
    with pytest.raises(ValueError, match=r"targets from 0 on; y holds -2 in row 3, column 0"):
        MLPRegressor(loss="poisson", **QUICK).fit(X, changed(-2, 3, CLASSES))
    with pytest.raises(ValueError, match=r"targets in \[0, 1\]; y holds 2 in row 2"):
        MLPRegressor(loss="binarycrossentropy", **QUICK).fit(X, CLASSES)
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        MLPClassifier(**QUICK).partial_fit(X, CLASSES)


READ_ONLY = X.copy()
READ_ONLY.setflags(write=False)
ACCEPTED: dict[str, tuple[Any, Any]] = {
    "a single row": (X[:1], CLASSES[:1]),
    "a single class": (X, np.ones(30, int)),
    "a constant column": (changed(1.0, (slice(None), 1)), CLASSES),
    "a column of zeros": (changed(0.0, (slice(None), 1)), CLASSES),
    "duplicate columns": (np.c_[X, X], CLASSES),
    "a read-only array": (READ_ONLY, CLASSES),
    "Fortran order": (np.asfortranarray(X), CLASSES),
    "strides": (np.repeat(X, 2, axis=0)[::2], CLASSES),
    "integers": (np.round(X * 9).astype(np.int16), CLASSES),
    "bytes": (np.round(abs(X) * 9).astype(np.uint8), CLASSES),
    "booleans": (X > 0, CLASSES),
    "lists": (X.tolist(), CLASSES.tolist()),
    "a data frame": (FRAME, pd.Series(CLASSES)),
    "sparse rows with 64-bit indices": (sparse64(), CLASSES),
    "numbers as text in an object array": (X.astype(str).astype(object), CLASSES),
    "float32": (X.astype(np.float32), CLASSES),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", ACCEPTED)
def test_accepted_data(case: str, kind: Any) -> None:
    rows, y = ACCEPTED[case]
    fitted = kind(**QUICK).fit(rows, y)
    predicted = fitted.predict(rows)
    assert predicted.shape == (len(y),)
    if kind is MLPClassifier:
        assert set(predicted) <= set(np.asarray(y).tolist())
    else:
        assert np.isfinite(predicted).all()


@pytest.mark.parametrize("kind", KINDS)
def test_accepted_with_a_warning_or_a_weight_of_zero(kind: Any, tmp_path: Path) -> None:
    plain = kind(**QUICK).fit(X, CLASSES)
    with pytest.warns(UserWarning, match="going to be clipped"):
        clipped = kind(**QUICK, batch_size=1000).fit(X, CLASSES)
    with pytest.warns(UserWarning, match="column-vector y"):
        column = kind(**QUICK).fit(X, CLASSES[:, np.newaxis])
    np.save(tmp_path / "X.npy", X)
    mapped = kind(**QUICK).fit(np.load(tmp_path / "X.npy", mmap_mode="r"), CLASSES)
    for other in (clipped, column, mapped):
        np.testing.assert_allclose(other.coefs_[0], plain.coefs_[0], atol=1e-14)
    zero = kind(**QUICK, batch_size=10, shuffle=False).fit(X, CLASSES, sample_weight=[0.0] * 10 + [1.0] * 20)
    assert np.isfinite(zero.loss_)  # a batch in which nothing counts is passed over
