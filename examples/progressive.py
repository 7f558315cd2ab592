"""The progressive examples that the chapter generalises, as networks of one layer through the same code.

Least squares, logistic regression and multinomial logistic regression: each is trained and set beside a solution
that comes from elsewhere.
"""

import numpy as np

from layerloop import (
    Adam,
    Chain,
    DataLoader,
    Dense,
    accuracy,
    data,
    modified_softmax,
    mse,
    params,
    sigmoid,
    softmax,
    train,
)

rng = np.random.default_rng(0)


def least_squares():
    """An affine layer, no head, and mse: the minimiser solves the normal equations."""
    X = rng.standard_normal((200, 3))
    y = X @ [1.0, -2.0, 0.5] + 3.0 + 0.1 * rng.standard_normal(200)
    m = Chain(Dense(3, 1), dtype="float64")
    train(m, DataLoader((X, y), batchsize=200), loss=mse, optimizer=Adam(0.05), epochs=2000)
    exact = np.linalg.lstsq(np.column_stack([X, np.ones(200)]), y, rcond=None)[0]
    return params(m).W(1)[0], exact


def logistic_regression():
    """One score and the modified softmax with K = 2: the first class has probability sigmoid(w z^{;1})."""
    X = rng.standard_normal((400, 2))
    y = (rng.random(400) > sigmoid(2 * X[:, 0] - X[:, 1] + 0.5)).astype(int)  # class 0 with that probability
    m = Chain(Dense(2, 1), modified_softmax, dtype="float64")
    train(m, DataLoader((X, y), batchsize=400), optimizer=Adam(0.05), epochs=2000)
    return params(m).W(1)[0], newton(np.column_stack([X, np.ones(400)]), y == 0)


def newton(X, is_first):
    """Maximum likelihood of logistic regression by Newton's method."""
    w = np.zeros(X.shape[1])
    for _ in range(25):
        p = sigmoid(X @ w)
        w += np.linalg.solve((X * (p * (1 - p))[:, None]).T @ X, X.T @ (is_first - p))
    return w


def multinomial_logistic_regression():
    """One affine layer and the softmax, on real handwritten digits of 8 x 8 pixels; the accuracy on the test part."""
    (X, y), (Xtest, ytest) = data.load("digits"), data.load("digits", "test")
    m = Chain(Dense(64, 10), softmax)
    train(m, DataLoader((X, y), batchsize=32), optimizer=Adam(0.01), epochs=40)
    return accuracy(m, Xtest, ytest)


if __name__ == "__main__":
    for example in (least_squares, logistic_regression):
        found, exact = example()
        print(f"{example.__name__}: trained {found.round(4)}, exact {exact.round(4)}")
    print(f"multinomial_logistic_regression: accuracy {multinomial_logistic_regression():.4f} on the digits")
