"""A report: the facts are those of the model, and the page that shows them stands by itself."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import sparse

from layerloop import Adam, Chain, DataLoader, Dense, Dropout, Inputs, evaluate, report, train, value_and_gradient
from layerloop.errors import InputError, LabelError, MissingExtraError, OutputError, ShapeError
from layerloop.inspection import plots
from layerloop.inspection.reproduce import command_of

if TYPE_CHECKING:
    from pathlib import Path

    from layerloop.inspection import Report
    from layerloop.training import History

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 4))
KIND = (X[:, 0] + 0.5 * X[:, 1] + RNG.normal(scale=0.4, size=300) > 0).astype(int)
VALUE = 100 * (2 * X[:, 0] - X[:, 2] + RNG.normal(scale=0.2, size=300))
PICTURES = RNG.integers(256, size=(60, 36)).astype(np.uint8)


def trained(m: Chain, X: Any, y: Any, **options: Any) -> History:
    validation = {"validation": (X[:50], y[:50])}
    return train(m, DataLoader((X, y), batchsize=32), optimizer=Adam(0.02), epochs=8, validation=validation, **options)


@pytest.fixture(scope="module")
def of_classes() -> Report:
    m = Chain(Dense(4, 6, "tanh"), Dense(6, 2), "softmax", classes=("no", "yes & <more>"))
    history = trained(m, X, KIND)
    return report(m, X, KIND, history=history.epochs, columns=("a", "b", "c", "d<"), about={"title": "kinds & co"})


@pytest.fixture(scope="module")
def of_values() -> Report:
    m = Chain(Dense(4, 1))
    history = trained(m, X, VALUE, loss="mse")
    m.record.update(loss="mse", seconds=1.5, data="prices.csv", target="price")
    return report(m, X, VALUE, history=history.epochs)


@pytest.fixture(scope="module")
def of_pictures() -> Report:
    m = Chain(Dense(36, 5, "sigmoid"), Dense(5, 3), "softmax", inputs=Inputs(scale=1 / 255, image=(6, 6)))
    return report(m, PICTURES, RNG.integers(3, size=60))


@pytest.fixture(scope="module")
def pages(of_classes: Report, of_values: Report, of_pictures: Report) -> dict[str, str]:
    """The pages, drawn once."""
    return {"classes": of_classes.html(), "values": of_values.html(), "pictures": of_pictures.html()}


def test_the_facts_are_plain_data(of_classes: Report, of_values: Report, of_pictures: Report) -> None:
    for found in (of_classes, of_values, of_pictures):
        assert json.loads(json.dumps(found.as_dict(), allow_nan=False)) == found.as_dict()


def test_figures_are_those_of_evaluate() -> None:
    m = Chain(Dense(4, 6, "tanh"), Dense(6, 2), "softmax", dtype="float64")
    facts = report(m, X, KIND).as_dict()
    wanted = evaluate(m, X, KIND)
    found = {figure["name"]: figure for figure in facts["figures"]}
    assert found["accuracy"]["value"] == pytest.approx(wanted["accuracy"])
    assert found["cross-entropy"]["value"] == pytest.approx(wanted["loss"])
    assert found["accuracy"]["low"] < wanted["accuracy"] < found["accuracy"]["high"]
    assert np.sum(facts["confusion"]) == 300
    assert np.trace(facts["confusion"]) == round(300 * wanted["accuracy"])


def test_scores_become_probabilities_by_the_softmax_that_the_loss_takes() -> None:
    m = Chain(Dense(4, 3), dtype="float64", classes=("a", "b", "c"))
    m.record["loss"] = "logitcrossentropy"
    y = RNG.integers(3, size=300)
    figures = {figure["name"]: figure["value"] for figure in report(m, X, y).as_dict()["figures"]}
    assert figures["cross-entropy"] == pytest.approx(evaluate(m, X, y, "logitcrossentropy")["loss"])


def test_a_single_yes_or_no_is_two_classes() -> None:
    m = Chain(Dense(4, 1), "sigmoid", dtype="float64")
    facts = report(m, X, KIND).as_dict()
    wanted = evaluate(m, X, KIND[:, np.newaxis], "binarycrossentropy")
    figures = {figure["name"]: figure["value"] for figure in facts["figures"]}
    assert facts["classes"] == ["0", "1"]
    assert figures["cross-entropy"] == pytest.approx(wanted["loss"])


def test_figures_of_values(of_values: Report) -> None:
    figures = {figure["name"]: figure["value"] for figure in of_values.as_dict()["figures"]}
    assert 0 < figures["R2"] <= 1
    errors = [abs(row["error"]) for row in of_values.as_dict()["mistakes"]]
    assert errors == sorted(errors, reverse=True)
    assert sum(of_values.as_dict()["residuals"]["counts"]) == 300


def test_the_columns_that_are_used_come_first(of_classes: Report, of_values: Report) -> None:
    assert of_classes.as_dict()["importance"][0]["column"] == "a"
    assert [row["column"] for row in of_values.as_dict()["importance"][:2]] == ["column 0", "column 2"]


def test_labels_may_be_names_and_an_estimator_is_asked_for_its_probabilities() -> None:
    class Estimator:
        classes_ = np.array(["cheap", "dear"])
        network_ = Chain(Dense(4, 2), "softmax", seed=3)

        def predict_proba(self, X: np.ndarray) -> np.ndarray:
            return self.network_(X)

        def predict(self, X: np.ndarray) -> np.ndarray:
            return self.classes_[self.network_(X).argmax(axis=1)]

        def score(self, X: np.ndarray, y: np.ndarray) -> float:
            return float(np.mean(self.predict(X) == y))

    facts = report(Estimator(), X, Estimator.classes_[KIND]).as_dict()
    by_chain = report(Estimator.network_, X, KIND).as_dict()
    assert facts["classes"] == ["cheap", "dear"]
    assert facts["confusion"] == by_chain["confusion"]
    assert facts["importance_of"] == "score"


class Page(HTMLParser):
    """Tags and what they name; fails on what is not closed."""

    VOID = frozenset({"meta", "img", "br", "path", "use", "rect", "line"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_the_page_stands_by_itself(pages: dict[str, str]) -> None:
    for text in pages.values():
        page = Page(text)
        assert page.open == []
        for tag, attributes in page.tags:
            assert tag not in ("script", "link", "iframe", "object")
            for name in ("src", "href", "xlink:href"):
                assert (attributes.get(name) or "#").startswith(("#", "data:image/png;base64,"))
        assert not re.search(r"url\((?!#)|@import|http(?!://www\.w3\.org/)", text)


def test_names_in_a_page_are_one_each_and_lead_somewhere(pages: dict[str, str]) -> None:
    for text in pages.values():
        names = [attributes["id"] for _, attributes in Page(text).tags if attributes.get("id")]
        assert len(names) == len(set(names))
        targets = re.findall(r'(?:href="#|url\(#|aria-labelledby=")([^")]+)', text)
        assert set(targets) <= set(names)


def test_pictures_have_words_and_plots_have_titles(pages: dict[str, str]) -> None:
    page = Page(pages["pictures"])
    assert all(attributes.get("alt") for tag, attributes in page.tags if tag == "img")
    assert all(attributes.get("aria-labelledby") for tag, attributes in page.tags if tag == "svg")


def test_mistakes_units_and_the_input_gradient_are_pictures(of_pictures: Report, pages: dict[str, str]) -> None:
    wrong = min(24, len(of_pictures.as_dict()["mistakes"]))
    assert wrong > 10
    assert pages["pictures"].count("<img ") == wrong + 5 + 1


def test_the_weights_behind_a_dropout_of_the_input_are_shown() -> None:
    inputs = Inputs(scale=1 / 255, image=(6, 6))
    m = Chain(Dropout(0.1), Dense(36, 2), "softmax", inputs=inputs)
    found = report(m, PICTURES, np.arange(60) % 2).as_dict()["weights"]
    np.testing.assert_allclose(found["pictures"][1], m[1].W[1, :-1].reshape(6, 6), atol=1e-5)


def test_names_with_signs_of_all_kinds_are_drawn_as_they_are() -> None:
    names = ["$a_1$ and $", "it's 'quoted'", "价格", '<b id="x">']
    text = report(Chain(Dense(4, 2), "softmax"), X, KIND, columns=names).html()
    for shown in ("$a_1$ and $", "it's 'quoted'", "价格"):
        assert re.search(rf"<text[^>]*>{re.escape(shown)}</text>", text)
    assert "<b id" not in text
    assert Page(text).open == []


def test_many_sparse_columns_are_not_shuffled_but_ranked_by_their_gradients() -> None:
    wide = sparse.random_array((30, 300), density=0.1, rng=1, format="csr", dtype=np.float32)
    found = report(Chain(Dense(300, 3), "softmax"), wide, np.arange(30) % 3)
    assert found.as_dict()["importance_of"] is None
    assert len(found.as_dict()["importance"]) == 300
    assert "the first 200 of 300 columns" in found.html()


def test_what_is_shown_is_escaped(pages: dict[str, str]) -> None:
    text = pages["classes"]
    assert "<h1>kinds &amp; co</h1>" in text
    assert "yes &amp; &lt;more&gt;" in text
    assert "<more>" not in text
    assert "d<<" not in text


def test_colours_are_the_pages_and_text_stays_text(pages: dict[str, str]) -> None:
    svg = re.findall(r"<svg.*?</svg>", pages["classes"], flags=re.DOTALL)
    assert len(svg) == 4  # loss, accuracy, reliability, importance
    for picture in svg:
        assert "var(--ink)" in picture
        assert set(re.findall(r"#[0-9a-f]{6}\b", picture)) <= {"#ffffff"}
        assert "<text" in picture
        assert "system-ui, sans-serif" in picture
        assert "DejaVu" not in picture


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("classes", ("validation ended at", "95 %, Wilson", "Expected calibration error", "How much accuracy is lost")),
        ("classes", ("Most often taken for another", "44 parameters", "bootstrap of 999")),
        ("values", ("Predicted over true values", "How much R2 is lost", "bootstrap of 999", "1.5 s")),
        ("pictures", ("First-layer weights", "The mean of |q_1|", "bytes are multiplied by 1/255", "taken for")),
    ],
)
def test_the_page_says_what_was_found(kind: str, words: tuple[str, ...], pages: dict[str, str]) -> None:
    assert [word for word in words if word not in pages[kind]] == []


def test_it_is_written_whole_and_the_same_each_time_or_not_at_all(
    of_classes: Report, pages: dict[str, str], tmp_path: Path
) -> None:
    place = of_classes.save(tmp_path / "r.html")
    assert place.read_text("utf-8") == pages["classes"]
    with pytest.raises(OutputError, match="does not exist"):
        of_classes.save(tmp_path / "none" / "r.html")


def test_without_matplotlib_the_extra_is_named(of_classes: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plots, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'layerloop\[report\]'"):
        of_classes.html()


def test_a_model_that_is_never_wrong_has_no_mistakes_to_show() -> None:
    m = Chain(Dense(2, 2), "softmax")
    m.flat[...] = np.array([[50, -50], [-50, 50], [0, 0]]).ravel()
    found = report(m, np.eye(2), [0, 1])
    assert found.as_dict()["mistakes"] == []
    assert "No row is wrong." in found.html()


def test_progress_names_what_is_done_and_ends_at_one() -> None:
    told: list[tuple[str, float]] = []
    report(Chain(Dense(4, 2), "softmax"), X, KIND, progress=lambda what, share: told.append((what, share)))
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert told[-1] == ("done", 1.0)
    assert {"input gradients", "shuffling columns", "timing"} < {what for what, _ in told}


@pytest.mark.parametrize(
    ("model", "rows", "y", "error", "words"),
    [
        (Chain(Dense(4, 2), "softmax"), X[:0], KIND[:0], InputError, "at least one row"),
        (Chain(Dense(4, 2), "softmax"), X, KIND + 1, LabelError, "2"),
        (Chain(Dense(4, 2)), X, X[:, :3], ShapeError, r"\(300, 2\), got y of \(300, 3\)"),
        (Chain(Dense(4, 1), "sigmoid"), X, KIND + 1, LabelError, "one class a row"),
    ],
)
def test_what_does_not_fit_is_an_error(
    model: Chain, rows: np.ndarray, y: np.ndarray, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        report(model, rows, y)


def test_the_command_of_a_record_has_what_is_not_the_default() -> None:
    recipe = {"layers": [], "optimizer": "adamw", "rate": 0.001, "batch_size": 64, "seed": 3, "validation": 0.1}
    words = command_of({"data": "my table.csv", "target": "the price", "recipe": recipe})
    assert words == (
        "layerloop train 'my table.csv' --target 'the price' --layers none --optimizer adamw --batch-size 64 --seed 3 "
        "--validation 0.1"
    )
    assert command_of({"data": "mnist"}) is None


def test_a_report_does_not_change_the_model() -> None:
    m = Chain(Dense(4, 2), "softmax")
    before = m.flat.copy(), value_and_gradient(m, X, KIND)[0]
    report(m, X, KIND)
    np.testing.assert_array_equal(m.flat, before[0])
    assert value_and_gradient(m, X, KIND)[0] == before[1]
