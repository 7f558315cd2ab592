"""Layers over a batch in NumPy: one class for each kind, forward and backward side by side, in buffers of their own.

Letters: Z (n, n_in) and the returned array (n, n_out) are a layer's rows before and after it, n counting the rows of
all members; D is the gradient of the loss in the rows behind it and Q that in the rows before it, None where nobody
wants it. `w` and `g` are the layer's parameters and their gradient as `bound` gives them. `backward` may use D up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from layerloop.csr import Csr
from layerloop.engine import sparse
from layerloop.engine.activations import ACTIVATIONS, ones
from layerloop.engine.masks import keeps
from layerloop.layers import BatchNorm, Dense, Dropout, LayerNorm, Members, Parametric, Scale

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from layerloop.plan import Op

    Batch = NDArray[np.floating]
    Vector = NDArray[np.floating]


class Mode(NamedTuple):
    """What a pass is for: prediction, or step number `step` of a training whose masks come from `seed`."""

    step: int | None = None
    seed: int = 0


PREDICTION = Mode()


class Step:
    """A layer at one batch size.

    Attributes
    ----------
    Z, D : ndarray (n, n_out)
        Its rows and the gradient in them.
    """

    def __init__(self, op: Op, place: int, n: int, members: int, dtype: str, *, class_major: bool) -> None:
        self.layer: Any = op.layer
        self.place = place
        self.n = n
        self.members = members
        self.class_major = class_major
        self.shape = (n, op.width)
        self.dtype = dtype
        self.Z, self.D = self.buffer(), self.buffer()

    def buffer(self) -> Batch:
        """Return room for the rows; see heads.py for why the last layer's are class-major."""
        n, width = self.shape
        return np.empty((width, n), self.dtype).T if self.class_major else np.empty((n, width), self.dtype)

    def bound(self, w: Vector) -> Any:
        """Return the layer's stretch of a flat vector as `forward` and `backward` take it."""
        return self.layer.views(w) if self.layer else w

    def by_member(self, Z: Batch) -> Batch:
        """Return rows as (members, samples, width)."""
        return Z.reshape(self.members, -1, Z.shape[1])

    def forward(self, Z: Batch, w: Any, mode: Mode) -> Batch:
        """Return the rows behind the layer."""
        raise NotImplementedError

    def backward(self, Z: Batch, w: Any, g: Any, Q: Batch | None) -> None:
        """Fill the gradient of the parameters and, where it is wanted, Q."""
        raise NotImplementedError


class Join(Step):
    """The end of a residual: adds the rows before it; the engine hands D to both ways."""

    def forward(self, Z: Batch, w: Any, mode: Mode) -> Batch:
        """Z + w: here w is the other way."""
        np.add(Z, w, out=self.Z)
        return self.Z

    def backward(self, Z: Batch, w: Any, g: Any, Q: Batch | None) -> None:
        """Q = D."""
        if Q is not None:
            np.copyto(Q, self.D)


class Activated(Step):
    """A layer f(T) whose T has a formula of its own."""

    def __init__(self, op: Op, place: int, n: int, members: int, dtype: str, *, class_major: bool) -> None:
        super().__init__(op, place, n, members, dtype, class_major=class_major)
        self.row = ACTIVATIONS[self.layer.activation]
        self.T = self.buffer() if self.row.keeps_t else self.Z
        self.s, self.r = self.buffer(), self.buffer()

    def activated(self) -> Batch:
        """Z = f(T)."""
        self.row.f(self.T, self.Z, self.s)
        return self.Z

    def to_scores(self) -> None:
        """Turn D from the gradient in the outputs into the one in the pre-activations: D <- f'(T) * D."""
        if self.row.df is not ones:
            self.row.df(self.T, self.Z, self.s, self.r)
            np.multiply(self.D, self.s, out=self.D)


