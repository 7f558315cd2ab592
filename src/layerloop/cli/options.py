"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop import describe
from layerloop.csr import Csr
from layerloop.data.readers import NAMES
from layerloop.data.sources import has_test, read
from layerloop.errors import InputError, SettingError
from layerloop.inspection.subject import kind_of as kind_of
from layerloop.inspection.subject import loss_of as loss_of
from layerloop.inspection.subject import names_of_values as names_of_values
from layerloop.losses import spec_of
from layerloop.network import class_indices
from layerloop.settings import whole

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from layerloop.cli.terminal import Terminal
    from layerloop.data import Dataset
    from layerloop.network import Chain

Container = argparse.ArgumentParser | argparse._ArgumentGroup  # what options are added to
LARGE = 20_000_000  # bytes of a file that takes about a second to read


def add_json(parser: Container) -> None:
    """Add --json."""
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line of standard output")


def add_data_dir(parser: Container) -> None:
    """Add --data-dir."""
    parser.add_argument(
        "--data-dir", metavar="DIR", type=folder, help="folder with the image sets (or set LAYERLOOP_DATA)"
    )


def add_split(parser: Container, default: str = "test where there is one") -> None:
    """Add --split."""
    parser.add_argument("--split", choices=("train", "test"), help=f"default: {default}")


def add_seed(parser: Container, what: str) -> None:
    """Add --seed."""
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help=f"{what} (default 0)")


def add_target(parser: Container) -> None:
    """Add --target."""
    parser.add_argument("--target", metavar="COLUMN", help="the column of a table that is to be predicted; or a,b,c")


def add_host(parser: Container) -> None:
    """Add --host."""
    parser.add_argument("--host", metavar="ADDRESS", help="serve other machines too, with a token (default: this one)")


def add_port(parser: Container, default: int) -> None:
    """Add --port."""
    parser.add_argument("--port", type=int, default=default, metavar="N", help=f"default {default}; 0 is any")


def folder(text: str) -> str:
    """Read the name of a folder that exists."""
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"{text} is not a folder")
    return text


def seed(text: str) -> int:
    """Read a whole number from 0 on."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 on, got {text!r}")
    return int(text)


def widths(text: str) -> tuple[int, ...]:
    """Read `32`, `512,512` or `none` as hidden widths."""
    if text.strip().lower() == "none":
        return ()
    try:
        found = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected widths such as 32 or 512,512, or none; got {text!r}") from None
    if min(found) < 1:
        raise argparse.ArgumentTypeError(f"widths are at least 1 (no hidden layer at all is none); got {text!r}")
    return found


def name(text: str) -> str:
    """Read a name with hyphens as the table has it, with underscores."""
    return text.strip().lower().replace("-", "_")


def add_colour(parser: Container) -> None:
    """Add the option that folders of pictures have."""
    parser.add_argument(
        "--colour",
        action=argparse.BooleanOptionalAction,
        help="read a folder's pictures in colour, or in grey (default: in colour where any has one)",
    )


def check_colour(given: argparse.Namespace) -> None:
    """Refuse a choice of colours where there is none."""
    if given.colour is not None and not Path(given.data).is_dir():
        raise SettingError(f"--colour and --no-colour are for folders of pictures: {given.data} is none")


def check_limits(given: argparse.Namespace) -> None:
    """Refuse bounds of an estimator's training that are out of range."""
    if given.time_limit is not None and not given.time_limit > 0:
        raise SettingError(f"--time-limit must be a positive number of seconds, got {given.time_limit:g}")
    for name in ("members", "epochs"):
        if getattr(given, name) is not None:
            whole(getattr(given, name), f"--{name}", least=1)


def read_data(
    data: str,
    split: str,
    given: argparse.Namespace,
    terminal: Terminal,
    *,
    target: str | None = None,
    kind: str | None = None,
    classes: tuple[str, ...] | None = None,
    image: tuple[int, ...] | None = None,
    like: tuple[int | None, int] | None = None,
) -> Dataset:
    """Return a data set, and say where it lies or that reading it takes a while."""
    if data in NAMES:
        return read(data, split, target=target, data_dir=given.data_dir, say=terminal.tell)
    if Path(data).is_file() and Path(data).stat().st_size > LARGE:
        terminal.tell(f"reading {data} ({Path(data).stat().st_size / 1e6:,.0f} MB)")
    settings: dict[str, Any] = {"target": target, "kind": kind, "classes": classes, "image": image, "like": like}
    return read(data, split, **settings, colour=getattr(given, "colour", None), say=terminal.tell)


