"""Errors of connections and of answers in transit; headers; translation of httpx errors."""

from __future__ import annotations

import inspect
import logging
import socket
from time import monotonic
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from tests.adapters.conftest import QUICK, Ask
from tests.support.faulty_connections import reset, send_then_reset, silence, trickle
from tests.support.scripted_node import API_KEY, Answer, Asked, scripted_node, success
from tests.support.secrecy import assert_secret, texts_of
from workmesh_flows.adapters.node_http.client import Sender, node_client
from workmesh_flows.adapters.node_http.errors import translated_http_errors
from workmesh_flows.domain.node import Node
from workmesh_flows.errors import NodeError, NodeMisconfigured, NodeUnavailable, RecordRefused

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def node_at(host: str, port: int, **more: Any) -> Node:
    return Node(name="n1", host=host, port=port, api_key=SecretStr(API_KEY), services=("s",), **more)


def refusal(node: Node) -> NodeError:
    """The error that a request to this node raises."""
    with pytest.raises(NodeError) as raised, node_client(node, QUICK) as client:
        client.post("/x.json", {"a": 1})
    assert_secret(API_KEY, *texts_of(raised.value))
    assert raised.value.node == "n1"
    return raised.value


def test_a_closed_port_is_no_connection(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        error = refusal(node_at("127.0.0.1", taken.getsockname()[1]))
    assert type(error) is NodeUnavailable
    assert "no connection" in str(error)
    assert "refused" in str(error)
    assert_secret(API_KEY, caplog.text)


def test_an_unknown_host_is_no_connection() -> None:
    error = refusal(node_at("no-such-host.invalid", 80))
    assert type(error) is NodeUnavailable
    assert "no connection" in str(error)


def test_a_connection_that_is_not_accepted_times_out() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:  # they fill the backlog, so that the next connection is not accepted
            one.setblocking(False)
            one.connect_ex(server.getsockname())
        started = monotonic()
        error = refusal(node_at("127.0.0.1", server.getsockname()[1]))
        for one in waiting:
            one.close()
    assert type(error) is NodeUnavailable
    assert "no connection (ConnectTimeout" in str(error)
    assert monotonic() - started < 5 * QUICK.connect_timeout


@pytest.mark.parametrize("host", ["a..b", "a" * 64, "xn--", "1::2::3", "ü" * 70])
def test_an_invalid_address_is_a_misconfiguration(host: str) -> None:
    error = refusal(node_at(host, 80))
    assert type(error) is NodeMisconfigured
    assert "address" in str(error)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Answer(raw=b""), id="closed before the answer"),
        pytest.param(Answer(behaviour=reset), id="reset before the answer"),
        pytest.param(Answer(raw=b"HTTP/1.1 200 OK\r\nContent-"), id="closed in the headers"),
        pytest.param(
            Answer(behaviour=send_then_reset(b"HTTP/1.1 200 OK\r\nContent-")), id="reset in the headers"
        ),
        pytest.param(Answer(raw=HEAD + b'{"status":"success"}'), id="shorter than its Content-Length"),
        pytest.param(
            Answer(behaviour=send_then_reset(HEAD + b'{"status":"success"}')), id="reset in the body"
        ),
        pytest.param(Answer(raw=CHUNKED + b'14\r\n{"status":"success"}\r\n'), id="chunks without an end"),
        pytest.param(Answer(raw=CHUNKED + b'ff\r\n{"status":"success"}'), id="closed in a chunk"),
        pytest.param(Answer(headers={"Content-Encoding": "gzip"}), id="claims to be compressed"),
    ],
)
def test_an_incomplete_answer_is_an_unavailable_node(ask: Ask, answer: Answer) -> None:
    error = ask(answer)
    assert type(error) is NodeUnavailable
    assert "its answer is incomplete" in str(error)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(b"", b"\r\n\r\n", id="in place of an answer"),
        pytest.param(b"HTTP/1.1 200 ", b"\r\nContent-Length: 0\r\n\r\n", id="in the reason phrase"),
        pytest.param(b"HTTP/1.1 400 ", b"\r\nContent-Length: 0\r\n\r\n", id="in a refusal's reason phrase"),
        pytest.param(b"HTTP/1.1 ", b" OK\r\n\r\n", id="in place of the code"),
        pytest.param(b"HTTP/1.1 200 OK\r\n", b"\r\n\r\n", id="in place of a header"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: ", b"\r\n\r\n", id="in place of a length"),
        pytest.param(CHUNKED, b"\r\n", id="in place of a chunk"),
        pytest.param(CHUNKED + b"2\r\n{}\r\n0\r\n", b"\r\n\r\n", id="in place of a trailer"),
    ],
)
@pytest.mark.parametrize("api_key", [API_KEY, 'p"ä\\ss </%+ wörd'])
def test_a_request_echoed_as_invalid_http_does_not_reveal_the_key(
    ask: Ask, before: bytes, after: bytes, api_key: str
) -> None:
    error = ask(lambda asked: Answer(raw=before + asked.raw + after), api_key=api_key)
    assert isinstance(error, Exception)
    assert len(str(error)) < 200


def test_a_node_that_sends_nothing_times_out(ask: Ask) -> None:
    started = monotonic()
    error = ask(Answer(behaviour=silence(10)))
    assert type(error) is NodeUnavailable
    assert "it does not answer in time" in str(error)
    assert QUICK.read_timeout <= monotonic() - started < 4 * QUICK.read_timeout


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        pytest.param(HEAD.replace(b"100", b"100000"), b" ", id="plain"),
        pytest.param(CHUNKED, b"1\r\n \r\n", id="chunked"),
    ],
)
def test_a_body_that_arrives_slowly_times_out_in_total(ask: Ask, head: bytes, piece: bytes) -> None:
    started = monotonic()
    error = ask(Answer(behaviour=trickle(head, piece, 0.05)))
    assert type(error) is NodeUnavailable
    assert "takes longer than 0.5 s" in str(error)
    assert monotonic() - started < 3 * QUICK.read_timeout


