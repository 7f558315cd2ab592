"""Model files: one safetensors file, numbers as named tensors and everything else as JSON in its metadata.

Nothing in a file is run: names in it are looked up in fixed tables, and there is no pickle. Format version 1:

* tensors `layer1.weight` (n_in, n_out), `layer1.bias` (n_out,), ... for layers 1..L, little-endian, in the type the
  network computes in, those inside a residual as `layer2.1.weight`; `inputs.center`, `inputs.spread` (float64) where
  columns are standardised;
* metadata key `layerloop`: JSON with `format_version`, `written_by`, `kind` ("network"), `n_in`, `layers` (each with
  its `kind` and its settings), `head`, `dtype`, `inputs`, `classes`, `record`, and last the `sha256` of that text as it
  stands without this entry, followed by the bytes of the tensors in the order of their names.
"""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop.atomic import write_atomically
from layerloop.errors import LayerloopError, ModelFileError, NetworkError, expect
from layerloop.layers import as_plain, from_plain
from layerloop.network import Chain, params
from layerloop.plan import Architecture
from layerloop.preprocessing import Inputs, from_dict, to_dict
from layerloop.version import __version__

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from numpy.typing import NDArray

FORMAT_VERSION = 1
KEY = "layerloop"
HEADER_LIMIT = 32 << 20  # bytes of JSON: a few kilobytes, or megabytes where there are 100,000 named columns


def save(m: Chain, path: str | os.PathLike[str]) -> Path:
    """Write a network to one file, atomically: the old file stays until the new one is complete.

    What was written is read back and compared before it takes its place.

    Parameters
    ----------
    m : Chain
        The network, with its `inputs`, `classes` and `record` (plain data).
    path : path
        By custom `*.safetensors`.

    Returns
    -------
    Path
        Where it is.

    Raises
    ------
    OutputError
        When the file cannot be written; the old one is then untouched.
    NetworkError
        When the record is not plain data, or a parameter is not finite.

    Examples
    --------
    >>> save(m, "digits.safetensors")  # doctest: +SKIP
    """
    expect(m, Chain, "what is saved")
    content = to_bytes(m)
    if not _same(m, from_bytes(content, str(path))):
        raise NetworkError(
            f"{path}: what was to be written does not read back as the same network; nothing was written"
        )
    return write_atomically(path, content)


def load(path: str | os.PathLike[str]) -> Chain:
    """Return the network of a model file; it predicts bit by bit as the saved one did.

    Raises
    ------
    ModelFileError
        The file is missing, truncated, damaged, foreign, or made by a newer version.

    Examples
    --------
    >>> m = load("digits.safetensors")  # doctest: +SKIP
    """
    try:
        if Path(path).exists() and not (Path(path).is_file() or Path(path).is_dir()):
            raise ModelFileError(f"cannot read the model {path}: it is no regular file")
        content = Path(path).read_bytes()
    except OSError as error:
        raise ModelFileError(f"cannot read the model {path}: {error.strerror or error}") from None
    except TypeError:
        raise ModelFileError(f"a model is loaded from a path, got {type(path).__name__}") from None
    return from_bytes(content, str(path))


