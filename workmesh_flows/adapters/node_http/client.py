"""The one seam to the nodes: an HTTP request goes out, a value or one of our errors comes back."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from time import monotonic
from typing import Any

import httpx

from workmesh_flows.adapters.node_http.encoding import encode
from workmesh_flows.adapters.node_http.errors import translated_http_errors
from workmesh_flows.adapters.node_http.log_filter import keep_answers_out_of_logs
from workmesh_flows.adapters.store.engine import Clock, utc_now
from workmesh_flows.domain.answers import RawAnswer, Scrub, read_answer, scrubber
from workmesh_flows.domain.limits import Limits
from workmesh_flows.domain.node import Node
from workmesh_flows.errors import (
    BatchTooLarge,
    NodeError,
    NodeMisconfigured,
    NodeUnavailable,
    RecordRefused,
    RequestCrashed,
)

PING = "/api/1.0/ping.json"
VERSION = "/api/1.0/version.json"
WORKLOAD = "/api/1.0/workload.json"
_HEADERS = ("content-type", "retry-after")
"""Those of an answer that say something to us, beside where it redirects to."""
USER_AGENT = f"workmesh-flows/{version('workmesh-flows')}"


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends: the lane, and the epoch under which it is held; both go into headers.

    ``clock`` is what a pause that the node asks for is counted from.
    """

    lane: str
    epoch: int
    clock: Clock = utc_now


class HttpNodeClient:
    """One node over a kept connection. Raises only errors of ours, and none of them carries the key."""

    def __init__(self, node: Node, http: httpx.Client, limits: Limits, sender: Sender | None = None) -> None:
        """Made by :func:`node_client`."""
        self._node, self._http, self._limits, self._sender = node, http, limits, sender
        self.scrub: Scrub = scrubber(node.api_key.get_secret_value())
        self.at_most: int | None = None
        """Bytes of a payload that may be sent; None is any number."""
        self._urls: dict[str, httpx.URL] = {}

    @property
    def name(self) -> str:
        """The node's name in the inventory."""
        return self._node.name

    def post(self, path: str, payload: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any JSON
        """Post ``payload`` beside the api key and return the answer's ``value``.

        The Idempotency-Key is derived from the lane, the path and the payload: a request that is sent again says
        so. Raises NodeUnavailable, NodeMisconfigured, RequestCrashed, BatchTooLarge or RecordRefused.
        """
        content = encode(payload)
        if not content.startswith(b"{"):
            raise RecordRefused(
                f"the payload is a {type(payload).__name__}; only an object has room for the key"
            )
        if self.at_most is not None and len(content) > self.at_most:
            size = f"the request would have {len(content):,} bytes, {self.at_most:,} are allowed"
            raise BatchTooLarge(size, node=self.name, unsent=True)
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": self._idempotency_key(path, content),
        }
        if self._sender is not None:
            headers["Workmesh-Epoch"] = str(self._sender.epoch)
            headers["Workmesh-Lane"] = self._sender.lane
        with _named(self._node), translated_http_errors():
            body = _with_key(content, self._node.api_key.get_secret_value())
            with self._http.stream("POST", self._url(path), content=body, headers=headers) as response:
                answer = self._read(response)
            now = self._sender.clock() if self._sender else utc_now()
            return read_answer(answer, path=path, scrub=self.scrub, now=now)

    def ping(self) -> None:
        """Ask whether the node is there and takes our key; raises NodeUnavailable or NodeMisconfigured."""
        self._ask(PING)

    def version(self) -> str:
        """The version of the micro-service."""
        return self.scrub(str(self._ask(VERSION)))

    def workload(self) -> int:
        """Tasks that the node has still to do."""
        value = self._ask(WORKLOAD)
        if isinstance(value, bool) or not isinstance(value, int):
            said = self.scrub(repr(value))[:80]
            raise NodeMisconfigured(f"{WORKLOAD} gives {said}, not a number", node=self.name)
        return value

    def _ask(self, path: str) -> Any:  # noqa: ANN401 - any JSON
        try:
            return self.post(path, {})
        except RecordRefused as refusal:
            raise NodeMisconfigured(f"{path} is refused: {refusal.reason}", node=self.name) from refusal
        except (RequestCrashed, BatchTooLarge) as error:  # nothing was asked that could be at fault
            raise NodeUnavailable(error.reason, node=self.name) from error

    def _read(self, response: httpx.Response) -> RawAnswer:
        body, limit = bytearray(), self._limits.max_answer_bytes
        headers = {name: response.headers.get(name, "") for name in _HEADERS}
        headers["location"] = response.extensions.get("location", "")
        deadline = monotonic() + self._limits.read_timeout
        for piece in response.iter_bytes():
            body += piece
            if monotonic() > deadline:
                why = f"its answer takes longer than {self._limits.read_timeout:g} s to arrive"
                raise NodeUnavailable(why, interrupted=True)
            if len(body) > limit:
                return RawAnswer(response.status_code, headers, bytes(body[:limit]), cut=True)
        return RawAnswer(response.status_code, headers, bytes(body))

    def _url(self, path: str) -> httpx.URL:
        """The whole address of an access point, put together once: httpx would do so for each request."""
        if path not in self._urls:
            self._urls[path] = self._http.build_request("POST", path).url
        return self._urls[path]

    def _idempotency_key(self, path: str, content: bytes) -> str:
        lane = self._sender.lane if self._sender else ""
        return hashlib.sha256(b"\0".join([lane.encode(), path.encode(), content])).hexdigest()


