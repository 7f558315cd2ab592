"""Watching costs nothing: what is new is thinned, never queued, and a page that does not read holds up nobody."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop import lab
from layerloop.data import Dataset
from layerloop.lab import broadcast
from layerloop.lab.broadcast import Latest, Streams
from layerloop.lab.runs import SHARE, Watch
from layerloop.training import Progress
from layerloop.training.recipe import Recipe, prepare

if TYPE_CHECKING:
    import pytest

SCOPE: dict[str, Any] = {"type": "http", "method": "GET", "path": "/stream"}


async def never() -> dict[str, Any]:
    await asyncio.sleep(60)
    raise AssertionError


def steps_in(messages: list[dict[str, Any]]) -> list[int]:
    """The steps that the messages of a stream tell of."""
    text = b"".join(message.get("body", b"") for message in messages).decode()
    return [json.loads(line[6:])["step"] for line in text.splitlines() if line.startswith("data: ")]


def test_a_thousand_updates_a_second_are_thinned_and_a_stalled_page_holds_up_nobody() -> None:
    latest = Latest()
    streams, made = Streams(latest), []

    def put(k: int) -> None:
        latest.put("status", lambda: made.append(k) or {"step": k})  # type: ignore[func-returns-value]

    async def watch() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        got: list[dict[str, Any]] = []
        stuck: list[dict[str, Any]] = []

        async def reads(message: Any) -> None:
            got.append(message)

        async def stalls(message: Any) -> None:
            stuck.append(message)
            if message["type"] == "http.response.body":
                await asyncio.sleep(60)

        put(0)
        pages = [asyncio.create_task(streams(SCOPE, never, send)) for send in (reads, stalls)]
        end, k = time.monotonic() + 1.2, 0
        while time.monotonic() < end:
            put(k := k + 1)
            await asyncio.sleep(0.001)
        put(10**6)
        await asyncio.sleep(1.0)
        for page in pages:
            page.cancel()
        await asyncio.gather(*pages, return_exceptions=True)
        assert latest.watchers == 0
        return got, stuck

    got, stuck = asyncio.run(watch())
    steps = steps_in(got)
    assert 3 <= len(steps) <= 30  # of about a thousand
    assert steps[-1] == 10**6  # nothing newer is held back
    assert len(made) <= len(steps) + 1  # what is not sent is not made
    assert len(steps_in(stuck)) == 1  # one message, and nothing behind it


def test_a_page_that_does_not_read_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broadcast, "STALLED", 0.05)

    async def stalls(message: Any) -> None:
        if message["type"] == "http.response.body":
            await asyncio.sleep(60)

    latest = Latest()
    latest.put("status", lambda: {"step": 1})
    asyncio.run(asyncio.wait_for(Streams(latest)(SCOPE, never, stalls), 5))
    assert latest.watchers == 0


def test_a_quiet_stream_says_that_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broadcast, "QUIET", 0.15)
    latest = Latest()
    latest.put("status", lambda: {"step": 1})
    got: list[Any] = []

    async def watch() -> None:
        async def send(message: Any) -> None:
            got.append(message.get("body"))

        page = asyncio.create_task(Streams(latest)(SCOPE, never, send))
        await asyncio.sleep(0.6)
        page.cancel()
        await asyncio.gather(page, return_exceptions=True)

    asyncio.run(watch())
    assert b": here\n\n" in got


def first_body(latest: Latest, mark: str = "") -> str:
    """What a page is sent first that remembers a mark."""
    got: list[bytes] = []

    async def watch() -> None:
        bodies: asyncio.Queue[bytes] = asyncio.Queue()

        async def send(message: Any) -> None:
            await bodies.put(message.get("body", b""))

        scope = {**SCOPE, "headers": [(b"last-event-id", mark.encode())]}
        page = asyncio.create_task(Streams(latest)(scope, never, send))
        await bodies.get()  # the head
        got.append(await asyncio.wait_for(bodies.get(), 5))
        page.cancel()
        await asyncio.gather(page, return_exceptions=True)

    asyncio.run(watch())
    return got[0].decode()


def test_a_page_that_comes_back_gets_what_is_newer_than_what_it_has_seen() -> None:
    latest = Latest()
    latest.put("status", lambda: {"step": 1})
    latest.put("picture", lambda: {"weights": []})
    first = first_body(latest)
    assert [line for line in first.splitlines() if line.startswith("event")] == ["event: status", "event: picture"]
    mark = first.rstrip().rpartition("id: ")[2]
    assert first_body(latest, mark) == ": here\n\n"
    latest.put("status", lambda: {"step": 2})
    assert first_body(latest, mark).startswith('event: status\ndata: {"step":2}\n\nid: ')
    for other in ("", "x", "1-1", mark + "0x", f"{mark[:-2]}-", "\xb2", Latest().mark({"a": 9}).decode()[4:].strip()):
        assert "event: picture" in first_body(latest, other), other  # it has seen nothing of this server


def task_of(rows: int = 600) -> Any:
    rng = np.random.default_rng(0)
    X, y = rng.integers(256, size=(rows, 64), dtype=np.uint8), rng.integers(3, size=rows)
    return prepare(Dataset("random", X, y, "classes", tuple("abc"), 1 / 255, (8, 8), 8), None, Recipe(layers=(5,)))


def test_nothing_is_drawn_while_nobody_watches_and_little_when_many_do() -> None:
    latest = Latest()
    watch = Watch(task_of(), "random", latest)
    now = Progress(watch.task.m, 1, 9, 1, 4, 0.5, 0.1, 128)
    drawn = latest.versions["picture"]
    watch._due = 0.0
    watch(now)
    assert latest.versions["picture"] == drawn
    latest.watchers = 1
    begun = time.perf_counter()
    watch(now)
    took = time.perf_counter() - begun
    again = latest.versions["picture"]
    assert again > drawn
    assert watch._due - begun >= 0.5 * took / SHARE  # the next one comes so much later
    watch(now)
    assert latest.versions["picture"] == again
    assert latest.versions["status"] > again


def test_over_sockets_every_page_gets_the_end_though_one_of_them_does_not_read() -> None:
    """What it costs, benchmarks/watching.py measures."""
    desk, door = lab.Desk(), lab.Door()
    with door.serving(lab.lab_app(desk, door.site)):
        pages = [socket.create_connection(("127.0.0.1", door.site.port)) for _ in range(20)]
        for page in pages:
            host, token = f"127.0.0.1:{door.site.port}", f"Authorization: Bearer {door.site.token}"
            page.sendall(f"GET /stream HTTP/1.1\r\nHost: {host}\r\n{token}\r\n\r\n".encode())
            page.settimeout(20)
        desk.run = lab.Run(task_of(), "random", 300, desk.latest)
        desk.run.join(60)
        assert desk.run.watch.state == "done"
        for page in pages[1:]:
            text = ""
            while '"state":"done"' not in text:
                text += page.recv(1 << 16).decode()
            assert text.count("event: status") <= 40
        for page in pages:
            page.close()
