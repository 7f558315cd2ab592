"""The report's page in Chromium: light and dark, wide, on a phone and printed; nothing is asked of anybody."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from layerloop import Adam, Chain, DataLoader, Dense, data, report, train

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
GROUNDS = {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 27)"}
WIDE, PHONE = {"width": 1100, "height": 900}, {"width": 375, "height": 800}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    X, y = data.load("digits")
    m = Chain(Dense(64, 16, "tanh"), Dense(16, 10), "softmax")
    history = train(m, DataLoader((X, y), batchsize=32), optimizer=Adam(1e-2), epochs=3, validation=(X[:200], y[:200]))
    return report(m, X, y, history=history.epochs).save(tmp_path_factory.mktemp("report") / "digits.html")


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine: apt-get install chromium")
def test_the_page_fits_in_both_themes_and_widths_and_asks_nobody(page: Path) -> None:
    api = pytest.importorskip("playwright.sync_api", reason="no driver for the browser: pip install playwright")
    shots = os.environ.get("LAYERLOOP_SHOTS")
    with api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        for theme, ground in GROUNDS.items():
            for size in (WIDE, PHONE):
                window = browser.new_page(viewport=size, color_scheme=theme)
                complaints: list[str] = []
                asked: list[str] = []
                window.on("console", lambda message, to=complaints: to.append(message.text))
                window.on("pageerror", lambda error, to=complaints: to.append(str(error)))
                window.on("request", lambda request, to=asked: to.append(request.url))
                window.goto(page.as_uri())
                assert window.evaluate("document.documentElement.scrollWidth") == size["width"]
                assert window.evaluate("getComputedStyle(document.body).backgroundColor") == ground
                curve = window.locator("#learning ~ .plots svg").first.bounding_box()
                assert curve is not None
                assert 0.4 < curve["width"] / min(size["width"], 550) <= 1
                assert complaints == []
                assert [url for url in asked if not url.startswith("data:")] == [page.as_uri()]
                if shots:
                    window.screenshot(path=Path(shots) / f"report-{theme}-{size['width']}.png", full_page=True)
                window.emulate_media(media="print", color_scheme=theme)
                assert window.evaluate("getComputedStyle(document.body).backgroundColor") == GROUNDS["light"]
                assert not window.locator("nav").is_visible()
                window.close()
        browser.close()


def test_it_is_small(page: Path) -> None:
    assert page.stat().st_size < 300_000
