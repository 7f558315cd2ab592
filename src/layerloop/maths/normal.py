"""Dropout and the normalisations, whose forms in training and in prediction differ.

Letters as in `kind`: z (n,), Z (N, n), `o` the product entry by entry; mu and v mean and (biased) variance,
s = sqrt(v + epsilon), xhat = (z - mu) / s. Both normalisations have g = gamma o xhat + beta and so

    A = ( diag(xhat)  I )  in (gamma; beta)
    B = diag(gamma) d xhat / d z,   d xhat / d z = (I - 11^T/n - xhat xhat^T/n) / s

over the n numbers that mu and v are taken over: of a sample for LayerNorm, of a column of the batch for BatchNorm.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from layerloop.errors import NetworkError, ShapeError
from layerloop.maths.heads import as_vector
from layerloop.maths.kind import OfBatches, OfSamples, Part, as_batch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from numpy.typing import ArrayLike

    from layerloop.maths.activations import Array


@dataclass(frozen=True)
class Dropout(OfBatches):
    """Dropout: g(z) = m o z / (1 - rate) with a mask m of zeros and ones; without a mask, in prediction, g(z) = z.

    Attributes
    ----------
    mask : array, shape (N, n), or None
        One row a sample; (n,) for one sample.

    Examples
    --------
    >>> Dropout(2, 0.75, mask=np.array([[1.0, 0.0]])).g([], [3.0, 5.0])
    array([12.,  0.])
    >>> Dropout(2, 0.75).g([], [3.0, 5.0])
    array([3., 5.])
    """

    kind: ClassVar[str] = "dropout"
    n: int
    rate: float
    mask: Array | None = field(default=None, repr=False, compare=False)

    @property
    def takes(self) -> int:
        """The width n."""
        return self.n

    gives = takes

    def in_training(self, masks: Iterator[ArrayLike]) -> Self:
        """Return it with the next mask."""
        mask = next(masks, None)
        if mask is None:
            raise NetworkError("a dropout has no mask: in training, give one (N, n) for each, in the order of layers")
        return replace(self, mask=np.asarray(mask, dtype=np.float64))

    def _factor(self, Z: Array) -> Array:
        """Return what each entry is multiplied by; behind `Members`, a mask's row is that of all blocks."""
        if self.mask is None:
            return np.ones(Z.shape)
        if self.mask.size != Z.size:
            raise ShapeError(f"mask: expected one entry for each of {Z.shape}, got {self.mask.shape}")
        return self.mask.reshape(Z.shape) / (1.0 - self.rate)

    def g_batch(self, w: ArrayLike, Z: ArrayLike) -> Array:
        """Return M o Z / (1 - rate), (N, n)."""
        Z = as_batch(Z, self.n)
        return Z * self._factor(Z)

    def A_batch(self, w: ArrayLike, Z: ArrayLike) -> Array:
        """Return the empty Jacobian (N n, 0)."""
        return np.empty((as_batch(Z, self.n).size, 0))

    def B_batch(self, w: ArrayLike, Z: ArrayLike) -> Array:
        """Return diag(M) / (1 - rate)."""
        return np.diag(self._factor(as_batch(Z, self.n)).ravel())

    def A_vjp_batch(self, w: ArrayLike, Z: ArrayLike, Q: ArrayLike) -> Array:
        """Return the empty vector."""
        return np.empty(0)

    def B_vjp_batch(self, w: ArrayLike, Z: ArrayLike, Q: ArrayLike) -> Array:
        """Return M o Q / (1 - rate)."""
        Q = as_batch(Q, self.n, "Q")
        return Q * self._factor(Q)


def normalised(z: Array, epsilon: float) -> tuple[Array, Array]:
    """Return xhat = (z - mu) / s and s of the numbers of a vector, the variance divided by their number.

    Examples
    --------
    >>> normalised(np.array([1.0, 5.0]), 0.0)
    (array([-1.,  1.]), array(2.))
    """
    centred = z - z.mean()
    s = np.asarray(np.sqrt((centred**2).mean() + epsilon))
    return centred / s, s


def d_normalised(z: Array, epsilon: float) -> Array:
    """Jacobian of xhat, (I - 11^T/n - xhat xhat^T/n) / s, (n, n); symmetric."""
    xhat, s = normalised(z, epsilon)
    n = z.size
    return np.asarray((np.eye(n) - 1.0 / n - np.outer(xhat, xhat) / n) / s)


