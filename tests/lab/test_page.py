"""The page in a real browser: Debian's Chromium without a window, steered by Playwright.

Its content security policy stays in force: nothing here evaluates code in the page. LAYERLOOP_SHOTS names a folder for
pictures of every view.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from layerloop import data, lab
from layerloop.errors import LayerloopError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Page

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine: apt-get install chromium")


def expect(thing: Any) -> Any:
    from playwright.sync_api import expect as expected

    return expected(thing)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    api = pytest.importorskip("playwright.sync_api", reason="no driver for the browser: pip install playwright")
    with api.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def door() -> Iterator[lab.Door]:
    """One server for all tests of this file."""
    door, desk = lab.Door(), lab.Desk()
    with door.serving(lab.lab_app(desk, door.site)):
        yield door
    desk.leave()


@pytest.fixture
def open_page(browser: Browser, door: lab.Door) -> Iterator[Callable[..., Page]]:
    """A page in a window of its own; at the end its console was silent, nothing failed, and nobody else was asked."""
    complaints: list[str] = []
    windows = []

    def opened(view: str = "", **settings: Any) -> Page:
        windows.append(browser.new_context(**{"viewport": WIDE, **settings}))
        page = windows[-1].new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda message: complaints.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("requestfailed", lambda request: gone(request))
        page.on("request", lambda request: foreign(request.url))
        page.goto(f"{door.address}{view}")
        expect(page.locator("[name=data] option").first).to_be_attached()
        return page

    def gone(request: Any) -> None:
        if not request.url.endswith("/stream"):  # which ends when its page is left
            complaints.append(f"failed: {request.url}")

    def foreign(url: str) -> None:
        if not url.startswith((f"{door.origin}/", "data:")):
            complaints.append(f"asked elsewhere: {url}")

    yield opened
    for window in windows:
        window.close()
    assert [text for text in complaints if "status of 422" not in text] == []  # a refusal, which the page says itself


def train(page: Page, name: str, **settings: str) -> None:
    page.get_by_role("link", name="Train").click()
    page.locator("[name=data]").select_option(name)
    page.locator("[name=pace]").select_option("0")
    for label, value in settings.items():
        page.locator(f"[name={label}]").fill(value)
    page.get_by_role("button", name="Start").click()
    expect(page.locator("#run-title")).to_have_text(f"Trained: {name}", timeout=60_000)


def draw_seven(page: Page) -> None:
    box = page.locator("#pad").bounding_box()
    assert box is not None

    def at(x: int, y: int) -> tuple[float, float]:
        return box["x"] + x * box["width"] / 280, box["y"] + y * box["height"] / 280

    page.mouse.move(*at(80, 70))
    page.mouse.down()
    page.mouse.move(*at(200, 70), steps=6)
    page.mouse.move(*at(130, 220), steps=10)
    page.mouse.up()


def has_mnist() -> bool:
    try:
        return any(row["name"] == "mnist" and row["where"] for row in data.status())
    except LayerloopError:
        return False


@pytest.fixture(scope="module")
def pictures(browser: Browser, door: lab.Door) -> str:
    """The name of a set of digits on which the page has trained a network: MNIST's, or without them the small ones."""
    name = "mnist" if has_mnist() else "digits"
    page = browser.new_page()
    page.goto(door.address)
    expect(page.locator("[name=data] option").first).to_be_attached()
    train(page, name)
    shown = page.locator("#f-test_accuracy").inner_text()
    page.close()
    assert float(shown) > (0.95 if name == "mnist" else 0.88)  # the small ones' test rows are by other writers
    return name


def walk_all(page: Page) -> list[str]:
    """Go through every step with the key, and return their formulas as text."""
    expect(page.locator("#forward button").first).to_be_visible()
    page.keyboard.press("Home")
    count = page.locator(".walk button").count()
    found = []
    for k in range(count):
        expect(page.locator(f".walk button[data-step='{k}']")).to_have_attribute("aria-current", "step")
        found.append(page.locator("#step-said").text_content() or "")
        assert page.locator("#formula math").count() == 1
        page.keyboard.press("ArrowRight")
    return found


@pytest.mark.skipif(not has_mnist(), reason="needs the files of mnist: set LAYERLOOP_DATA")
def test_digits_are_trained_from_the_page_to_95_percent(open_page: Callable[..., Page], pictures: str) -> None:
    page = open_page()  # the newest of everything comes to a page that was not there
    expect(page.locator("#run-title")).to_have_text("Trained: mnist")
    assert float(page.locator("#f-test_accuracy").inner_text()) > 0.95
    expect(page.locator("#f-epoch")).to_have_text("20/20")
    assert page.locator("#weights canvas").count() == 32
    counts = [int(text) for text in page.locator("#confusion td").all_inner_texts()]
    assert sum(counts) == 10_000
    assert sum(counts[::11]) / 10_000 == pytest.approx(float(page.locator("#f-test_accuracy").inner_text()), abs=6e-5)


