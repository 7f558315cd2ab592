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

from typing import TYPE_CHECKING, Any

from layerloop.atomic import write_atomically
from layerloop.errors import LayerloopError, ModelFileError, NetworkError, expect
from layerloop.files.container import content_of, packed, plain_array, unpacked
from layerloop.finite import all_finite
from layerloop.layers import as_plain, from_plain
from layerloop.memory import aligned_zeros, same_bits
from layerloop.network import Chain, params
from layerloop.plan import Architecture
from layerloop.preprocessing import Inputs, from_dict, to_dict

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    Tensors = dict[str, NDArray[np.generic]]

NETWORK = "network"


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
    if not same(m, from_bytes(content, str(path))):
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
    return from_bytes(content_of(path), str(path))


def to_bytes(m: Chain) -> bytes:
    """Return the content of a network's model file."""
    return packed(NETWORK, *described(m))


def from_bytes(content: bytes, name: str = "the model") -> Chain:
    """Return the network that the content of a model file holds; `name` is what errors call it."""
    description, tensors = unpacked(content, name)
    if description.get("kind") != NETWORK:
        raise ModelFileError(
            f"{name}: cannot read it as a network, it holds a {description.get('kind')!r}; layerloop.load reads every "
            "kind that this version knows"
        )
    return rebuilt(lambda: build(description, tensors), name)  # type: ignore[no-any-return]


def rebuilt(make: Callable[[], Any], name: str) -> Any:
    """Return what `make` builds from a description; whatever is wrong with that is the file's fault."""
    try:
        return make()
    except ModelFileError as error:
        raise ModelFileError(f"{name}: {error}") from None
    except (LayerloopError, KeyError, TypeError, ValueError, AttributeError, OverflowError, MemoryError) as error:
        raise ModelFileError(f"{name} is damaged: its description is not that of a network ({error})") from None


def described(m: Chain) -> tuple[dict[str, object], Tensors]:
    """Return a network as (plain data, tensors).

    Raises
    ------
    NetworkError
        A parameter that is not finite.
    """
    if not all_finite(m.flat):
        raise NetworkError("the network holds parameters that are not finite; such a model is not saved")
    inputs = to_dict(m.inputs)
    tensors: Tensors = {name: plain_array(part, m.dtype) for name, part in params(m).items()}
    tensors |= {f"inputs.{name}": plain_array(inputs.pop(name), "float64") for name in _columns(inputs)}
    description: dict[str, object] = {
        "n_in": m.architecture.n_in,
        "layers": [as_plain(layer) for layer in m.architecture.layers],
        "head": m.architecture.head,
        "dtype": m.dtype,
        "inputs": inputs,
        "classes": list(m.classes),
        "record": m.record,
    }
    return description, tensors


def _columns(inputs: Mapping[str, object]) -> list[str]:
    return [name for name in ("center", "spread") if name in inputs]


def build(description: Mapping[str, Any], tensors: Tensors) -> Chain:
    """Return the network of plain data and tensors; the other way of :func:`described`."""
    layers = tuple(map(from_plain, description["layers"]))
    architecture = Architecture(layers, description["head"], description["n_in"])
    inputs = _inputs(description["inputs"], tensors)
    flat = aligned_zeros(sum(part.size for part in tensors.values()), description["dtype"])
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
    if not all_finite(m.flat):
        raise ModelFileError("it holds parameters that are not finite")
    m.record = dict(description["record"])
    return m


def _inputs(values: Mapping[str, Any], tensors: Tensors) -> Inputs:
    """Return the description of the inputs; its tensors are taken out of `tensors`."""
    arrays = {
        name: tensors.pop(f"inputs.{name}").tolist() for name in ("center", "spread") if f"inputs.{name}" in tensors
    }
    if len({len(numbers) for numbers in arrays.values()}) > 1:
        raise ModelFileError("it is damaged: inputs.center and inputs.spread differ in length")
    return from_dict({**values, **arrays})


def same(a: Chain, b: Chain) -> bool:
    """Whether two networks are equal in all that a file keeps, to the bit."""
    parts = (a.architecture == b.architecture, a.inputs == b.inputs, a.classes == b.classes)
    return all(parts) and same_bits(a.flat, b.flat)