class DenseStep(Activated):
    """T = Z W + b, one product for all members; in one the blocks are (n_in + 1, n_out)."""

    def bound(self, w: Vector) -> Batch:
        """Return the block."""
        return w.reshape(self.layer.shape)

    def forward(self, Z: Batch | Csr, w: Batch, mode: Mode) -> Batch:
        """f(Z W + b)."""
        product(Z, w[:-1], self.T)
        np.add(self.T, w[-1], out=self.T)
        return self.activated()

    def backward(self, Z: Batch | Csr, w: Batch, g: Batch, Q: Batch | None) -> None:
        """dW = Z^T D, db = sum D and, where it is wanted, Q = D W^T, with D in the pre-activations.

        Of sparse rows only the columns that occur are filled in dW: the others are to be 0 before.
        """
        self.to_scores()
        if isinstance(Z, Csr):
            sparse.fill_columns(Z, self.D, g[:-1])
        else:
            product(Z.T, self.D, g[:-1])
        np.add.reduce(self.D, axis=0, out=g[-1])
        if Q is not None:
            product(self.D, w[:-1].T, Q)


def product(A: Batch | Csr, B: Batch, out: Batch) -> None:
    """Fill out = A B; a class-major `out` is filled as out^T = B^T A^T, the same product to BLAS."""
    if isinstance(A, Csr):
        sparse.product(A, B, out)
    elif out.flags.c_contiguous:
        np.dot(A, B, out=out)
    else:
        np.dot(B.T, A.T, out=out.T)


class ScaledDenseStep(DenseStep):
    """T = c Z W + b, c = 1 / sqrt(n_in)."""

    def forward(self, Z: Batch | Csr, w: Batch, mode: Mode) -> Batch:
        """f(c Z W + b)."""
        product(Z, w[:-1], self.T)
        np.multiply(self.T, self.layer.factor, out=self.T)
        np.add(self.T, w[-1], out=self.T)
        return self.activated()

    def backward(self, Z: Batch | Csr, w: Batch, g: Batch, Q: Batch | None) -> None:
        """As without the factor, which both dW and Q take."""
        super().backward(Z, w, g, Q)
        np.multiply(g[:-1], self.layer.factor, out=g[:-1])
        if Q is not None:
            np.multiply(Q, self.layer.factor, out=Q)


class MemberDenseStep(Activated):
    """T_j = c Z_j W_j + b_j for each member j."""

    def __init__(self, op: Op, place: int, n: int, members: int, dtype: str, *, class_major: bool) -> None:
        super().__init__(op, place, n, members, dtype, class_major=False)

    def bound(self, w: Vector) -> Batch:
        """Return the members' blocks."""
        return w.reshape(self.members, *self.layer.shape)

    def forward(self, Z: Batch, w: Batch, mode: Mode) -> Batch:
        """f(c Z W + b)."""
        T = self.by_member(self.T)
        np.matmul(self.by_member(Z), w[:, :-1], out=T)
        np.multiply(T, self.layer.factor, out=T)
        np.add(T, w[:, -1:], out=T)
        return self.activated()

    def backward(self, Z: Batch, w: Batch, g: Batch, Q: Batch | None) -> None:
        """Member by member; see DenseStep."""
        self.to_scores()
        D = self.by_member(self.D)
        np.add.reduce(D, axis=1, out=g[:, -1])
        np.multiply(D, self.layer.factor, out=D)
        np.matmul(self.by_member(Z).transpose(0, 2, 1), D, out=g[:, :-1])
        if Q is not None:
            np.copyto(self.by_member(Q), D @ w[:, :-1].transpose(0, 2, 1))


