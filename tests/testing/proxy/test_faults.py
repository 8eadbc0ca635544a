"""Each fault of the proxy: the error at the master's client, and whether a real node got the request."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count

import httpx
import pytest

from workmesh_flows.adapters.node_http.client import PING, HttpNodeClient, Sender, node_client
from workmesh_flows.domain.limits import Limits
from workmesh_flows.errors import (
    NodeError,
    NodeMisconfigured,
    NodeUnavailable,
    RequestCrashed,
    UnreadableAnswer,
)
from workmesh_flows.microservice import NodeProcess
from workmesh_flows.testing import (
    TRANSIENT,
    BrokenJson,
    Chaos,
    DropAnswer,
    Fault,
    FaultyProxy,
    HalfClose,
    Html,
    Latency,
    Redirect,
    Request,
    RequestOutcome,
    Reset,
    SlowBody,
    Unavailable,
    inventory_node,
    running_node,
)

PUSH = "/api/1.0/order/push.json"
SHORT_TIMEOUTS = Limits(connect_timeout=1, read_timeout=0.3)
_ids = count(1)


@pytest.fixture(scope="module")
def node() -> Iterator[NodeProcess]:
    with running_node("tests.operations.delivery.micro_orders:orders") as process:
        yield process


@pytest.fixture
def proxy(node: NodeProcess) -> Iterator[FaultyProxy]:
    with FaultyProxy(node.url) as made:
        yield made


@pytest.fixture
def client(node: NodeProcess, proxy: FaultyProxy) -> Iterator[HttpNodeClient]:
    seen = inventory_node(node, "shop.orders", port=proxy.port)
    with node_client(seen, SHORT_TIMEOUTS, sender=Sender("shop.orders/order", 7)) as made:
        yield made


def once(fault: Fault) -> Iterator[Fault | None]:
    yield fault
    while True:
        yield None


def inject(proxy: FaultyProxy, fault: Fault) -> None:
    """The next request meets the fault; later ones are forwarded."""
    faults = once(fault)
    proxy.policy = lambda request: next(faults)


def new_order() -> dict[str, list[dict[str, object]]]:
    return {"orders": [{"id": next(_ids), "text": "an order"}]}


def arrived(node: NodeProcess, payload: dict[str, list[dict[str, object]]]) -> int:
    """The number of arrivals of the order at the node."""
    return sum(arrival.id == payload["orders"][0]["id"] for arrival in node.arrivals())


@pytest.mark.parametrize(
    ("fault", "error", "outcome", "reaches_the_node"),
    [
        pytest.param(Reset(), NodeUnavailable, RequestOutcome.WITHHELD, False, id="reset"),
        pytest.param(
            Latency(0.5), NodeUnavailable, RequestOutcome.WITHHELD, False, id="latency beyond the timeout"
        ),
        pytest.param(Latency(0.02), None, RequestOutcome.ACCEPTED, True, id="latency within the timeout"),
        pytest.param(HalfClose(), NodeUnavailable, RequestOutcome.LOST, True, id="half an answer"),
        pytest.param(DropAnswer(), NodeUnavailable, RequestOutcome.LOST, True, id="no answer"),
        pytest.param(SlowBody(0.2), NodeUnavailable, RequestOutcome.LOST, True, id="body beyond the timeout"),
        pytest.param(SlowBody(0.01), None, RequestOutcome.ACCEPTED, True, id="slow body within the timeout"),
        pytest.param(BrokenJson(), UnreadableAnswer, RequestOutcome.LOST, True, id="half of the JSON"),
        pytest.param(Unavailable(), NodeUnavailable, RequestOutcome.WITHHELD, False, id="503"),
        pytest.param(Html(), UnreadableAnswer, RequestOutcome.WITHHELD, False, id="a page in HTML"),
        pytest.param(Redirect(), NodeMisconfigured, RequestOutcome.WITHHELD, False, id="redirect"),
        pytest.param(
            Redirect("/500"), RequestCrashed, RequestOutcome.WITHHELD, False, id="redirect to the error page"
        ),
    ],
)
def test_each_fault_raises_its_error_and_the_request_is_recorded(  # noqa: PLR0917 - one parameter for each column
    node: NodeProcess,
    proxy: FaultyProxy,
    client: HttpNodeClient,
    fault: Fault,
    error: type[NodeError] | None,
    outcome: RequestOutcome,
    reaches_the_node: bool,
) -> None:
    payload = new_order()
    inject(proxy, fault)
    if error is None:
        client.post(PUSH, payload)
    else:
        with pytest.raises(error) as caught:
            client.post(PUSH, payload)
        assert type(caught.value) is error
    client.ping()  # the next request is forwarded, on the same client
    request, ping = proxy.requests
    assert (request.outcome, request.fault, request.epoch) == (outcome, type(fault).__name__, 7)
    assert (request.protocol, request.direction) == ("order", "push")
    assert request.ids == (payload["orders"][0]["id"],)
    assert request.start <= request.end <= ping.start <= ping.end
    assert (ping.path, ping.direction, ping.outcome) == (PING, None, RequestOutcome.ACCEPTED)
    assert ping.protocol in {None, "order"}
    assert arrived(node, payload) == reaches_the_node


@pytest.mark.parametrize(
    "fault", [DropAnswer(), HalfClose(), BrokenJson()], ids=lambda fault: type(fault).__name__
)
def test_a_record_sent_again_after_a_lost_answer_is_accepted_once(
    node: NodeProcess, proxy: FaultyProxy, client: HttpNodeClient, fault: Fault
) -> None:
    payload = new_order()
    inject(proxy, fault)
    with pytest.raises((NodeUnavailable, UnreadableAnswer)):
        client.post(PUSH, payload)
    client.post(PUSH, payload)
    assert [request.outcome for request in proxy.requests] == [RequestOutcome.LOST, RequestOutcome.ACCEPTED]
    assert arrived(node, payload) == 1


@pytest.mark.parametrize("kind", ["seconds", "a date", "a naive date"])
def test_the_error_of_a_503_with_retry_after_carries_the_time(
    proxy: FaultyProxy, client: HttpNodeClient, kind: str
) -> None:
    date = datetime.now(UTC) + timedelta(seconds=90)
    kinds: dict[str, int | datetime] = {
        "seconds": 90,
        "a date": date,
        "a naive date": date.replace(tzinfo=None),
    }
    inject(proxy, Unavailable(kinds[kind]))
    with pytest.raises(NodeUnavailable) as caught:
        client.ping()
    assert caught.value.retry_at is not None
    assert abs((caught.value.retry_at - date).total_seconds()) < 20


def test_a_policy_gets_the_whole_request_whose_repr_shows_no_secret(
    node: NodeProcess, proxy: FaultyProxy, client: HttpNodeClient
) -> None:
    seen: list[Request] = []
    proxy.policy = seen.append
    payload = new_order()
    client.post(PUSH, payload)
    client.ping()
    first, second = seen
    assert (first.number, first.method, first.path, second.number) == (1, "POST", PUSH, 2)
    assert first.headers["workmesh-epoch"] == "7"
    assert node.api_key.encode() in first.body
    assert node.api_key not in repr(seen) + repr(proxy.requests) + repr(proxy)


def test_a_chunked_request_is_forwarded(node: NodeProcess, proxy: FaultyProxy) -> None:
    body = b'{"api_key":"' + node.api_key.encode() + b'"}'
    seen: list[Request] = []
    proxy.policy = seen.append
    url = f"http://127.0.0.1:{proxy.port}{PING}"
    headers = {"Content-Type": "application/json"}
    assert httpx.post(url, content=iter([body[:9], body[9:]]), headers=headers).json()["status"] == "success"
    assert [request.body for request in seen] == [body]


def test_chaos_is_reproducible_and_meets_its_rate() -> None:
    requests = [Request(number, "POST", PUSH, {}, b"{}") for number in range(1, 2001)]
    faults = [Chaos(5, 0.3)(request) for request in requests]
    assert faults == [Chaos(5, 0.3)(request) for request in requests]
    assert faults != [Chaos(6, 0.3)(request) for request in requests]
    injected = [fault for fault in faults if fault is not None]
    assert 500 < len(injected) < 700
    assert {type(fault) for fault in injected} == {type(fault) for fault in TRANSIENT}
    assert [Chaos(5, 0)(request) for request in requests[:50]] == [None] * 50
