"""`layerloop train`: what it prints, what it saves, and that what it printed is what the saved model does."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from layerloop import data, evaluate, load
from layerloop.cli import train_network as command
from layerloop.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Callable

QUICK = ("train", "digits", "--epochs", 3)


def strict(text: str) -> dict:
    """Read JSON as its standard has it: NaN and Infinity are no numbers."""

    def refuse(name: str) -> None:
        raise ValueError(name)

    return json.loads(text, parse_constant=refuse)


def test_a_run_says_data_network_before_every_pass_after_and_where(run: Callable) -> None:
    lines = run(*QUICK).lines
    assert lines[0] == "digits: 1,437 training, 360 test rows of 64 numbers, 10 classes"
    assert lines[1] == "Chain(Dense(64, 32, sigmoid), Dense(32, 10), softmax)  # 2,410 parameters"
    assert re.fullmatch(r"before training  test accuracy 0\.\d{4}  test loss \d\.\d{4}", lines[2])
    figures = r"loss \d\.\d{4}  test accuracy 0\.\d{4}  test loss \d\.\d{4}  [\d.]+ m?s  [\d,]+ samples/s"
    for epoch, line in enumerate(lines[3:6], start=1):
        assert re.fullmatch(rf"epoch {epoch}/3  {figures}", line)
    assert re.fullmatch(r"test accuracy 0\.\d{4}  test loss \d\.\d{4}  in [\d.]+ m?s", lines[6])
    assert lines[7:] == ["saved digits-64-32-10.safetensors"]


def test_the_saved_model_does_what_was_printed(run: Callable) -> None:
    lines = run(*QUICK).lines
    m = load("digits-64-32-10.safetensors")
    figures = evaluate(m, *data.load("digits", "test"))
    assert f"test accuracy {figures['accuracy']:.4f}  test loss {figures['loss']:.4f}" in lines[6]
    assert lines[5].split("test accuracy")[1].split("  ")[0] == lines[6].split("test accuracy")[1].split("  ")[0]


def test_json_is_the_only_line_of_standard_output(run: Callable) -> None:
    result = run(*QUICK, "--json")
    (line,) = result.lines
    found = strict(line)
    figures = evaluate(load(found["model"]), *data.load("digits", "test"))
    assert found["test_accuracy"] == figures["accuracy"]
    assert found["test_loss"] == pytest.approx(figures["loss"], rel=1e-6)
    assert found["seconds"] > 0
    assert found["epochs_done"] == 3
    assert found["stopped"] == "all epochs done"
    assert found["rows"] == {"training": 1437, "test": 360}
    assert found["before"]["test_accuracy"] < 0.3
    assert "epoch 3/3" in result.err


def test_the_history_lies_beside_the_model_one_object_a_pass(run: Callable) -> None:
    run(*QUICK, "--out", "m.v1")
    rows = [strict(line) for line in Path("m.v1.history.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert {"loss", "seconds", "samples_per_second", "test_loss", "test_accuracy"} < set(rows[0])


def test_the_same_seed_gives_the_same_file_but_for_its_times(run: Callable) -> None:
    for name in ("a", "b"):
        assert run(*QUICK, "--seed", 3, "--out", f"{name}.safetensors").code == 0
    assert run(*QUICK, "--seed", 4, "--out", "c.safetensors").code == 0
    a, b, c = (load(f"{name}.safetensors").flat for name in "abc")
    assert a.tobytes() == b.tobytes() != c.tobytes()


def test_an_unasked_name_never_replaces_an_earlier_model(run: Callable) -> None:
    run(*QUICK)
    first = Path("digits-64-32-10.safetensors").read_bytes()
    assert run(*QUICK, "--seed", 1).lines[-1] == "saved digits-64-32-10-2.safetensors"
    assert Path("digits-64-32-10.safetensors").read_bytes() == first


def test_an_asked_name_replaces_an_earlier_model_and_its_history(run: Callable, tmp_path: Path) -> None:
    run(*QUICK, "--out", "m.safetensors")
    assert run("train", "digits", "--epochs", 5, "--out", "m.safetensors").lines[-1] == "saved m.safetensors"
    assert load("m.safetensors").record["epochs_done"] == 5
    assert len(Path("m.history.jsonl").read_text().splitlines()) == 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.history.jsonl", "m.safetensors"]


def test_the_record_says_how_the_model_was_made(run: Callable) -> None:
    run(*QUICK, "--optimizer", "momentum", "--rate", 0.02)
    record = load("digits-64-32-10.safetensors").record
    assert record["data"] == "digits"
    assert record["recipe"]["optimizer"] == "momentum"  # type: ignore[index]
    assert record["recipe"]["rate"] == 0.02  # type: ignore[index]


@pytest.mark.parametrize(
    ("options", "network"),
    [
        (("--layers", "none"), "Chain(Dense(64, 10), softmax)  # 650 parameters"),
        (("--layers", "16,8", "--activation", "relu"), "Chain(Dense(64, 16, relu), Dense(16, 8, relu), Dense(8, 10)"),
        (("--activation", "hard-sigmoid"), "Chain(Dense(64, 32, hard_sigmoid), Dense(32, 10), softmax)"),
        (("--reading", "notes"), "Chain(Dense(64, 32, sigmoid), Dense(32, 9, sigmoid), modified_softmax)"),
        (("--head", "modified-softmax"), "Chain(Dense(64, 32, sigmoid), Dense(32, 9), modified_softmax)"),
        (("--head", "identity"), "Chain(Dense(64, 32, sigmoid), Dense(32, 10))"),
        (("--dtype", "float64"), "Chain(Dense(64, 32, sigmoid), Dense(32, 10), softmax)  # 2,410 parameters, float64"),
    ],
)
def test_options_make_the_network(run: Callable, options: tuple[str, ...], network: str) -> None:
    result = run(*QUICK, *options)
    assert result.code == 0
    assert result.lines[1].startswith(network)
    (model,) = Path().glob("*.safetensors")
    assert run("evaluate", model, "digits").code == 0
    assert run("predict", model, 0, "--data", "digits").code == 0
    assert run("check", model, "--entries", 50).code == 0


def test_the_reading_notes_says_that_the_last_class_is_never_predicted(run: Callable) -> None:
    result = run("train", "digits", "--reading", "notes", "--rate", 0.05, "--epochs", 10)
    assert "class 9 has score 0, so class 9 is never predicted" in result.out
    assert 9 not in load("digits-64-32-10.safetensors")(data.load("digits", "test")[0]).argmax(axis=1)


@pytest.mark.parametrize("optimizer", ["descent", "momentum", "nesterov", "rmsprop", "adam", "adamw"])
def test_every_optimizer_lowers_the_loss(run: Callable, optimizer: str) -> None:
    found = strict(run("train", "digits", "--epochs", 5, "--optimizer", optimizer, "--json").out)
    assert found["test_loss"] < found["before"]["test_loss"]


def test_no_passes_save_the_network_as_it_begins(run: Callable) -> None:
    found = strict(run("train", "digits", "--epochs", 0, "--json").out)
    assert (found["epochs_done"], found["test_loss"]) == (0, found["before"]["test_loss"])
    assert Path(found["history"]).read_text() == ""


def test_validation_rows_are_watched_and_the_test_rows_wait_for_the_end(run: Callable) -> None:
    lines = run(*QUICK, "--validation", 0.1).lines
    assert lines[0].startswith("digits: 1,293 training, 360 test, 144 validation rows")
    assert all("val accuracy" in line and "test" not in line for line in lines if line.startswith("epoch"))
    assert lines[-2].startswith("test accuracy")


def test_lines_come_within_a_pass_as_often_as_asked(run: Callable) -> None:
    few = run("train", "digits", "--epochs", 2, "--batch-size", 1).lines
    many = run("train", "digits", "--epochs", 2, "--batch-size", 1, "--every", 1e-9).lines
    assert not [line for line in few if "%" in line]
    assert re.fullmatch(r"epoch 1/2 +\d+%  loss .* samples/s", next(line for line in many if "%" in line))


# Tables and arrays.


def test_a_table_of_classes_reaches_its_accuracy_and_keeps_its_names(run: Callable, examples: Path) -> None:
    options = ("--layers", "none", "--epochs", 200, "--rate", 0.05, "--json")
    found = strict(run("train", examples / "kinds.csv", "--target", "kind", *options).out)
    assert found["test_accuracy"] > 0.9
    m = load(found["model"])
    assert (m.classes, m.inputs.columns, m.record["target"]) == (("no", "yes"), ("a", "b", "c"), "kind")


def test_values_come_back_in_their_own_units(run: Callable, examples: Path) -> None:
    result = run("train", examples / "test.npz", "--epochs", 200, "--rate", 0.05, "--json")
    found = strict(result.out)
    held = np.load(examples / "test.npz")
    predicted = load(found["model"])(held["X_test"])[:, 0].astype(float)
    errors = predicted - held["y_test"]
    assert found["test_loss"] == pytest.approx(np.mean(errors**2), rel=1e-3)
    assert found["test_r2"] == pytest.approx(1 - np.mean(errors**2) / held["y_test"].var(), abs=1e-4)
    assert found["test_r2"] > 0.95
    assert 5e4 < predicted.mean() < 5e5
    assert found["before"]["test_loss"] > 1e9  # the variance of prices about 1e5
    last = strict(Path(found["history"]).read_text().splitlines()[-1])
    assert last["test_loss"] == pytest.approx(found["test_loss"], rel=1e-3)
    assert f"test loss {found['test_loss']:.3g}" in result.err


def test_a_target_far_from_zero_is_learned_in_float64(run: Callable, examples: Path) -> None:
    common = ("train", examples / "year.csv", "--target", "price", "--epochs", 300, "--rate", 0.05)
    found = strict(run(*common, "--dtype", "float64", "--json").out)
    assert found["test_r2"] > 0.95
    assert found["test_loss"] < 0.01


def test_the_test_part_of_an_archive_is_used_and_others_are_drawn(run: Callable, examples: Path) -> None:
    assert strict(run("train", examples / "test.npz", "--json").out)["rows"] == {"training": 60, "test": 20}
    assert strict(run("train", examples / "notest.npz", "--json").out)["rows"] == {"training": 64, "test": 16}
    found = strict(run("train", examples / "notest.npz", "--test", 0, "--json").out)
    assert found["rows"] == {"training": 80}
    assert (found["test_accuracy"], found["test_loss"]) == (None, None)


def test_a_column_of_an_array_is_the_target(run: Callable, examples: Path) -> None:
    found = strict(run("train", examples / "both.npy", "--target", -1, "--json").out)
    assert found["target"] == "-1"
    assert run("evaluate", found["model"], examples / "both.npy").code == 0


def test_a_target_taken_from_the_header_is_said(run: Callable) -> None:
    Path("t.csv").write_text("a,label\n" + "1,x\n2,y\n" * 20)
    assert "target: column 'label', by its name" in run("train", "t.csv", "--layers", 8, "--epochs", 1).lines


def test_a_single_test_row_has_no_r2(run: Callable) -> None:
    Path("t.csv").write_text("a,price\n1,3.5\n2,1.5\n3,2.5\n")
    result = run("train", "t.csv", "--target", "price", "--layers", 32, "--epochs", 1)
    assert "test r2 undefined" in result.lines[-2]
    found = strict(run("train", "t.csv", "--target", "price", "--layers", 32, "--epochs", 1, "--json").out)
    assert found["test_r2"] is None


# Training that goes wrong.


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_finite_model(run: Callable) -> None:
    result = run("train", "digits", "--optimizer", "descent", "--rate", "1e35", "--activation", "identity", "--json")
    assert result.code == 2
    (said,) = [line for line in result.err.splitlines() if line.startswith("layerloop")]
    assert re.search(r"in epoch 1, step \d+; the rate 1e\+35 is likely too high: try 1e\+34", said)
    found = strict(result.out)
    assert found["epochs_done"] == 0
    assert np.isfinite(load(found["model"]).flat).all()


def test_a_loss_that_rises_is_remarked(run: Callable) -> None:
    result = run("train", "digits", "--optimizer", "descent", "--rate", "1e6", "--activation", "relu")
    assert result.code == 0
    assert "the loss is higher than before training: try a lower --rate" in result.lines


def test_absolute_errors_are_in_the_unit_of_the_target(run: Callable, examples: Path) -> None:
    found = strict(
        run("train", examples / "prices.csv", "--target", "price", "--loss", "mae", "--epochs", 5, "--json").out
    )
    assert 1e4 < found["test_loss"] < 3e5  # prices have a standard deviation of about 1.1e5
    again = strict(run("evaluate", found["model"], examples / "prices.csv", "--json").out)
    assert 1e4 < again["loss"] < 3e5


def test_overfitting_is_not_taken_for_too_high_a_rate(run: Callable, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "noise.npz", X=rng.normal(size=(60, 30)).astype(np.float32), y=rng.integers(2, size=60))
    result = run("train", "noise.npz", "--epochs", 300, "--rate", 0.01)
    assert (result.code, result.err) == (0, "")
    assert result.lines[-2].startswith("the test loss is higher than before training, while that of training fell")


def test_a_failed_run_leaves_the_earlier_model_and_its_history(run: Callable) -> None:
    run(*QUICK, "--out", "m.safetensors")
    before = [Path(name).read_bytes() for name in ("m.safetensors", "m.history.jsonl")]
    result = run(
        "train",
        "digits",
        "--optimizer",
        "descent",
        "--rate",
        "1e35",
        "--activation",
        "identity",
        "--out",
        "m.safetensors",
    )
    assert result.code == 2
    assert result.lines[-1] == "saved m-2.safetensors (m.safetensors stays as it was)"
    assert [Path(name).read_bytes() for name in ("m.safetensors", "m.history.jsonl")] == before


def test_a_history_that_can_no_longer_be_written_stops_training_and_keeps_the_model(
    run: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path) -> Callable:
        Path(path).touch()
        passes = []

        def append(now: object) -> None:
            passes.append(now)
            if len(passes) == 4:
                raise OutputError("cannot write the history: no space left")

        return append

    monkeypatch.setattr(command, "write_history", full)
    result = run("train", "digits", "--batch-size", 1, "--out", "m.safetensors")
    assert (result.code, result.err) == (2, "layerloop: cannot write the history: no space left\n")
    assert load("m.safetensors").record["stopped"] == "cannot write the history: no space left"


def test_a_full_disk_is_said_and_leaves_what_was_there(run: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    run(*QUICK, "--out", "m.safetensors")
    before = Path("m.safetensors").read_bytes()

    def save(_: object, place: Path) -> Path:
        raise OutputError(f"cannot write {place}: no space left")

    monkeypatch.setattr(command, "save", save)
    result = run(*QUICK, "--out", "m.safetensors")
    said = "cannot write m.safetensors: no space left; nor could the model be kept in the folder for temporary files"
    assert (result.code, result.err) == (2, f"layerloop: {said}\n")
    assert Path("m.safetensors").read_bytes() == before


def test_a_model_whose_place_has_gone_is_kept_elsewhere(
    run: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spare = tmp_path / "spare"
    spare.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(spare))
    wanted = tmp_path / "m.safetensors"
    true_save = command.save

    def save(m: object, place: Path) -> Path:
        if place == wanted:
            raise OutputError(f"cannot write {place}: no space left")
        return true_save(m, place)

    monkeypatch.setattr(command, "save", save)
    result = run(*QUICK, "--out", wanted)
    assert result.code == 2
    assert (
        result.err == f"layerloop: cannot write {wanted}: no space left; the model is kept in {spare / wanted.name}\n"
    )
    assert load(spare / wanted.name).record["epochs_done"] == 3
