"""What the page's routes answer: the library's own dicts, and a sentence for what makes no sense."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

import layerloop
from asking import PORT, ask
from layerloop import Chain, Dense, evaluate, load, sigmoid, softmax, trace
from layerloop.data import prepare_image
from layerloop.lab.app import lab_app
from layerloop.lab.broadcast import Latest
from layerloop.lab.curve import Curve
from layerloop.lab.desk import Desk
from layerloop.lab.guards import Guards, Site
from layerloop.lab.matrices import blocked
from layerloop.lab.mistakes import mistakes
from layerloop.lab.pictures import picture_of_run
from layerloop.lab.runs import Run
from layerloop.lab.shelf import Shelf
from layerloop.training.recipe import Recipe, prepare

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.leave()


@pytest.fixture
def app(desk: Desk) -> Guards:
    return lab_app(desk, Site(PORT))


def told(app: Guards, path: str, **values: Any) -> Any:
    got = ask(app, "POST", path, values)
    assert got.status == 200, got.body
    return got.json


def refused(app: Guards, path: str, **values: Any) -> str:
    got = ask(app, "POST", path, values)
    assert got.status == 422, got.body
    return str(got.json["error"])


def trained(app: Guards, desk: Desk, **settings: Any) -> None:
    told(app, "/train", **{"data": "moons", "layers": [8], "activation": "tanh", "epochs": 5, **settings})
    assert desk.run is not None
    desk.run.join(60)


def png(pixels: np.ndarray[Any, Any]) -> str:
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


# Train.


@pytest.mark.parametrize("data", ["moons", "circles", "spirals", "digits"])
def test_every_set_that_is_always_there_is_learned(app: Guards, desk: Desk, data: str) -> None:
    plane = data != "digits"
    settings = {"layers": [16, 16], "rate": 0.01, "batch_size": 32, "epochs": 150 if plane else 10}
    trained(app, desk, data=data, **settings)
    assert desk.watch is not None
    status, picture = desk.watch.status(), desk.latest._makers["picture"]()
    assert (status["state"], status["epoch"], status["data"]) == ("done", settings["epochs"], data)
    assert status["curve"]["test_accuracy"][-1] > 0.85
    counts = np.array(picture["confusion"]["counts"])
    assert np.trace(counts) / counts.sum() == pytest.approx(status["curve"]["test_accuracy"][-1], abs=1e-4)
    assert (picture["surface"] is not None, picture["weights"] is None) == (plane, plane)


def test_the_run_is_the_one_of_the_command(app: Guards, desk: Desk) -> None:
    trained(app, desk, data="digits", layers=[7], seed=3, epochs=2)
    alone = prepare(*desk.shelf.read("digits"), Recipe(layers=(7,), activation="tanh", seed=3, epochs=2))
    latest = Latest()
    Run(alone, "digits", 2, latest).join(60)
    assert desk.watch is not None
    np.testing.assert_array_equal(desk.watch.task.m.flat, alone.m.flat)


def test_a_run_pauses_steps_goes_on_and_stops(app: Guards, desk: Desk) -> None:
    told(app, "/train", data="digits", epochs=10_000)
    told(app, "/control", do="pause")

    def at() -> tuple[str, int, int]:
        assert desk.watch is not None
        for _ in range(500):  # until it has heard
            status = desk.watch.status()
            if status["state"] == "paused":
                break
            time.sleep(0.01)
        return status["state"], status["epoch"], status["step"] + status["epoch"] * status["steps"]

    state, _, first = at()
    assert state == "paused"
    for k in (1, 2, 3):
        told(app, "/control", do="step")
        time.sleep(0.05)
        assert at()[2] == first + k
    told(app, "/control", do="run")
    time.sleep(0.1)
    told(app, "/control", do="stop")
    assert desk.run is not None
    desk.run.join(20)
    assert desk.watch is not None
    assert desk.watch.status()["state"] == "stopped"
    assert "the run has ended" in refused(app, "/control", do="run")


def test_a_new_run_ends_the_one_before(app: Guards, desk: Desk) -> None:
    told(app, "/train", data="moons", epochs=10_000, pace=5)
    first = desk.run
    told(app, "/train", data="circles", epochs=1)
    assert first is not None
    assert not first.alive
    assert first.watch.status()["why"] == "stopped on the page"


def test_a_run_that_diverges_says_why(app: Guards, desk: Desk) -> None:
    trained(app, desk, data="digits", optimizer="descent", rate=1e30, activation="relu")
    assert desk.watch is not None
    status = desk.watch.status()
    assert status["state"] == "failed"
    assert "stopped being finite" in status["why"]


BAD_SETTINGS: dict[str, tuple[dict[str, Any], str]] = {
    "no data": ({}, "unknown data set None"),
    "a mistyped set": ({"data": "moon"}, "Did you mean 'moons'?"),
    "a path": ({"data": "/etc/passwd"}, "unknown data set '/etc/passwd'"),
    "an address": ({"data": "http://evil.example/x.csv"}, "unknown data set"),
    "a list": ({"data": ["moons"]}, "unknown data set ['moons']"),
    "a mistyped setting": ({"data": "moons", "layer": [3]}, "unknown setting 'layer'. Did you mean 'layers'?"),
    "an activation": ({"data": "moons", "activation": "rely"}, "Did you mean 'relu'?"),
    "widths": ({"data": "moons", "layers": [0]}, "the width of a layer must be a whole number of at least 1"),
    "a wide layer": ({"data": "moons", "layers": [10**9]}, "at most 2,048 here"),
    "many layers": ({"data": "moons", "layers": [2] * 99}, "at most 8 widths"),
    "text as width": ({"data": "moons", "layers": ["x"]}, "whole number"),
    "passes": ({"data": "moons", "epochs": 1e9}, "epochs is at most 10,000 here"),
    "a rate": ({"data": "moons", "rate": -1}, "rate"),
    "text as rate": ({"data": "moons", "rate": "x"}, "rate is a number"),
    "a pace": ({"data": "moons", "pace": 99}, "pace is 0 to 10 seconds"),
    "a seed": ({"data": "moons", "seed": -1}, "seed must be a whole number of at least 0"),
}


@pytest.mark.parametrize(("values", "message"), BAD_SETTINGS.values(), ids=BAD_SETTINGS)
def test_settings_that_make_no_sense_are_said_and_the_run_goes_on(
    app: Guards, desk: Desk, values: dict[str, Any], message: str
) -> None:
    assert message in refused(app, "/train", **values)
    assert desk.run is None


def test_a_set_that_is_not_here_is_not_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LAYERLOOP_DATA", "LAYERLOOP_CACHE"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setattr("layerloop.lab.shelf.status", lambda **_: [{"name": "mnist", "where": None}])
    app = lab_app(Desk(), Site(PORT))
    assert "mnist is not on this machine: layerloop data fetch mnist" in refused(app, "/train", data="mnist")


def test_a_file_of_the_command_is_on_the_shelf_by_its_name_alone(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 2))
    lines = ["a,b,price", *(f"{a},{b},{3 * a - b + 100}" for a, b in X)]
    (tmp_path / "prices.csv").write_text("\n".join(lines))
    desk = Desk(Shelf(str(tmp_path / "prices.csv"), "price"))
    app = lab_app(desk, Site(PORT))
    choices = ask(app, "GET", "/choices")
    assert str(tmp_path) not in choices.body.decode()
    assert choices.json["start"]["data"] == "prices.csv"
    trained(app, desk, data="prices.csv", epochs=100, rate=0.01)
    assert desk.watch is not None
    status = desk.watch.status()
    assert status["curve"]["test_r2"][-1] > 0.9
    X_test, y_test = desk.rows()
    found = evaluate(desk.network(), X_test, y_test, "mse")
    assert found["loss"] == pytest.approx(status["curve"]["test_loss"][-1], rel=1e-3)
    worst = told(app, "/mistakes")["mistakes"]
    gaps = [abs(row["true"] - row["predicted"]) for row in worst]
    assert gaps == sorted(gaps, reverse=True)
    assert set(worst[0]["columns"]) == {"a", "b"}


# Draw, Loops, Mistakes.


def test_before_there_is_a_network_the_views_say_so(app: Guards) -> None:
    for path in ("/draw", "/mistakes", "/loops"):
        assert "there is no network yet: train one first" in refused(app, path)
    assert "no run that this page started" in refused(app, "/control", do="stop")
    assert "no longer here" in refused(app, "/opened", key=1, name="z_1", at=[1])


def test_a_drawing_is_seen_as_the_same_picture_file_is(app: Guards, desk: Desk) -> None:
    trained(app, desk, data="digits", layers=[32], epochs=40, rate=0.01, activation="sigmoid")
    paper = np.full((280, 280), 255, np.uint8)
    paper[60:80, 80:200] = paper[80:220, 180:200] = 0
    found = told(app, "/draw", image=png(paper))
    m = desk.network()
    seen, done = prepare_image(paper, size=(8, 8), box=8)
    assert base64.b64decode(found["picture"]["pixels"]) == seen.tobytes()
    assert found["done"] == list(done)
    x = seen.reshape(-1) * np.float32(1 / 255)
    assert list(found["probabilities"].values()) == m(x).tolist()
    assert found["gradient"] == trace(m, x).value("q_1").tolist()
    assert found["probabilities"] == told(app, "/draw", image=png(255 - paper))["probabilities"]


def test_what_is_no_drawing_is_said(app: Guards, desk: Desk) -> None:
    trained(app, desk, data="digits", epochs=1)
    clear = np.zeros((280, 280, 4), np.uint8)
    jpeg = BytesIO()
    Image.fromarray(clear[:, :, 0]).save(jpeg, "JPEG")
    for image, message in (
        (png(clear), "draw something"),
        (None, "a PNG as base64 text, got a NoneType"),
        ("/etc/passwd", "this is no base64"),
        ("aGVsbG8=", "not a picture of a known kind"),
        (base64.b64encode(jpeg.getvalue()).decode(), "not a picture of a known kind"),
        (png(np.zeros((1025, 3), np.uint8)), "at most 1024 x 1024 pixels"),
        (png(np.eye(50, dtype=np.uint8) * 255)[:-40], "damaged"),
    ):
        assert message in refused(app, "/draw", image=image)
    trained(app, desk, data="moons", epochs=1)
    assert "not trained on pictures" in refused(app, "/draw", image=png(clear))


def test_loops_are_those_of_trace_to_the_last_bit(app: Guards, desk: Desk) -> None:
    trained(app, desk, data="digits", epochs=3)
    X, y = desk.rows()
    m = desk.network()
    found = told(app, "/loops", index=7)
    same = trace(m, X[7], int(y[7]))
    assert found["trace"] == same.as_dict()
    assert (found["index"], found["rows"], found["data"]) == (7, len(X), "digits")
    one = told(app, "/opened", key=found["key"], name="t_1", at=[2])
    assert one["value"] == float(same.value("t_1")[1])
    assert sum(term["value"] for term in one["terms"]) == pytest.approx(one["value"])
    for wrong in ({"index": 10**6}, {"index": -1}, {"index": "x"}):
        assert refused(app, "/loops", **wrong)
    for wrong in (
        {"name": "z_99", "at": [1]},
        {"name": "z_1", "at": [0]},
        {"name": "z_1", "at": 1},
        {"name": 3, "at": []},
    ):
        assert refused(app, "/opened", key=found["key"], **wrong)


def test_loops_of_a_drawing_take_what_the_network_says(app: Guards, desk: Desk) -> None:
    trained(app, desk, data="digits", epochs=3)
    paper = np.zeros((100, 100), np.uint8)
    paper[20:80, 45:55] = 255
    found = told(app, "/loops", image=png(paper))
    assert found["index"] is None
    sample = found["trace"]["sample"]
    assert sample["label"] == sample["predicted"] == told(app, "/draw", image=png(paper))["prediction"]


def test_matrices_are_pictures_of_their_largest_numbers(app: Guards, desk: Desk) -> None:
    trained(app, desk, data="digits", layers=[6], epochs=2)
    found = told(app, "/loops", index=0)
    X, y = desk.rows()
    same = trace(desk.network(), X[0], int(y[0]))
    for name in ("z_1", "A_1", "B_1", "p_1", "q_1", "z_3", "z_5"):
        picture = told(app, "/picture", key=found["key"], name=name)
        values = np.asarray(same.value(name), np.float64)
        assert picture["shape"] == list(values.shape)
        assert picture["largest"] == float(np.abs(values).max())
        assert len(base64.b64decode(picture["pixels"])) == np.prod(picture["size"])
        assert max(picture["size"]) <= 320
    assert told(app, "/picture", key=found["key"], name="p_1")["laid_out"] == [6, 65]
    assert told(app, "/picture", key=found["key"], name="q_1")["laid_out"] == [8, 8]
    assert "unknown value of the loops" in refused(app, "/picture", key=found["key"], name="z_77")


def test_a_block_keeps_its_number_of_largest_size() -> None:
    values = np.zeros((2, 700))
    values[0, 5], values[1, 699] = -3.0, 2.0
    small, block = blocked(values)
    assert (small.shape, block) == ((2, 234), (1, 3))
    assert (small[0, 1], small[1, 233], np.count_nonzero(small)) == (-3.0, 2.0, 2)


def test_mistakes_are_wrong_rows_the_most_confident_first(app: Guards, desk: Desk) -> None:
    trained(app, desk, data="digits", epochs=5)
    found = told(app, "/mistakes")
    m, (X, y) = desk.network(), desk.rows()
    outputs = m(X)
    wrong = np.flatnonzero(outputs.argmax(axis=1) != y)
    assert found["wrong"] == len(wrong)
    sure = [row["probability"] for row in found["mistakes"]]
    assert sure == sorted(outputs[wrong].max(axis=1).tolist(), reverse=True)[:60]
    for row in found["mistakes"]:
        assert row["predicted"] == str(outputs[row["row"]].argmax())
        assert row["label"] == str(y[row["row"]])


def test_a_model_of_the_command_is_looked_into_before_any_run() -> None:
    m = Chain(Dense(3, 2), softmax, seed=1)
    X = np.random.default_rng(0).normal(size=(9, 3))
    app = lab_app(Desk(model=m, held=(X, np.arange(9) % 2), name="mine"), Site(PORT))
    assert told(app, "/mistakes")["data"] == "mine"
    assert told(app, "/loops", index=8)["trace"]["widths"] == [3, 2]
    assert "name a data set with --data" in refused(lab_app(Desk(model=m), Site(PORT)), "/mistakes")


# What is told while training.


def test_the_stream_begins_with_the_newest_of_everything(app: Guards, desk: Desk) -> None:
    trained(app, desk, epochs=3)
    got = ask(app, "GET", "/stream")
    assert got.headers["content-type"] == "text/event-stream"
    assert b'event: status\ndata: {"state":"done"' in got.body
    assert b"event: picture\ndata: {" in got.body
    assert ask(app, "HEAD", "/stream").status == 200


def test_the_curve_stays_short_and_keeps_both_ends() -> None:
    curve = Curve()
    for epoch in range(1, 10_001):
        curve.add({"epoch": epoch, "loss": 1 / epoch, "seconds": 0.1, "test_accuracy": 0.5})
    columns = curve.columns()
    assert set(columns) == {"epoch", "loss", "test_accuracy"}
    assert len(columns["epoch"]) <= 401
    assert (columns["epoch"][0], columns["epoch"][-1]) == (1, 10_000)
    assert Curve().columns() == {}


def test_the_model_of_a_run_can_be_saved_and_read(tmp_path: Path, app: Guards, desk: Desk) -> None:
    from layerloop import save

    trained(app, desk, epochs=1)
    again = load(save(desk.network(), tmp_path / "m.safetensors"))
    assert again.record["loss"] == "crossentropy"


# A run of the command.


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_run_of_the_command_is_watched_and_the_page_stays_until_a_signal(tmp_path: Path, number: int) -> None:
    command = [sys.executable, "-m", "layerloop", "train", "digits", "--lab", "--epochs", "3", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(Path(layerloop.__file__).parents[1])}
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, **pipes) as process:
        result = json.loads(process.stdout.readline())  # type: ignore[union-attr]
        for line in process.stderr:  # type: ignore[union-attr]
            if "the page stays at" in line:
                origin, token = re.findall(r"(http://\S+)/\?token=(\S+)", line)[0]
                break
        headers = {"Content-Type": "application/json", "Origin": origin, "Authorization": f"Bearer {token}"}
        try:
            asked = urllib.request.Request(f"{origin}/choices", headers=headers)
            with urllib.request.urlopen(asked, timeout=10) as answer:
                assert json.load(answer)["watches"] is True
            asked = urllib.request.Request(f"{origin}/loops", b'{"index": 3}', headers, method="POST")
            with urllib.request.urlopen(asked, timeout=10) as answer:
                found = json.load(answer)
        finally:
            process.send_signal(number)
        assert process.wait(20) == 0
    m = load(tmp_path / result["model"])
    assert found["trace"]["value"] == trace(m, *_digit(3)).value_of_loss


def _digit(i: int) -> tuple[np.ndarray[Any, Any], int]:
    rows = layerloop.data.read("digits", "test")
    return rows.X[i], int(rows.y[i])


def test_a_single_yes_or_no_is_two_classes_on_the_page_too() -> None:
    m = Chain(Dense(2, 1), sigmoid, classes=("no", "yes"))
    m.flat[...] = [4.0, 0.0, 0.0]
    X, y = np.array([[1.0, 0.0], [-1.0, 0.0], [1.0, 1.0]]), np.array([1, 0, 0])
    picture = picture_of_run(m, (X, y), (X, y))
    assert picture["confusion"] == {"classes": ["no", "yes"], "counts": [[1, 1], [0, 1]], "rows": 3}
    (wrong,) = mistakes(m, X, y)["mistakes"]
    assert (wrong["row"], wrong["label"], wrong["predicted"]) == (2, "no", "yes")
