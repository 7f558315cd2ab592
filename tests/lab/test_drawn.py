"""A hundred digits drawn with a pen, as on the page, are read as well as the pictures that they come from."""

from __future__ import annotations

import base64
import json
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from asking import PORT, ask
from layerloop import cli, data, save, train
from layerloop.data import prepare_image
from layerloop.lab.app import lab_app
from layerloop.lab.desk import Desk
from layerloop.lab.guards import Site
from layerloop.training.recipe import Recipe, prepare

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]

SIDE, FINE = 280, 4  # pixels of the canvas; how much finer a line is thinned and drawn
ROUND = ((1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1))  # from the north clockwise


def thinned(ink: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The middle line of a stroke, one pixel wide: the two alternating rules of Zhang and Suen (1984)."""
    x, before = np.pad(ink, 1).astype(int), None
    while before is None or (x != before).any():
        before = x
        for first in (True, False):
            p = [np.roll(x, shift, (0, 1)) for shift in ROUND]
            turns = sum((p[k] == 0) & (p[(k + 1) % 8] == 1) for k in range(8))
            n, e, s, w = p[::2]
            corner = (n * e * s + e * s * w if first else n * e * w + n * s * w) == 0
            x = np.where((x == 1) & (sum(p) >= 2) & (sum(p) <= 6) & (turns == 1) & corner, 0, x)
    return x[1:-1, 1:-1] == 1


def segments(picture: Bytes) -> NDArray[np.float64]:
    """The pen strokes of a picture: pairs of neighbouring points (n, 2, 2) of its middle line."""
    large = np.asarray(Image.fromarray(picture).resize([FINE * 28] * 2, Image.Resampling.BICUBIC))
    points = set(map(tuple, np.argwhere(thinned(large > 110)).tolist()))
    steps = ((0, 0), (0, 1), (1, 0), (1, 1), (1, -1))
    return np.array([(p, q) for p in points for s in steps if (q := (p[0] + s[0], p[1] + s[1])) in points], float)


def drawn(picture: Bytes, rng: np.random.Generator) -> Bytes:
    """The strokes of a picture anywhere on a canvas, 80 to 240 pixels long, 10 to 30 wide, of either polarity."""
    lines, length, pen = segments(picture), 160 * rng.uniform(0.5, 1.5), int(rng.integers(10, 31))
    lines -= lines.min(axis=(0, 1))
    lines *= length / lines.max()
    room = np.maximum(SIDE - lines.max(axis=(0, 1)) - pen - 2, 0)
    lines = FINE * (lines + pen / 2 + 1 + room * rng.random(2))
    canvas = Image.new("L", [FINE * SIDE] * 2, 255)
    pencil, r = ImageDraw.Draw(canvas), FINE * pen / 2
    for (ay, ax), (by, bx) in lines.tolist():
        pencil.line((ax, ay, bx, by), fill=0, width=FINE * pen)
        pencil.ellipse((bx - r, by - r, bx + r, by + r), fill=0)
    smooth = np.asarray(canvas.resize([SIDE] * 2, Image.Resampling.BOX))
    return 255 - smooth if rng.random() < 0.5 else smooth


def test_the_middle_line_of_a_bar_is_a_line() -> None:
    bar = np.zeros((20, 30), bool)
    bar[8:13, 4:26] = True
    line = thinned(bar)
    assert line[10].sum() >= 16
    assert line.sum() == line[10].sum()


@pytest.fixture(scope="module")
def trained() -> Any:
    """A network of 128 units, trained on MNIST."""
    rows = {row["name"]: row["where"] for row in data.status()}
    if rows["mnist"] is None:
        pytest.skip("needs the files of mnist: set LAYERLOOP_DATA")
    task = prepare(data.read("mnist"), data.read("mnist", "test"), Recipe(epochs=5, layers=(128,), activation="relu"))
    train(task.m, task.loader, task.loss, task.rule, 5)
    return task.m


def ten_of_each(test: data.Dataset, rng: np.random.Generator) -> NDArray[np.int64]:
    return np.concatenate([rng.choice(np.flatnonzero(test.y == k), 10, replace=False) for k in range(10)])


def test_four_hundred_others_are_read_like_their_originals_too(trained: Any) -> None:
    """A hundred are few, two of them more or less are chance: four hundred tell more of what the network sees."""
    test = data.read("mnist", "test")
    right = np.zeros(2)
    for seed in range(1, 5):
        rng = np.random.default_rng(seed)
        rows = ten_of_each(test, rng)
        seen = [prepare_image(drawn(test.X[i].reshape(28, 28), rng))[0].reshape(-1) for i in rows]
        right += [np.mean(trained(X).argmax(axis=1) == test.y[rows]) for X in (test.X[rows], np.array(seen))]
    originals, drawings = right / 4
    assert drawings >= originals - 0.03


def test_a_hundred_drawn_digits_are_read_like_their_originals(
    trained: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    test, rng = data.read("mnist", "test"), np.random.default_rng(0)
    rows = ten_of_each(test, rng)
    originals = np.mean(trained(test.X[rows]).argmax(axis=1) == test.y[rows])
    app = lab_app(Desk(model=trained), Site(PORT))
    said, files = [], []
    for i in rows:
        file = BytesIO()
        Image.fromarray(drawn(test.X[i].reshape(28, 28), rng)).save(file, "PNG")
        got = ask(app, "POST", "/draw", {"image": base64.b64encode(file.getvalue()).decode()})
        said.append(int(got.json["prediction"]))
        files.append(tmp_path / f"{len(files)}.png")
        files[-1].write_bytes(file.getvalue())
    assert np.mean(said == test.y[rows]) >= originals - 0.03
    model = save(trained, tmp_path / "m.safetensors")
    assert cli.main(["predict", str(model), *map(str, files), "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])["predictions"]
    assert [int(row["prediction"]) for row in found] == said  # the same function, and so the same answers
    assert originals > 0.9
