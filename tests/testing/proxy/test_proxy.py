"""The proxy as a part of the network: it keeps connections, forwards messages, and can be closed and started again."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from tests.support.scripted_node import Answer, Asked, ScriptedNode, scripted_node, success
from workmesh_flows.testing import (
    DropAnswer,
    FaultyProxy,
    History,
    Latency,
    Request,
    RequestContent,
    RequestOutcome,
    RequestSent,
    parse_request,
    read_history,
)

CHUNKED = (
    b"HTTP/1.1 100 Continue\r\n\r\n"
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b'6;note=x\r\n{"stat\r\nd\r\nus":"success"\r\n1\r\n}\r\n0\r\nTrailer: x\r\n\r\n'
)


@pytest.fixture
def node() -> Iterator[ScriptedNode]:
    with scripted_node() as made:
        yield made


@pytest.fixture
def proxy(node: ScriptedNode) -> Iterator[FaultyProxy]:
    with FaultyProxy(f"127.0.0.1:{node.port}") as made:
        yield made


@pytest.fixture
def client(proxy: FaultyProxy) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{proxy.port}", timeout=5) as made:
        yield made


def test_several_requests_use_one_connection_to_the_node(
    node: ScriptedNode, proxy: FaultyProxy, client: httpx.Client
) -> None:
    for number in range(20):
        assert client.post("/a.json", json={"number": number}).json()["status"] == "success"
    assert [asked.body["number"] for asked in node.asked] == list(range(20))
    assert len({asked.peer for asked in node.asked}) == 1
    assert [request.number for request in proxy.requests] == list(range(1, 21))


@pytest.mark.parametrize("size", [0, 1, 70_000, 3_000_000])
def test_bodies_of_any_size_are_forwarded_in_both_directions(
    node: ScriptedNode, client: httpx.Client, size: int
) -> None:
    node.script = lambda asked: success(asked.body["text"])
    assert client.post("/a.json", json={"text": "x" * size}).json()["value"] == "x" * size


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(CHUNKED, id="chunked, after a provisional answer"),
        pytest.param(b'HTTP/1.1 200 OK\r\n\r\n{"status":"success"}', id="ended by the connection"),
        pytest.param(b'HTTP/1.0 200 OK\r\nContent-Length: 20\r\n\r\n{"status":"success"}', id="HTTP/1.0"),
    ],
)
def test_answers_are_forwarded_in_any_framing(node: ScriptedNode, proxy: FaultyProxy, raw: bytes) -> None:
    node.script = lambda asked: Answer(raw=raw)
    for _ in range(2):
        assert httpx.post(f"http://127.0.0.1:{proxy.port}/a.json", json={}).json() == {"status": "success"}
    assert [request.outcome for request in proxy.requests] == [RequestOutcome.ACCEPTED] * 2


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        pytest.param(Answer(b'{"status":"Wrong api_key"}'), RequestOutcome.ANSWERED, id="a refusal"),
        pytest.param(Answer(b"<html>"), RequestOutcome.ANSWERED, id="not JSON"),
        pytest.param(Answer(b'{"status":"success"}', code=500), RequestOutcome.ANSWERED, id="a crash"),
        pytest.param(Answer(raw=b""), RequestOutcome.LOST, id="closes the connection"),
        pytest.param(
            Answer(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"),
            RequestOutcome.LOST,
            id="closes the connection in the body",
        ),
        pytest.param(Answer(raw=b"SSH-2.0\r\n\r\n"), RequestOutcome.LOST, id="not HTTP"),
    ],
)
def test_the_outcome_of_a_request_is_recorded(
    node: ScriptedNode, proxy: FaultyProxy, client: httpx.Client, answer: Answer, outcome: RequestOutcome
) -> None:
    node.script = lambda asked: answer
    try:
        client.post("/a.json", json={})
    except httpx.TransportError:
        assert outcome is RequestOutcome.LOST
    assert [request.outcome for request in proxy.requests] == [outcome]


def test_a_closed_proxy_refuses_connections_and_reopens_at_the_same_port(
    proxy: FaultyProxy, client: httpx.Client
) -> None:
    port = proxy.port
    client.post("/a.json", json={})
    proxy.close()
    with pytest.raises(httpx.TransportError):
        client.post("/a.json", json={})
    proxy.close()
    proxy.start()
    assert proxy.port == port
    assert client.post("/a.json", json={}).is_success
    assert [request.number for request in proxy.requests] == [1, 2]


def test_closing_ends_an_open_request_at_once(proxy: FaultyProxy, client: httpx.Client) -> None:
    proxy.policy = lambda request: Latency(60)
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(client.post, "/a.json", json={})
        time.sleep(0.1)
        began = time.monotonic()
        proxy.close()
        assert isinstance(asking.exception(), httpx.TransportError)
    assert time.monotonic() - began < 2
    assert [request.outcome for request in proxy.requests] == [RequestOutcome.WITHHELD]


def test_a_request_to_an_unreachable_node_is_withheld() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = taken.getsockname()[1]
    with FaultyProxy(f"http://127.0.0.1:{free}/") as proxy:
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.post(f"http://127.0.0.1:{proxy.port}/a.json", json={})
        assert [request.outcome for request in proxy.requests] == [RequestOutcome.WITHHELD]


def test_a_request_ends_when_its_sender_gives_it_up(node: ScriptedNode, proxy: FaultyProxy) -> None:
    """The node still handles it, but the sender's next request must not look like a concurrent one."""
    handling = threading.Event()

    def script(asked: Asked) -> Answer:
        if asked.body.get("slow"):
            handling.wait(5)
        return success()

    node.script = script
    url = f"http://127.0.0.1:{proxy.port}/a.json"
    for _ in range(5):
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(url, json={"slow": True}, timeout=0.05)
        httpx.post(url, json={})
    handling.set()
    proxy.close()
    in_order = sorted(proxy.requests, key=lambda request: request.number)
    assert [request.outcome for request in in_order] == [RequestOutcome.LOST, RequestOutcome.ACCEPTED] * 5
    assert all(one.end <= two.start for one, two in pairwise(in_order))


