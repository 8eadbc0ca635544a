"""Runs that assign or move entities: nodes that do not work get none, unless the run is forced."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.operations.delivery.lane_runs import STATUS
from tests.operations.moves.movers import nodes_of_shops
from tests.runs.shop_flows import flows_of, mesh_flows_of, nodes, nothing_processed
from tests.support.fleet import Fleet
from tests.support.scripted_node import Answer, Asked, failure
from tests.support.shop import write_shops
from workmesh_flows.assignment import AssignReport, assign_entity
from workmesh_flows.errors import ConfigurationError, NoCapacity, RunFailed, StalePlan
from workmesh_flows.inventory.documents import load_inventory

pytestmark = pytest.mark.usefixtures("_no_long_waits")

KEY_REFUSED = (
    "the node rejects the API key; write the node's key into its block (workmesh-node/n2): /api/1.0/ping.json is "
    "refused: Wrong api_key"
)


def wrong_key(asked: Asked) -> Answer:
    del asked
    return failure("Wrong api_key")


def another_service(asked: Asked) -> Answer:
    return Answer(code=404) if asked.path == STATUS else nothing_processed(asked)


def test_a_node_that_refuses_the_key_gets_no_entities_and_the_run_says_so(fleet: Fleet) -> None:
    write_shops(fleet.engine, [None] * 4)
    with nodes(fleet, "n1", "n2") as running:
        running["n2"].script = wrong_key
        flows = flows_of(fleet)
        dry = flows.assign(dry_run=True).message
        assert (
            dry
            == f"dry run, nothing was assigned: 4 entities to 1 node (n1 4); n2 gets no entities: {KEY_REFUSED}"
        )
        assert flows.assign(limit=1).message == (
            f"assigned 1 entity (n1 1); n2 gets no entities: {KEY_REFUSED}"
        )
        assert mesh_flows_of(fleet).assign().message == (
            f"shop.orders: assigned 3 entities (n1 3); n2 gets no entities: {KEY_REFUSED}"
        )
        assert set(nodes_of_shops(fleet.engine).values()) == {"n1"}


def test_the_page_about_assignment_quotes_such_a_report() -> None:
    report = AssignReport("s", {"n1": 4}, excluded={"n2": KEY_REFUSED})
    page = Path(__file__).parents[2] / "docs" / "assignment.md"
    assert str(report) in page.read_text(encoding="utf-8").splitlines()


def test_without_a_working_node_nothing_is_assigned_and_each_node_has_its_reason(fleet: Fleet) -> None:
    write_shops(fleet.engine, [None])
    with nodes(fleet, "n1", "n2") as running:
        fleet.register("n3", 1, "a key")
        running["n1"].script, running["n2"].script = wrong_key, another_service
        flows = flows_of(fleet)
        message = flows.assign().message
        assert message.startswith(
            "assigned 0 entities; 1 could not be assigned: no active node that runs the service works"
        )
        for part in (
            f"n1 gets no entities: {KEY_REFUSED.replace('n2', 'n1')}",
            f"n2 gets no entities: it does not run shop.orders: {STATUS} answers 404",
            "n3 gets no entities: no connection",
        ):
            assert part in message
        with pytest.raises(RunFailed, match="n2 gets no entities: it does not run"):
            flows.assign(entities=["1"])
        assert nodes_of_shops(fleet.engine) == {1: None}
        assert flows.assign(force=True).message == "assigned 1 entity (n1 1)"


def test_no_node_is_asked_where_every_entity_has_one_or_an_application_assigns(fleet: Fleet) -> None:
    write_shops(fleet.engine, ["n1", None])
    with nodes(fleet, "n1") as running:
        running["n1"].script = wrong_key
        assert assign_entity(fleet.mesh, "shop.orders", 2) == "n1"
        assert running["n1"].asked == []
        assert flows_of(fleet).assign().message == "assigned 0 entities"
        assert STATUS not in running["n1"].paths(), "only the status tables ping the nodes"


def test_a_reassigned_entity_goes_to_a_node_that_works(fleet: Fleet) -> None:
    write_shops(fleet.engine, ["n1"])
    with nodes(fleet, "n1", "n2") as running:
        running["n2"].script = wrong_key
        with pytest.raises(RunFailed, match=r"no other active node that runs the service works; n2 gets no"):
            flows_of(fleet).assign(entities=["1"], reassign=True)
        assert nodes_of_shops(fleet.engine) == {1: "n1"}
        assert (
            flows_of(fleet)
            .assign(entities=["1"], reassign=True, force=True)
            .message.startswith("entity 1 moved from n1 to n2")
        )


def test_a_rebalance_moves_nothing_to_a_node_that_does_not_work_and_nothing_away_from_it(
    fleet: Fleet,
) -> None:
    write_shops(fleet.engine, ["n1"] * 4 + ["n2"])
    with nodes(fleet, "n1", "n2", "n3") as running:
        running["n2"].script = wrong_key
        flows = flows_of(fleet)
        dry = flows.rebalance()
        assert {move.target for plan in dry.plans for move in plan.plan.moves} == {"n3"}
        assert f"; n2 gets no entities: {KEY_REFUSED} (plan rebalance-" in dry.message
        applied = flows.rebalance(dry_run=False)
        assert applied.message.endswith(f"n2 gets no entities: {KEY_REFUSED}")
        assert sorted(str(node) for node in nodes_of_shops(fleet.engine).values()) == [
            "n1",
            "n1",
            "n2",
            "n3",
            "n3",
        ]


def test_a_plan_is_checked_again_when_it_is_applied(fleet: Fleet) -> None:
    write_shops(fleet.engine, ["n1"] * 4)
    with nodes(fleet, "n1", "n2") as running:
        flows = flows_of(fleet)
        (plan,) = flows.rebalance().plans
        running["n2"].script = wrong_key
        with pytest.raises(StalePlan) as stale:
            flows.rebalance(plan=plan.id, dry_run=False)
        assert f"node n2 no longer takes entities: {KEY_REFUSED}" in str(stale.value)
        assert set(nodes_of_shops(fleet.engine).values()) == {"n1"}
        forced = flows.rebalance(plan=plan.id, dry_run=False, force=True)
        assert forced.message.startswith("moved 2 entities")


def test_a_drain_leaves_an_unreachable_node_and_is_refused_without_a_working_target(fleet: Fleet) -> None:
    write_shops(fleet.engine, ["n1"] * 2)
    fleet.register("n1", 1, "a key")  # nothing listens there
    with nodes(fleet, "n2") as running:
        drain = mesh_flows_of(fleet).drain
        running["n2"].script = wrong_key
        with pytest.raises(ConfigurationError, match="no active node left to take entities; n2 gets no"):
            drain(["n1"], dry_run=False)
        assert load_inventory().node("n1").state == "active"
        running["n2"].script = nothing_processed
        assert drain(["n1"], dry_run=False).message.startswith("moved 2 entities")
    assert set(nodes_of_shops(fleet.engine).values()) == {"n2"}


def test_the_error_of_an_application_names_the_reason_only_where_nodes_were_checked(fleet: Fleet) -> None:
    write_shops(fleet.engine, [None])
    with pytest.raises(NoCapacity, match=r"no active node runs the service$"):
        assign_entity(fleet.mesh, "shop.orders", 1)
