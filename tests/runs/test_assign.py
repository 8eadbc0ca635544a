"""The assign flow: dry runs, entities given by key, and all services together."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from tests.operations.moves.movers import move_log, nodes_of_shops
from tests.runs.shop_flows import api, flows_of, mesh_flows_of, nodes
from tests.support.fleet import Fleet
from tests.support.prefect_api import latest_run, latest_table, wait_for_log
from tests.support.shop import Shop, shop_service, with_push_success, write_orders, write_shops
from workmesh_flows import EntityWeight, Mesh
from workmesh_flows.blocks import ServiceLimits
from workmesh_flows.errors import ConfigurationError, RunFailed
from workmesh_flows.flows import service_flows

pytestmark = pytest.mark.usefixtures("_no_long_waits")


def test_entities_by_key_are_assigned_reassigned_and_pushed_again(fleet: Fleet) -> None:
    write_shops(fleet.engine, [None, None])
    write_orders(fleet.engine, [1, 2])
    with nodes(fleet, "n1", "n2"):
        flows = flows_of(fleet)
        assert flows.assign(entities=["1"]).message == "entity 1 is assigned to n1"
        assert nodes_of_shops(fleet.engine) == {1: "n1", 2: None}
        flows.push()
        moved = flows.assign(entities=["1"], reassign=True)
        assert (
            moved.message
            == "entity 1 moved from n1 to n2, 1 record to push again (1 record was not processed within 0 s)"
        )
        assert nodes_of_shops(fleet.engine)[1] == "n2"
        flows.push()
        assert (
            flows.assign(entities=["1"], repush=True).message
            == "entity 1 stays at n2, 1 record to push again"
        )
        assert with_push_success(fleet.engine, None) == [1, 2]
        with pytest.raises(
            RunFailed, match=r"no node of shop\.orders has free capacity for entity 2: it has no node yet"
        ):
            flows.assign(entities=["1", "2"], reassign=True)
    assert [row.why for row in move_log(fleet.engine)] == ["reassign", "repush", "reassign"]


def test_a_dry_run_of_an_assignment_shows_the_node_of_each_entity(fleet: Fleet) -> None:
    write_shops(fleet.engine, [None] * 3)
    with nodes(fleet, "n1", "n2", limits=[ServiceLimits(service="shop.orders", max_entities=1)]):
        outcome = flows_of(fleet).assign(dry_run=True)
    assert outcome.message == (
        "dry run, nothing was assigned: 2 entities to 2 nodes (n1 1, n2 1), 1 could not be assigned: every node is at its max_entities"
    )
    assert set(nodes_of_shops(fleet.engine).values()) == {None}
    assert [(row["entity"], row["to"]) for row in latest_table(api(), "workmesh-plan")] == [
        ("1", "n1"),
        ("2", "n2"),
        ("3", ""),
    ]


def test_a_run_that_reached_its_limit_advises_to_assign_again(fleet: Fleet, prefect: str) -> None:
    write_shops(fleet.engine, [None] * 3)
    write_orders(fleet.engine, [1, 2, 3])
    with nodes(fleet, "n1", limits=[ServiceLimits(service="shop.orders", max_entities=2)]):
        flows = flows_of(fleet)
        for limit, remedy in (
            (1, "their entities have no node: run assign"),
            (0, "its entity has no node: add a node, or raise a cap"),
            (1, "its entity has no node: add a node, or raise a cap"),
        ):
            assert "assigned" in flows.assign(limit=limit).message
            wait_for_log(prefect, latest_run(prefect)["id"], remedy)


def test_a_run_names_a_weight_that_cannot_be_used_as_the_cause(fleet: Fleet, prefect: str) -> None:
    write_shops(fleet.engine, [None])
    write_orders(fleet.engine, [1])
    with fleet.engine.begin() as connection:
        connection.execute(update(Shop).values(size=-1))
    weighing = shop_service(criterion=EntityWeight(Shop.size))
    with nodes(fleet, "n1"):
        mesh = Mesh([weighing], database=fleet.mesh.database)
        service_flows(mesh, "shop.orders", module=__name__).assign()
    warning = (
        "1 record of shop.orders cannot be sent, its entity has no node: "
        "1 entity has a weight that cannot be used: correct it (workmesh check), then run assign"
    )
    wait_for_log(prefect, latest_run(prefect)["id"], warning)


def test_all_services_are_assigned_together(fleet: Fleet) -> None:
    write_shops(fleet.engine, [None] * 3)
    with nodes(fleet, "n1", "n2", max_entities=1):
        outcome = mesh_flows_of(fleet).assign()
    assert outcome.message.startswith(
        "shop.orders: assigned 2 entities (n1 1, n2 1); 1 could not be assigned: every node is at"
    )
    assert list(nodes_of_shops(fleet.engine).values()).count(None) == 1


def test_options_that_cannot_be_combined_are_rejected(fleet: Fleet) -> None:
    write_shops(fleet.engine, ["n1"])
    flows = flows_of(fleet)
    for wishes in ({"reassign": True}, {"repush": True}, {"dry_run": True, "entities": ["1"]}):
        with pytest.raises(ConfigurationError, match="name"):
            flows.assign(**wishes)
    with pytest.raises(ConfigurationError, match="name the nodes to drain"):
        mesh_flows_of(fleet).drain([])
