"""One safetensors file: numbers as named tensors, everything else as JSON in its metadata, sealed by a checksum.

Nothing in a file is run, and not a byte is trusted before it has been checked.
"""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop.errors import ModelFileError, NetworkError
from layerloop.version import __version__

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from numpy.typing import NDArray

FORMAT_VERSION = 1
KEY = "layerloop"
HEADER_LIMIT = 32 << 20  # bytes of JSON: a few kilobytes, or megabytes where there are 100,000 named columns


def packed(kind: str, description: Mapping[str, object], tensors: Mapping[str, NDArray[np.generic]]) -> bytes:
    """Return the content of a file of this kind.

    Raises
    ------
    NetworkError
        A description that is not plain, finite data.
    """
    import safetensors.numpy

    head = {"format_version": FORMAT_VERSION, "written_by": f"layerloop {__version__}", "kind": kind}
    try:
        text = json.dumps({**head, **description}, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise NetworkError(f"the network's record must be plain, finite data: {error}") from None
    return safetensors.numpy.save(dict(tensors), metadata={KEY: _sealed(text, tensors)})


def unpacked(content: bytes, name: str) -> tuple[dict[str, Any], dict[str, NDArray[np.generic]]]:
    """Return (description, tensors) of a file's content; `name` is what errors call it.

    Raises
    ------
    ModelFileError
        A file that is foreign, truncated, damaged, or of a newer version.
    """
    text = _metadata(content, name)
    description = _description(text, name)
    tensors = _tensors(content, name)
    if not _unbroken(text, tensors):
        raise ModelFileError(f"{name} is damaged: what it holds is not what was saved")
    return description, tensors


def content_of(path: str | os.PathLike[str]) -> bytes:
    """Return the bytes of a model file.

    Raises
    ------
    ModelFileError
        It cannot be read.
    """
    try:
        if Path(path).exists() and not (Path(path).is_file() or Path(path).is_dir()):
            raise ModelFileError(f"cannot read the model {path}: it is no regular file")
        return Path(path).read_bytes()
    except OSError as error:
        raise ModelFileError(f"cannot read the model {path}: {error.strerror or error}") from None
    except TypeError:
        raise ModelFileError(f"a model is loaded from a path, got {type(path).__name__}") from None


def plain_array(values: object, dtype: str) -> NDArray[np.floating]:
    """Return a C-ordered little-endian array: safetensors stores anything else wrongly, without a word."""
    return np.ascontiguousarray(values, dtype=np.dtype(dtype).newbyteorder("<"))


def _sealed(text: str, tensors: Mapping[str, NDArray[np.generic]]) -> str:
    """Return the description with its checksum, over all that a file says: a wrong centre is a wrong network too.

    It stands in the text, not beside it: safetensors writes several metadata keys in an order of chance.
    """
    found = hashlib.sha256(text.encode("utf-8", "surrogatepass"))  # a damaged text may hold half a character
    for name in sorted(tensors):
        found.update(np.ascontiguousarray(tensors[name]).data)  # no copy: a model may be large
    return f'{text[:-1]}, "sha256": "{found.hexdigest()}"}}'


def _unbroken(text: str, tensors: Mapping[str, NDArray[np.generic]]) -> bool:
    """Whether the checksum at the end of the text is that of the rest and of the tensors."""
    rest, comma, _ = text.rpartition(', "sha256": "')
    return bool(comma) and text == _sealed(rest + "}", tensors)


def _metadata(content: bytes, name: str) -> str:
    """Return the text under our key, without trusting a byte before it has been checked."""
    foreign = ModelFileError(f"{name} is not a layerloop model file (those are written by save and by layerloop train)")
    if len(content) < 8:
        raise foreign if content else ModelFileError(f"{name} is empty")
    (length,) = struct.unpack("<Q", content[:8])
    if content[8:9] != b"{" or length > HEADER_LIMIT:
        raise foreign
    if length > len(content) - 8:
        raise ModelFileError(f"{name} is truncated: it ends within its header")
    try:
        header = json.loads(content[8 : 8 + length], object_pairs_hook=_no_twins)
        text = header.get("__metadata__", {}).get(KEY)
    except (ValueError, RecursionError, AttributeError):
        raise ModelFileError(f"{name} is damaged: its header cannot be read") from None
    if not isinstance(text, str):
        raise foreign
    return text


def _description(text: str, name: str) -> dict[str, Any]:
    """Return the description that the text is, of a version that can be read."""
    try:
        description = json.loads(text, object_pairs_hook=_no_twins)
    except (ValueError, RecursionError):
        raise ModelFileError(f"{name} is damaged: its description cannot be read") from None
    if not isinstance(description, dict):
        raise ModelFileError(f"{name} is damaged: its description is not an object")
    _check_version(description, name)
    return description


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _check_version(description: Mapping[str, Any], name: str) -> None:
    version = description.get("format_version")
    if not isinstance(version, int) or version < 1:
        raise ModelFileError(f"{name} is damaged: its format version is {version!r}")
    if version > FORMAT_VERSION:
        raise ModelFileError(
            f"{name} was made by a newer version ({description.get('written_by')}, format {version}; this is layerloop "
            f"{__version__}, which reads up to format {FORMAT_VERSION}): update layerloop to read it"
        )


def _tensors(content: bytes, name: str) -> dict[str, NDArray[np.generic]]:
    import safetensors
    import safetensors.numpy

    try:
        return safetensors.numpy.load(content)
    except (safetensors.SafetensorError, KeyError, ValueError, TypeError) as error:
        raise ModelFileError(f"{name} is truncated or damaged ({error})") from None
