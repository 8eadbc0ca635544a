from __future__ import annotations

import time
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.operations.delivery.lane_runs import PING, as_node, order_node
from tests.support.scripted_node import API_KEY, Answer, Asked, failure, scripted_node, success
from workmesh_flows.domain.limits import Limits
from workmesh_flows.domain.node import Node, NodeState
from workmesh_flows.operations.probe import Probe, probe_nodes

VERSION = "/api/1.0/version.json"


def test_a_real_node_is_reachable_and_returns_its_version(tmp_path: Path) -> None:
    with order_node(tmp_path) as process:
        assert probe_nodes([as_node(process)]) == {"n1": Probe(reachable=True, version="1.2.3")}


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (failure("Wrong api_key"), "ping.json is refused: Wrong api_key"),
        (Answer(code=500), "answers 500"),
        (Answer(code=302, headers={"Location": "/404"}), "redirects to /404"),
        (Answer(b"<html>"), "is not JSON"),
        (Answer(raw=b""), ""),
    ],
)
def test_a_failing_node_is_a_result_and_no_error(answer: Answer, problem: str) -> None:
    with scripted_node(lambda asked: answer) as node:
        probe = probe_nodes([node.node()])["n1"]
    assert not probe.reachable
    assert problem in probe.problem
    assert probe.problem


def test_a_node_without_a_version_is_still_reachable() -> None:
    def script(asked: Asked) -> Answer:
        return success() if asked.path == PING else Answer(code=404)

    with scripted_node(script) as node:
        probe = probe_nodes([node.node()])["n1"]
    assert (probe.reachable, probe.version) == (True, "")
    assert "answers 404" in probe.problem


def test_a_version_never_carries_the_key() -> None:
    with scripted_node(lambda asked: success(f"1.0 {API_KEY}")) as node:
        assert probe_nodes([node.node()])["n1"].version == "1.0 ***"


@pytest.mark.parametrize("host", ["", "no such host", "a..b", "xn--", "a\nb", "[", "ü" * 70])
def test_an_invalid_host_does_not_stop_the_probes_of_others(host: str) -> None:
    with scripted_node() as node:
        bad = Node("bad", host, SecretStr("k"), ("s",))
        probes = probe_nodes([bad, node.node()])
    assert probes["n1"].reachable
    assert not probes["bad"].reachable
    assert probes["bad"].problem


def test_all_nodes_but_disabled_ones_are_probed() -> None:
    with scripted_node() as node:
        nodes = [node.node(name=state.value, state=state) for state in NodeState]
        probes = probe_nodes(nodes)
    assert sorted(probes) == ["active", "draining", "standby"]
    assert len(node.asked) == 6


def test_many_nodes_are_probed_in_parallel() -> None:
    def slow(asked: Asked) -> Answer:
        time.sleep(0.1)
        return success("1")

    with scripted_node(slow) as node:
        began = time.monotonic()
        probes = probe_nodes([node.node(name=f"n{number}") for number in range(20)])
        took = time.monotonic() - began
    assert all(probe.reachable for probe in probes.values())
    assert took < 20 * 0.2 / 2


def test_a_node_that_does_not_answer_costs_at_most_the_timeout() -> None:
    def slow(asked: Asked) -> Answer:
        time.sleep(0.6)
        return success()

    with scripted_node(slow) as node:
        probe = probe_nodes([node.node()], limits=Limits(read_timeout=0.2))["n1"]
    assert not probe.reachable
    assert "it does not answer in time" in probe.problem


def test_no_nodes_give_no_probes() -> None:
    assert probe_nodes([]) == {}
