"""A file of several networks and what belongs to them: a trained estimator as plain data.

The description has `networks`, each as in the file of a single one, with tensors `network1.layer1.weight`, ...; and
`settings`, everything else, as JSON. What class it becomes is looked up by its `kind` by who loads it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from layerloop.atomic import write_atomically
from layerloop.errors import ModelFileError, NetworkError, expect
from layerloop.files.container import content_of, packed, unpacked
from layerloop.files.model import NETWORK, build, described, rebuilt, same

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from pathlib import Path

    from layerloop.files.model import Tensors
    from layerloop.network import Chain


@dataclass(frozen=True, eq=False)
class Bundle:
    """What a file holds that is more than a network: its kind, networks, and settings as plain data."""

    kind: str
    networks: tuple[Chain, ...]
    settings: Mapping[str, Any]


def save_bundle(bundle: Bundle, path: str | os.PathLike[str]) -> Path:
    """Write a bundle to one file, atomically, once it reads back as the same.

    Raises
    ------
    OutputError
        When the file cannot be written; the old one is then untouched.
    NetworkError
        Settings that are not plain, finite data, or a parameter that is not finite.
    """
    expect(bundle, Bundle, "what is saved")
    content = bundle_to_bytes(bundle)
    found = from_bytes(content, str(path))
    if not (isinstance(found, Bundle) and _equal(bundle, found)):
        raise NetworkError(f"{path}: what was to be written does not read back as the same; nothing was written")
    return write_atomically(path, content)


def load_any(path: str | os.PathLike[str]) -> Chain | Bundle:
    """Return the network or the bundle of a model file.

    Raises
    ------
    ModelFileError
        The file is missing, truncated, damaged, foreign, or made by a newer version.
    """
    return from_bytes(content_of(path), str(path))


def bundle_to_bytes(bundle: Bundle) -> bytes:
    """Return the content of a bundle's file."""
    tensors: Tensors = {}
    networks = []
    for i, m in enumerate(bundle.networks, start=1):
        description, parts = described(m)
        networks.append(description)
        tensors |= {f"network{i}.{name}": part for name, part in parts.items()}
    return packed(bundle.kind, {"networks": networks, "settings": dict(bundle.settings)}, tensors)


def from_bytes(content: bytes, name: str = "the model") -> Chain | Bundle:
    """Return what the content of a model file holds."""
    description, tensors = unpacked(content, name)
    if description.get("kind") == NETWORK:
        return rebuilt(lambda: build(description, tensors), name)  # type: ignore[no-any-return]
    return rebuilt(lambda: _bundle(description, tensors), name)  # type: ignore[no-any-return]


def _bundle(description: Mapping[str, Any], tensors: Tensors) -> Bundle:
    networks = tuple(
        build(network, _taken(tensors, f"network{i}.")) for i, network in enumerate(description["networks"], start=1)
    )
    if tensors:
        raise ModelFileError(f"it is damaged: no network has the tensors {sorted(tensors)}")
    return Bundle(str(description["kind"]), networks, dict(description["settings"]))


def _taken(tensors: Tensors, prefix: str) -> Tensors:
    """Return the tensors whose names begin so, without that, and take them out."""
    names = [name for name in tensors if name.startswith(prefix)]
    return {name.removeprefix(prefix): tensors.pop(name) for name in names}


def _equal(a: Bundle, b: Bundle) -> bool:
    """Whether both are equal to the bit; a tuple comes back as a list."""
    pairs = zip(a.networks, b.networks, strict=False)
    kept = json.loads(json.dumps(dict(a.settings)))
    return len(a.networks) == len(b.networks) and all(same(*pair) for pair in pairs) and kept == b.settings
