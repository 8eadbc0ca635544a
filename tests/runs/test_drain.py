"""The drain flow: nodes are set to draining and emptied; it can be repeated and revoked."""

from __future__ import annotations

import logging

import httpx
import pytest
from pydantic import SecretStr

from tests.operations.moves.movers import nodes_of_shops
from tests.runs.shop_flows import flows_of, mesh_flows_of, nodes
from tests.support.fleet import Fleet
from tests.support.scripted_node import API_KEY
from tests.support.shop import write_shops
from workmesh_flows.adapters.store.engine import database_clock
from workmesh_flows.adapters.store.lanes import lease_lane
from workmesh_flows.domain.lane import Lane
from workmesh_flows.domain.node import NodeState
from workmesh_flows.errors import ConfigurationError, RunFailed, StalePlan, UnknownName
from workmesh_flows.inventory.documents import load_inventory, set_node_state
from workmesh_flows.tasks import moves

pytestmark = pytest.mark.usefixtures("_no_long_waits")


def test_a_drain_empties_its_nodes_and_they_take_no_new_entities(fleet: Fleet) -> None:
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


def test_the_plan_of_an_earlier_dry_run_is_applied_by_its_id_or_rejected(fleet: Fleet) -> None:
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


def test_a_drain_with_an_unknown_name_changes_nothing(fleet: Fleet) -> None:
    write_shops(fleet.engine, ["n1", "n2"])
    with nodes(fleet, "n1", "n2"):
        drain = mesh_flows_of(fleet).drain
        with pytest.raises(UnknownName, match="no node 'nope'; it has: n1, n2"):
            drain(["n1", "nope"], dry_run=False)
        with pytest.raises(UnknownName, match=r"service shop\.orders has no entity '9'"):
            drain(["n1"], dry_run=False, pinned=["9"])
        assert load_inventory().node("n1").state is NodeState.ACTIVE


def test_a_drain_that_lost_the_answer_to_its_change_of_state_is_run_again(
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


def test_entities_that_cannot_move_for_the_same_reason_are_logged_on_one_line(
    fleet: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    write_shops(fleet.engine, ["n1"] * 8)
    with nodes(fleet, "n1"), nodes(fleet, "n2", max_entities=1), caplog.at_level(logging.WARNING):
        mesh_flows_of(fleet).drain(["n1"])
    (line,) = (record.getMessage() for record in caplog.records if "cannot move" in record.getMessage())
    assert "entities of shop.orders cannot move (" in line
    assert " and 2 more): every node is at its max_entities" in line


def test_a_drain_fails_with_what_cannot_move_and_a_second_run_moves_it_when_there_is_room(
    fleet: Fleet,
) -> None:
    write_shops(fleet.engine, ["n1"] * 3)
    with nodes(fleet, "n1"), nodes(fleet, "n2", max_entities=2):
        drain = mesh_flows_of(fleet).drain
        with pytest.raises(
            RunFailed,
            match=r"moved 2 entities, 1 cannot move(.|\n)*1 entity cannot move: every node is at its max",
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
        assert sorted(str(node) for node in nodes_of_shops(fleet.engine).values()) == ["n1", "n2"]
        assert drain(["n1"], revoke=True).message == "n1 is active: nothing to undo"
        drain(["n1"], dry_run=False, max_moves=1)
        fleet.register("n3", 1, API_KEY, state="disabled")
        assert drain(["n3", "n1"], revoke=True).message == (
            "active again: n1; moved entities stay where they are; n3 is disabled: nothing to undo"
        )
    assert load_inventory().node("n3").state is NodeState.DISABLED
    assert load_inventory().node("n1").state is NodeState.ACTIVE


def test_a_node_whose_lanes_are_held_fails_the_drain_by_name_while_other_nodes_are_drained(
    fleet: Fleet,
) -> None:
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
