"""Assignment from an application, without a flow run."""

from __future__ import annotations

import pytest

from tests.operations.moves.movers import nodes_of_shops
from tests.support.fleet import Fleet
from tests.support.scripted_node import API_KEY
from tests.support.shop import Shop, write_shops
from workmesh_flows.assignment import (
    assign_entity,
    assign_where,
    assigned_node,
    reassign_entity,
    repush_entity,
)
from workmesh_flows.blocks import ServiceLimits
from workmesh_flows.errors import NoCapacity, UnknownName

S = "shop.orders"


def test_an_entity_is_assigned_looked_up_reassigned_and_pushed_again(fleet: Fleet) -> None:
    write_shops(fleet.engine, [None, None, None])
    for name in ("n1", "n2"):
        fleet.register(name, 9, API_KEY, limits=[ServiceLimits(service=S, max_entities=2)])
    assert assigned_node(fleet.mesh, S, 1) is None
    assert assign_entity(fleet.mesh, S, 1) == "n1"
    assert assign_entity(fleet.mesh, S, 1) == "n1"
    assert str(assign_where(fleet.mesh, S, Shop.size >= 3)) == "assigned 1 entity (n2 1)"
    assert reassign_entity(fleet.mesh, S, 1).moved == 1
    assert repush_entity(fleet.mesh, S, 1).moved == 1
    assert nodes_of_shops(fleet.engine) == {1: "n2", 2: None, 3: "n2"}


def test_without_room_the_error_names_the_binding_cap_and_the_old_assignment_stands(fleet: Fleet) -> None:
    write_shops(fleet.engine, ["n1", None])
    fleet.register("n1", 9, API_KEY, limits=[ServiceLimits(service=S, max_entities=1)])
    with pytest.raises(NoCapacity, match="has free capacity for entity 2: every node is at its max_entities"):
        assign_entity(fleet.mesh, S, 2)
    with pytest.raises(
        NoCapacity, match="has free capacity for entity 1: no other active node runs the service"
    ):
        reassign_entity(fleet.mesh, S, 1)
    assert assigned_node(fleet.mesh, S, 1) == "n1"
    with pytest.raises(UnknownName, match="'9'"):
        assign_entity(fleet.mesh, S, 9)
