"""Who trains the works of benchmarks/table.py: layerloop's engines, PyTorch, JAX, scikit-learn, each as its users do.

A contestant is a function that makes a fresh network and returns its training, a function of the number of passes: that
is timed. Made before the clock starts are the network, the rows in the library's own arrays, and JAX's compiled pass;
scikit-learn makes its network while it fits.
"""

from __future__ import annotations

import os
import time
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from works import HAND, JAX, SKLEARN, TUTORIAL

from layerloop import Adam, Chain, DataLoader, Dense, crossentropy, softmax, train

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from works import Work

    Training = Callable[[int], object]
    Contestants = dict[str, Callable[[], Training]]


def contestants(work: Work) -> Contestants:
    """Return everyone who is installed, layerloop first."""
    return ours(work) | pytorch(work) | jax_scan(work) | scikit_learn(work)


def missing() -> list[str]:
    """Return the libraries that are not installed: their rows are left out."""
    return [name for name, module in (("PyTorch", "torch"), ("JAX", "jax")) if not _found(module)]


def _found(module: str) -> bool:
    from importlib.util import find_spec

    return find_spec(module) is not None


# -- layerloop ---------------------------------------------------------------------------------------------------------


def network(work: Work) -> Chain:
    """Return a fresh network of this work, on the engine that LAYERLOOP_ENGINE names just now."""
    pairs = list(zip(work.widths, work.widths[1:], strict=False))
    layers = [Dense(*pair, work.activation) for pair in pairs[:-1]]
    m = Chain(*layers, Dense(*pairs[-1]), softmax)
    _ = m.engine  # chosen now
    return m


def ours(work: Work) -> Contestants:
    def fresh(engine: str | None = None) -> Training:
        before = os.environ.get("LAYERLOOP_ENGINE")
        if engine:
            os.environ["LAYERLOOP_ENGINE"] = engine
        try:
            m = network(work)
        finally:
            if engine:
                os.environ.pop("LAYERLOOP_ENGINE")
                os.environ.update({"LAYERLOOP_ENGINE": before} if before else {})
        loader = DataLoader(work.data, batchsize=work.batch, scale=1 / 255 if work.images else None)
        return lambda epochs: train(m, loader, crossentropy, Adam(1e-3), epochs)

    return {"layerloop": fresh, "layerloop, NumPy engine": partial(fresh, engine="numpy")}


# -- PyTorch -----------------------------------------------------------------------------------------------------------


def pytorch(work: Work) -> Contestants:
    if not _found("torch"):
        return {}
    import torch

    X, y = torch.from_numpy(work.floats), torch.from_numpy(work.data[1].astype(np.int64))

    def by_hand(net: torch.nn.Sequential, threads: int, epochs: int) -> None:
        torch.set_num_threads(threads)
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)
        for _ in range(epochs):
            order = torch.randperm(len(X))
            for start in range(0, len(X), work.batch):
                rows = order[start : start + work.batch]
                loss = torch.nn.functional.cross_entropy(net(X[rows]), y[rows])
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()

    def tutorial(net: torch.nn.Sequential, epochs: int) -> None:
        torch.set_num_threads(2)
        loss_of = torch.nn.CrossEntropyLoss()
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
        pairs = torch.utils.data.TensorDataset(X, y)
        loader = torch.utils.data.DataLoader(pairs, batch_size=work.batch, shuffle=True)
        for _ in range(epochs):
            for step, (rows, targets) in enumerate(loader):
                loss = loss_of(net(rows), targets)
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()
                if step % 100 == 0:
                    loss.item()

    def hand(threads: int) -> Training:
        return partial(by_hand, torch_network(work), threads)

    return {
        f"{HAND}, 1 thread": partial(hand, 1),
        f"{HAND}, 2 threads": partial(hand, 2),
        TUTORIAL: lambda: partial(tutorial, torch_network(work)),
    }


def torch_network(work: Work) -> torch.nn.Sequential:
    import torch

    between = {"relu": torch.nn.ReLU, "sigmoid": torch.nn.Sigmoid}[work.activation]
    pairs = list(zip(work.widths, work.widths[1:], strict=False))
    layers = [layer for pair in pairs for layer in (torch.nn.Linear(*pair), between())]
    return torch.nn.Sequential(*layers[:-1])


# -- JAX ---------------------------------------------------------------------------------------------------------------


def jax_scan(work: Work) -> Contestants:
    """A pass as one compiled scan over its steps. Shapes are fixed, so an incomplete last batch is left out."""
    if not _found("jax"):
        return {}
    import jax
    from jax import numpy as jnp

    X, y = jnp.asarray(work.floats), jnp.asarray(work.data[1])
    steps = work.rows // work.batch
    between = {"relu": jax.nn.relu, "sigmoid": jax.nn.sigmoid}[work.activation]

    def loss_of(w: Any, rows: Any, targets: Any) -> Any:
        z = rows
        for W, b in w[:-1]:
            z = between(z @ W + b)
        logs = jax.nn.log_softmax(z @ w[-1][0] + w[-1][1])
        return -jnp.take_along_axis(logs, targets[:, None], axis=1).mean()

    def step(carry: Any, rows: Any) -> Any:
        w, u, v, t = carry
        value, g = jax.value_and_grad(loss_of)(w, X[rows], y[rows])
        t += 1
        u = jax.tree.map(lambda u, g: 0.9 * u + 0.1 * g, u, g)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
        c, d = 1 - 0.9**t, 1 - 0.999**t
        w = jax.tree.map(lambda w, u, v: w - 1e-3 * (u / c) / (jnp.sqrt(v / d) + 1e-8), w, u, v)
        return (w, u, v, t), value

    one_pass = jax.jit(lambda carry, order: jax.lax.scan(step, carry, order), donate_argnums=0)

    def fresh() -> Training:
        rng = np.random.default_rng(0)
        w = [(jnp.asarray(rng.standard_normal(pair, dtype=np.float32) / np.sqrt(pair[0])), jnp.zeros(pair[1]))
             for pair in zip(work.widths, work.widths[1:], strict=False)]  # fmt: skip
        return lambda epochs: run(w, rng, epochs)

    def run(w: Any, rng: np.random.Generator, epochs: int) -> None:
        carry = (w, jax.tree.map(jnp.zeros_like, w), jax.tree.map(jnp.zeros_like, w), jnp.zeros(()))
        for _ in range(epochs):
            order = rng.permutation(work.rows)[: steps * work.batch].reshape(steps, work.batch)
            carry, losses = one_pass(carry, jnp.asarray(order))
        losses.block_until_ready()

    return {JAX: fresh}


def compile_seconds(fresh: Callable[[], Training]) -> float:
    """Return the seconds that the first pass takes longer than the second: JAX compiles in it."""
    times = []
    for _ in range(2):
        run = fresh()
        begun = time.perf_counter()
        run(1)
        times.append(time.perf_counter() - begun)
    return times[0] - times[1]


# -- scikit-learn ------------------------------------------------------------------------------------------------------


def scikit_learn(work: Work) -> Contestants:
    from sklearn.neural_network import MLPClassifier

    X, y = work.floats, work.data[1]
    activation = {"relu": "relu", "sigmoid": "logistic"}[work.activation]

    def run(epochs: int) -> None:
        model = MLPClassifier(work.widths[1:-1], activation=activation, alpha=0.0, batch_size=work.batch,
                              max_iter=epochs, n_iter_no_change=epochs + 1, random_state=0)  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it could go on is not the question here
            model.fit(X, y)

    return {SKLEARN: lambda: run}
