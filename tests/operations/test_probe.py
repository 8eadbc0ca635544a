from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine

from tests.operations.delivery.lane_runs import PING, as_node, order_node
from tests.support.scripted_node import API_KEY, Answer, Asked, failure, scripted_node, success
from workmesh_flows.adapters.store.engine import database_clock
from workmesh_flows.adapters.store.probes import SavedProbe, read_probes, save_probes
from workmesh_flows.domain.limits import Limits
from workmesh_flows.domain.node import Node, NodeState
from workmesh_flows.operations.probe import Probe, probe_and_save, probe_nodes, recent_probes

VERSION = "/api/1.0/version.json"


def test_a_real_node_is_reachable_and_returns_its_version(tmp_path: Path) -> None:
    with order_node(tmp_path) as process:
        assert probe_nodes([as_node(process)]) == {
            "n1": Probe(reachable=True, works=True, version="1.2.3", workload=0)
        }


@pytest.mark.parametrize(
    ("answer", "reachable", "problem"),
    [
        (failure("Wrong api_key"), True, "rejects the API key"),
        (Answer(code=401), True, "rejects the API key"),
        (Answer(code=404), True, "answers 404"),
        (Answer(code=302, headers={"Location": "/404"}), True, "redirects to /404"),
        (Answer(code=500), False, "answers 500"),
        (Answer(b"<html>"), False, "is not JSON"),
        (Answer(raw=b""), False, ""),
    ],
)
def test_a_failing_node_is_a_result_and_no_error(answer: Answer, reachable: bool, problem: str) -> None:
    with scripted_node(lambda asked: answer) as node:
        probe = probe_nodes([node.node()])["n1"]
    assert (probe.reachable, probe.works) == (reachable, False)
    assert problem in probe.problem
    assert probe.problem


def test_a_node_without_a_version_is_still_reachable() -> None:
    def script(asked: Asked) -> Answer:
        return success() if asked.path == PING else Answer(code=404)

    with scripted_node(script) as node:
        probe = probe_nodes([node.node()])["n1"]
    assert (probe.reachable, probe.works, probe.version) == (True, True, "")
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
    assert len(node.asked) == 9


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


@pytest.mark.parametrize("answer", [failure("no such endpoint"), success("many"), success(True)])
def test_a_node_that_does_not_report_its_queue_has_no_problem(answer: Answer) -> None:
    with scripted_node(lambda asked: answer if "workload" in asked.path else success("1")) as node:
        assert probe_nodes([node.node()])["n1"] == Probe(reachable=True, works=True, version="1")


NODES = {"n1": Node("n1", "127.0.0.1", SecretStr("key"), ("s",), revision="a")}
NOW = datetime(2026, 11, 1, tzinfo=UTC)


def saved_at(engine: Engine, at: datetime) -> None:
    save_probes(engine, [SavedProbe("n1", "a", True, True, "1", "", 7, at)])


def recent(engine: Engine, nodes: dict[str, Node] = NODES, *, seconds: float = 60) -> dict[str, Probe]:
    return recent_probes(engine, nodes, seconds=seconds, now=NOW)


def test_a_saved_probe_is_used_while_it_is_recent(engine: Engine) -> None:
    assert recent(engine) == {}
    saved_at(engine, NOW - timedelta(seconds=59))
    assert recent(engine) == {"n1": Probe(reachable=True, works=True, version="1", workload=7)}
    assert recent(engine, seconds=59) == {}
    assert recent(engine, seconds=0) == {}


def test_a_saved_probe_is_not_used_once_the_block_of_its_node_has_changed(engine: Engine) -> None:
    saved_at(engine, NOW)
    assert recent(engine, {"n1": replace(NODES["n1"], revision="b")}) == {}
    assert recent(engine, {"n2": NODES["n1"]}) == {}


def test_a_probe_is_saved_with_the_time_before_its_first_request(engine: Engine) -> None:
    times: list[datetime] = []

    def script(asked: Asked) -> Answer:
        times.append(database_clock(engine)())
        return success(3)

    with scripted_node(script) as node:
        found = probe_and_save(engine, [node.node(), node.node(name="n2", state=NodeState.DISABLED)])
    (saved,) = read_probes(engine)
    assert (saved.node, saved.reachable, saved.workload) == ("n1", True, 3)
    assert saved.probed_at <= min(times)
    assert found == {"n1": Probe(reachable=True, works=True, version="3", workload=3)}


def test_a_probe_replaces_the_one_before_and_those_of_removed_nodes_are_forgotten(engine: Engine) -> None:
    saved_at(engine, NOW - timedelta(days=2))
    save_probes(engine, [SavedProbe("n2", "a", False, False, "", "no\0 connection", 2**70, NOW)])
    assert read_probes(engine) == [SavedProbe("n2", "a", False, False, "", "no  connection", None, NOW)]
    save_probes(engine, [SavedProbe("n2", "b", True, True, "", "", None, NOW)])
    assert [saved.revision for saved in read_probes(engine)] == ["b"]
