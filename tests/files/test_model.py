"""Model files: they come back bit by bit, damage is found, nothing in them is run, and writing is all or nothing."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from layerloop.errors import ModelFileError, NetworkError, OutputError
from layerloop.files import load, save
from layerloop.files.container import FORMAT_VERSION, HEADER_LIMIT, KEY, _sealed
from layerloop.files.model import from_bytes, to_bytes
from layerloop.layers import ACTIVATIONS, Dense
from layerloop.network import Chain, activations
from layerloop.plan import HEADS
from layerloop.preprocessing import Inputs, standardised
from layerloop.version import __version__
from layerloop.vocabulary import softmax, tanh

X = np.random.default_rng(0).normal(3, 2, size=(9, 4))


def network(dtype: str = "float64") -> Chain:
    m = Chain(
        Dense(4, 5, tanh),
        Dense(5, 3),
        softmax,
        seed=1,
        dtype=dtype,
        inputs=standardised(X, ("a", "b", "ç", 'd"')),
        classes=["Äpfel", "b c", ""],
    )
    m.record = {"data": "digits", "epochs": 20, "test": {"accuracy": 0.1 + 0.2}, "note": None}
    return m


def same(a: Chain, b: Chain) -> bool:
    facts = [(m.architecture, m.inputs, m.classes, m.dtype, m.record) for m in (a, b)]
    return facts[0] == facts[1] and a.flat.tobytes() == b.flat.tobytes()


CONTENT = to_bytes(network())


# -- there and back -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_loaded_predicts_bit_by_bit_as_what_was_saved(dtype: str, tmp_path: Path) -> None:
    m = network(dtype)
    path = save(m, str(tmp_path / "m.safetensors"))
    assert path == tmp_path / "m.safetensors"
    again = load(path)
    assert same(m, again)
    np.testing.assert_array_equal(again(X), m(X))
    for a, b in zip(activations(again, X), activations(m, X), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("head", HEADS)
def test_every_activation_and_head_comes_back(activation: str, head: str) -> None:
    m = Chain(Dense(4, 2, activation), Dense(2, 3, activation), head, seed=2)
    again = from_bytes(to_bytes(m))
    assert same(m, again)
    np.testing.assert_array_equal(again(X), m(X))


def test_every_description_of_inputs_comes_back() -> None:
    inputs = Inputs(scale=1 / 255, columns=("a", "b", "c", "d"), image=(2, 2), box=20)
    assert from_bytes(to_bytes(Chain(Dense(4, 2), inputs=inputs))).inputs == inputs


@pytest.mark.parametrize("part", [slice(0, 1), slice(1, 2), slice(1, None), slice(-1, None)])
def test_a_part_that_shares_its_numbers_is_saved_alone(part: slice) -> None:
    m = network()[part]
    again = from_bytes(to_bytes(m))
    assert same(m, again)
    assert len(to_bytes(m)) < len(CONTENT)


def test_a_transposed_matrix_written_into_a_layer_is_saved_as_it_stands() -> None:
    m = Chain(Dense(3, 3), dtype="float64")
    W = np.arange(9.0).reshape(3, 3)
    m[0].weight[...] = W.T  # type: ignore[union-attr]
    np.testing.assert_array_equal(from_bytes(to_bytes(m))[0].weight, W.T)  # type: ignore[union-attr]


def test_big_endian_parameters_are_stored_in_the_files_order() -> None:
    m = network()
    m.flat = m.flat.astype(">f8")
    np.testing.assert_array_equal(from_bytes(to_bytes(m)).flat, network().flat)


def test_any_safetensors_reader_finds_the_weights_by_name() -> None:
    tensors = safetensors.numpy.load(CONTENT)
    assert sorted(tensors) == [
        "inputs.center",
        "inputs.spread",
        "layer1.bias",
        "layer1.weight",
        "layer2.bias",
        "layer2.weight",
    ]
    np.testing.assert_array_equal(tensors["layer1.weight"], network()[0].weight)  # type: ignore[union-attr]


def test_the_same_network_gives_the_same_bytes() -> None:
    assert to_bytes(network()) == CONTENT


def test_parameters_that_are_not_finite_and_records_that_are_no_data_are_not_saved(tmp_path: Path) -> None:
    m = network()
    m.record["when"] = object()
    with pytest.raises(NetworkError, match="record must be plain, finite data"):
        save(m, tmp_path / "m.safetensors")
    m.record["when"] = float("nan")
    with pytest.raises(NetworkError, match="record must be plain, finite data"):
        save(m, tmp_path / "m.safetensors")
    m.record, m.flat[3] = {}, np.nan
    with pytest.raises(NetworkError, match="parameters that are not finite"):
        save(m, tmp_path / "m.safetensors")
    assert not list(tmp_path.iterdir())


# -- damage ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [*range(0, len(CONTENT), 97), len(CONTENT) - 1])
def test_a_truncated_file_is_refused(length: int) -> None:
    with pytest.raises(ModelFileError, match=r"the file.*(truncated|empty|not a layerloop model file|damaged)"):
        from_bytes(CONTENT[:length], "the file")


def test_bytes_after_the_end_are_refused() -> None:
    with pytest.raises(ModelFileError):
        from_bytes(CONTENT + b"\0")


def mutated(rng: np.random.Generator) -> bytes:
    content = bytearray(CONTENT)
    for _ in range(rng.integers(1, 4)):
        place = rng.integers(len(content))
        kind = rng.integers(4)
        if kind == 0:
            content[place] ^= 1 << rng.integers(8)
        elif kind == 1:
            content[place] = rng.integers(256)
        elif kind == 2:
            del content[place : place + rng.integers(1, 9)]
        else:
            content[place:place] = rng.bytes(rng.integers(1, 9))
    return bytes(content)


def test_a_damaged_file_is_refused_or_the_same_network() -> None:
    original, refused = network(), 0
    for seed in range(600):
        content = mutated(np.random.default_rng(seed))
        try:
            again = from_bytes(content)
        except ModelFileError:
            refused += 1
        else:
            assert same(original, again), seed
    assert refused > 500


def test_no_bit_of_the_numbers_can_flip_unseen() -> None:
    (length,) = struct.unpack("<Q", CONTENT[:8])
    for place in range(8 + length, len(CONTENT), 7):
        content = bytearray(CONTENT)
        content[place] ^= 1
        with pytest.raises(ModelFileError, match="damaged"):
            from_bytes(bytes(content))


@pytest.mark.parametrize("text", ["4.0", "b c", "Dense"])
def test_a_changed_fact_is_found_by_the_checksum(text: str) -> None:
    def change(d: dict[str, Any]) -> None:
        d["record"]["changed"] = text

    with pytest.raises(ModelFileError, match="damaged: what it holds is not what was saved"):
        from_bytes(forged(change, checksum=False))


# -- forgery: files whose checksum is right, and which lie ----------------------------------------------------------


def forged(change: object, *, tensors: dict[str, np.ndarray] | None = None, checksum: bool = True) -> bytes:
    """The file after `change(description)`, its checksum made right again."""
    description = read_description()
    seal = description.pop("sha256")
    text = change(description)  # type: ignore[operator]
    if not isinstance(text, str):
        text = json.dumps(description)
    numbers = safetensors.numpy.load(CONTENT) | (tensors or {})
    text = _sealed(text, numbers) if checksum else f'{text[:-1]}, "sha256": "{seal}"}}'
    return safetensors.numpy.save(numbers, metadata={KEY: text})


def read_description() -> dict[str, Any]:
    (length,) = struct.unpack("<Q", CONTENT[:8])
    description: dict[str, Any] = json.loads(json.loads(CONTENT[8 : 8 + length])["__metadata__"][KEY])
    return description


def without(key: str) -> object:
    return lambda description: description.pop(key) and None


def put(*keys: object, value: object) -> object:
    def change(description: Any) -> None:
        for key in keys[:-1]:
            description = description[key]
        description[keys[-1]] = value

    return change


def test_the_forger_can_forge() -> None:
    assert same(from_bytes(forged(lambda d: None)), network())


def test_a_newer_format_says_so() -> None:
    def change(description: dict[str, Any]) -> None:
        description |= {"format_version": FORMAT_VERSION + 1, "written_by": "layerloop 9.0", "layers": "new"}

    message = f"newer version .layerloop 9.0, format {FORMAT_VERSION + 1}; this is layerloop {__version__}, .*: update"
    with pytest.raises(ModelFileError, match=message):
        from_bytes(forged(change))


def test_a_file_without_its_checksum_is_refused() -> None:
    text = json.dumps({key: value for key, value in read_description().items() if key != "sha256"})
    content = safetensors.numpy.save(safetensors.numpy.load(CONTENT), metadata={KEY: text})
    with pytest.raises(ModelFileError, match="what it holds is not what was saved"):
        from_bytes(content)


LIES = {
    "unknown activation": put("layers", 0, "activation", value="sigmoud"),
    "activation as a path": put("layers", 0, "activation", value="os.system"),
    "activation as a list": put("layers", 0, "activation", value=["tanh"]),
    "unknown kind of layer": put("layers", 0, "kind", value="conv"),
    "kind as a list": put("layers", 0, "kind", value=[]),
    "a field too many": put("layers", 0, "code", value="print(1)"),
    "layers that do not chain": put("layers", 1, "n_in", value=6),
    "a wrong width": put("layers", 1, "n_out", value=4),
    "a huge width": put("layers", 1, "n_out", value=2**62),
    "a negative width": put("layers", 1, "n_out", value=-3),
    "a width that is text": put("layers", 1, "n_out", value="3"),
    "no layers": put("layers", value=[]),
    "layers that are none": put("layers", value=None),
    "a layer that is text": put("layers", 0, value="dense"),
    "ten thousand layers": put("layers", value=[{"kind": "dense", "n_in": 1, "n_out": 1}] * 10**4),
    "unknown head": put("head", value="sofmax"),
    "head as a list": put("head", value=["softmax"]),
    "a wrong input": put("n_in", value=5),
    "another float type": put("dtype", value="float32"),
    "an unknown float type": put("dtype", value="float16"),
    "an object type": put("dtype", value="object"),
    "too many classes": put("classes", value=["a"] * 4),
    "classes of one name": put("classes", value=["a"] * 3),
    "a picture of another size": put("inputs", "image", value=[28, 28]),
    "a picture that is text": put("inputs", "image", value="28"),
    "classes that are a number": put("classes", value=3),
    "inputs that are none": put("inputs", value=None),
    "unknown inputs": put("inputs", "center_", value=[1.0]),
    "a scale that is text": put("inputs", "scale", value="1"),
    "a negative scale": put("inputs", "scale", value=-1.0),
    "columns that do not fit": put("inputs", "columns", value=["a"]),
    "columns that are a number": put("inputs", "columns", value=5),
    "a record that is text": put("record", value="text"),
    "a record that is none": put("record", value=None),
    "another kind of file": put("kind", value="estimator"),
    "no format version": put("format_version", value=None),
    "a format version of zero": put("format_version", value=0),
    "a format version that is text": put("format_version", value="1"),
    "a key that stands twice": lambda d: json.dumps(d)[:-1] + ', "head": "softmax"}',
    "text that is no JSON": lambda d: "{",
    "text that is a list": lambda d: "[1]",
    "text that is a number": lambda d: "1",
    "text that never ends its lists": lambda d: "[" * 100_000,
    "half a character": lambda d: json.dumps(d)[:-1] + ', "x": "\\ud800"}',
    **{f"without {key}": without(key) for key in read_description() if key not in ("written_by", "sha256")},
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_with_a_right_checksum_is_refused(lie: str) -> None:
    if lie == "half a character":  # allowed in JSON, harmless, and no reason to fail with another error
        assert same(from_bytes(forged(LIES[lie])), network())
        return
    with pytest.raises(ModelFileError, match=r"^the file.*(damaged|cannot read)"):
        from_bytes(forged(LIES[lie]), "the file")


@pytest.mark.parametrize(
    "tensors",
    [
        {"layer1.bias": np.array([0, 0, np.nan, 0, 0])},
        {"layer1.bias": np.array([0, 0, np.inf, 0, 0])},
        {"layer1.bias": np.zeros(5, np.float32)},
        {"layer1.bias": np.zeros(5, np.int64)},
        {"layer1.bias": np.zeros(6)},
        {"layer1.weight": np.zeros((5, 4))},
        {"layer1.weight": np.zeros(20)},
        {"layer3.weight": np.zeros((1, 1))},
        {"inputs.center": np.zeros(3)},
        {"inputs.center": np.array(0.0)},
        {"inputs.center": np.zeros((2, 2))},
        {"inputs.spread": np.array([1, 1, 1, np.nan])},
        {"inputs.spread": np.zeros(4)},
    ],
    ids=lambda tensors: ",".join(f"{name} {array.dtype} {array.shape}" for name, array in tensors.items()),
)
def test_numbers_that_do_not_fit_the_description_are_refused(tensors: dict[str, np.ndarray]) -> None:
    with pytest.raises(ModelFileError):
        from_bytes(forged(lambda d: None, tensors=tensors))


def header(value: object, data: bytes = b"") -> bytes:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return struct.pack("<Q", len(text)) + text + data


def foreign() -> dict[str, bytes]:
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("data.pkl", b"x")
    array = io.BytesIO()
    np.save(array, np.zeros(3))
    return {
        "pickle": pickle.dumps({"a": 1}),
        "pickle of a network": pickle.dumps(network()),
        "zip": zipped.getvalue(),
        "npy": array.getvalue(),
        "text": b"epoch,loss\n1,0.5\n",
        "seven bytes": b"1234567",
        "zeros": bytes(100),
        "other safetensors": safetensors.numpy.save({"w": np.zeros(3)}),
        "other safetensors with metadata": safetensors.numpy.save({"w": np.zeros(3)}, metadata={"format": "pt"}),
        "a header of 2^62 bytes": struct.pack("<Q", 2**62) + b"{}",
        "a header over the limit": struct.pack("<Q", HEADER_LIMIT + 1) + b"{" + bytes(100),
        "metadata that is a list": header({"__metadata__": [KEY]}),
        "metadata that is a number": header({"__metadata__": {KEY: 3}}),
        "a header that is no JSON": header(b"{broken"),
        "a header that is no text": header(b"{\xff\xfe"),
        "a header of brackets": header(b'{"a":' + b"[" * 100_000),
        "twin metadata": header(b'{"__metadata__":{},"__metadata__":{}}'),
    }


@pytest.mark.parametrize("kind", foreign())
def test_a_foreign_file_is_refused_by_name(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "foreign.safetensors"
    path.write_bytes(foreign()[kind])
    with pytest.raises(ModelFileError, match=r"foreign\.safetensors is (not a layerloop model file|damaged)"):
        load(path)


def test_an_empty_file_a_missing_one_and_a_folder_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    for name, message in (("empty", "empty is empty"), ("none", "No such file"), ("", "cannot read the model")):
        with pytest.raises(ModelFileError, match=message):
            load(tmp_path / name)


def test_sizes_that_lie_take_no_memory() -> None:
    (length,) = struct.unpack("<Q", CONTENT[:8])
    table = json.loads(CONTENT[8 : 8 + length])
    for shape in ([2**31, 2**31], [2**62], [10**18, 0]):
        table["layer1.weight"]["shape"] = shape
        with pytest.raises(ModelFileError, match="truncated or damaged"):
            from_bytes(header(table, CONTENT[8 + length :]))


# -- writing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("owner", "call"), [(os, "fsync"), (Path, "replace")])
def test_a_failed_write_keeps_the_old_model(
    owner: object, call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(network(), tmp_path / "m.safetensors")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(owner, call, fail)
        with pytest.raises(OutputError, match=r"cannot write .*m\.safetensors: No space left"):
            save(Chain(Dense(2, 2)), path)
    assert same(load(path), network())
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_and_a_folder_as_a_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="does not exist; make it"):
        save(network(), tmp_path / "none" / "m.safetensors")
    with pytest.raises(OutputError, match="cannot write"):
        save(network(), tmp_path)
    assert not list(tmp_path.iterdir())


# -- nothing is run -------------------------------------------------------------------------------------------------

AUDITED = """
import sys
from layerloop import files
import safetensors.numpy
path = sys.argv[1]
files.load(path)  # whatever is imported at first use has been imported now
seen = []
sys.addaudithook(lambda event, args: seen.append((event, args)))
files.load(path)
events = {event for event, _ in seen}
opened = [args[0] for event, args in seen if event == "open"]
assert [str(name) for name in opened] == [path], opened
forbidden = ("exec", "compile", "import", "subprocess", "socket", "os.system", "os.exec", "os.posix_spawn", "os.spawn",
             "pickle", "ctypes", "code.", "marshal", "os.remove", "os.rename", "shutil", "urllib")
assert not [event for event in events if event.startswith(forbidden)], events
"""


def test_loading_opens_the_file_and_does_nothing_else(tmp_path: Path) -> None:
    path = save(network(), tmp_path / "m.safetensors")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", AUDITED, str(path)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
