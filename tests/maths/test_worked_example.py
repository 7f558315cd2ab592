"""One example by hand, arithmetic in the comments, and the examples of the docstrings.

The example is the later book's (two layers without bias, ordinary softmax, no activation on the last layer), so here it
is the reading "program" with every bias weight 0:

    x = (1, 0, -1), y = (0, 1), W_1 = [[0, 1, -1], [2, 0, 1]], W_2 = [[-1, 0], [2, -1]]
"""

from __future__ import annotations

import doctest
from importlib import import_module
from pkgutil import iter_modules

import numpy as np
import pytest

from layerloop import maths
from layerloop.maths import f, gradient, gradient_fused, program, size
from layerloop.maths.loops import loops

X = np.array([1.0, 0.0, -1.0])
Y = np.array([0.0, 1.0])
W_1 = np.array([[0.0, 1.0, -1.0, 0.0], [2.0, 0.0, 1.0, 0.0]])  # last column: bias
W_2 = np.array([[-1.0, 0.0, 0.0], [2.0, -1.0, 0.0]])
W = np.concatenate([W_1.ravel(), W_2.ravel()])
NET = program(3, [2], 2)
MODULES = [name for _, name, _ in iter_modules(maths.__path__)]

printed = {"rtol": 0, "atol": 5e-5}  # four printed digits


@pytest.mark.parametrize("dense", [True, False])
def test_forward(dense: bool) -> None:
    assert size(NET) == W.size == 14
    forward, _ = loops(NET, W, X, Y, dense=dense)
    # W_1 x = (0*1 + 1*0 + (-1)(-1), 2*1 + 0*0 + 1*(-1)) = (1, 1)
    np.testing.assert_array_equal(forward.t[1], [1, 1])
    # sigma(1) = 1 / (1 + e^-1) = 1 / 1.367879 = 0.731059
    np.testing.assert_allclose(forward.z[2], [0.7311, 0.7311], **printed)
    # W_2 z_2 = (-0.731059, 2*0.731059 - 0.731059) = (-0.731059, 0.731059)
    np.testing.assert_allclose(forward.z[3], [-0.731059, 0.731059], rtol=0, atol=5e-7)
    # softmax: the second is sigma(2*0.731059) = sigma(1.462117) = 0.8119, the first 1 - 0.8119 = 0.1881
    np.testing.assert_allclose(forward.z[4], [0.1881, 0.8119], **printed)
    # -log 0.8119 = 0.2084
    assert forward.z[5] == pytest.approx(0.2084, abs=5e-5)
    assert f(NET, W, X, Y) == forward.z[5]


@pytest.mark.parametrize("dense", [True, False])
def test_backward(dense: bool) -> None:
    _, backward = loops(NET, W, X, Y, dense=dense)
    # q_4 = -y / z_4 = (0, -1/0.8119) = (0, -1.2317)
    np.testing.assert_allclose(backward.q[4], [0, -1.2317], **printed)
    # q_3 = g - y = (0.1881, 0.8119 - 1) = (0.1881, -0.1881)
    np.testing.assert_allclose(backward.q[3], [0.1881, -0.1881], **printed)
    # P_2 = q_3 (z_2; 1)^T = 0.1881 * 0.7311 = 0.1375, and the bias column is q_3 itself
    np.testing.assert_allclose(
        backward.p[2].reshape(2, 3), [[0.1375, 0.1375, 0.1881], [-0.1375, -0.1375, -0.1881]], **printed
    )
    # q_2 = W_2^T q_3 = (-0.18814 - 2*0.18814, 0.18814) = (-0.5644, 0.1881)
    np.testing.assert_allclose(backward.q[2], [-0.5644, 0.1881], **printed)
    # sigma'(1) = 0.731059 * 0.268941 = 0.196612; times q_2: (-0.1110, 0.0370)
    # P_1 = (-0.1110, 0.0370) (1, 0, -1, 1)^T
    np.testing.assert_allclose(
        backward.p[1].reshape(2, 4), [[-0.1110, 0, 0.1110, -0.1110], [0.0370, 0, -0.0370, 0.0370]], **printed
    )
    # q_1 = W_1^T (-0.1110, 0.0370), bias dropped = (2*0.03699, -0.11097, 0.11097 + 0.03699) = (0.0740, -0.1110, 0.1480)
    np.testing.assert_allclose(backward.q[1], [0.0740, -0.1110, 0.1480], **printed)


@pytest.mark.parametrize("of", [gradient, gradient_fused])
def test_gradient_in_the_order_of_w(of) -> None:
    dW_1 = [[-0.1110, 0, 0.1110], [0.0370, 0, -0.0370]]
    dW_2 = [[0.1375, 0.1375], [-0.1375, -0.1375]]
    exact = of(NET, W, X, Y)
    np.testing.assert_allclose(exact[:8].reshape(2, 4)[:, :3], dW_1, **printed)
    np.testing.assert_allclose(exact[8:].reshape(2, 3)[:, :2], dW_2, **printed)


@pytest.mark.parametrize("module", MODULES)
def test_examples_of_the_docstrings(module: str) -> None:
    result = doctest.testmod(import_module(f"layerloop.maths.{module}"))
    assert result.attempted > 0
    assert result.failed == 0


def test_the_map_names_what_it_imports() -> None:
    assert len(set(maths.__all__)) == len(maths.__all__)
    for name in maths.__all__:
        assert hasattr(maths, name)
        assert name not in MODULES  # a function of that name would hide the file
    for table in ("ACTIVATIONS", "HEADS", "LOSSES", "FUSED", "LAYERS"):
        with pytest.raises(TypeError, match="does not support item assignment"):
            getattr(maths, table)["mine"] = None