def to_bytes(m: Chain) -> bytes:
    """Return the content of a network's model file."""
    import safetensors.numpy

    if not np.isfinite(m.flat).all():
        raise NetworkError("the network holds parameters that are not finite; such a model is not saved")
    inputs = to_dict(m.inputs)
    tensors = {name: _plain(part, m.dtype) for name, part in params(m).items()}
    tensors |= {f"inputs.{name}": _plain(inputs.pop(name), "float64") for name in _columns(inputs)}
    description = {
        "format_version": FORMAT_VERSION,
        "written_by": f"layerloop {__version__}",
        "kind": "network",
        "n_in": m.architecture.n_in,
        "layers": [as_plain(layer) for layer in m.architecture.layers],
        "head": m.architecture.head,
        "dtype": m.dtype,
        "inputs": inputs,
        "classes": list(m.classes),
        "record": m.record,
    }
    try:
        text = json.dumps(description, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise NetworkError(f"the network's record must be plain, finite data: {error}") from None
    return safetensors.numpy.save(tensors, metadata={KEY: _sealed(text, tensors)})


def _columns(inputs: Mapping[str, object]) -> list[str]:
    return [name for name in ("center", "spread") if name in inputs]


def _plain(values: object, dtype: str) -> NDArray[np.floating]:
    """Return a C-ordered little-endian array: safetensors stores anything else wrongly, without a word."""
    return np.ascontiguousarray(values, dtype=np.dtype(dtype).newbyteorder("<"))


def _sealed(text: str, tensors: Mapping[str, NDArray[np.generic]]) -> str:
    """Return the description with its checksum, over all that a file says: a wrong centre is a wrong network too.

    It stands in the text, not beside it: safetensors writes several metadata keys in an order of chance.
    """
    found = hashlib.sha256(text.encode("utf-8", "surrogatepass"))  # a damaged text may hold half a character
    for name in sorted(tensors):
        found.update(tensors[name].tobytes())
    return f'{text[:-1]}, "sha256": "{found.hexdigest()}"}}'


def _unbroken(text: str, tensors: Mapping[str, NDArray[np.generic]]) -> bool:
    """Whether the checksum at the end of the text is that of the rest and of the tensors."""
    rest, comma, _ = text.rpartition(', "sha256": "')
    return bool(comma) and text == _sealed(rest + "}", tensors)


def from_bytes(content: bytes, name: str = "the model") -> Chain:
    """Return the network that the content of a model file holds; `name` is what errors call it."""
    text = _metadata(content, name)
    description = _description(text, name)
    tensors = _tensors(content, name)
    if not _unbroken(text, tensors):
        raise ModelFileError(f"{name} is damaged: what it holds is not what was saved")
    try:
        return _build(description, tensors)
    except ModelFileError as error:
        raise ModelFileError(f"{name}: {error}") from None
    except (LayerloopError, KeyError, TypeError, ValueError, AttributeError, OverflowError, MemoryError) as error:
        raise ModelFileError(f"{name} is damaged: its description is not that of a network ({error})") from None


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


def _build(description: Mapping[str, Any], tensors: dict[str, NDArray[np.generic]]) -> Chain:
    if description["kind"] != "network":
        raise ModelFileError(f"it holds a {description['kind']!r}, which this version cannot read")
    layers = tuple(map(from_plain, description["layers"]))
    architecture = Architecture(layers, description["head"], description["n_in"])
    inputs = _inputs(description["inputs"], tensors)
    flat = np.zeros(sum(part.size for part in tensors.values()), description["dtype"])
    m = Chain.from_parts(architecture, flat, inputs=inputs, classes=description["classes"])
    parts = params(m)
    if set(parts) != set(tensors):
        raise ModelFileError(f"it is damaged: the tensors are {sorted(tensors)}, expected {sorted(parts)}")
    for name, part in parts.items():
        if tensors[name].shape != part.shape or tensors[name].dtype != part.dtype:
            raise ModelFileError(
                f"it is damaged: {name} is {tensors[name].dtype} {tensors[name].shape}, expected {part.shape}"
            )
        part[...] = tensors[name]
    if not np.isfinite(m.flat).all():
        raise ModelFileError("it holds parameters that are not finite")
    m.record = dict(description["record"])
    return m


def _inputs(values: Mapping[str, Any], tensors: dict[str, NDArray[np.generic]]) -> Inputs:
    """Return the description of the inputs; its tensors are taken out of `tensors`."""
    arrays = {
        name: tensors.pop(f"inputs.{name}").tolist() for name in ("center", "spread") if f"inputs.{name}" in tensors
    }
    if len({len(numbers) for numbers in arrays.values()}) > 1:
        raise ModelFileError("it is damaged: inputs.center and inputs.spread differ in length")
    return from_dict({**values, **arrays})


def _same(a: Chain, b: Chain) -> bool:
    parts = (a.architecture == b.architecture, a.inputs == b.inputs, a.classes == b.classes)
    return all(parts) and a.flat.tobytes() == b.flat.tobytes()