class ScaleStep(Activated):
    """T = s * Z + b, s and b of each member or shared."""

    def __init__(self, op: Op, place: int, n: int, members: int, dtype: str, *, class_major: bool) -> None:
        super().__init__(op, place, n, members, dtype, class_major=False)
        self.own = members if self.layer.members > 1 else 1

    def rows_of(self, Z: Batch) -> Batch:
        """Return rows as (own, n, width): one group for each s."""
        return Z.reshape(self.own, -1, Z.shape[1])

    def per_group(self, part: Vector) -> Batch:
        """Return a parameter as (own, 1, width)."""
        return part.reshape(self.own, 1, -1)

    def forward(self, Z: Batch, w: dict[str, Vector], mode: Mode) -> Batch:
        """f(s Z + b)."""
        T = self.rows_of(self.T)
        np.multiply(self.rows_of(Z), self.per_group(w["weight"]), out=T)
        if "bias" in w:
            np.add(T, self.per_group(w["bias"]), out=T)
        return self.activated()

    def backward(self, Z: Batch, w: dict[str, Vector], g: dict[str, Vector], Q: Batch | None) -> None:
        """ds = sum D Z, db = sum D, Q = s D."""
        self.to_scores()
        D, rows = self.rows_of(self.D), self.rows_of(Z)
        np.sum(D * rows, axis=1, out=g["weight"].reshape(self.own, -1))
        if "bias" in g:
            np.sum(D, axis=1, out=g["bias"].reshape(self.own, -1))
        if Q is not None:
            np.copyto(Q.reshape(D.shape), D * self.per_group(w["weight"]))


class ParametricStep(Activated):
    """(1 - a) Z + a f(Z)."""

    def __init__(self, op: Op, place: int, n: int, members: int, dtype: str, *, class_major: bool) -> None:
        super().__init__(op, place, n, members, dtype, class_major=class_major)
        self.T, self.F = self.buffer(), self.buffer()

    def forward(self, Z: Batch, w: dict[str, Vector], mode: Mode) -> Batch:
        """Z + a (f(Z) - Z)."""
        np.copyto(self.T, Z)
        self.row.f(self.T, self.F, self.s)
        np.subtract(self.F, Z, out=self.Z)
        np.multiply(self.Z, w["weight"], out=self.Z)
        return np.add(self.Z, Z, out=self.Z)

    def backward(self, Z: Batch, w: dict[str, Vector], g: dict[str, Vector], Q: Batch | None) -> None:
        """da = sum D (f(Z) - Z), Q = D (1 + a (f'(Z) - 1))."""
        np.sum(self.D * (self.F - Z), axis=0, out=g["weight"])
        if Q is not None:
            self.row.df(self.T, self.F, self.s, self.r)
            np.subtract(self.s, 1, out=self.s)
            np.multiply(self.s, w["weight"], out=self.s)
            np.add(self.s, 1, out=self.s)
            np.multiply(self.D, self.s, out=Q)


class DropoutStep(Step):
    """m * Z / (1 - rate) in training, Z in prediction."""

    mask: Batch | None = None

    def forward(self, Z: Batch, w: Any, mode: Mode) -> Batch:
        """Return the rows kept, scaled so that their mean stays."""
        self.mask = None
        if mode.step is None or self.layer.rate == 0:
            return Z
        kept = keeps(*self.shape, self.layer.rate, (mode.seed, mode.step, self.place))
        self.mask = kept.astype(self.dtype) * np.dtype(self.dtype).type(1 / (1 - self.layer.rate))
        return np.multiply(Z, self.mask, out=self.Z)

    def backward(self, Z: Batch, w: Any, g: Any, Q: Batch | None) -> None:
        """The same mask."""
        if Q is not None:
            np.multiply(self.D, 1 if self.mask is None else self.mask, out=Q)