def d_normalised_vjp(z: Array, epsilon: float, q: Array) -> Array:
    """Return that Jacobian's product with q, (q - mean(q) - xhat mean(xhat o q)) / s."""
    xhat, s = normalised(z, epsilon)
    return np.asarray((q - q.mean() - xhat * (xhat * q).mean()) / s)


@dataclass(frozen=True)
class LayerNorm(OfSamples):
    """Layer normalisation, g(gamma, beta; z) = gamma o xhat + beta, mean and variance over the n entries of z.

    w = (gamma; beta), (n,) each (Ba, Kiros and Hinton 2016).

    Examples
    --------
    >>> LayerNorm(2, epsilon=0.0625).g([5.0, 5.0, 0.0, 1.0], [0.0, 1.5])  # s = sqrt(0.75^2 + 1/16) = 0.790569...
    array([-4.74341649,  5.74341649])
    """

    kind: ClassVar[str] = "layer_norm"
    n: int
    epsilon: float = 1e-5

    @property
    def takes(self) -> int:
        """The width n."""
        return self.n

    gives = takes

    @property
    def parts(self) -> tuple[Part, ...]:
        """`gamma`, `beta`."""
        return Part("gamma", (self.n,)), Part("beta", (self.n,))

    def _split(self, w: ArrayLike, z: ArrayLike) -> tuple[Array, Array, Array]:
        w, z = self.pair(w, z)
        gamma, beta = self.split(w)
        return gamma, beta, z

    def g(self, w: ArrayLike, z: ArrayLike) -> Array:
        """Return gamma o xhat + beta, (n,)."""
        gamma, beta, z = self._split(w, z)
        return np.asarray(gamma * normalised(z, self.epsilon)[0] + beta)

    def A(self, w: ArrayLike, z: ArrayLike) -> Array:
        """Return (diag(xhat)  I), (n, 2n)."""
        z = self.pair(w, z)[1]
        return np.hstack([np.diag(normalised(z, self.epsilon)[0]), np.eye(self.n)])

    def B(self, w: ArrayLike, z: ArrayLike) -> Array:
        """Return diag(gamma) (I - 11^T/n - xhat xhat^T/n) / s, (n, n)."""
        gamma, _, z = self._split(w, z)
        return np.asarray(gamma[:, np.newaxis] * d_normalised(z, self.epsilon))

    def A_vjp(self, w: ArrayLike, z: ArrayLike, q: ArrayLike) -> Array:
        """Return (xhat o q; q), (2n,)."""
        q, z = self.q_of(q), self.pair(w, z)[1]
        return np.concatenate([normalised(z, self.epsilon)[0] * q, q])

    def B_vjp(self, w: ArrayLike, z: ArrayLike, q: ArrayLike) -> Array:
        """Return (e - mean(e) - xhat mean(xhat o e)) / s with e = gamma o q, (n,)."""
        gamma, _, z = self._split(w, z)
        return d_normalised_vjp(z, self.epsilon, gamma * self.q_of(q))


