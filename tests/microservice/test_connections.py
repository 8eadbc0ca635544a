"""Connections of callers that are slow, or too many."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from time import monotonic

import httpx
import pytest

from tests.microservice.caller import wait_for
from tests.microservice.conftest import Call, StartNode
from workmesh_flows.microservice import NodeProcess

HEAD = b"POST /api/1.0/ping.json HTTP/1.1\r\nHost: n\r\n"


@pytest.fixture
def impatient(start_node: StartNode) -> NodeProcess:
    """A node that waits a second for a request, and keeps three connections."""
    return start_node(
        environment={"WORKMESH_REQUEST_SECONDS": "1", "WORKMESH_MAX_CONNECTIONS": "3"},
    )


@contextmanager
def connected(node: NodeProcess) -> Iterator[socket.socket]:
    with closing(socket.create_connection(("127.0.0.1", node.port), timeout=10)) as connection:
        yield connection


def answer(connection: socket.socket, keep_sending: bytes = b"") -> bytes:
    """All that comes until the node closes the connection; meanwhile a byte is sent now and then."""
    content, connection_end = b"", monotonic() + 10
    connection.settimeout(0.1)
    while monotonic() < connection_end:
        try:
            if keep_sending:
                connection.sendall(keep_sending)
            received = connection.recv(4096)
        except TimeoutError:
            continue
        except OSError:
            return content
        if not received:
            return content
        content += received
    raise AssertionError("the node did not close the connection")


@pytest.mark.parametrize(
    ("begin", "slowly"),
    [
        pytest.param(b"", b"", id="sends nothing"),
        pytest.param(HEAD[:5], b"", id="sends a part of the head"),
        pytest.param(HEAD, b"X: y\r\n", id="sends headers without end"),
    ],
)
def test_a_connection_without_the_head_of_a_request_is_closed(
    impatient: NodeProcess, call: Call, begin: bytes, slowly: bytes
) -> None:
    with connected(impatient) as connection:
        connection.sendall(begin)
        assert answer(connection, slowly) == b""
    assert call(impatient).post("ping").status == "success"


@pytest.mark.parametrize("slowly", [b"", b" "], ids=["stops", "goes on slowly"])
def test_a_body_that_does_not_arrive_in_time_is_answered_with_408(
    impatient: NodeProcess, slowly: bytes
) -> None:
    with connected(impatient) as connection:
        connection.sendall(HEAD + b"Content-Length: 5000\r\n\r\n{")
        received = answer(connection, slowly)
    assert received.startswith(b"HTTP/1.1 408 ")
    assert b"the request did not arrive within 1 seconds" in received


def test_what_follows_an_answered_request_must_arrive_in_time_too(impatient: NodeProcess) -> None:
    body = json.dumps({"api_key": impatient.api_key}).encode()
    with connected(impatient) as connection:
        connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        received = b""
        while not received.endswith(b"}"):
            received += connection.recv(4096)
        connection.sendall(HEAD)
        assert answer(connection) == b""


def test_a_kept_connection_may_be_idle_for_longer(impatient: NodeProcess, call: Call) -> None:
    caller = call(impatient)
    first = caller.post("ping")
    end = monotonic() + 1.3
    with connected(impatient) as connection:
        answer(connection)  # until the node closes this one, a second has passed
    wait_for(lambda: monotonic() > end)
    assert caller.post("ping") == first


def test_a_connection_above_the_limit_is_told_to_come_back(impatient: NodeProcess, call: Call) -> None:
    caller = call(impatient)

    def is_served() -> bool:
        try:
            answer = caller.send("POST", "/api/1.0/ping.json", json={"api_key": caller.api_key})
        except httpx.TransportError:  # the answer may be lost when the node closes the connection
            return False
        return answer.is_success

    with connected(impatient), connected(impatient), connected(impatient), connected(impatient) as fourth:
        assert answer(fourth).startswith(b"HTTP/1.1 503 ")
    wait_for(is_served)
