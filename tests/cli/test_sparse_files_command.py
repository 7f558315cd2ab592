"""Sparse files through the commands: SciPy's `.npz` and svmlight's text, trained on without their zeros."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy.sparse import csc_array, csr_array, save_npz

from layerloop import MLPClassifier, load, save
from layerloop.csr import Csr
from layerloop.data import read, read_rows

if TYPE_CHECKING:
    from collections.abc import Callable

RNG = np.random.default_rng(0)
N, D = 600, 300
DENSE = np.where(RNG.random((N, D)) < 0.03, 1.0, 0.0)
DENSE[:, 0], DENSE[0, -1] = 0.0, 1.0
KIND = (DENSE @ RNG.normal(size=(D, 3)) + 0.3 * RNG.normal(size=(N, 3))).argmax(axis=1)
NAMES = np.array(["cat", "dog", "eel"])[KIND]
FAST = ("--epochs", 15, "--rate", 0.01, "--out", "m.safetensors", "--json")


def text(path: str, X: np.ndarray, y: np.ndarray, first: int) -> None:
    lines = []
    for row, target in zip(X, y, strict=True):
        lines.append(" ".join([str(target), *(f"{j + first}:{row[j]:g}" for j in np.flatnonzero(row))]))
    Path(path).write_text("\n".join(lines) + "\n")


@pytest.fixture(autouse=True)
def here(run: Callable) -> None:
    save_npz("texts.npz", csc_array(DENSE.astype(np.float32)))
    np.save("names.npy", NAMES)
    X = csr_array(DENSE)
    np.savez("both.npz", data=X.data, indices=X.indices, indptr=X.indptr, shape=X.shape, format=b"csr", y=KIND)
    text("t.svm", DENSE, KIND, 1)


def last(result: Any) -> Any:
    assert (result.code, "Warning" in result.err) == (0, False), result.err
    return json.loads(result.out.splitlines()[-1])


@pytest.mark.parametrize(
    "data", [("texts.npz", "--target", "names.npy"), ("both.npz",), ("t.svm",)], ids=["scipy", "with y", "svmlight"]
)
@pytest.mark.parametrize("optimizer", ["adam", "lazy-adam"])
def test_sparse_rows_go_through_every_command(data: tuple[str, ...], optimizer: str, run: Callable) -> None:
    done = last(run("train", *data, "--optimizer", optimizer, *FAST))
    assert done["test_accuracy"] > 0.6 > 0.5 > np.mean(np.bincount(KIND).argmax() == KIND)
    m = load("m.safetensors")
    judged = last(run("evaluate", "m.safetensors", data[0], "--json"))
    names = NAMES if "names.npy" in data else KIND.astype(str)
    said = np.array(m.classes)[m(DENSE).argmax(axis=1)]
    assert judged["accuracy"] == pytest.approx(np.mean(said == names))
    by_file = last(run("predict", "m.safetensors", data[0], "--json"))["predictions"]
    assert [row["prediction"] for row in by_file] == said.tolist()
    by_row = last(run("predict", "m.safetensors", 7, "--data", data[0], *data[1:], "--json"))["predictions"][0]
    assert (by_row["prediction"], by_row["label"]) == (said[7], names[7])


def test_the_same_rows_dense_and_sparse_are_read_alike() -> None:
    for name in ("both.npz", "t.svm"):
        data = read(name)
        assert isinstance(data.X, Csr)
        np.testing.assert_array_equal(data.X.toarray(), DENSE)
        np.testing.assert_array_equal(data.y, KIND)
    np.testing.assert_array_equal(read_rows("texts.npz").toarray(), DENSE)  # type: ignore[union-attr]


def test_report_trace_and_check_take_them(run: Callable) -> None:
    run("train", "t.svm", *FAST)
    assert last(run("report", "m.safetensors", "--json"))["data"]["columns"] == D
    assert last(run("trace", "m.safetensors", "--json"))["sample"]["label"] == str(KIND[0])
    assert run("check", "m.safetensors").code == 0


@pytest.mark.parametrize("first", [0, 1])
def test_later_text_is_counted_as_that_of_training_and_may_lack_the_last_columns(first: int, run: Callable) -> None:
    marked = DENSE.copy()
    marked[0, 0] = 1.0  # so that a column 0 occurs where columns are counted from 0
    text("train.svm", marked, KIND, first)
    run("train", "train.svm", *FAST)
    part = DENSE[:50].copy()
    part[:, -20:] = 0
    text("new.svm", part, KIND[:50], first)  # no column 0 in it, in either count
    found = last(run("predict", "m.safetensors", "new.svm", "--json"))["predictions"]
    m = load("m.safetensors")
    np.testing.assert_allclose([list(row["probabilities"].values()) for row in found], m(part), rtol=1e-5)


def test_large_numbers_are_divided_by_their_column_s_largest(run: Callable) -> None:
    text("big.svm", 1000.0 * DENSE, KIND, 1)
    done = last(run("train", "big.svm", *FAST))
    assert done["test_accuracy"] > 0.6
    m = load("m.safetensors")
    assert set(np.unique(m.inputs.spread)) <= {1.0, 1000.0}
    assert not any(m.inputs.center)


def test_an_estimator_takes_a_sparse_file(run: Callable) -> None:
    model = MLPClassifier((8,), tol=0.01, learning_rate_init=0.02, random_state=0).fit(csr_array(DENSE), KIND)
    save(model, "mlp.safetensors")
    for name in ("both.npz", "t.svm"):
        found = last(run("evaluate", "mlp.safetensors", name, "--json"))
        assert found["accuracy"] == pytest.approx(model.score(csr_array(DENSE), KIND))
        predicted = last(run("predict", "mlp.safetensors", name, "--json"))["predictions"]
        assert [row["prediction"] for row in predicted] == model.predict(DENSE).tolist()


@pytest.mark.parametrize(
    ("content", "arguments", "said"),
    [
        (None, "train texts.npz", "texts.npz has no array y: put the targets into a .npy file of their own"),
        (None, "train texts.npz --target nam.npy", "the target file nam.npy does not exist"),
        (None, "train texts.npz --target short.npy", "texts.npz has 600 rows, but 3 targets"),
        (None, "train t.svm --target kind", "a line of svmlight's text begins with its target"),
        (None, "train t.svm --lab", "holds sparse rows, which the page does not show"),
        ("1 3:0.5 7:x\n", "train bad.svm", "bad.svm is no sound svmlight text"),
        ("1 3:nan\n0 1:1\n", "train bad.svm", "bad.svm holds nan in row 0, column 2"),
        ("", "train bad.svm", "bad.svm has no rows"),
        ("1 0:1\n0 1:1\n", "evaluate m.safetensors bad.svm", "counted from 1 where the model was trained"),
        ("1 999:1\n", "evaluate m.safetensors bad.svm", "has 999 numbers per row, the model takes 300"),
        (None, "train cut.npz", "cut.npz is not a sound .npz file"),
        (None, "train odd.npz --target names.npy", "odd.npz is no sound sparse matrix"),
    ],
)
def test_bad_sparse_files_are_refused_in_one_line(
    content: str | None, arguments: str, said: str, run: Callable
) -> None:
    if content is not None:
        Path("bad.svm").write_text(content)
        run("train", "t.svm", *FAST)
    Path("cut.npz").write_bytes(Path("texts.npz").read_bytes()[:300])
    np.save("short.npy", KIND[:3])
    np.savez(
        "odd.npz", data=np.ones(2), indices=np.array([0, 999]), indptr=np.array([0, 2]), shape=(1, 3), format=b"csr"
    )
    result = run(*arguments.split())
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert said in result.err