def test_after_a_broken_connection_the_next_request_gets_a_new_one() -> None:
    answers = iter([success(1), Answer(raw=HEAD), success(3)])
    with scripted_node(lambda asked: next(answers)) as node, node_client(node.node(), QUICK) as client:
        assert client.post("/x.json", {}) == 1
        with pytest.raises(NodeUnavailable):
            client.post("/x.json", {})
        assert client.post("/x.json", {}) == 3
    assert [asked.peer == node.asked[0].peer for asked in node.asked] == [True, True, False]


def test_one_connection_serves_many_requests() -> None:
    def script(asked: Asked) -> Answer:
        return Answer(b"{}", 503) if len(node.asked) % 2 else success(asked.body["n"])

    with scripted_node(script) as node, node_client(node.node(), QUICK) as client:
        for number in range(1, 101):
            try:
                assert client.post("/x.json", {"n": number}) == number
            except NodeUnavailable:
                assert number % 2
    assert len(node.asked) == 100
    assert len({asked.peer for asked in node.asked}) == 1


def test_an_ipv6_address_is_given_without_brackets() -> None:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6")
    with scripted_node(host="::1") as node, node_client(node.node(), QUICK) as client:
        client.ping()
        assert node.asked[0].headers["host"] == f"[::1]:{node.port}"


def test_requests_of_a_lane_carry_its_epoch_in_a_header() -> None:
    with scripted_node() as node:
        with node_client(node.node(), QUICK, sender=Sender("shop/orders", 7)) as client:
            client.post("/x.json", {"a": 1})
        with node_client(node.node(), QUICK) as client:
            client.post("/x.json", {"a": 1})
    sent, without = (asked.headers for asked in node.asked)
    assert sent["content-type"] == "application/json"
    assert sent["workmesh-epoch"] == "7"
    assert sent["user-agent"].startswith("workmesh-flows/0.")
    assert sent["accept-encoding"] == "identity"
    assert "workmesh-epoch" not in without
    assert node.asked[0].body == {"a": 1, "api_key": API_KEY}


def test_the_idempotency_key_depends_on_lane_path_and_payload_only() -> None:
    def key(lane: str = "l", epoch: int = 1, path: str = "/p", api_key: str = API_KEY, **payload: Any) -> str:
        sender = Sender(lane, epoch)
        with node_client(node.node(api_key=api_key), QUICK, sender=sender) as client:
            client.post(path, payload)
        return node.asked[-1].headers["idempotency-key"]

    with scripted_node() as node:
        same = {key(a=1), key(a=1), key(a=1, epoch=2), key(a=1, api_key="another key of the same node")}
        others = {
            key(a=2),
            key(b=1),
            key(a="1"),
            key(a=1, lane="m"),
            key(a=1, path="/q"),
            key(),
            key(a=1, b=1),
        }
    assert len(same) == 1
    assert len(others) == 7
    assert not same & others
    assert all(len(one) == 64 for one in same)


def test_lane_and_path_are_separated_in_the_idempotency_key() -> None:
    with scripted_node() as node:
        for lane, path in (("a", "/b/c"), ("a/b", "/c")):
            with node_client(node.node(), QUICK, sender=Sender(lane, 1)) as client:
                client.post(path, {})
    first, second = (asked.headers["idempotency-key"] for asked in node.asked)
    assert first != second


@pytest.mark.parametrize("payload", [[1, 2], "text", 5, None, b"{}"])
def test_a_payload_that_is_not_an_object_is_refused_unsent(payload: Any) -> None:
    with (
        scripted_node() as node,
        node_client(node.node(), QUICK) as client,
        pytest.raises(RecordRefused, match=type(payload).__name__),
    ):
        client.post("/x.json", payload)
    assert node.asked == []


HTTPX_ERRORS = [cls for _, cls in inspect.getmembers(httpx, inspect.isclass) if issubclass(cls, Exception)]


def instance_of(cls: type[Exception]) -> Exception:
    """An exception of httpx, constructed as httpx does."""
    request = httpx.Request("POST", "http://127.0.0.1/x.json")
    if issubclass(cls, httpx.HTTPStatusError):
        return cls("404 Not Found", request=request, response=httpx.Response(404))
    if issubclass(cls, httpx.RequestError):
        return cls("what happened", request=request)
    if issubclass(
        cls, httpx.StreamConsumed | httpx.StreamClosed | httpx.RequestNotRead | httpx.ResponseNotRead
    ):
        return cls()
    return cls("what happened")


def test_the_list_of_httpx_exceptions_is_complete() -> None:
    assert {httpx.ConnectError, httpx.InvalidURL, httpx.CookieConflict, httpx.StreamConsumed} <= set(
        HTTPX_ERRORS
    )
    assert len(HTTPX_ERRORS) > 25


@pytest.mark.parametrize("cls", HTTPX_ERRORS)
def test_each_httpx_exception_is_translated(cls: type[Exception]) -> None:
    original = instance_of(cls)
    with pytest.raises(NodeError) as raised, translated_http_errors():
        raise original
    assert type(raised.value) in {NodeUnavailable, NodeMisconfigured}
    assert str(raised.value)
    if isinstance(original, httpx.RemoteProtocolError | httpx.ProxyError):  # they quote what was received
        assert raised.value.__cause__ is None
        assert raised.value.__suppress_context__
    else:
        assert raised.value.__cause__ is original


def test_other_exceptions_are_not_translated() -> None:
    with pytest.raises(KeyError), translated_http_errors():
        raise KeyError