def known_data(m: Chain, data: str, given: argparse.Namespace, terminal: Terminal) -> tuple[Dataset, str]:
    """Return a data set for a model, its labels brought to the model's classes, and the split that was read.

    Raises
    ------
    InputError
        When the columns, or what the target is, are not those of the model.
    LabelError
        When a label is none of the model's classes.
    """
    split = given.split or ("test" if has_test(data) else "train")
    target, kind = given.target, kind_of(m)
    if target is None and _has_target_of_training(m, data):
        target = str(m.record["target"])
    classes = m.classes or None if kind in ("classes", "labels") else None
    found = read_data(
        data, split, given, terminal,
        target=target, kind=kind, classes=classes, image=m.inputs.image, like=columns_like(m),
    )  # fmt: skip
    if found.kind != kind:
        raise InputError(f"the target of {data} holds {found.kind}, but the model predicts {kind}")
    return aligned(m, found), split


def picture_of(data: Dataset, row: NDArray[np.generic]) -> NDArray[np.generic] | None:
    """Return a row as the picture that it is, in [0, 1] where its scale is known; None where it is no picture."""
    if data.image is None:
        return None
    return np.asarray(row, np.float64).reshape(data.image) * (1.0 if data.scale is None else data.scale)


def row_of(data: Dataset, split: str, index: int) -> tuple[NDArray[np.generic], Any]:
    """Return one row, and its class index or value.

    Raises
    ------
    InputError
        When there is no such row.
    """
    return checked_row(data.X, data.name, split, index), data.y[index].tolist()


def dense(data: Dataset) -> NDArray[np.generic]:
    """Return the rows, for who shows every number of them, and one class or value a row.

    Raises
    ------
    SettingError
        They are sparse, or have several labels or values each.
    """
    if data.y.ndim > 1:
        raise SettingError(
            f"{data.name} has several {data.kind} a row, which the page does not show: train and report without"
        )
    if isinstance(data.X, Csr):
        raise SettingError(f"{data.name} holds sparse rows, which the page does not show: train and report without")
    return data.X


def _has_target_of_training(m: Chain, data: str) -> bool:
    """Whether the model's target is that of these data too: a file of targets belongs to its rows alone."""
    if m.record.get("target") is None or data in NAMES:
        return False
    return data == m.record.get("data") or not data.endswith(".npz")


def columns_like(m: Chain) -> tuple[int | None, int] | None:
    """Return how the text that a model was trained on counts its columns, and their number; None for other files."""
    first = m.record.get("first_column")
    return (first, m.architecture.n_in) if isinstance(first, int) else None


def checked_row(X: NDArray[np.generic] | Csr, name: str, split: str, index: int) -> NDArray[np.generic]:
    """Return a row, once it is sure that there is one of this number."""
    if not 0 <= index < len(X):
        raise InputError(f"{name} has {f'{split} rows'.strip()} 0 to {len(X) - 1}; there is no row {index}")
    return np.asarray(X[[index]].toarray()[0] if isinstance(X, Csr) else X[index])


def row_name(data: str, split: str, index: int) -> str:
    """Return what a row is called: "mnist test 0", or "table.csv row 0" where there are no splits."""
    return f"{data} {split if has_test(data) else 'row'} {index}"


def aligned(m: Chain, data: Dataset) -> Dataset:
    """Return the data with the model's columns in the model's order, and labels as its class indices.

    Raises
    ------
    InputError
        When a column is missing, or the number of columns or of values a row is another.
    LabelError
        When a label is none of the model's classes.
    """
    X = data.X
    if m.inputs.columns and data.columns:
        missing = [column for column in m.inputs.columns if column not in data.columns]
        if missing:
            raise InputError(f"{data.name} lacks the column {missing[0]!r} that the model was trained on")
        X = np.asarray(X)[:, [data.columns.index(column) for column in m.inputs.columns]]
    if X.shape[1] != m.architecture.n_in:
        raise InputError(f"{data.name} has {X.shape[1]} numbers per row, the model takes {m.architecture.n_in}")
    y = data.y
    values = y.shape[1] if y.ndim > 1 else 1
    if data.kind == "values" and values != m.architecture.n_out and (values > 1 or spec_of(loss_of(m)).levels == 1):
        raise InputError(
            f"{data.name} has {describe.count(values, 'value')} a row, the model gives {m.architecture.n_out}"
        )
    if data.kind == "classes" and m.classes and data.classes and tuple(m.classes) != tuple(data.classes):
        y = class_indices(m, np.asarray(data.classes, dtype=object)[data.y], len(data.y))
    return replace(data, X=X, y=y, classes=m.classes or data.classes)
