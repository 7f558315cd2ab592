"""A folder of pictures, a sub-folder for each class: trained on, evaluated, predicted; every refusal is one line."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageDraw

from layerloop import load
from layerloop.data import prepare_photo, read
from layerloop.data.photos import has_colours

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KINDS = ("png", "jpg", "gif", "bmp", "webp")


def drawn(place: Path, kind: str, rng: np.random.Generator) -> None:
    """Write a bright disc or a dark bar on a ground of some grey, of some size."""
    w, h = (int(side) for side in rng.integers(40, 90, 2))
    picture = Image.new("RGB", (w, h), (int(rng.integers(110, 150)),) * 3)
    draw = ImageDraw.Draw(picture)
    x, y = (int(rng.integers(side // 3, side // 2)) for side in (w, h))
    if kind == "disc":
        draw.ellipse((x - 12, y - 12, x + 12, y + 12), fill=(250, 230, 90))
    else:
        draw.rectangle((x - 12, y - 4, x + 12, y + 4), fill=(20, 20, 120))
    picture.save(place)


def photos(folder: Path, n: int, seed: int = 0) -> Path:
    rng = np.random.default_rng(seed)
    for kind in ("disc", "bar"):
        (folder / kind).mkdir(parents=True)
        for i in range(n):
            drawn(folder / kind / f"{i:03}.{KINDS[i % len(KINDS)]}", kind, rng)
    return folder


def test_a_folder_is_trained_on_evaluated_and_predicted(run: Callable, tmp_path: Path) -> None:
    photos(tmp_path / "photos", 50)
    told = run("train", "photos/", "-o", "m.safetensors", "--json")
    assert told.code == 0, told.err
    assert "photos: every picture is read in colour at 32 x 32" in told.err
    assert json.loads(told.out)["test_accuracy"] >= 0.95
    m = load("m.safetensors")
    assert (m.classes, m.inputs.image, m.inputs.fit, m.inputs.box) == (("bar", "disc"), (32, 32, 3), "stretch", None)
    photos(tmp_path / "new", 10, seed=1)
    new = run("evaluate", "m.safetensors", "new", "--json")
    assert json.loads(new.out)["accuracy"] >= 0.95
    said = run("predict", "m.safetensors", "new/disc/001.jpg", "new/bar/002.gif", "--json")
    found = json.loads(said.out)["predictions"]
    assert [row["prediction"] for row in found] == ["disc", "bar"]
    assert found[0]["done"][-1].endswith("to 32 x 32")


def test_predict_reads_a_file_as_training_read_it(run: Callable, tmp_path: Path) -> None:
    photos(tmp_path / "photos", 6)
    run("train", "photos", "--epochs", "1", "--layers", "4", "--test", "0", "-o", "m.safetensors")
    by_row = json.loads(run("predict", "m.safetensors", "7", "--data", "photos", "--json").out)["predictions"][0]
    by_file = json.loads(run("predict", "m.safetensors", "photos/disc/001.jpg", "--json").out)["predictions"][0]
    assert by_row["label"] == "disc"
    assert by_file["probabilities"]["disc"] == pytest.approx(by_row["probabilities"]["disc"], abs=1e-6)


def test_parts_are_used_and_count_in_the_classes_and_size_of_training(run: Callable, tmp_path: Path) -> None:
    photos(tmp_path / "set/train", 8)
    photos(tmp_path / "set/test", 3, seed=1)
    shutil.rmtree(tmp_path / "set/test/bar")
    photos(tmp_path / "set/validation", 1)
    with pytest.raises(ValueError, match="single sub-folder"):
        read(tmp_path / "set", "test", image=(8, 8))
    (tmp_path / "set/test/bar").mkdir()
    drawn(tmp_path / "set/test/bar/x.png", "bar", np.random.default_rng(2))
    told = run("train", "set", "--epochs", "1", "-o", "m.safetensors", "--json")
    assert json.loads(told.out)["rows"] == {"training": 16, "test": 4}
    assert "set: read are train and test, not validation" in told.err
    assert "--test" in run("train", "set", "--test", "0.5").err


def test_runs_repeat(run: Callable, tmp_path: Path) -> None:
    photos(tmp_path / "photos", 6)
    for name in ("a", "b"):
        run("train", "photos", "--epochs", "2", "--layers", "8", "-o", f"{name}.safetensors")
    a, b = (load(f"{name}.safetensors") for name in "ab")
    X = read("photos").X
    np.testing.assert_array_equal(a(X), b(X))


def test_small_pictures_of_one_size_stay_as_they_are(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (4, 28, 28), dtype=np.uint8)
    for i, name in enumerate(("a", "a", "b", "b")):
        (tmp_path / name).mkdir(exist_ok=True)
        Image.fromarray(pixels[i]).save(tmp_path / name / f"{i}.png")
    data = read(tmp_path)
    assert (data.image, data.scale, data.classes, data.y.tolist()) == ((28, 28), 1 / 255, ("a", "b"), [0, 0, 1, 1])
    np.testing.assert_array_equal(data.X, pixels.reshape(4, -1))


def test_hidden_files_other_files_and_links_outwards_are_left_out(tmp_path: Path) -> None:
    folder, said = photos(tmp_path / "photos", 3), list[str]()
    (folder / ".cache").mkdir()
    (folder / "disc/.hidden.png").write_bytes(b"no picture")
    (folder / "disc/notes.txt").write_text("no picture")
    drawn(tmp_path / "outside.png", "disc", np.random.default_rng(0))
    (folder / "disc/link.png").symlink_to(tmp_path / "outside.png")
    (folder / "disc/twice.png").symlink_to(folder / "disc/000.png")
    os.mkfifo(folder / "disc/pipe.png")
    (folder / "bar/loop").symlink_to(folder)
    (folder / "linked").symlink_to(tmp_path)
    data = read(folder, say=said.append)
    assert np.bincount(data.y).tolist() == [3, 4]
    assert said[0].startswith(f"{folder}: left out what is no picture or a link out of the folder, 4 such as ")


def test_colour_transparency_and_depth_become_grey_bytes() -> None:
    clear = np.zeros((4, 4, 4), np.uint8)
    x, done = prepare_photo(clear, size=(4, 4))
    assert (x.min(), done) == (255, ("laid the transparent picture on white", "colours turned to grey"))
    deep = Image.fromarray(np.full((4, 4), 32768, np.uint16))
    assert prepare_photo(deep, size=(4, 4))[0].tolist() == [[128] * 4] * 4
    assert prepare_photo(np.full((9, 7), 0.2), size=(4, 4))[0].tolist() == [[51] * 4] * 4


def coloured(folder: Path, n: int, seed: int = 0) -> Path:
    """Plain pictures of a red or a green of one brightness, which grey cannot tell apart."""
    rng = np.random.default_rng(seed)
    for kind, place in (("red", 0), ("green", 1)):
        (folder / kind).mkdir(parents=True)
        for i in range(n):
            light = int(rng.integers(30, 75))
            pixels = np.zeros((12, 10, 3), np.uint8)
            pixels[:, :, place] = round(light / (0.299, 0.587)[place])
            Image.fromarray(pixels).save(folder / kind / f"{i:02}.png")
    return folder


def test_colour_is_learned_and_the_model_keeps_how_it_reads(run: Callable, tmp_path: Path) -> None:
    coloured(tmp_path / "set", 20)
    coloured(tmp_path / "new", 5, seed=1)
    small = ("--layers", 8, "--rate", 0.01)
    told = run("train", "set", *small, "--report", "-o", "m.safetensors", "--json")
    assert "set: every picture is read in colour at 12 x 10" in told.err
    assert load("m.safetensors").inputs.image == (12, 10, 3)
    assert json.loads(run("evaluate", "m.safetensors", "new", "--json").out)["accuracy"] == 1
    grey = run("train", "set", *small, "--no-colour", "-o", "g.safetensors", "--json")
    assert "set: every picture is read in grey at 12 x 10" in grey.err
    assert load("g.safetensors").inputs.image == (12, 10)
    assert json.loads(run("evaluate", "g.safetensors", "new", "--json").out)["accuracy"] < 1
    shown = run("predict", "m.safetensors", "new/red/00.png", "--show", "--json")
    assert json.loads(shown.out.splitlines()[-1])["predictions"][0]["prediction"] == "red"
    assert "each pixel as red, green, blue" in (tmp_path / "m.html").read_text()


def test_grey_pictures_saved_in_colour_are_read_in_grey_and_one_colour_decides(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("a/0.jpg", "a/1.png", "b/2.png", "b/3.webp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (20, 20), dtype=np.uint8)).convert("RGB").save(tmp_path / name)
    grey = read(tmp_path)
    assert (grey.image, grey.X.shape) == ((20, 20), (4, 400))
    in_colour = read(tmp_path, colour=True)
    assert (in_colour.image, in_colour.X.shape) == ((20, 20, 3), (4, 1200))
    np.testing.assert_array_equal(in_colour.X[1].reshape(20, 20, 3)[:, :, 2].ravel(), grey.X[1])
    Image.new("RGB", (20, 20), "teal").save(tmp_path / "b/4.png")
    assert read(tmp_path).image == (20, 20, 3)
    assert read(tmp_path, colour=False).image == (20, 20)


def test_a_colour_under_clear_pixels_is_not_seen(tmp_path: Path) -> None:
    pixels = np.zeros((4, 4, 4), np.uint8)
    pixels[:, :, 0] = 255
    Image.fromarray(pixels).save(tmp_path / "clear.png")
    assert not has_colours(tmp_path / "clear.png")
    pixels[0, 0, 3] = 255
    Image.fromarray(pixels).save(tmp_path / "dot.png")
    assert has_colours(tmp_path / "dot.png")


def test_a_folder_is_cross_validated(run: Callable, tmp_path: Path) -> None:
    coloured(tmp_path / "set", 12)
    told = run("cv", "set", "--folds", 3, "--epochs", 8, "--json")
    assert (told.code, "fold 3/3" in told.err) == (0, True), told.err
    found = json.loads(told.out)
    assert (found["data"], found["task"], len(found["folds"])) == ("set", "classes", 3)
    assert found["summary"][0]["metric"] == "accuracy"
    assert found["summary"][0]["mean"] > 0.9
    again = json.loads(run("cv", "set", "--folds", 3, "--epochs", 8, "--json").out)
    assert again["folds"] == found["folds"]


def test_a_folder_is_searched_and_the_best_network_saved(run: Callable, tmp_path: Path) -> None:
    coloured(tmp_path / "set", 12)
    told = run("tune", "set/", "--trials", 2, "--epochs", 6, "--no-colour", "-o", "best.safetensors", "--json")
    assert told.code == 0, told.err
    found = json.loads(told.out)
    assert [row["trial"] for row in found["trials"]] == [0, 1]
    assert found["trials"][0]["settings"] == {}
    m = load("best.safetensors")
    assert (m.classes, m.inputs.image, m.inputs.fit) == (("green", "red"), (12, 10), "stretch")
    assert m.record["validation"]["accuracy"] == max(
        row["score"] for row in found["trials"] if row["score"] is not None
    )
    assert run("evaluate", "best.safetensors", "set").code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("cv", "set", "--target", "x"), "--target is for tables: the classes of set are its sub-folders"),
        (("cv", "set", "--groups", "x"), "--groups is for tables"),
        (("tune", "set", "--members", "2"), "--members is for tables"),
        (("tune", "set", "--task", "values"), "--task values is for tables"),
        (("cv", "set", "--metric", "rmse"), "the metric 'rmse' judges values"),
        (("cv", "set", "--epochs", "0"), "--epochs"),
        (("tune", "set", "--time-limit", "0"), "--time-limit must be a positive number of seconds, got 0"),
        (("cv", "digits.csv", "--colour"), "--colour and --no-colour are for folders of pictures"),
    ],
)
def test_what_folds_and_searches_of_folders_refuse(run: Callable, tmp_path: Path, words: tuple, said: str) -> None:
    coloured(tmp_path / "set", 2)
    result = run(*words)
    assert result.code == 2
    assert said in result.err.splitlines()[-1]


def test_a_choice_of_colours_is_for_folders(run: Callable) -> None:
    result = run("train", "digits", "--no-colour")
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert "--colour and --no-colour are for folders of pictures: digits is none" in result.err


def test_a_large_jpeg_gives_what_its_pixels_give(tmp_path: Path) -> None:
    picture = Image.new("RGB", (1600, 1200), "white")
    ImageDraw.Draw(picture).ellipse((300, 200, 1200, 1000), fill="navy")
    picture.save(tmp_path / "large.jpg", quality=95)
    exact, _ = prepare_photo(np.asarray(picture))
    assert np.abs(prepare_photo(tmp_path / "large.jpg")[0].astype(int) - exact).max() <= 12


def spoil(folder: Path, kind: str) -> None:
    """Make a folder wrong in one way."""
    if kind == "damaged":
        (folder / "disc/001.jpg").write_bytes(b"\xff\xd8\xff nothing more")
    elif kind == "cut off":
        (folder / "disc/000.png").write_bytes((folder / "disc/000.png").read_bytes()[:90])
    elif kind == "bomb":
        Image.new("1", (20_000, 10_000)).save(folder / "disc/002.png")
    elif kind == "single class":
        shutil.rmtree(folder / "disc")
    elif kind == "no sub-folders":
        shutil.rmtree(folder / "disc")
        shutil.rmtree(folder / "bar")
    elif kind == "empty class":
        (folder / "empty").mkdir()
    elif kind == "other parts":
        photos(folder / "train", 1)
    elif kind == "missing":
        shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("damaged", "photos/disc/001.jpg is not a picture of a known kind, or is damaged"),
        ("cut off", "photos/disc/000.png is damaged: "),
        ("bomb", "photos/disc/002.png has more than "),
        ("single class", "photos has a single sub-folder, bar, so a single class; expected a sub-folder of pictures"),
        ("no sub-folders", "photos is a folder without sub-folders; expected a sub-folder of pictures for each class"),
        ("empty class", "photos/empty holds no picture; expected .png, .jpg"),
        (
            "other parts",
            "photos has sub-folders in train, but none in test: call the other part test, or name photo",
        ),
        ("missing", "the folder photos does not exist; expected a data set"),
        ("target", "the classes of photos are its sub-folders: leave out a target"),
        ("values", "the classes of photos are its sub-folders: leave out a target, and losses of values"),
    ],
)
def test_a_wrong_folder_is_refused_in_one_line(run: Callable, tmp_path: Path, kind: str, said: str) -> None:
    spoil(photos(tmp_path / "photos", 3), kind)
    result = run("train", "photos/", *{"target": ["--target", "x"], "values": ["--loss", "mse"]}.get(kind, []))
    assert result.code == 2
    (line,) = result.err.splitlines()
    assert said in line


def test_a_class_that_the_model_does_not_know_is_named(run: Callable, tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos", 3)
    run("train", "photos", "--epochs", "1", "--layers", "4", "-o", "m.safetensors")
    (folder / "disc").rename(folder / "disk")
    result = run("evaluate", "m.safetensors", "photos")
    assert result.code == 2
    assert "photos/disk/000.png holds 'disk', which is not a class here. Did you mean 'disc'?" in result.err


def test_reading_reports_every_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, said = photos(tmp_path / "photos", 2), list[str]()
    monkeypatch.setattr("layerloop.data.folders.EVERY", -1.0)
    read(folder, say=said.append)
    assert said[1:] == [f"{folder}: read {i} of 4 pictures" for i in (1, 2, 3, 4)]
