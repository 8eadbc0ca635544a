"""A node with a real socket whose answers a test scripts, and which keeps the requests that it got."""

from __future__ import annotations

import json
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pydantic import SecretStr

from workmesh_flows.domain.node import Node

API_KEY = "{0A7E1C52-9C1B-4E7A-8D3F-5B6C7D8E9F01}"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request; ``raw`` is its body, ``peer`` the port of the client."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    raw: bytes = b""
    peer: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer; ``raw`` bytes replace the whole HTTP answer, empty ones close the connection.

    ``behaviour`` replaces it too: it gets the connection, which is closed when it returns.
    """

    body: bytes = b'{"status":"success","value":""}'
    code: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    behaviour: Callable[[socket.socket], None] | None = None


Script = Callable[[Asked], Answer]


def success(value: Any = "") -> Answer:
    return Answer(json.dumps({"status": "success", "value": value}).encode())


def failure(status: str) -> Answer:
    return Answer(json.dumps({"status": status, "value": ""}).encode())


@dataclass(slots=True)
class ScriptedNode:
    """A running scripted node; ``script`` may be replaced while it runs."""

    port: int
    script: Script
    asked: list[Asked] = field(default_factory=list)
    host: str = "127.0.0.1"
    scheme: str = "http"

    def node(self, *services: str, name: str = "n1", api_key: str = API_KEY, **more: Any) -> Node:
        """The inventory entry of the node."""
        return Node(
            name=name,
            host=self.host,
            port=self.port,
            scheme=self.scheme,
            api_key=SecretStr(api_key),
            services=services or ("s",),
            **more,
        )

    def paths(self) -> list[str]:
        return [asked.path for asked in self.asked]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that close the connection, which some tests do; print other errors."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Server6(_Server):
    address_family = socket.AF_INET6


@contextmanager
def scripted_node(
    script: Script = lambda asked: success(), *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> Iterator[ScriptedNode]:
    """Serve a script on a free port of this machine, over https where ``tls`` is given."""
    served = ScriptedNode(0, script, host=host, scheme="http" if tls is None else "https")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {k.lower(): v for k, v in self.headers.items()}
            asked = Asked(self.path, headers, json.loads(body), body, self.client_address[1])
            served.asked.append(asked)
            answer = served.script(asked)
            if answer.raw is not None or answer.behaviour is not None:
                self.close_connection = True
                self.wfile.write(answer.raw or b"")
                if answer.behaviour is not None:
                    answer.behaviour(self.connection)
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.send_response(answer.code)
            for name, value in {"Content-Type": "text/html;charset=utf-8", **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *args: Any) -> None:
            pass

    server = (_Server6 if ":" in host else _Server)((host, 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    served.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
