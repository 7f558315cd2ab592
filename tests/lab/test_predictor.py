"""What `serve` answers: the numbers of the model itself, and a sentence for every request that makes no sense."""

from __future__ import annotations

import json
import select
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import ExitStack, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import layerloop
from asking import PORT, ask
from layerloop import Chain, Dense, Inputs, lab, relu, save, softmax
from layerloop.errors import MissingExtraError, SettingError
from layerloop.lab import extra
from layerloop.lab.guards import Site
from layerloop.lab.predictor import ROWS, prediction_app

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layerloop.lab.guards import Guards

CLASSES = ("no", "yes")


def network(**settings: Any) -> Chain:
    return Chain(Dense(3, 4, relu), Dense(4, 2), softmax, seed=1, classes=CLASSES, **settings)


@pytest.fixture
def app() -> Guards:
    return prediction_app(network(), "classes", Site(PORT))


def test_answers_are_those_of_the_model(app: Guards) -> None:
    rows = np.random.default_rng(0).normal(size=(5, 3)).round(3)
    got = ask(app, "POST", "/predict", {"rows": rows.tolist()})
    assert got.status == 200
    for answer, output in zip(got.json["predictions"], network()(rows), strict=True):
        assert answer["probabilities"] == {name: float(p) for name, p in zip(CLASSES, output, strict=True)}
        assert answer["prediction"] == CLASSES[int(output.argmax())]


def test_columns_go_by_name_in_any_order() -> None:
    app = prediction_app(network(inputs=Inputs(columns=("a", "b", "c"))), "classes", Site(PORT))
    by_name = ask(app, "POST", "/predict", {"rows": [{"c": 3, "a": 1, "b": 2}, [1, 2, 3]]}).json["predictions"]
    assert by_name[0] == by_name[1]
    lacks = ask(app, "POST", "/predict", {"rows": [{"a": 1, "b": 2}]})
    assert (lacks.status, lacks.json) == (422, {"error": "row 0 lacks the column 'c'"})


def test_values_come_as_numbers() -> None:
    m = Chain(Dense(2, 1), seed=3)
    got = ask(prediction_app(m, "values", Site(PORT)), "POST", "/predict", {"rows": [[1, 2]]}).json
    assert got == {"predictions": [{"prediction": float(m(np.array([1.0, 2.0]))[0])}]}


