"""Whatever is wrong with the input: exit code 2, one line that says what to do, no traceback, and nothing changed."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

DIGITS = "digits.safetensors"
KINDS = "kinds.safetensors"
PRICES = "prices.safetensors"

# The command, and what its one line says.
SETTINGS = (
    ("train minst", "unknown data set 'minst'. Did you mean 'mnist'?"),
    ("train digits --activation sigmod", "unknown activation 'sigmod'. Did you mean 'sigmoid'?"),
    ("train digits --optimizer adm", "unknown optimizer 'adm'. Did you mean 'adam'?"),
    ("train digits --head sofmax", "unknown head 'sofmax'. Did you mean 'softmax'?"),
    ("train digits --loss crosentropy", "unknown loss 'crosentropy'. Did you mean 'crossentropy'?"),
    ("train digits --reading nots", "unknown reading 'nots'. Did you mean 'notes'?"),
    ("train digits --dtype float16", "unknown float type 'float16'"),
    ("train digits --rate -1", "rate must be positive and finite, got -1.0"),
    ("train digits --rate 0", "rate must be positive and finite, got 0.0"),
    ("train digits --rate nan", "rate must be positive and finite, got nan"),
    ("train digits --rate inf", "rate must be positive and finite, got inf"),
    ("train digits --rate fast", "argument --rate: invalid float value: 'fast'"),
    ("train digits --validation 1.5", "held out for validation must be in [0, 1), got 1.5"),
    ("train digits --validation nan", "held out for validation must be in [0, 1), got nan"),
    ("train digits --test 2", "held out for test must be in [0, 1), got 2.0"),
    ("train digits --batch-size 0", "batch_size must be a whole number of at least 1, got 0"),
    ("train digits --batch-size 1.5", "argument --batch-size: invalid int value: '1.5'"),
    ("train digits --epochs -1", "epochs must be a whole number of at least 0, got -1"),
    ("train digits --seed -1", "argument --seed: expected a whole number from 0 on, got '-1'"),
    ("train digits --layers 0", "widths are at least 1 (no hidden layer at all is none); got '0'"),
    ("train digits --layers 32,x", "expected widths such as 32 or 512,512, or none; got '32,x'"),
    ("train digits --layers 32,", "expected widths such as 32 or 512,512, or none; got '32,'"),
    ("train digits --layers -3", "widths are at least 1"),
    ("train digits --layers 999999999999", "not enough memory"),
    ("train digits --every 0", "--every must be a positive number of seconds, got 0"),
    ("train digits --every nan", "--every must be a positive number of seconds, got nan"),
    ("train digits --threads 0", "threads must be a whole number of at least 1, got 0"),
    ("train digits --target x", "digits has fixed classes: leave out --target"),
    ("train digits --loss mse", "the target of digits holds classes, which loss mse does not fit"),
    ("train digits --loss logitcrossentropy", "use crossentropy"),
    ("train digits --head identity --loss crossentropy", "head identity goes with loss logitcrossentropy"),
    ("train digits --data-dir nowhere", "argument --data-dir: nowhere is not a folder"),
    ("info --data-dir nowhere", "argument --data-dir: nowhere is not a folder"),
)
PLACES = (
    ("train digits --out nowhere/m.safetensors", "the folder nowhere does not exist"),
    ("train digits --out .", "it is a folder"),
    ("train digits --out kinds.csv", "kinds.csv exists and is not a readable model file; name another --out"),
    ("train digits --out cut.safetensors", "cut.safetensors exists and is not a readable model file"),
    ("train digits --out both.npy", "both.npy exists and is not a readable model file"),
)
DATA = (
    ("train nothing.csv", "the file nothing.csv does not exist"),
    ("train .", ". is a folder"),
    ("train fake.png", "fake.png is of an unknown kind"),
    ("train kinds.csv", "which column is the target?"),
    ("train kinds.csv", "state --target NAME"),
    ("train kinds.csv --target kin", "kinds.csv has no column 'kin'. Did you mean 'kind'?"),
    ("train kinds.csv --target kind --loss mse", "train with --loss crossentropy"),
    ("train prices.csv --target price --loss crossentropy", "train with --loss mse"),
    ("train prices.csv --target price --reading notes", "neither reading nor head"),
    ("train prices.csv --target price --head softmax", "neither reading nor head"),
    ("train one.csv --target kind --layers 8", "one.csv has a single class, yes"),
    ("train digits --test 0.5", "digits has a test part of its own: leave out --test"),
    ("train kinds.csv --target kind --out /dev/full", "it is no regular file; name another place"),
    ("predict /dev/zero 0 --data digits", "cannot read the model /dev/zero: it is no regular file"),
    ("train two.csv --target kind --layers 8", "2 rows are too few to hold out 20% for test"),
    (
        "train two.csv --target kind --layers 8 --test 0 --validation 0.1",
        "2 rows are too few to hold out 10% for validation",
    ),
    ("train gap.csv --target kind --layers 8", "gap.csv:3: column 'a' has no value"),
    ("train inf.csv --target kind --layers 8", "inf.csv:3: column 'a' holds 'inf'"),
    ("train inf.csv --target kind", "inf.csv:3: column 'a' holds 'inf': infinity is no number; leave the cell empty"),
    ("train one.csv --target kind", "one.csv has a single class, yes"),
    ("train two.csv --target kind --test 0.2", "2 rows are too few to hold out 20%"),
    ("train kinds.csv --target kind --metric acuracy", "unknown metric 'acuracy'. Did you mean 'accuracy'?"),
    ("train kinds.csv --target kind --metric rmse", "the metric 'rmse' judges values, and the target is of classes"),
    ("train kinds.csv --target kind --interval 0.9", "--interval goes with a target of values"),
    ("train prices.csv --target price --interval 90", "--interval must be a share of rows between 0 and 1"),
    ("train kinds.csv --target kind --time-limit 0", "--time-limit must be a positive number of seconds"),
    (
        "train kinds.csv --target kind --layers 8 --metric auc",
        "--metric is for the estimator of tables: leave out --layers",
    ),
    ("train digits --members 3", "--members is for the estimator of tables: digits is none"),
    ("train kinds.csv --target a --task classes", "column 'a' holds"),
    ("train head.csv --target kind", "has a header but no rows"),
    ("train empty.csv --target kind", "empty.csv is empty"),
    ("train far.csv --target kind --layers 8", "a column reaches"),
    ("train year.csv --target price --layers 8", "too few digits"),
    ("train huge.csv --target price --layers 8", "too much for float32"),
    ("train notest.npz --target y", "leave out target"),
    ("train wide.npz", "X has 3 columns but X_test has 2"),
    ("train both.npy", "State its number, such as --target -1"),
    ("train both.npy --target 9", "target is a column number from -4 to 3, got 9"),
    ("data show", "name the set"),
    ("data show kinds.csv", "state --target NAME"),
    ("data show digits --index 5000", "digits has train rows 0 to 1436; there is no row 5000"),
    ("data show digits --index -1", "there is no row -1"),
    ("data show kinds.csv --target kind --png x.png", "kinds.csv holds no pictures: leave out --png"),
    ("data fetch digits", "nothing to fetch"),
    ("data fetch minst", "unknown data set 'minst'. Did you mean 'mnist'?"),
)
MODELS = (
    ("evaluate nothing kinds.csv", "cannot read the model nothing"),
    ("evaluate kinds.csv kinds.csv", "kinds.csv is not a layerloop model file"),
    ("evaluate cut.safetensors digits", "cut.safetensors is truncated"),
    ("evaluate empty.csv digits", "empty.csv is empty"),
    (f"evaluate {KINDS} nothing.csv", "the file nothing.csv does not exist"),
    (f"evaluate {KINDS} gap.csv", "gap.csv:3: column 'a' has no value"),
    (f"evaluate {KINDS} lacks.csv", "lacks.csv has no column 'kind'"),
    (f"evaluate {KINDS} prices.csv", "prices.csv has no column 'kind'"),
    (f"evaluate {KINDS} others.csv", "others.csv:3: column 'kind' holds 'perhaps', which is not a class here"),
    (f"evaluate {KINDS} digits", "digits has 64 numbers per row, the model takes 3"),
    (f"evaluate {PRICES} digits", "the target of digits holds classes, but the model predicts values"),
    (f"evaluate {PRICES} text.csv", "expected a number"),
    (f"evaluate {DIGITS} notest.npz", "notest.npz has 3 numbers per row, the model takes 64"),
    (f"evaluate {DIGITS} kinds.csv --target kind", "which is not a class here"),
    (f"evaluate {DIGITS} digits --target x", "leave out --target"),
    (f"evaluate {DIGITS} prices.csv --split test --target price", "has no test split of its own"),
    (f"predict {KINDS} 0", "say of which data set with --data"),
    (f"predict {KINDS} 99 --data kinds.csv", "kinds.csv has train rows 0 to 79; there is no row 99"),
    (f"predict {KINDS} -1 --data kinds.csv", "there is no row -1"),
    (f"predict {KINDS} lacks.csv", "lacks.csv lacks the column 'a'. Did you mean 'aa'?"),
    (f"predict {KINDS} fake.png", "not trained on pictures"),
    (f"predict {DIGITS} fake.png", "fake.png is not a picture of a known kind"),
    (f"predict {DIGITS} nothing.png", "cannot read nothing.png: it does not exist"),
    (f"predict {DIGITS} rows.npy", "the network takes 64 numbers per sample"),
    (f"predict {DIGITS} kinds.csv", "trained without column names; give it an array (.npy)"),
    (f"predict {KINDS} done.csv -o x.csv", "has a column 'prediction' already"),
    (f"predict {KINDS} new.csv -o new.csv", "it is the file that was read"),
    (f"predict {KINDS} new.csv -o nowhere/x.csv", "the folder nowhere does not exist"),
    (f"predict {KINDS} new.csv kinds.csv -o x.csv", "-o writes the predictions of one table"),
    (f"predict {KINDS} rows.npy -o x.csv", "-o writes the predictions of one table"),
    (f"predict {KINDS} 0 --data kinds.csv -o x.csv", "-o writes the predictions of one table"),
    (f"check {KINDS} --seed -1", "argument --seed: expected a whole number from 0 on"),
    (f"check {KINDS} --entries 0", "expected a number from 1 on, or all; got '0'"),
    (f"check {KINDS} --entries some", "expected a number from 1 on, or all; got 'some'"),
    (f"check {KINDS} --method foo", "argument --method: invalid choice: 'foo'"),
    (f"check {KINDS} --index 999 --data kinds.csv", "there is no row 999"),
)


@pytest.mark.parametrize(("command", "said"), [*SETTINGS, *PLACES, *DATA, *MODELS])
def test_bad_input_is_one_line_and_changes_nothing(
    command: str, said: str, run: Callable, examples: Path, tmp_path: Path
) -> None:
    shutil.copytree(examples, tmp_path, dirs_exist_ok=True)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    result = run(*command.split())
    assert result.code == 2
    assert len(result.err.splitlines()) == 1, result.err
    assert result.err.startswith("layerloop")
    assert said in result.err
    assert result.out == ""
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_bad_input_leaves_standard_output_empty_where_json_is_asked_for(run: Callable) -> None:
    result = run("train", "digits", "--rate", "-1", "--json")
    assert (result.code, result.out, len(result.err.splitlines())) == (2, "", 1)


def test_a_model_of_a_newer_version_is_refused(run: Callable, examples: Path) -> None:
    content = (examples / DIGITS).read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"]["layerloop"] = header["__metadata__"]["layerloop"].replace(
        '"format_version": 1', '"format_version": 99'
    )
    text = json.dumps(header).encode()
    Path("newer.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])
    result = run("evaluate", "newer.safetensors", "digits")
    assert result.code == 2
    assert "newer.safetensors was made by a newer version" in result.err


def test_a_mnist_folder_with_damage_is_refused_and_not_replaced(run: Callable, tmp_path: Path) -> None:
    for part in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (tmp_path / f"{part}-ubyte").write_bytes(b"\0\0\x08\x01\0\0\0\x01\x07")
    result = run("train", "mnist", "--data-dir", ".")
    assert (result.code, len(result.err.splitlines())) == (2, 1)
    assert "is damaged or another file" in result.err