def test_the_digits_that_are_always_there_are_trained_to_95_percent(open_page: Callable[..., Page]) -> None:
    """Of rows by the writers that the network learns from, held out; the test rows are by others, as the page says."""
    page = open_page()
    train(page, "digits")
    expect(page.locator("#data-note")).to_contain_text("test rows are by other writers")
    labels = page.locator("#f-metrics dt").all_inner_texts()
    validation, test = map(float, page.locator("#f-metrics dd").all_inner_texts())
    assert labels == ["validation accuracy", "test accuracy"]
    assert validation > 0.95
    assert test > 0.88
    expect(page.locator("#said")).to_have_text(re.compile(r"Trained: digits\. validation accuracy 0\.9[5-9]"))
    counts = [int(text) for text in page.locator("#confusion td").all_inner_texts()]
    expect(page.locator("#confusion-title")).to_contain_text(f"{sum(counts)} test rows")
    assert sum(counts[::11]) / sum(counts) == pytest.approx(test, abs=6e-5)
    if has_mnist():
        train(page, "mnist")  # what the other tests look into


def test_a_seven_is_drawn_and_read(open_page: Callable[..., Page], pictures: str) -> None:
    page = open_page("#draw")
    expect(page.locator("#verdict")).to_have_text("draw something")
    draw_seven(page)
    expect(page.locator("#verdict")).to_have_text("7")
    assert page.locator(".chance").count() == 10
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#verdict")).to_have_text("draw something")


def test_a_drawing_walks_through_its_loops(open_page: Callable[..., Page], pictures: str) -> None:
    page = open_page("#draw")
    draw_seven(page)
    page.get_by_role("button", name="Walk through its loops").click()
    expect(page.locator("#sample-title")).to_contain_text("Your drawing: it says 7")


def test_every_step_of_both_loops_is_walked_through_and_a_number_opened(
    open_page: Callable[..., Page], pictures: str
) -> None:
    page = open_page("#loops")
    said = walk_all(page)
    names = re.findall(r"step \d+ of 20, (\w) (\d)", " ".join(said))
    forward = "z1 t1 s1 z2 A1 B1 t2 s2 z3 A2 B2 z4 B3 z5"
    assert " ".join(letter + i for letter, i in names) == f"{forward} q4 q3 p2 q2 p1 q1"
    expect(page.locator("#sample-model")).to_contain_text("(784, 32, sigmoid)" if pictures == "mnist" else "(64, 32")
    page.locator(".walk button[aria-label='step 4: z 2']").click()
    number = page.locator("#numbers button").nth(2)
    value = number.inner_text()
    number.click()
    expect(page.locator(".opened-value")).to_contain_text(value.rstrip("0")[:5])
    page.locator(".term button").first.click()  # sigmoid(t_1,3): on to t_1,3, a sum
    expect(page.locator("#opened")).to_contain_text(f"The sum of {785 if pictures == 'mnist' else 65} terms")
    page.get_by_role("button", name="Back").click()
    expect(page.locator("#opened")).to_contain_text("Computed from")
    page.locator("#slider").fill("19")
    expect(page.locator("#step-said")).to_contain_text("q 1 = B_1^T q_2")


def test_a_mistake_opens_in_loops(open_page: Callable[..., Page], pictures: str) -> None:
    page = open_page("#mistakes")
    first = page.locator("#wrong button").first
    label, said = re.findall(r"\d", first.locator("strong").inner_text())
    first.click()
    expect(page.locator("#sample-title")).to_contain_text(f"label {label}, it says {said}")


def test_the_surface_bends_and_a_run_is_paused_and_stepped(open_page: Callable[..., Page], pictures: str) -> None:
    page = open_page()
    page.locator("[name=data]").select_option("spirals")
    page.locator("[name=pace]").select_option("1")
    page.get_by_role("button", name="Start").click()
    expect(page.locator("#run-title")).to_have_text("Training: spirals")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#run-title")).to_have_text("Paused: spirals")
    before = page.locator("#f-epoch").inner_text()
    page.get_by_role("button", name="One step").click()
    expect(page.locator("#f-epoch")).not_to_have_text(before)
    expect(page.locator("#surface")).to_have_attribute("aria-label", "decision surface of 3 classes over 300 points")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#run-title")).to_have_text("Stopped: spirals")
    train(page, "digits" if pictures == "digits" else "mnist")  # what the other tests look into