BAD: dict[str, tuple[bytes, int, str]] = {
    "no JSON": (b"{", 400, "this is no JSON"),
    "no object": (b"[1]", 400, "expected a JSON object, got a list"),
    "not UTF-8": (b"\xff\xfe{}", 400, "this is no JSON"),
    "nested too deeply": (b'{"rows": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400, "this is no JSON"),
    "NaN": (b'{"rows": [[NaN, 0, 0]]}', 400, "NaN is no number"),
    "infinity": (b'{"rows": [[0, -Infinity, 0]]}', 400, "-Infinity is no number"),
    "no rows": (b"{}", 422, 'expected {"rows": [[...], ...]}, got no rows'),
    "another key": (b'{"rows": [[0, 0, 0]], "path": "/etc/passwd"}', 422, "got the key 'path'"),
    "empty rows": (b'{"rows": []}', 422, "1 to 10,000 rows, got 0 rows"),
    "rows of another kind": (b'{"rows": "abc"}', 422, "got a str"),
    "too many rows": (json.dumps({"rows": [[0, 0, 0]] * (ROWS + 1)}).encode(), 422, "got 10,001 rows"),
    "a short row": (b'{"rows": [[0, 0, 0], [0, 0]]}', 422, "row 1 must be a list of 3 numbers, got 2 numbers"),
    "a flat row": (b'{"rows": [0, 0, 0]}', 422, "row 0 must be a list of 3 numbers, got a int"),
    "a word": (b'{"rows": [[0, "x", 0]]}', 422, "row 0, column 1 must be a number, got 'x'"),
    "a list": (b'{"rows": [[0, 0, [1]]]}', 422, "row 0, column 2 must be a number"),
    "null": (b'{"rows": [[0, 0, 0], [null, 0, 0]]}', 422, "row 1, column 0 must be a number, got None"),
    "true": (b'{"rows": [[true, true, true]]}', 422, "row 0, column 0 must be a number, got True"),
    "a number beyond the type": (b'{"rows": [[1e300, 0, 0]]}', 422, "row 0"),
    "a number beyond all": (b'{"rows": [[1e999, 0, 0]]}', 422, "row 0"),
    "a whole number without end": (b'{"rows": [[' + b"9" * 400 + b", 0, 0]]}", 422, "row 0, column 0"),
    "names without columns": (b'{"rows": [{"a": 1}]}', 422, "trained without names"),
}


@pytest.mark.parametrize(("body", "status", "message"), BAD.values(), ids=BAD)
def test_what_makes_no_sense_is_said(app: Guards, body: bytes, status: int, message: str) -> None:
    got = ask(app, "POST", "/predict", body)
    assert got.status == status
    assert message in got.json["error"]


def test_mutated_requests_are_never_an_error_of_the_server(app: Guards) -> None:
    rng, good = np.random.default_rng(0), b'{"rows": [[0.5, -1, 2e3], [1, 2, 3]]}'
    pieces = [
        b"[",
        b"]",
        b"{",
        b"}",
        b'"',
        b",",
        b"null",
        b"true",
        b"1e400",
        b"-",
        b":",
        b"\x00",
        b"\xff",
        b" ",
        b"9" * 30,
    ]
    for _ in range(400):
        body = bytearray(good)
        for _ in range(int(rng.integers(1, 4))):
            at, piece = int(rng.integers(len(body))), pieces[int(rng.integers(len(pieces)))]
            body[at : at + int(rng.integers(3))] = piece
        assert ask(app, "POST", "/predict", bytes(body)).status in (200, 400, 422), bytes(body)


def test_the_description_says_what_is_there(app: Guards) -> None:
    api = ask(app, "GET", "/openapi.json").json
    assert api["openapi"].startswith("3.1")
    for path, methods in api["paths"].items():
        for method in methods:
            status = ask(app, method.upper(), path, {"rows": [[0, 0, 0]]} if method == "post" else b"").status
            assert str(status) in methods[method]["responses"]
    schema = api["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert schema["properties"]["rows"]["maxItems"] == ROWS
    assert schema["properties"]["rows"]["items"]["minItems"] == 3


def test_an_error_of_the_server_itself_keeps_its_secrets(app: Guards, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("/a/secret/path")

    monkeypatch.setattr("layerloop.lab.predictor.matrix", fails)
    got = ask(app, "POST", "/predict", {"rows": [[0, 0, 0]]})
    assert (got.status, "secret" in got.body.decode()) == (500, False)


# Over a socket.


@pytest.fixture
def door() -> Iterator[lab.Door]:
    door = lab.Door()
    m = Chain(Dense(784, 256, relu), Dense(256, 10), softmax)
    with door.serving(lab.prediction_app(m, "classes", door.site)):
        yield door


def test_many_clients_at_once_are_all_answered(door: lab.Door) -> None:
    body = json.dumps({"rows": [[0.5] * 784]})
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {door.site.token}"}
    statuses: list[int] = []

    def client() -> None:
        connection = HTTPConnection("127.0.0.1", door.site.port, timeout=30)
        for _ in range(10):
            connection.request("POST", "/predict", body, headers)
            response = connection.getresponse()
            response.read()
            statuses.append(response.status)
        connection.close()

    threads = [threading.Thread(target=client) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 320


@pytest.mark.parametrize("sent", ["half of a head", "half of a body"])
def test_two_hundred_slow_sockets_do_not_hold_anybody_up(
    sent: str, door: lab.Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("layerloop.lab.server.HEAD_SECONDS", 1.5)
    host = f"Host: 127.0.0.1:{door.site.port}\r\n"
    body = f"Authorization: Bearer {door.site.token}\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{{"
    begun = f"POST /predict HTTP/1.1\r\n{host}{body}" if "body" in sent else "GET /healthz HTTP/1.1\r\nHost: "
    with ExitStack() as stack:
        slow = [stack.enter_context(socket.create_connection(("127.0.0.1", door.site.port), 15)) for _ in range(200)]
        for one in slow:
            one.sendall(begun.encode())
        assert np.median([seconds_to_health(door) for _ in range(11)]) < 0.1
        if "body" in sent:  # as many wait as the limit says, and the others are told
            assert sum(b" 503 " in first for one in slow if (first := at_hand(one))) == 200 - 64
            return
        for one in slow:  # a byte now and then does not help them
            one.sendall(b"x")
        assert all(one.recv(100) == b"" for one in slow)


def seconds_to_health(door: lab.Door) -> float:
    begun = time.perf_counter()
    with urllib.request.urlopen(f"{door.origin}/healthz", timeout=5) as answer:
        assert json.load(answer) == {"ok": True}
    return time.perf_counter() - begun


def at_hand(one: socket.socket) -> bytes:
    """What a socket has received already."""
    return one.recv(1000) if select.select([one], [], [], 0)[0] else b""


def test_a_head_without_end_is_cut_off(door: lab.Door) -> None:
    """Long before its ten seconds are over."""
    with socket.create_connection(("127.0.0.1", door.site.port), timeout=5) as one:
        one.sendall(f"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{door.site.port}\r\n".encode())
        with suppress(ConnectionError):  # it may be cut off while it is still sending
            for k in range(200):
                one.sendall(f"X-{k}: {'x' * 500}\r\n".encode())
            assert one.recv(100) == b""


STRANGE = {
    "a length said in two ways": (
        "POST /predict",
        "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}",
        b" 400 ",
    ),
    "two lengths": ("POST /predict", "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", b" 400 "),
    "a method that nobody knows": ("BREW /", "\r\n", b" 400 "),
    "a tunnel": ("CONNECT evil.example:80", "\r\n", b" 400 "),
    "a zero in the path": ("GET /healthz\0.html", "\r\n", b" 400 "),
    "another host": ("GET /healthz", "Host: evil.example\r\n\r\n", b" 400 "),
    "a long path": (f"GET /{'a' * 16_400}", "\r\n", b" 431 "),
    "long headers": ("GET /healthz", f"X: {'a' * 16_400}\r\n\r\n", b" 431 "),
    "a websocket": ("GET /healthz", "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", b" 200 "),  # none is opened
}


@pytest.mark.parametrize(("line", "rest", "status"), STRANGE.values(), ids=STRANGE)
def test_strange_requests_over_a_socket(line: str, rest: str, status: bytes, door: lab.Door) -> None:
    head = f"Host: 127.0.0.1:{door.site.port}\r\nAuthorization: Bearer {door.site.token}\r\n"
    with socket.create_connection(("127.0.0.1", door.site.port), timeout=5) as one:
        one.sendall(f"{line} HTTP/1.1\r\n{head}Content-Type: application/json\r\n{rest}".encode())
        assert status in one.recv(1000).splitlines()[0]


def test_answers_do_not_wait_for_the_other_side_to_confirm_their_head(door: lab.Door) -> None:
    """asyncio switches that off (TCP_NODELAY) for sockets that name TCP and for no others; it costs 40 ms an answer."""
    assert door.socket.proto == socket.IPPROTO_TCP


def test_a_taken_port_and_an_unknown_host_are_said() -> None:
    first = lab.Door()
    with pytest.raises(
        SettingError, match=f"cannot serve on 127.0.0.1, port {first.site.port} .*choose another --port"
    ):
        lab.Door(port=first.site.port)
    other = lab.Door(port=first.site.port, or_any=True)
    assert other.site.port != first.site.port
    with pytest.raises(SettingError, match=r"no\.such\.host\.invalid is no host"):
        lab.Door("no.such.host.invalid")
    first.close()
    other.close()


def test_the_address_has_the_token_and_the_environment_may_give_one(monkeypatch: pytest.MonkeyPatch) -> None:
    door = lab.Door("127.0.0.1")
    assert (len(door.site.token), door.site.addresses) == (32, True)
    assert door.address == f"http://127.0.0.1:{door.site.port}/?token={door.site.token}"
    door.close()
    monkeypatch.setenv("LAYERLOOP_TOKEN", "Drawn-at-random_by-somebody")
    door = lab.Door()
    assert (door.site.token, door.site.addresses) == ("Drawn-at-random_by-somebody", False)
    door.close()
    for weak in ("", "secret", "a word; and another, of a good length"):
        monkeypatch.setenv("LAYERLOOP_TOKEN", weak)
        with pytest.raises(SettingError, match="LAYERLOOP_TOKEN is 22 to 200 letters"):
            lab.Door()


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extra, "NEEDED", ("starlette", "no_such_library"))
    with pytest.raises(MissingExtraError, match=r"no_such_library, not installed: pip install 'layerloop\[lab\]'"):
        lab.__getattr__("Door")  # a name that was used before is no longer looked for


def test_the_command_serves_until_it_is_stopped(tmp_path: Path) -> None:
    model = save(network(), tmp_path / "m.safetensors")
    command = [sys.executable, "-m", "layerloop", "serve", str(model), "--port", "0", "--json"]
    environment = {"PYTHONPATH": str(Path(layerloop.__file__).parents[1])}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    with process:
        said = json.loads(process.stdout.readline())
        address = said["address"].removesuffix(f"?token={said['token']}")
        with urllib.request.urlopen(f"{address}model", timeout=10) as answer:
            assert json.load(answer)["classes"] == list(CLASSES)
        process.send_signal(2)
        assert process.wait(10) == 0
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()


def test_a_bad_model_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "bad.safetensors").write_bytes(b"no model")
    command = [sys.executable, "-m", "layerloop", "serve", str(tmp_path / "bad.safetensors"), "--port", "0"]
    environment = {"PYTHONPATH": str(Path(layerloop.__file__).parents[1])}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=20, check=False)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
