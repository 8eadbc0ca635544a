"""The only place that sends requests to nodes: it returns the value of an answer, or raises a WorkmeshError."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from time import monotonic
from typing import Any

import httpx

from workmesh_flows.adapters.node_http.connection import proxy_of, verification_of
from workmesh_flows.adapters.node_http.encoding import encode
from workmesh_flows.adapters.node_http.errors import is_closed_unanswered, translated_http_errors
from workmesh_flows.adapters.node_http.log_filter import keep_answers_out_of_logs
from workmesh_flows.adapters.store.engine import Clock, utc_now
from workmesh_flows.domain.answers import (
    RawAnswer,
    Scrub,
    read_answer,
    refused_without_record,
    rejected_key,
    scrubber,
)
from workmesh_flows.domain.limits import Limits
from workmesh_flows.domain.node import Node
from workmesh_flows.errors import (
    BatchTooLarge,
    NodeError,
    NodeMisconfigured,
    NodeUnavailable,
    RecordRefused,
    RequestCrashed,
    UnreadableAnswer,
)

PING = "/api/1.0/ping.json"
VERSION = "/api/1.0/version.json"
WORKLOAD = "/api/1.0/workload.json"
_HEADERS = ("content-type", "retry-after", "date")
"""The headers of an answer that are read, beside ``location``."""
USER_AGENT = f"workmesh-flows/{version('workmesh-flows')}"


@dataclass(frozen=True, slots=True)
class Sender:
    """The lane for which a request is sent, and the epoch of its lease; both go into headers.

    ``clock`` gives the time from which a pause requested by the node is counted.
    """

    lane: str
    epoch: int
    clock: Clock = utc_now


class HttpNodeClient:
    """One node over a persistent connection. Raises only WorkmeshErrors; none of them contains the API key."""

    def __init__(self, node: Node, http: httpx.Client, limits: Limits, sender: Sender | None = None) -> None:
        """Use :func:`node_client`."""
        self._node, self._http, self._limits, self._sender = node, http, limits, sender
        self.scrub: Scrub = scrubber(*node.secrets)
        self.at_most: int | None = None
        """Largest payload that may be sent, in bytes; None for no limit."""
        self.before_request: Callable[[], None] = _do_nothing
        """Called before each request is sent."""
        self.answered_at = ""
        """The ``Date`` of the last answer, as the node sent it."""
        self.replay: str = ""
        """A text that makes the Idempotency-Keys differ from those of the same requests before; "" for none."""
        self._urls: dict[str, httpx.URL] = {}
        self._connected = False

    @property
    def name(self) -> str:
        """The node's name in the inventory."""
        return self._node.name

    def post(self, path: str, payload: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any JSON
        """Post ``payload`` together with the API key and return the answer's ``value``.

        The Idempotency-Key is derived from the lane, the path, the payload and ``replay``: a request that is sent again
        has the same key. Raises NodeUnavailable, NodeMisconfigured, RequestCrashed, UnreadableAnswer, StaleEpoch, BatchTooLarge
        or RecordRefused.
        """
        content = encode(payload)
        if not content.startswith(b"{"):
            raise RecordRefused(
                f"the payload is a {type(payload).__name__}, but must be an object, to which the API key is added"
            )
        if self.at_most is not None and len(content) > self.at_most:
            size = f"the request has {len(content):,} bytes, {self.at_most:,} are allowed"
            raise BatchTooLarge(size, node=self.name, unsent=True)
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": self._idempotency_key(path, content),
        }
        if self._sender is not None:
            headers["Workmesh-Epoch"] = str(self._sender.epoch)
            headers["Workmesh-Lane"] = self._sender.lane
        self.before_request()
        with _named(self._node), translated_http_errors():
            body = _with_key(content, self._node.api_key.get_secret_value())
            request = self._http.build_request("POST", self._url(path), content=body, headers=headers)
            with closing(self._response(request)) as response:
                answer = self._read(response)
            self._connected = True
            now = self._sender.clock() if self._sender else utc_now()
            return read_answer(answer, path=path, scrub=self.scrub, now=now)

    def ping(self) -> None:
        """Check that the node is reachable and accepts the API key; raises NodeUnavailable or NodeMisconfigured."""
        self._ask(PING)

    def version(self) -> str:
        """The version of the micro-service."""
        return self.scrub(str(self._ask(VERSION)))

    def workload(self) -> int:
        """The length of the node's queue: tasks that it still has to process."""
        value = self._ask(WORKLOAD)
        if isinstance(value, bool) or not isinstance(value, int):
            shown = self.scrub(repr(value))[:80]
            raise NodeMisconfigured(f"{WORKLOAD} returns {shown}, not an integer", node=self.name)
        return value

    def _ask(self, path: str) -> Any:  # noqa: ANN401 - any JSON
        try:
            return self.post(path, {})
        except RecordRefused as refusal:
            raise refused_without_record(path, refusal.reason, self.name) from refusal
        except (
            RequestCrashed,
            UnreadableAnswer,
            BatchTooLarge,
        ) as error:  # such a request has no payload that could be the cause
            raise NodeUnavailable(error.reason, node=self.name) from error

    def _response(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return the response, whose body is still to be read.

        A node may close an idle connection at the moment when the next request is sent over it. If an open connection
        is closed before any answer, the request is sent once more over a new one, with the same Idempotency-Key.
        """
        reused, self._connected = self._connected, False
        try:
            return self._http.send(request, stream=True)
        except httpx.HTTPError as error:
            if not (reused and is_closed_unanswered(error)):
                raise
        try:
            with translated_http_errors():
                return self._http.send(request, stream=True)
        except NodeUnavailable as error:
            error.interrupted = True  # even without a connection now: the node may have got the first request
            raise

    def _read(self, response: httpx.Response) -> RawAnswer:
        body, limit = bytearray(), self._limits.max_answer_bytes
        headers = {name: response.headers.get(name, "") for name in _HEADERS}
        headers["location"] = response.extensions.get("location", "")
        self.answered_at = headers["date"]
        deadline = monotonic() + self._limits.read_timeout
        for piece in response.iter_bytes():
            body += piece
            if monotonic() > deadline:
                why = f"its answer takes longer than {self._limits.read_timeout:g} s"
                raise NodeUnavailable(why, interrupted=True)
            if len(body) > limit:
                return RawAnswer(response.status_code, headers, bytes(body[:limit]), cut=True)
        return RawAnswer(response.status_code, headers, bytes(body))

    def _url(self, path: str) -> httpx.URL:
        """The full address of an endpoint, built only once: httpx would build it for each request."""
        if path not in self._urls:
            self._urls[path] = self._http.build_request("POST", path).url
        return self._urls[path]

    def _idempotency_key(self, path: str, content: bytes) -> str:
        lane = self._sender.lane if self._sender else ""
        parts = [lane.encode(), path.encode(), content]
        if self.replay:
            parts.append(self.replay.encode())
        return hashlib.sha256(b"\0".join(parts)).hexdigest()


@contextmanager
def node_client(node: Node, limits: Limits, *, sender: Sender | None = None) -> Iterator[HttpNodeClient]:
    """A client for one node, closed at the end of the block; raises NodeMisconfigured for an invalid address or CA file."""
    keep_answers_out_of_logs()
    with _named(node), translated_http_errors():
        http = httpx.Client(
            base_url=_address(node),
            trust_env=False,  # the environment's proxy may be for other hosts, and would get the API key
            proxy=proxy_of(node),
            timeout=httpx.Timeout(limits.read_timeout, connect=limits.connect_timeout),
            verify=verification_of(node),
            follow_redirects=False,
            # A compressed answer could grow past max_answer_bytes before the limit is checked.
            headers=_headers(node),
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
        if isinstance(error, NodeMisconfigured) and error.key:
            error.reason = rejected_key(node.name, error.reason)
        raise


def _do_nothing() -> None:
    """Do nothing before a request."""


def _keep_redirect_unread(response: httpx.Response) -> None:
    """Move the redirect address away from httpx: it parses it even if it follows none, and fails on long or odd ones."""
    if "location" in response.headers:
        response.extensions["location"] = response.headers.pop("location")


def _address(node: Node) -> httpx.URL:
    try:
        url = httpx.URL(node.address + node.path)
        url.host.encode("idna")  # as the resolver does
    except UnicodeError as error:
        raise NodeMisconfigured(f"its address {node.address} is invalid: {error}") from error
    return url


def _headers(node: Node) -> dict[str, str]:
    own = {"User-Agent": USER_AGENT, "Accept": "application/json", "Accept-Encoding": "identity"}
    return {name: value.get_secret_value() for name, value in node.headers.items()} | own


def _with_key(content: bytes, api_key: str) -> bytes:
    """The JSON object with the API key appended: the last of two equal keys counts, and nothing is encoded twice."""
    key = b'"api_key":' + encode(api_key) + b"}"
    return b"{" + key if content == b"{}" else content[:-1] + b"," + key
