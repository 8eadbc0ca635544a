"""One entity gets another node, or its data again; without another node its assignment is unchanged."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from tests.operations.delivery.lane_runs import push, sent_ids
from tests.operations.moves.movers import move_log, moving, nodes_of_shops, two_nodes
from tests.support.scripted_node import scripted_node
from tests.support.shop import Shop, shop_service, write_orders, write_shops
from workmesh_flows import EntityWeight
from workmesh_flows.domain.node import Inventory, NodeState
from workmesh_flows.errors import NoCapacity, UnknownName
from workmesh_flows.operations.assignment.assign import assigned_node
from workmesh_flows.operations.moves.reassign import reassign, repush


def test_an_entity_goes_to_another_node_and_the_next_one_to_the_next(engine: Engine) -> None:
    service = shop_service()
    write_shops(engine, ["n1", "n1", "n1"])
    with scripted_node() as one:
        known = [one.node("shop.orders", name=name) for name in ("n1", "n2", "n3")]
        there = moving(engine, service, *known)
        for shop in (1, 2, 3):
            reassign(there, shop)
    assert nodes_of_shops(engine) == {1: "n2", 2: "n3", 3: "n2"}
    assert [row.why for row in move_log(engine)] == ["reassign"] * 3


def test_with_repush_its_data_goes_to_the_new_node_from_the_beginning(engine: Engine) -> None:
    service = shop_service()
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 3)
    with two_nodes() as (_, two, n1, n2):
        push(engine, service, n1)
        assert reassign(moving(engine, service, n1, n2), 1, repush=True).records_to_push == 3
        push(engine, service, n2)
    assert sent_ids(two.asked) == [1, 2, 3]


def test_without_another_node_the_assignment_is_unchanged(engine: Engine) -> None:
    service = shop_service(criterion=EntityWeight(Shop.size))
    write_shops(engine, ["n1", "n1", "n1", "n1", "n2"])  # they weigh 1, 2, 3, 4, 5
    with scripted_node() as one:
        n1 = one.node("shop.orders")
        n2 = one.node("shop.orders", name="n2", max_weight={"shop.orders": 8})
        n3 = one.node("shop.orders", name="n3", state=NodeState.STANDBY)
        with pytest.raises(
            NoCapacity,
            match=r"no node of shop\.orders has free capacity for entity 4: its weight 4 is more than max_weight",
        ):
            reassign(moving(engine, service, n1, n2, n3), 4)
        assert assigned_node(engine, service, 4) == "n1"
        reassign(moving(engine, service, n1, n2, n3), 3)
    assert assigned_node(engine, service, 3) == "n2"
    assert len(move_log(engine)) == 1


def test_a_target_that_fills_up_meanwhile_leaves_the_assignment_unchanged(engine: Engine) -> None:
    service = shop_service()
    write_shops(engine, ["n1"])
    with scripted_node() as one:
        n1, n2 = one.node("shop.orders"), one.node("shop.orders", name="n2")
        known = [Inventory({"n1": n1, "n2": n2}), Inventory({"n1": n1})]

        def on_step(step: str) -> None:
            if step == "settled":
                known.pop(0)

        with pytest.raises(NoCapacity, match="n2 takes no new entities"):
            reassign(moving(engine, service, inventory=lambda: known[0], on_step=on_step), 1)
    assert nodes_of_shops(engine) == {1: "n1"}


def test_repush_alone_sends_its_data_to_the_same_node(engine: Engine) -> None:
    service = shop_service()
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 3)
    with scripted_node() as one:
        n1 = one.node("shop.orders")
        push(engine, service, n1)
        one.asked.clear()
        assert repush(moving(engine, service, n1), 1).records_to_push == 3
        push(engine, service, n1)
    assert sent_ids(one.asked) == [1, 2, 3]
    assert nodes_of_shops(engine) == {1: "n1"}


def test_an_unassigned_entity_and_a_missing_one_give_different_errors(engine: Engine) -> None:
    service = shop_service()
    write_shops(engine, [None])
    for action in (reassign, repush):
        with pytest.raises(NoCapacity, match="entity 1: it has no node yet: assign it"):
            action(moving(engine, service), 1)
        with pytest.raises(
            UnknownName, match=r"service shop\.orders has no entity '9'; entities are named by Shop\.\w+"
        ):
            action(moving(engine, service), 9)
