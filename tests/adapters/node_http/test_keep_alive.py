"""Requests over an open connection that the node closes before it has answered."""

from __future__ import annotations

import socket
from collections.abc import Callable
from threading import Thread

import pytest
from pydantic import SecretStr

from tests.adapters.conftest import QUICK
from tests.support.faulty_connections import reset, send_then_reset, silence
from tests.support.scripted_node import Answer, scripted_node, success
from workmesh_flows.adapters.node_http.client import node_client
from workmesh_flows.domain.node import Node
from workmesh_flows.errors import NodeUnavailable

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
CLOSED = [pytest.param(Answer(raw=b""), id="closed"), pytest.param(Answer(behaviour=reset), id="reset")]


@pytest.mark.parametrize("close", CLOSED)
def test_a_request_whose_open_connection_is_closed_is_sent_once_more_over_a_new_one(close: Answer) -> None:
    answers = iter([success(1), close, success(2)])
    with scripted_node(lambda asked: next(answers)) as node, node_client(node.node(), QUICK) as client:
        assert client.post("/x.json", {"n": 1}) == 1
        assert client.post("/x.json", {"n": 2}) == 2
    _, first, second = node.asked
    assert (first.body, first.headers) == (second.body, second.headers)
    assert [asked.peer == node.asked[0].peer for asked in node.asked] == [True, True, False]


@pytest.mark.parametrize("close", CLOSED)
def test_a_request_whose_second_connection_is_closed_has_failed(close: Answer) -> None:
    answers = iter([success(1), close, close, success(2)])
    with scripted_node(lambda asked: next(answers)) as node, node_client(node.node(), QUICK) as client:
        client.post("/x.json", {})
        with pytest.raises(NodeUnavailable) as raised:
            client.post("/x.json", {})
        assert raised.value.interrupted
        assert client.post("/x.json", {}) == 2


def test_a_node_that_closes_its_connection_and_is_gone_may_have_failed_because_of_the_request() -> None:
    listener: list[socket.socket] = []

    def die(connection: socket.socket) -> None:
        listener.pop().close()
        reset(connection)

    with socket.create_server(("127.0.0.1", 0)) as server:
        listener.append(server)
        thread = Thread(target=_answer_once, args=(server, die))
        thread.start()
        node = Node("n1", "127.0.0.1", SecretStr("k"), ("s",), server.getsockname()[1])
        with node_client(node, QUICK) as client:
            client.ping()
            with pytest.raises(NodeUnavailable, match="no connection") as raised:
                client.ping()
        thread.join()
    assert raised.value.interrupted


def _answer_once(server: socket.socket, then: Callable[[socket.socket], None]) -> None:
    """Answer one request, and act on the connection at the second."""
    connection, _ = server.accept()
    _read_request(connection)
    connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{"status":"success"}')
    _read_request(connection)
    then(connection)


def _read_request(connection: socket.socket) -> None:
    """Read headers and body, which may arrive in two parts."""
    received = b""
    while not received.endswith(b"}"):
        received += connection.recv(65_536)


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param(Answer(behaviour=silence(10)), id="a timeout"),
        pytest.param(Answer(raw=HEAD), id="a part of an answer"),
        pytest.param(Answer(behaviour=send_then_reset(HEAD)), id="a part of an answer and a reset"),
        pytest.param(Answer(raw=b"SSH-2.0-OpenSSH\r\n\r\n"), id="no HTTP"),
        pytest.param(Answer(code=503), id="503"),
    ],
)
def test_other_failures_are_not_sent_again_at_once(failure: Answer) -> None:
    answers = iter([success(1), failure])
    with scripted_node(lambda asked: next(answers)) as node, node_client(node.node(), QUICK) as client:
        client.post("/x.json", {})
        with pytest.raises(NodeUnavailable):
            client.post("/x.json", {})
    assert len(node.asked) == 2


def test_the_first_request_over_a_connection_is_not_sent_again_at_once() -> None:
    with scripted_node(lambda asked: Answer(raw=b"")) as node, node_client(node.node(), QUICK) as client:
        for _ in range(2):
            with pytest.raises(NodeUnavailable):
                client.post("/x.json", {})
    assert len(node.asked) == 2
