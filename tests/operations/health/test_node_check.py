"""The check of nodes: which of them work, for which services, and why the others do not."""

from __future__ import annotations

import socket
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from tests.operations.delivery.lane_runs import PING, STATUS, as_node, order_node
from tests.support.certificates import make_authority
from tests.support.scripted_node import API_KEY, Answer, Asked, failure, scripted_node, success
from tests.support.shop import shop_service
from workmesh_flows.domain.limits import Limits
from workmesh_flows.domain.node import NodeState
from workmesh_flows.operations.health.node_check import (
    Fault,
    NodeCheck,
    check_limits,
    check_node,
    failing_targets,
)

SERVICE = shop_service()
LIMITS = Limits(connect_timeout=1, read_timeout=1)
MISSING = "it does not run shop.orders: "


def only_ping(answer: Answer) -> NodeCheck:
    """The check of a node that gives this answer to every request."""
    with scripted_node(lambda asked: answer) as node:
        return check_node(node.node("shop.orders"), [SERVICE], LIMITS)


def test_a_real_node_works_for_the_service_that_it_runs(tmp_path: Path) -> None:
    with order_node(tmp_path) as process:
        found = check_node(as_node(process), [SERVICE], LIMITS, version=True)
    assert (found.fault, found.reason, dict(found.missing), found.version) == (None, "", {}, "1.2.3")
    assert found.clock is not None
    assert abs(found.clock) < timedelta(seconds=3)


@pytest.mark.parametrize(
    "answer",
    [
        failure("Wrong api_key"),
        failure("unauthorized"),
        failure("invalid token"),
        failure("access denied"),
        failure(f"unknown: {API_KEY}"),
        Answer(b"{}", code=401),
        Answer(b"Wrong key", code=400),
    ],
)
def test_a_node_that_refuses_the_key_is_not_reported_as_unreachable(answer: Answer) -> None:
    found = only_ping(answer)
    assert found.fault is Fault.KEY
    assert "the node rejects the API key" in found.reason
    assert API_KEY not in found.reason


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (failure("closed for maintenance"), Fault.SETUP),
        (Answer(code=404), Fault.SETUP),
        (Answer(code=302, headers={"Location": "/404"}), Fault.SETUP),
        (Answer(code=500), Fault.UNREACHABLE),
        (Answer(code=503), Fault.UNREACHABLE),
        (Answer(b"<html>"), Fault.UNREACHABLE),
        (Answer(raw=b""), Fault.UNREACHABLE),
    ],
)
def test_any_other_failure_of_a_ping_has_its_own_reason(answer: Answer, fault: Fault) -> None:
    found = only_ping(answer)
    assert (found.fault, bool(found.reason)) == (fault, True)


def test_a_node_of_which_nothing_listens_and_one_whose_ca_is_unknown_are_told_apart(tmp_path: Path) -> None:
    authority = make_authority(tmp_path)
    with scripted_node(tls=authority.server("127.0.0.1")) as node:
        unknown = check_node(node.node("shop.orders"), [SERVICE], LIMITS)
        known = check_node(node.node("shop.orders", ca_file=authority.ca_file), [SERVICE], LIMITS)
        missing = check_node(node.node("shop.orders", ca_file="/no/such/file"), [SERVICE], LIMITS)
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # bound and not listening: a connection is refused
        down = node.node("shop.orders")
        object.__setattr__(down, "port", bound.getsockname()[1])
        object.__setattr__(down, "scheme", "http")
        refused = check_node(down, [SERVICE], LIMITS)
    assert (unknown.fault, known.fault, missing.fault) == (Fault.SETUP, None, Fault.SETUP)
    assert "its certificate is not accepted" in unknown.reason
    assert "its CA file /no/such/file cannot be read" in missing.reason
    assert refused.fault is Fault.UNREACHABLE
    assert "no connection" in refused.reason


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Answer(code=404), f"{MISSING}{STATUS} answers 404: it has no such endpoint"),
        (Answer(code=405), f"{MISSING}{STATUS} answers 405: it does not allow POST on this endpoint"),
        (Answer(code=302, headers={"Location": "/404"}), f"{MISSING}{STATUS} redirects to /404: "),
        (Answer(code=500), ""),
        (failure("nothing yet"), ""),
        (success(17), ""),
    ],
)
def test_a_node_without_the_status_endpoint_of_a_service_does_not_run_it(answer: Answer, why: str) -> None:
    with scripted_node(lambda asked: answer if asked.path == STATUS else success()) as node:
        found = check_node(node.node("shop.orders"), [SERVICE], LIMITS)
        other = check_node(node.node("another"), [SERVICE], LIMITS)
    assert found.problem_with("shop.orders").startswith(why)
    assert bool(found.problem_with("shop.orders")) == bool(why)
    assert found.fault is None
    assert not other.missing, "a service that the node does not name is not asked for"


def test_only_endpoints_that_change_nothing_are_asked() -> None:
    with scripted_node() as node:
        check_node(node.node("shop.orders"), [SERVICE], LIMITS)
    assert node.paths() == [PING, STATUS]


def test_the_difference_of_the_clocks_is_read_from_the_date_of_the_answer() -> None:
    def late(asked: Asked) -> Answer:
        moment = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
        body = success().body
        head = f"HTTP/1.1 200 OK\r\nDate: {moment}\r\nContent-Length: {len(body)}\r\n\r\n"
        return Answer(raw=head.encode() + body)

    with scripted_node(late) as node:
        found = check_node(node.node("shop.orders"), [], LIMITS)
    assert found.clock is not None
    assert timedelta(minutes=59) < found.clock <= timedelta(hours=1)


def test_only_nodes_that_take_new_entities_are_checked() -> None:
    with scripted_node(lambda asked: failure("Wrong api_key")) as node:
        nodes = [node.node("shop.orders", name=state.value, state=state) for state in NodeState]
        nodes.append(node.node("another", name="foreign"))
        failing = failing_targets(nodes, [SERVICE], LIMITS)
    assert {name: list(reasons) for name, reasons in failing.items()} == {"active": ["shop.orders"]}
    assert len(node.asked) == 1


def test_hundreds_of_nodes_that_do_not_answer_cost_one_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=512) as silent, scripted_node() as node:
        port = silent.getsockname()[1]
        nodes = [node.node("shop.orders", name=f"n{number}") for number in range(200)]
        for one in nodes:
            object.__setattr__(one, "port", port)
        start = time.monotonic()
        failing = failing_targets(nodes, [SERVICE], check_limits(Limits(connect_timeout=0.5)))
        took = time.monotonic() - start
    assert len(failing) == 200
    assert took < 200 * 0.5 / 10