def test_the_keyboard_alone_is_enough(open_page: Callable[..., Page], pictures: str) -> None:
    page = open_page()

    def tab_to(selector: str) -> None:
        for _ in range(60):
            if page.locator(f"{selector}:focus").count():
                return
            page.keyboard.press("Tab")
        pytest.fail(f"the tab key does not lead to {selector}")

    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    tab_to("a[href='#draw']")
    page.keyboard.press("Enter")
    expect(page.locator("#draw")).to_be_visible()
    tab_to("#pad")
    for key in ("ArrowUp",) * 7 + ("ArrowLeft",) * 6 + (" ",) + ("ArrowRight",) * 12:
        page.keyboard.press(key)
    for _ in range(15):
        page.keyboard.press("ArrowDown")
        if _ % 2:
            page.keyboard.press("ArrowLeft")
    expect(page.locator("#verdict")).to_have_text("7")
    tab_to("#to-loops")
    page.keyboard.press("Enter")
    expect(page.locator("#loops")).to_be_visible()
    expect(page.locator("#sample-title")).to_contain_text("Your drawing")
    tab_to("#slider")
    page.keyboard.press("End")
    expect(page.locator("#step-said")).to_contain_text("q 1")
    tab_to("#place button")
    page.keyboard.press("Enter")
    expect(page.locator(".opened-value")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_every_view_in_both_themes_and_widths(
    open_page: Callable[..., Page], pictures: str, scheme: str, size: dict[str, int]
) -> None:
    phone = size is PHONE
    page = open_page(color_scheme=scheme, viewport=size, has_touch=phone)
    for view in ("train", "draw", "loops", "mistakes"):
        page.locator(f"a[href='#{view}']").click()
        section = page.locator(f"#{view}")
        expect(section).to_be_visible()
        if view == "draw":
            draw_seven(page)
            expect(page.locator("#verdict")).to_have_text("7")
        if view in ("loops", "mistakes"):
            expect(section.locator("#forward button, #wrong button").first).to_be_visible()
        for card in section.locator(".card:visible, #wrong:visible").all():  # nothing sticks out to the side
            box = card.bounding_box()
            assert box is not None
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= size["width"] + 0.5
        if os.environ.get("LAYERLOOP_SHOTS"):
            name = f"{view}-{scheme}-{'phone' if phone else 'wide'}.png"
            page.screenshot(path=Path(os.environ["LAYERLOOP_SHOTS"], name), full_page=True)


def test_every_control_has_a_name_and_every_picture_a_text(open_page: Callable[..., Page], pictures: str) -> None:
    page = open_page()
    for view in ("train", "draw", "loops", "mistakes"):
        page.locator(f"a[href='#{view}']").click()
        expect(page.locator(f"#{view}")).to_be_visible()
        tree = page.locator(f"#{view}").aria_snapshot()
        nameless = re.findall(
            r"- (?:button|textbox|combobox|spinbutton|slider|checkbox|link|img)(?: \[\w+\])?:?$", tree, re.M
        )
        assert nameless == [], view


def test_a_page_that_is_loaded_again_has_the_settings_of_its_run_and_says_when_the_server_is_gone(
    browser: Browser,
) -> None:
    door, desk = lab.Door(), lab.Desk()
    page = browser.new_page()
    with door.serving(lab.lab_app(desk, door.site)):
        page.goto(door.address)
        expect(page.locator("[name=data] option").first).to_be_attached()
        train(page, "circles", layers="8, 4", epochs="3")
        page.reload()
        for name, value in {"data": "circles", "layers": "8, 4", "epochs": "3", "validation": "0"}.items():
            expect(page.locator(f"[name={name}]")).to_have_value(value)
    expect(page.locator("#lost")).to_contain_text("is the command still running?")
    page.close()
    desk.leave()


def test_foreign_pages_cannot_reach_it(browser: Browser, door: lab.Door) -> None:
    """A page of another origin asks for everything that there is, and gets nothing."""
    from http.server import BaseHTTPRequestHandler, HTTPServer
    from threading import Thread

    script = f"""
      const results = [];
      const tried = [["{door.origin}/choices", {{}}], ["{door.origin}/control", {{method: "POST", body: "{{}}"}}],
        ["{door.origin}/train", {{method: "POST", headers: {{"Content-Type": "application/json"}}, body: "{{}}"}}]];
      for (const [path, options] of tried)
        await fetch(path, options).then(() => results.push("read"), () => results.push("refused"));
      document.title = results.join(" ");"""

    class Foreign(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(f"<title>begun</title><script type=module>{script}</script>".encode())

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Foreign) as other:
        Thread(target=other.serve_forever).start()
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{other.server_port}/")
        expect(page).to_have_title("refused refused refused")
        page.close()
        other.shutdown()