@contextmanager
def node_client(node: Node, limits: Limits, *, sender: Sender | None = None) -> Iterator[HttpNodeClient]:
    """A client for one node, closed at the end of the block; raises NodeMisconfigured for a bad address or CA file."""
    keep_answers_out_of_logs()
    with _named(node), translated_http_errors():
        http = httpx.Client(
            base_url=_address(node),
            timeout=httpx.Timeout(limits.read_timeout, connect=limits.connect_timeout),
            verify=_verification(node),
            follow_redirects=False,
            # A compressed answer would grow past max_answer_bytes before anyone could stop it.
            headers={"User-Agent": USER_AGENT, "Accept": "application/json", "Accept-Encoding": "identity"},
            event_hooks={"response": [_keep_redirect_unread]},
        )
    with http:
        yield HttpNodeClient(node, http, limits, sender)


@contextmanager
def _named(node: Node) -> Iterator[None]:
    try:
        yield
    except NodeError as error:
        error.node = error.node or node.name
        raise


def _keep_redirect_unread(response: httpx.Response) -> None:
    """Httpx reads a redirect's address even where it follows none, and fails on one that is long or odd."""
    if "location" in response.headers:
        response.extensions["location"] = response.headers.pop("location")


def _address(node: Node) -> httpx.URL:
    try:
        url = httpx.URL(node.address)
        url.host.encode("idna")  # as the resolver will
    except UnicodeError as error:
        raise NodeMisconfigured(f"its address {node.address} cannot be used: {error}") from error
    return url


def _verification(node: Node) -> ssl.SSLContext | bool:
    if node.scheme != "https":
        return False  # nothing to verify, and loading the CA bundle costs a tenth of a second a client
    if not node.verify:
        return False
    try:
        return ssl.create_default_context(cafile=node.ca_file) if node.ca_file else httpx.create_ssl_context()
    except OSError as error:  # ssl.SSLError is one
        named = node.ca_file or "that SSL_CERT_FILE or SSL_CERT_DIR names"
        raise NodeMisconfigured(f"its CA file {named} cannot be read: {error}") from error


def _with_key(content: bytes, api_key: str) -> bytes:
    """The payload's JSON object with the key in it, last, so that it counts; the payload not written a second time."""
    key = b'"api_key":' + encode(api_key) + b"}"
    return b"{" + key if content == b"{}" else content[:-1] + b"," + key
