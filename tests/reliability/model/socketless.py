"""Requests that reach the nodes without a socket, which saves two threads and a connection."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.reliability.model.environment import Environment
from tests.support.scripted_node import Asked


def answer_without_sockets(monkeypatch: pytest.MonkeyPatch, environment: Environment) -> None:
    """Answer requests with the scripts of the scripted nodes, without their sockets."""
    scripts = {server.port: server for server in environment.servers.values()}

    def handle(transport: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        if request.url.port not in scripts:
            raise httpx.ConnectError("Connection refused", request=request)
        body = request.read()
        headers = {key.lower(): value for key, value in request.headers.items()}
        answer = scripts[request.url.port].script(Asked(request.url.path, headers, json.loads(body), body))
        if answer.raw is not None:
            raise httpx.RemoteProtocolError(
                "Server disconnected without sending a response.", request=request
            )
        return httpx.Response(answer.code, headers=answer.headers, stream=httpx.ByteStream(answer.body))

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", handle)