@pytest.mark.parametrize(
    ("path", "body", "content"),
    [
        pytest.param(
            "/api/1.0/lead/push.json",
            {"leads": [{"id": 1}, {"id": "b"}]},
            ("lead", "push", (1, "b")),
            id="several records",
        ),
        pytest.param("/api/1.0/lead/push.json", {"lead": {"id": 3}}, ("lead", "push", (3,)), id="one record"),
        pytest.param("/api/1.0/lead/pull.json", {"ids": [4, "5"]}, ("lead", "pull", (4, "5")), id="ids"),
        pytest.param("/api/1.0/lead/status.json", {}, (None, None, ()), id="a request without records"),
        pytest.param("/push.json", {"lead": {"id": 3}}, (None, "push", (3,)), id="a path without a folder"),
        pytest.param("/api/1.0/lead/push.json", {"a": 1, "b": 2}, (None, None, ()), id="two keys"),
        pytest.param("/api/1.0/lead/push.json", [1], (None, None, ()), id="not an object"),
        pytest.param("/api/1.0/lead/push.json", {"leads": []}, (None, None, ()), id="an empty list"),
    ],
)
def test_protocol_and_ids_are_found_in_the_path_and_the_body(path: str, body: object, content: tuple) -> None:
    if isinstance(body, dict):
        body = {"api_key": "secret", **body}
    request = Request(1, "POST", path, {}, json.dumps(body).encode())
    assert parse_request(request) == RequestContent(*content)


@pytest.mark.parametrize(
    ("path", "body", "content"),
    [
        pytest.param(
            "/import", b'{"leads": [{"id": 1}]}', RequestContent("lead/hot", "push", (1,)), id="records"
        ),
        pytest.param("/api/1.0/ping.json", b"{}", RequestContent("lead/hot"), id="a ping"),
    ],
)
def test_the_lane_header_takes_precedence_over_the_path(
    path: str, body: bytes, content: RequestContent
) -> None:
    headers = {"workmesh-lane": "leads.scoring/lead%2Fhot"}
    assert parse_request(Request(1, "POST", path, headers, body)) == content


def test_requests_are_recorded_in_the_history_without_keys_and_payloads(
    node: ScriptedNode, tmp_path: Path
) -> None:
    node.script = lambda asked: success({"refused": {"2": "a payload's own words"}})
    path = tmp_path / "history.jsonl"
    with (
        History(path) as history,
        FaultyProxy(f"127.0.0.1:{node.port}", history=history, service="leads", node="n1") as proxy,
    ):
        body = {"leads": [{"id": 1, "email": "ann@x.example"}, {"id": 2}], "api_key": "s3cret"}
        headers = {"Workmesh-Epoch": "4"}
        url = f"http://127.0.0.1:{proxy.port}/lead/push.json?token=t0ken"
        httpx.post(url, json=body, headers=headers)
        proxy.policy = lambda request: DropAnswer()
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.post(url, json=body, headers=headers)
    events = list(read_history(path))
    assert [type(event) for event in events] == [RequestSent] * 2
    first, second = events
    assert isinstance(first, RequestSent)
    assert isinstance(second, RequestSent)
    assert (first.service, first.node, first.protocol, first.epoch) == ("leads", "n1", "lead", 4)
    assert (first.ids, first.refused, first.outcome, first.code) == (
        (1, 2),
        ("2",),
        RequestOutcome.ACCEPTED,
        200,
    )
    assert (second.outcome, second.fault) == (RequestOutcome.LOST, "DropAnswer")
    text = path.read_text()
    assert not any(secret in text for secret in ("s3cret", "ann@", "own words", "t0ken"))


def test_a_proxy_with_a_history_needs_the_names_of_its_service_and_node(tmp_path: Path) -> None:
    with (
        History(tmp_path / "h.jsonl") as history,
        pytest.raises(ValueError, match="the names of its service"),
    ):
        FaultyProxy("127.0.0.1:1", history=history)
