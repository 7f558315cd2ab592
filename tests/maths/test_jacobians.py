"""Jacobians of one layer: against np.kron, against differences, and against their transposed products."""

from __future__ import annotations

import numpy as np
import pytest

from layerloop.errors import ShapeError, UnknownNameError
from layerloop.maths.activations import ACTIVATIONS
from layerloop.maths.differences import complex_step, dense_jacobian, random_direction_identity
from layerloop.maths.jacobians import (
    A,
    A_tilde,
    A_tilde_vjp,
    B,
    B_tilde,
    B_tilde_vjp,
    J_g,
    J_h,
    J_sigma,
    append_one,
    drop_last,
    g,
    h,
    rows,
    stack,
)

walk = pytest.mark.parametrize("name", ACTIVATIONS)
SIZES = [(1, 1), (3, 2), (1, 5), (7, 4)]
REAL_SIZES = [(784, 32), (32, 10), (40, 40)]


@pytest.fixture(autouse=True)
def _strict():
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        yield


def layer(n: int, m: int, name: str = "sigmoid") -> tuple[np.ndarray, np.ndarray]:
    """W (m, n + 1) and z (n,) with every pre-activation at least 1e-3 from every kink."""
    rng = np.random.default_rng(100 * n + m)
    kinks = np.array([*ACTIVATIONS[name].kinks, np.inf])
    while True:
        W, z = rng.normal(size=(m, n + 1)) / np.sqrt(n), rng.normal(size=n)
        if np.abs(h(W, z)[:, None] - kinks).min() > 1e-3:
            return W, z


def test_one_is_appended_at_the_end_and_the_bias_is_the_last_column() -> None:
    np.testing.assert_array_equal(append_one([2.0, 3.0]), [2, 3, 1])
    np.testing.assert_array_equal(drop_last([2.0, 3.0, 1.0]), [2, 3])
    # 2*10 + 3*100 + 5 = 325
    np.testing.assert_array_equal(h([[2.0, 3.0, 5.0]], [10.0, 100.0]), [325])


def test_rows_is_a_view_in_C_order_and_stack_its_inverse() -> None:
    w = np.arange(12.0)
    W = rows(w, n_in=3, n_out=3)
    np.testing.assert_array_equal(W[1], [4, 5, 6, 7])  # w^(2)
    assert np.shares_memory(W, w)
    np.testing.assert_array_equal(stack(W), w)
    np.testing.assert_array_equal(stack(W.T), w.reshape(3, 4).T.ravel())  # strided: the order of W.T, not of w


@pytest.mark.parametrize(("n", "m"), SIZES)
def test_A_is_the_kronecker_product_and_B_drops_the_bias(n: int, m: int) -> None:
    W, z = layer(n, m)
    np.testing.assert_array_equal(A(z, m), np.kron(np.eye(m), append_one(z)[None, :]))
    np.testing.assert_array_equal(B(W), W[:, :n])


@pytest.mark.parametrize(("n", "m"), SIZES)
def test_J_h_by_differences(n: int, m: int) -> None:
    W, z = layer(n, m)
    r = m * (n + 1)
    point = np.concatenate([stack(W), z])
    J = dense_jacobian(lambda v: h(rows(v[:r], n, m), v[r:]), point)
    np.testing.assert_allclose(J_h(W, z), J, rtol=0, atol=1e-9)


@walk
@pytest.mark.parametrize(("n", "m"), SIZES)
def test_J_g_has_parameters_first_and_inputs_second(name: str, n: int, m: int) -> None:
    W, z = layer(n, m, name)
    r = m * (n + 1)
    J = J_g(W, z, name)
    assert J.shape == (m, r + n)
    np.testing.assert_array_equal(J[:, :r], A_tilde(W, z, name))
    np.testing.assert_array_equal(J[:, r:], B_tilde(W, z, name))
    point = np.concatenate([stack(W), z])

    def layer_of(v: np.ndarray) -> np.ndarray:
        return g(rows(v[:r], n, m), v[r:], name)

    np.testing.assert_allclose(J, dense_jacobian(layer_of, point), rtol=0, atol=1e-8)
    if ACTIVATIONS[name].analytic:
        np.testing.assert_allclose(J, complex_step(layer_of, point).T, rtol=0, atol=1e-13)


@walk
def test_chain_rule_of_the_notes(name: str) -> None:
    W, z = layer(7, 4, name)
    np.testing.assert_allclose(J_g(W, z, name), J_sigma(h(W, z), name) @ J_h(W, z), rtol=1e-15, atol=0)


def test_blocks_of_A_tilde() -> None:
    # t = (0, log 3): sigma' = (1/4, 3/16); z^{;1} = (2, 1)
    W = np.array([[0.0, 0.0], [0.0, np.log(3)]])
    np.testing.assert_allclose(A_tilde(W, [2.0]), [[0.5, 0.25, 0, 0], [0, 0, 0.375, 0.1875]], rtol=1e-15)
    # p = block k scaled by q_k: q = (4, 16) -> (4/4 (2, 1); 16 * 3/16 (2, 1)) = (2, 1; 6, 3)
    np.testing.assert_allclose(A_tilde_vjp(W, [2.0], [4.0, 16.0]), [2, 1, 6, 3], rtol=1e-15)


@walk
@pytest.mark.parametrize(("n", "m"), REAL_SIZES)
def test_products_without_the_dense_matrix_at_real_sizes(name: str, n: int, m: int) -> None:
    W, z = layer(n, m, name)
    rng = np.random.default_rng(7)
    u = rng.normal(size=m)
    A_i, B_i = A_tilde(W, z, name), B_tilde(W, z, name)
    v = rng.normal(size=A_i.shape[1])
    assert random_direction_identity(A_i, lambda q: A_tilde_vjp(W, z, q, name), u, v) < 1e-10
    assert random_direction_identity(B_i, lambda q: B_tilde_vjp(W, z, q, name), u, v[:n]) < 1e-10
    np.testing.assert_allclose(A_tilde_vjp(W, z, u, name), A_i.T @ u, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(B_tilde_vjp(W, z, u, name), B_i.T @ u, rtol=1e-12, atol=1e-13)


def test_nan_and_infinity_pass_without_a_warning() -> None:
    W, z = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([np.inf])
    np.testing.assert_array_equal(h(W, z), [np.inf, np.nan])
    np.testing.assert_array_equal(g(W, z), [1, np.nan])
    assert np.isnan(A_tilde_vjp(W, z, [1.0, 1.0])).any()


def test_errors_name_what_was_expected() -> None:
    with pytest.raises(ShapeError, match=r"W: expected shape \(n_out, 3\), bias last, got \(2, 2\)"):
        h(np.eye(2), [1.0, 2.0])
    with pytest.raises(ShapeError, match=r"w: expected shape \(6,\), got \(5,\)"):
        rows(np.zeros(5), 2, 2)
    with pytest.raises(ShapeError, match="bias last"):
        B(np.zeros(3))
    with pytest.raises(ShapeError, match=r"q: expected shape \(2,\)"):
        A_tilde_vjp(np.eye(2), [1.0], [1.0])
    with pytest.raises(UnknownNameError, match="Did you mean 'sigmoid'"):
        g(np.eye(2), [1.0], "sigmoud")