class Normalised(Step):
    """Common to both normalisations: xhat = (Z - mean) / deviation, gamma xhat + beta."""

    axis = 0

    def normalise(self, Z: Batch) -> None:
        """Fill xhat with the rows' own mean and variance; the mean twice, as rounding leaves some of it."""
        self.mean = Z.mean(axis=self.axis, keepdims=True)
        self.xhat = Z - self.mean
        rest = self.xhat.mean(axis=self.axis, keepdims=True)
        self.xhat -= rest
        self.mean += rest
        self.variance = np.square(self.xhat).mean(axis=self.axis, keepdims=True)
        self.inverse = 1 / np.sqrt(self.variance + np.dtype(self.dtype).type(self.layer.epsilon))
        np.multiply(self.xhat, self.inverse, out=self.xhat)

    def scaled(self, w: dict[str, Vector]) -> Batch:
        """Return gamma xhat + beta."""
        np.multiply(self.xhat, w["weight"], out=self.Z)
        return np.add(self.Z, w["bias"], out=self.Z)

    def backward(self, Z: Batch, w: dict[str, Vector], g: dict[str, Vector], Q: Batch | None) -> None:
        """dgamma = sum D xhat, dbeta = sum D; Q = (E - mean E - xhat mean(E xhat)) / deviation with E = gamma D."""
        np.sum(self.D * self.xhat, axis=0, out=g["weight"])
        np.sum(self.D, axis=0, out=g["bias"])
        if Q is not None:
            E = self.D * w["weight"]
            self.to_input(E, Q)

    def to_input(self, E: Batch, Q: Batch) -> None:
        """Fill Q where mean and variance came from the rows."""
        across = (E * self.xhat).mean(axis=self.axis, keepdims=True)
        np.multiply(E - E.mean(axis=self.axis, keepdims=True) - self.xhat * across, self.inverse, out=Q)


class LayerNormStep(Normalised):
    """Mean and variance over the numbers of a row."""

    axis = 1

    def forward(self, Z: Batch, w: dict[str, Vector], mode: Mode) -> Batch:
        """Gamma xhat + beta."""
        self.normalise(Z)
        return self.scaled(w)


class BatchNormStep(Normalised):
    """Mean and variance over the rows in training, the running ones in prediction."""

    trains = False

    def forward(self, Z: Batch, w: dict[str, Vector], mode: Mode) -> Batch:
        """Gamma xhat + beta; a training step also moves the running statistics."""
        self.trains = mode.step is not None
        if self.trains:
            self.normalise(Z)
            self._move(w)
        else:
            self.inverse = 1 / np.sqrt(w["running_variance"] + np.dtype(self.dtype).type(self.layer.epsilon))
            self.xhat = (Z - w["running_mean"]) * self.inverse
        return self.scaled(w)

    def _move(self, w: dict[str, Vector]) -> None:
        share = self.layer.momentum
        w["running_mean"] += (share * (self.mean[0] - w["running_mean"])).astype(self.dtype)
        unbiased = self.variance[0] * (self.n / max(self.n - 1, 1))
        w["running_variance"] += (share * (unbiased - w["running_variance"])).astype(self.dtype)

    def backward(self, Z: Batch, w: dict[str, Vector], g: dict[str, Vector], Q: Batch | None) -> None:
        """See the base; running statistics have no gradient."""
        super().backward(Z, w, g, Q)
        g["running_mean"].fill(0)
        g["running_variance"].fill(0)

    def to_input(self, E: Batch, Q: Batch) -> None:
        """Fill Q: in prediction the map is affine."""
        if self.trains:
            super().to_input(E, Q)
        else:
            np.multiply(E, self.inverse, out=Q)


class MembersStep(Step):
    """The rows once for each member."""

    def forward(self, Z: Batch, w: Any, mode: Mode) -> Batch:
        """Return the rows k times."""
        np.copyto(self.by_member(self.Z), Z)
        return self.Z

    def backward(self, Z: Batch, w: Any, g: Any, Q: Batch | None) -> None:
        """Q = sum over the members of D."""
        if Q is not None:
            np.sum(self.by_member(self.D), axis=0, out=Q)


def dense_step(layer: Dense) -> type[Activated]:
    """Return the class for a dense layer: the plain product where it will do."""
    if layer.members > 1:
        return MemberDenseStep
    return ScaledDenseStep if layer.ntk else DenseStep


ROW_STEPS: dict[type, type[Step]] = {
    Scale: ScaleStep,
    Parametric: ParametricStep,
    Dropout: DropoutStep,
    BatchNorm: BatchNormStep,
    LayerNorm: LayerNormStep,
    Members: MembersStep,
}
