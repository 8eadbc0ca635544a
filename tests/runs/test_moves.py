"""Reassign, rebalance and drain as flows: a dry run first, the plan as an artifact, then the same rows applied."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from tests.operations.delivery.lane_runs import STATUS
from tests.operations.moves.movers import move_log, nodes_of_shops
from tests.support.fleet import Fleet
from tests.support.prefect_api import everything, latest_run, latest_table, post
from tests.support.scripted_node import API_KEY, Answer, Asked, ScriptedNode, scripted_node, success
from tests.support.shop import with_push_success, write_orders, write_shops
from workmesh_flows.adapters.store.engine import database_clock
from workmesh_flows.adapters.store.lanes import lease_lane
from workmesh_flows.blocks import ServiceLimits
from workmesh_flows.domain.lane import Lane
from workmesh_flows.domain.node import NodeState
from workmesh_flows.errors import ConfigurationError, RunFailed, StalePlan, UnknownName
from workmesh_flows.flows import MeshFlows, ServiceFlows, mesh_flows, service_flows
from workmesh_flows.inventory.documents import load_inventory, set_node_state
from workmesh_flows.status import moves_made
from workmesh_flows.tasks import moves


@pytest.fixture(autouse=True)
def no_long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_INTEGRATIONS_WORKMESH_SETTLE_SECONDS", "0")
    monkeypatch.setenv("PREFECT_INTEGRATIONS_WORKMESH_LANE_WAIT_SECONDS", "0")


@contextmanager
def nodes(fleet: Fleet, *names: str, **more: Any) -> Iterator[dict[str, ScriptedNode]]:
    with ExitStack() as stack:
        running = {name: stack.enter_context(scripted_node(nothing_processed)) for name in names}
        for name, node in running.items():
            fleet.register(name, node.port, API_KEY, **more)
        yield running


def nothing_processed(asked: Asked) -> Answer:
    return success(None if asked.path == STATUS else "")


def flows_of(fleet: Fleet) -> ServiceFlows:
    return service_flows(fleet.mesh, "shop.orders", module=__name__)


def mesh_flows_of(fleet: Fleet) -> MeshFlows:
    return mesh_flows(fleet.mesh, module=__name__)


def api() -> str:
    from prefect.settings import get_current_settings

    return str(get_current_settings().api.url)


def ends(rows: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return [(row["entity"], row["from"], row["to"]) for row in rows]


def logged(fleet: Fleet) -> list[tuple[str, str, str]]:
    return [(row.entity, row.source, row.target) for row in move_log(fleet.engine)]


def test_a_rebalance_is_a_dry_run_unless_it_is_told_otherwise_and_applies_the_rows_it_showed(
    fleet: Fleet,
) -> None:
    write_shops(fleet.engine, ["n1"] * 6)
    write_orders(fleet.engine, [1, 2, 3, 4, 5, 6])
    with nodes(fleet, "n1", "n2", "n3"):
        flows = flows_of(fleet)
        flows.push()
        planned = flows.rebalance()
        assert planned.message.startswith(
            "dry run, nothing was moved: rebalance of shop.orders: 4 moves from 1 to 2 nodes"
        )
        assert set(nodes_of_shops(fleet.engine).values()) == {"n1"}
        shown = latest_table(api(), "workmesh-plan")
        assert [row["why"] for row in shown] == ["balance"] * 4
        (plan,) = planned.plans
        applied = flows.rebalance(plan=plan.id, dry_run=False)
    assert applied.message == (
        "moved 4 entities, 4 records to push again; n1: 4 records were not processed within 0 s"
    )
    assert sorted(ends(shown)) == sorted(logged(fleet))
    assert latest_table(api(), "workmesh-moves")[0]["moved"] == 4
    assert len(with_push_success(fleet.engine, None)) == 4
    assert latest_run(api())["state"]["message"] == applied.message
    assert API_KEY not in everything(api())
    log = moves_made(fleet.mesh)
    assert set(log["plan"]) == {plan.id}
    assert list(log["epoch"]) == [1, 1, 1, 1]


def test_a_stale_plan_is_refused_with_what_changed(fleet: Fleet) -> None:
    write_shops(fleet.engine, ["n1"] * 6)
    with nodes(fleet, "n1", "n2"):
        flows = flows_of(fleet)
        (plan,) = flows.rebalance().plans
        flows.assign(entities=["6"], reassign=True)
        with pytest.raises(
            StalePlan, match=f"plan {plan.id} is stale; plan again. Since it was made:\n  - node n1 held 6"
        ):
            flows.rebalance(plan=plan.id, dry_run=False)
        with pytest.raises(UnknownName, match="no plan 'rebalance-0'"):
            flows.rebalance(plan="rebalance-0", dry_run=False)
        (drain,) = mesh_flows_of(fleet).drain(["n2"]).plans
        with pytest.raises(ConfigurationError, match=f"plan {drain.id} is a drain of"):
            flows.rebalance(plan=drain.id, dry_run=False)
    assert logged(fleet) == [("6", "n1", "n2")]


def test_a_drain_empties_its_nodes_and_they_take_nothing_new(fleet: Fleet) -> None:
    write_shops(fleet.engine, ["n1", "n2", "n1", "n2", None])
    with nodes(fleet, "n1", "n2", "n3"):
        drain = mesh_flows_of(fleet).drain
        assert drain(["n1", "n2"]).message.startswith(
            "dry run, nothing was moved: drain of shop.orders: 4 moves"
        )
        assert load_inventory().node("n1").state is NodeState.ACTIVE
        assert drain(["n1", "n2"], dry_run=False).message == "moved 4 entities"
        flows_of(fleet).assign()
    assert set(nodes_of_shops(fleet.engine).values()) == {"n3"}
    drained = load_inventory().node("n1")
    assert drained.state is NodeState.DRAINING
    assert drained.api_key == SecretStr(API_KEY)
    assert drained.services == ("shop.orders",)


def test_a_drain_of_an_earlier_dry_run_is_applied_by_its_id_or_refused(fleet: Fleet) -> None:
    write_shops(fleet.engine, ["n1", "n1", "n2"])
    with nodes(fleet, "n1", "n2", "n3"):
        drain = mesh_flows_of(fleet).drain
        (plan,) = drain(["n1"]).plans
        with pytest.raises(ConfigurationError, match=f"plan {plan.id} is not a drain of n2"):
            drain(["n2"], plan=plan.id)
        flows_of(fleet).assign(entities=["3"], reassign=True)
        for dry_run in (True, False):
            with pytest.raises(StalePlan, match="node n2 held 1 entities"):
                drain(["n1"], plan=plan.id, dry_run=dry_run)
        assert load_inventory().node("n1").state is NodeState.ACTIVE
        (fresh,) = drain(["n1"]).plans
        assert drain(["n1"], plan=fresh.id, dry_run=False).message == "moved 3 entities"
        with pytest.raises(ConfigurationError, match="was applied already; plan again"):
            drain(["n1"], plan=fresh.id, dry_run=False)


def test_a_name_that_is_not_known_changes_nothing(fleet: Fleet) -> None:
    write_shops(fleet.engine, ["n1", "n2"])
    with nodes(fleet, "n1", "n2"):
        drain = mesh_flows_of(fleet).drain
        with pytest.raises(UnknownName, match="no node 'nope'; known: n1, n2"):
            drain(["n1", "nope"], dry_run=False)
        with pytest.raises(UnknownName, match=r"no entity of shop\.orders '9'"):
            drain(["n1"], dry_run=False, pinned=["9"])
        assert load_inventory().node("n1").state is NodeState.ACTIVE


def test_a_drain_that_never_heard_that_its_nodes_took_the_state_is_simply_run_again(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_shops(fleet.engine, ["n1", "n1"])

    def lose_the_answer(name: str, state: NodeState) -> None:
        set_node_state(name, state)
        raise httpx.ReadTimeout("no answer")

    with nodes(fleet, "n1", "n2"):
        drain = mesh_flows_of(fleet).drain
        with monkeypatch.context() as broken:
            broken.setattr(moves, "set_node_state", lose_the_answer)
            with pytest.raises(httpx.ReadTimeout):
                drain(["n1"], dry_run=False)
        assert load_inventory().node("n1").state is NodeState.DRAINING
        assert set(nodes_of_shops(fleet.engine).values()) == {"n1"}
        flows_of(fleet).assign()
        assert drain(["n1"], dry_run=False).message == "moved 2 entities"
    assert set(nodes_of_shops(fleet.engine).values()) == {"n2"}


def test_the_last_active_nodes_are_not_drained(fleet: Fleet) -> None:
    write_shops(fleet.engine, ["n1"])
    with nodes(fleet, "n1", "n2"):
        with pytest.raises(ConfigurationError, match=r"shop\.orders would have no active node left"):
            mesh_flows_of(fleet).drain(["n1", "n2"], dry_run=False)
        assert load_inventory().node("n1").state is NodeState.ACTIVE
        dry = mesh_flows_of(fleet).drain(["n1", "n2"])
        assert dry.message.endswith(
            "; the drain would be refused: shop.orders would have no active node left to take entities; "
            "add a node, or drain fewer nodes"
        )


def test_entities_that_cannot_move_for_the_same_reason_are_one_line_of_the_log(
    fleet: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    write_shops(fleet.engine, ["n1"] * 8)
    with nodes(fleet, "n1"), nodes(fleet, "n2", max_entities=1), caplog.at_level(logging.WARNING):
        mesh_flows_of(fleet).drain(["n1"])
    (line,) = (record.getMessage() for record in caplog.records if "cannot move" in record.getMessage())
    assert "entities of shop.orders cannot move (" in line
    assert " and 2 more): every node is at its max_entities" in line


def test_a_plan_that_is_not_there_is_told_with_those_that_are(fleet: Fleet) -> None:
    write_shops(fleet.engine, ["n1"])
    with nodes(fleet, "n1", "n2"):
        drain = mesh_flows_of(fleet).drain
        (plan,) = drain(["n1"]).plans
        with pytest.raises(UnknownName, match=rf"known: {plan.id} \(drain of shop\.orders\)"):
            flows_of(fleet).rebalance(plan="nothing")


def test_an_empty_plan_that_is_applied_says_why_too(fleet: Fleet) -> None:
    write_shops(fleet.engine, ["n1", "n2"])
    with nodes(fleet, "n1", "n2", "n3"):
        drain = mesh_flows_of(fleet).drain
        assert (
            "moved 0 entities; shop.orders: balanced within"
            in flows_of(fleet).rebalance(dry_run=False, tolerance=1).message
        )
        assert drain(["n3"], dry_run=False).message == (
            "moved 0 entities; shop.orders: the nodes to drain hold nothing"
        )


def test_what_cannot_move_is_said_by_name_and_a_second_run_does_it_when_there_is_room(fleet: Fleet) -> None:
    write_shops(fleet.engine, ["n1"] * 3)
    with nodes(fleet, "n1"), nodes(fleet, "n2", max_entities=2):
        drain = mesh_flows_of(fleet).drain
        with pytest.raises(
            RunFailed, match=r"moved 2 entities, 1 cannot move(.|\n)*1 cannot move: every node is at its max"
        ):
            drain(["n1"], dry_run=False)
        with nodes(fleet, "n3"):
            assert drain(["n1"], dry_run=False).message == "moved 1 entity"
    assert "n1" not in nodes_of_shops(fleet.engine).values()


def test_a_drain_is_revoked_by_making_its_nodes_active_again(fleet: Fleet) -> None:
    write_shops(fleet.engine, ["n1"] * 2)
    with nodes(fleet, "n1", "n2"):
        drain = mesh_flows_of(fleet).drain
        drain(["n1"], dry_run=False, max_moves=1)
        assert drain(["n1"], revoke=True).message == "active again: n1; moved entities stay where they are"
    assert load_inventory().node("n1").state is NodeState.ACTIVE
    assert sorted(str(node) for node in nodes_of_shops(fleet.engine).values()) == ["n1", "n2"]


def test_a_node_whose_lanes_are_held_fails_the_run_by_name_while_the_others_are_drained(fleet: Fleet) -> None:
    write_shops(fleet.engine, ["n1", "n2"])
    lane, clock = Lane("shop.orders", "order", "n1", "push"), database_clock(fleet.engine)
    with nodes(fleet, "n1", "n2", "n3"):
        with (
            lease_lane(fleet.engine, lane, holder="a long push", clock=clock, lease_seconds=30),
            pytest.raises(
                RunFailed, match=r"moved 1 entity(.|\n)*shop.orders, node n1: .*held by a long push"
            ) as failed,
        ):
            mesh_flows_of(fleet).drain(["n1", "n2"], dry_run=False)
        assert "Nothing is lost: each entity is assigned to one node" in str(failed.value)
        assert nodes_of_shops(fleet.engine) == {1: "n1", 2: "n3"}
        assert mesh_flows_of(fleet).drain(["n1", "n2"], dry_run=False).message == "moved 1 entity"


def test_entities_by_key_are_assigned_reassigned_and_pushed_again(fleet: Fleet) -> None:
    write_shops(fleet.engine, [None, None])
    write_orders(fleet.engine, [1, 2])
    with nodes(fleet, "n1", "n2"):
        flows = flows_of(fleet)
        assert flows.assign(entities=["1"]).message == "1 is assigned to n1"
        assert nodes_of_shops(fleet.engine) == {1: "n1", 2: None}
        flows.push()
        moved = flows.assign(entities=["1"], reassign=True)
        assert (
            moved.message
            == "1 moved from n1 to n2, 1 record to push again (1 record was not processed within 0 s)"
        )
        assert nodes_of_shops(fleet.engine)[1] == "n2"
        flows.push()
        assert flows.assign(entities=["1"], repush=True).message == "1 stays at n2, 1 record to push again"
        assert with_push_success(fleet.engine, None) == [1, 2]
        with pytest.raises(
            RunFailed, match=r"no node of shop\.orders has room for entity 2: it has no node yet"
        ):
            flows.assign(entities=["1", "2"], reassign=True)
    assert [row.why for row in move_log(fleet.engine)] == ["reassign", "repush", "reassign"]


def test_a_dry_run_of_an_assignment_shows_who_would_go_where(fleet: Fleet) -> None:
    write_shops(fleet.engine, [None] * 3)
    with nodes(fleet, "n1", "n2", limits=[ServiceLimits(service="shop.orders", max_entities=1)]):
        outcome = flows_of(fleet).assign(dry_run=True)
    assert outcome.message == (
        "dry run, nothing was assigned: 2 entities to 2 nodes, 1 fits nowhere: every node is at its max_entities"
    )
    assert set(nodes_of_shops(fleet.engine).values()) == {None}
    assert [(row["entity"], row["to"]) for row in latest_table(api(), "workmesh-plan")] == [
        ("1", "n1"),
        ("2", "n2"),
        ("3", ""),
    ]


def test_all_services_are_assigned_together(fleet: Fleet) -> None:
    write_shops(fleet.engine, [None] * 3)
    with nodes(fleet, "n1", "n2", max_entities=1):
        outcome = mesh_flows_of(fleet).assign()
    assert outcome.message.startswith(
        "shop.orders: assigned 2 entities (n1 1, n2 1); 1 fits nowhere: every node is at"
    )
    assert list(nodes_of_shops(fleet.engine).values()).count(None) == 1


def test_wishes_that_do_not_go_together_are_refused(fleet: Fleet) -> None:
    write_shops(fleet.engine, ["n1"])
    flows = flows_of(fleet)
    for wishes in ({"reassign": True}, {"repush": True}, {"dry_run": True, "entities": ["1"]}):
        with pytest.raises(ConfigurationError, match="name"):
            flows.assign(**wishes)
    with pytest.raises(ConfigurationError, match="name the nodes to drain"):
        mesh_flows_of(fleet).drain([])


def test_the_forms_describe_every_field_and_a_dry_run_is_their_default() -> None:
    from workmesh_flows.demo import flows

    for flow in (flows.assign, flows.rebalance, flows.drain):
        assert all(field["description"] for field in flow.parameters.properties.values())
    assert flows.rebalance.parameters.properties["dry_run"]["default"] is True
    assert flows.drain.parameters.properties["dry_run"]["default"] is True
    assert flows.rebalance.parameters.required == []
    assert flows.drain.parameters.required == ["nodes"]
    assert flows.drain.name == "mesh.drain"


def test_an_empty_plan_says_why(fleet: Fleet) -> None:
    write_shops(fleet.engine, ["n1", "n2"])
    with nodes(fleet, "n1", "n2"):
        assert "balanced" in flows_of(fleet).rebalance().message
    description = post(api(), "/artifacts/latest/filter", {"artifacts": {"key": {"any_": ["workmesh-plan"]}}})
    assert "balanced" in description[0]["description"]
