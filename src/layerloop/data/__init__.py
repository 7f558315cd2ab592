"""Data in: named sets, tables, arrays, pictures; checked as they are read, never replaced in silence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layerloop.lazy import lazily

if TYPE_CHECKING:
    from layerloop.data.arrays import Arrays as Arrays
    from layerloop.data.arrays import read_npy as read_npy
    from layerloop.data.arrays import read_npz as read_npz
    from layerloop.data.dataset import Dataset as Dataset
    from layerloop.data.dataset import scaled as scaled
    from layerloop.data.idx import read_idx as read_idx
    from layerloop.data.images import prepare_image as prepare_image
    from layerloop.data.photos import prepare_photo as prepare_photo
    from layerloop.data.pixels import read_image as read_image
    from layerloop.data.shown import image_text as image_text
    from layerloop.data.shown import save_png as save_png
    from layerloop.data.sources import fetch as fetch
    from layerloop.data.sources import has_test as has_test
    from layerloop.data.sources import load as load
    from layerloop.data.sources import read as read
    from layerloop.data.sources import read_rows as read_rows
    from layerloop.data.sources import status as status
    from layerloop.data.tables import Rows as Rows
    from layerloop.data.tables import Table as Table
    from layerloop.data.tables import read_csv as read_csv
    from layerloop.data.tables import read_csv_rows as read_csv_rows
    from layerloop.data.tables import write_csv as write_csv
    from layerloop.data.target_columns import Target as Target
    from layerloop.data.target_columns import as_target as as_target

# The file in which each public name lives.
_HOME = {
    **dict.fromkeys(
        (
            "Arrays",
            "read_npy",
            "read_npz",
        ),
        "arrays",
    ),
    **dict.fromkeys(("Dataset", "scaled"), "dataset"),
    **dict.fromkeys(("Target", "as_target"), "target_columns"),
    **dict.fromkeys(("read_idx",), "idx"),
    **dict.fromkeys(("read_image",), "pixels"),
    **dict.fromkeys(("prepare_image",), "images"),
    **dict.fromkeys(("image_text", "save_png"), "shown"),
    **dict.fromkeys(("prepare_photo",), "photos"),
    **dict.fromkeys(
        (
            "fetch",
            "has_test",
            "load",
            "read",
            "read_rows",
            "status",
        ),
        "sources",
    ),
    **dict.fromkeys(
        (
            "Rows",
            "Table",
            "read_csv",
            "read_csv_rows",
            "write_csv",
        ),
        "tables",
    ),
}

__getattr__ = lazily(__name__, _HOME)


def __dir__() -> list[str]:
    return list(_HOME)


__all__ = [*_HOME]
