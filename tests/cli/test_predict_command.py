"""`layerloop predict`: rows by number, pictures of any kind, tables to tables, arrays."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from layerloop import Chain, Dense, Inputs, data, load, save
from layerloop.data import read, status

if TYPE_CHECKING:
    from collections.abc import Callable


def predictions(run: Callable, *arguments: object) -> list[dict]:
    result = run("predict", *arguments, "--json")
    assert result.code == 0, result.err
    (line,) = result.lines
    return json.loads(line)["predictions"]


def test_a_row_is_told_with_its_probability_and_its_label(run: Callable, examples: Path) -> None:
    result = run("predict", examples / "digits.safetensors", 0, 1, "--data", "digits", "--split", "train")
    assert [line.split("  (")[0] for line in result.lines] == ["digits train 0: 0", "digits train 1: 1"]
    assert [line.split("  ")[-1] for line in result.lines] == ["label 0", "label 1"]


def test_proba_lists_every_class(run: Callable, examples: Path) -> None:
    result = run("predict", examples / "digits.safetensors", 0, "--data", "digits", "--proba")
    values = [float(line.split()[1]) for line in result.lines[1:]]
    assert [line.split()[0] for line in result.lines[1:]] == [*"0123456789"]
    assert sum(values) == pytest.approx(1, abs=1e-5)


def test_show_draws_the_picture(run: Callable, examples: Path) -> None:
    result = run("predict", examples / "digits.safetensors", 0, "--data", "digits", "--split", "train", "--show")
    assert result.lines[:4] == ["  ▒█▒▄░ ", " ░▓  ▒▒ ", " ░▒  ▓▒ ", "  ▒▒▒▀  "]


def test_a_table_is_written_with_its_own_columns_and_the_predictions(run: Callable, examples: Path) -> None:
    result = run("predict", examples / "kinds.safetensors", examples / "new.csv", "-o", "out.csv", "--proba")
    assert result.out == "wrote 2 predictions to out.csv\n"
    with Path("out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [*rows[0]] == ["c", "id", "b", "a", "prediction", "probability_no", "probability_yes"]
    assert [(row["id"], row["prediction"]) for row in rows] == [("x1", "yes"), ("x2", "no")]
    assert [float(row["probability_no"]) + float(row["probability_yes"]) for row in rows] == pytest.approx([1, 1])


def test_values_of_a_table_are_in_the_units_of_the_target(run: Callable, examples: Path) -> None:
    run("predict", examples / "prices.safetensors", examples / "prices.csv", "-o", "out.csv")
    with Path("out.csv").open(newline="") as file:
        rows = [(float(row["price"]), float(row["prediction"])) for row in csv.DictReader(file)]
    true, predicted = np.array(rows).T
    assert np.corrcoef(true, predicted)[0, 1] > 0.95
    assert abs(predicted.mean() - true.mean()) < 0.05 * true.mean()


def test_rows_of_a_table_and_of_arrays_are_named_by_their_number(run: Callable, examples: Path) -> None:
    model = examples / "kinds.safetensors"
    assert [row["input"] for row in predictions(run, model, examples / "new.csv")] == [
        f"{examples / 'new.csv'} row {i}" for i in (0, 1)
    ]
    by_table = [row["prediction"] for row in predictions(run, model, examples / "kinds.csv")]
    for name in ("rows.npy", "notest.npz"):
        assert [row["prediction"] for row in predictions(run, model, examples / name)] == by_table


def test_a_network_that_ends_in_scores_predicts_a_class_with_its_probability(run: Callable) -> None:
    m = Chain(Dense(64, 10), classes=[*"0123456789"], inputs=Inputs(scale=1 / 16, image=(8, 8)))
    save(m, "scores.safetensors")
    (row,) = predictions(run, "scores.safetensors", 0, "--data", "digits")
    scores = m(data.load("digits", "test")[0][0])
    assert row["prediction"] == str(scores.argmax())
    assert sum(row["probabilities"].values()) == pytest.approx(1)


# Pictures: the digits as files, in many guises.


def guises(pixels: np.ndarray) -> dict[str, Image.Image]:
    """One 8 x 8 drawing, light on dark, as it may come out of a camera, a scanner or a drawing program."""
    light = Image.fromarray(np.kron(pixels, np.ones((20, 20))).astype(np.uint8))
    dark = Image.eval(light, lambda value: 255 - value)
    wide = Image.new("L", (300, 200), 255)
    wide.paste(dark, (90, 15))
    clear = Image.new("RGBA", light.size, (20, 30, 160, 0))
    clear.putalpha(light)
    return {
        "light.png": light,
        "dark.png": dark,
        "dark.jpg": dark,
        "dark.bmp": dark,
        "dark.gif": dark,
        "dark.webp": dark,
        "dark.tiff": dark,
        "colour.png": Image.merge("RGB", (dark, dark, dark)),
        "small.png": light.resize((24, 24)),
        "large.png": dark.resize((1500, 1500)),
        "margins.png": wide,
        "clear.png": clear,
    }


@pytest.mark.parametrize("name", guises(np.eye(8)))
def test_a_picture_of_a_digit_is_recognised_in_any_guise(name: str, run: Callable, examples: Path) -> None:
    held, model = read("digits", "test"), load(examples / "digits.safetensors")
    sure = [int(np.flatnonzero(held.y == digit)[0]) for digit in (0, 3, 4, 6)]
    right = 0
    for index in sure:
        picture = guises(held.X[index].reshape(8, 8).astype(float) * 255 / 16)[name]
        picture.save(name)
        (row,) = predictions(run, examples / "digits.safetensors", name)
        assert row["done"]
        right += row["prediction"] == str(held.y[index])
    assert model.inputs.image == (8, 8)
    assert right >= 3


def test_an_empty_picture_is_refused(run: Callable, examples: Path) -> None:
    Image.new("L", (40, 40), 255).save("blank.png")
    result = run("predict", examples / "digits.safetensors", "blank.png")
    assert (result.code, result.err) == (2, "layerloop: blank.png: the image is empty: draw something\n")


def test_what_was_done_to_a_picture_is_said(run: Callable, examples: Path) -> None:
    guises(read("digits", "test").X[0].reshape(8, 8).astype(float) * 255 / 16)["dark.png"].save("dark.png")
    result = run("predict", examples / "digits.safetensors", "dark.png", "--show")
    assert "dark.png: inverted: dark ink on a light ground" in result.lines
    assert result.lines[-1].startswith("dark.png: ")


@pytest.mark.skipif(status()[0]["where"] is None, reason="MNIST is not on this machine: layerloop data fetch mnist")
def test_real_pictures_of_mnist_are_recognised_from_files(run: Callable) -> None:
    train, held = read("mnist", "train"), read("mnist", "test")
    np.savez("part.npz", X=train.X[:6000].reshape(-1, 28, 28), y=train.y[:6000])
    made = run("train", "part.npz", "--layers", 128, "--activation", "relu", "--epochs", 20, "--out", "m.safetensors")
    assert made.code == 0
    names = []
    for i in range(20):
        picture = Image.fromarray(held.X[i].reshape(28, 28))
        if i % 2:
            picture = Image.eval(picture, lambda value: 255 - value)
        picture = picture.resize([(28, 28), (100, 100), (280, 280), (640, 640)][i % 4])
        names.append(f"{i}.{['png', 'jpg', 'webp', 'bmp', 'tiff'][i % 5]}")
        picture.save(names[-1])
    rows = predictions(run, "m.safetensors", *names)
    by_number = predictions(run, "m.safetensors", *range(20), "--data", "mnist")
    assert [row["prediction"] for row in rows] == [row["prediction"] for row in by_number]
    assert sum(row["prediction"] == row["label"] for row in by_number) >= 19