@dataclass(frozen=True)
class BatchNorm(OfBatches):
    """Batch normalisation, g(gamma, beta; Z) = gamma o xhat + beta, column by column (Ioffe and Szegedy 2015).

    In training mean and variance are those of the batch's column, and every row depends on every other. In prediction
    they are the running ones, which are part of w and count as constants: w = (gamma; beta; running mean; running
    variance), (n,) each, and the last two have zero gradient.

    Attributes
    ----------
    training : bool
        Which of the two it is.

    Examples
    --------
    >>> layer, w = BatchNorm(1, epsilon=0.25), [2.0, 1.0, 3.0, 3.75]
    >>> layer.g(w, [7.0])  # 2 (7 - 3) / sqrt(3.75 + 0.25) + 1
    array([5.])
    >>> layer.moved(w, [[2.0], [6.0]])  # 0.9 3 + 0.1 4, 0.9 3.75 + 0.1 8
    array([2.   , 1.   , 3.1  , 4.175])
    """

    kind: ClassVar[str] = "batch_norm"
    n: int
    epsilon: float = 1e-5
    momentum: float = 0.1
    training: bool = False

    @property
    def takes(self) -> int:
        """The width n."""
        return self.n

    gives = takes

    @property
    def parts(self) -> tuple[Part, ...]:
        """`gamma`, `beta`, and the running statistics, which are not trained."""
        running = Part("running mean", (self.n,), trained=False), Part("running variance", (self.n,), trained=False)
        return Part("gamma", (self.n,)), Part("beta", (self.n,)), *running

    def in_training(self, masks: Iterator[ArrayLike]) -> Self:
        """Return it on the batch's own statistics."""
        return replace(self, training=True)

    def moved(self, w: ArrayLike, Z: ArrayLike) -> Array:
        """Return w with running <- (1 - momentum) running + momentum batch's, of variances the one divided by N - 1.

        A batch of one has the variance 0 by either divisor.
        """
        w, Z = as_vector(w, "w", self.size).copy(), as_batch(Z, self.n)
        _, _, mean, variance = self.split(w)
        unbiased = ((Z - Z.mean(axis=0)) ** 2).sum(axis=0) / max(len(Z) - 1, 1)
        mean[:] = (1 - self.momentum) * mean + self.momentum * Z.mean(axis=0)
        variance[:] = (1 - self.momentum) * variance + self.momentum * unbiased
        return w

    def _xhat(self, w: ArrayLike, Z: Array) -> Array:
        """Return xhat, (N, n)."""
        if self.training:
            return np.stack([normalised(z, self.epsilon)[0] for z in Z.T], axis=1)
        _, _, mean, variance = self.split(w)
        return np.asarray((Z - mean) / np.sqrt(variance + self.epsilon))

    def g_batch(self, w: ArrayLike, Z: ArrayLike) -> Array:
        """Return gamma o xhat + beta, (N, n)."""
        gamma, beta, *_ = self.split(w)
        return np.asarray(gamma * self._xhat(w, as_batch(Z, self.n)) + beta)

    def A_batch(self, w: ArrayLike, Z: ArrayLike) -> Array:
        """Return of each row (diag(xhat)  I  0  0), (N n, 4n)."""
        still = np.zeros((self.n, 2 * self.n))
        rows = self._xhat(w, as_batch(Z, self.n))
        return np.vstack([np.hstack([np.diag(xhat), np.eye(self.n), still]) for xhat in rows])

    def B_batch(self, w: ArrayLike, Z: ArrayLike) -> Array:
        """Return the Jacobian (N n, N n): entry ((i, a), (j, b)) is 0 unless a = b.

        In training it is gamma_a (delta_ij - 1/N - xhat_ia xhat_ja / N) / s_a, in prediction gamma_a delta_ij / s_a.
        """
        Z = as_batch(Z, self.n)
        gamma, _, _, variance = self.split(w)
        J = np.zeros((len(Z), self.n, len(Z), self.n), np.result_type(gamma, Z))
        for a, z in enumerate(Z.T):
            still = np.eye(len(Z)) / np.sqrt(variance[a] + self.epsilon)
            J[:, a, :, a] = gamma[a] * (d_normalised(z, self.epsilon) if self.training else still)
        return J.reshape(Z.size, Z.size)

    def A_vjp_batch(self, w: ArrayLike, Z: ArrayLike, Q: ArrayLike) -> Array:
        """Return (sum xhat o q; sum q; 0; 0) over the rows, (4n,)."""
        Q, xhat = as_batch(Q, self.n, "Q"), self._xhat(w, as_batch(Z, self.n))
        return np.concatenate([(xhat * Q).sum(axis=0), Q.sum(axis=0), np.zeros(2 * self.n)])

    def B_vjp_batch(self, w: ArrayLike, Z: ArrayLike, Q: ArrayLike) -> Array:
        """Return of each column (e - mean(e) - xhat mean(xhat o e)) / s with e = gamma q; in prediction e / s."""
        Z, Q = as_batch(Z, self.n), as_batch(Q, self.n, "Q")
        gamma, _, _, variance = self.split(w)
        E = gamma * Q
        if not self.training:
            return np.asarray(E / np.sqrt(variance + self.epsilon))
        return np.stack([d_normalised_vjp(z, self.epsilon, e) for z, e in zip(Z.T, E.T, strict=True)], axis=1)
