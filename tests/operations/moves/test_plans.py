"""Plans of moves: made from the current facts, saved, applied unchanged, or refused when the facts have changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, update
from sqlalchemy.orm import Session

from tests.operations.delivery.parcels import parcel_service, write_parcels
from tests.operations.moves.movers import nodes_of_shops
from tests.support.scripted_node import API_KEY
from tests.support.shop import Shop, shop_mesh, write_shops
from workmesh_flows import EntityWeight, Mesh
from workmesh_flows.adapters.store.plans import read_plan
from workmesh_flows.domain.node import Inventory, Node, NodeState
from workmesh_flows.errors import ConfigurationError, StalePlan, UnknownName
from workmesh_flows.operations.moves.plan import (
    DrainRequest,
    RebalanceRequest,
    finish_plan,
    make_plan,
    start_plan,
)
from workmesh_flows.planning.stored_plan import StoredPlan

S = "shop.orders"


def node(name: str, **more: Any) -> Node:
    return Node(name, "127.0.0.1", SecretStr(API_KEY), (S,), **more)


def inventory(*nodes: Node) -> Inventory:
    return Inventory({node.name: node for node in nodes})


def ends(plan: StoredPlan) -> list[tuple[str, str, str]]:
    return [(str(move.entity), move.source, move.target) for move in plan.plan.moves]


def test_a_rebalance_moves_no_more_weight_than_necessary(engine: Engine) -> None:
    write_shops(engine, ["n1"] * 4)  # they weigh 1, 2, 3, 4
    mesh = shop_mesh(criterion=EntityWeight(Shop.size))
    plan = make_plan(engine, mesh, S, inventory(node("n1"), node("n2")), RebalanceRequest())
    assert plan.plan.moved_weight == 5
    assert {(source, target) for _, source, target in ends(plan)} == {("n1", "n2")}
    assert nodes_of_shops(engine) == dict.fromkeys([1, 2, 3, 4], "n1")


def test_an_assigned_entity_with_an_unusable_weight_counts_as_0_and_can_be_moved(engine: Engine) -> None:
    write_shops(engine, ["n1", "n1", "n1"])
    mesh = shop_mesh(criterion=EntityWeight(lambda shop: -1 if shop.id == 2 else 4))
    nodes = inventory(node("n1"), node("n2"))
    plan = make_plan(engine, mesh, S, nodes, RebalanceRequest()).plan
    assert plan.moved_weight == 4
    assert plan.note == "1 entity counts as 0: its weight -1 is not a whole number from 0 up"
    drain = make_plan(engine, mesh, S, nodes, DrainRequest(["n1"]))
    assert [entity for entity, _, _ in ends(drain)] == ["1", "3", "2"]
    assert read_plan(engine, drain.id).plan.plan.note == plan.note


def test_without_weights_each_entity_counts_one(engine: Engine) -> None:
    write_shops(engine, ["n1"] * 6)
    plan = make_plan(
        engine, shop_mesh(), S, inventory(node("n1"), node("n2"), node("n3")), RebalanceRequest()
    )
    assert len(plan.plan.moves) == 4


def test_a_drain_empties_its_nodes_and_uses_no_target_that_takes_no_new_entities(
    engine: Engine,
) -> None:
    write_shops(engine, ["n1", "n2", "n1", "n2", "gone", "n3"])
    known = inventory(node("n1"), node("n2"), node("n3"), node("n4", state=NodeState.STANDBY), node("n5"))
    plan = make_plan(engine, shop_mesh(), S, known, DrainRequest(["n1", "n2", "gone"]))
    assert {(entity, source) for entity, source, _ in ends(plan)} == {
        ("1", "n1"),
        ("2", "n2"),
        ("3", "n1"),
        ("4", "n2"),
        ("5", "gone"),
    }
    assert {target for _, _, target in ends(plan)} == {"n3", "n5"}


def test_a_rebalance_empties_a_draining_node_too(engine: Engine) -> None:
    write_shops(engine, ["n1", "n2"])
    plan = make_plan(
        engine,
        shop_mesh(),
        S,
        inventory(node("n1", state=NodeState.DRAINING), node("n2")),
        RebalanceRequest(),
    )
    assert ends(plan) == [("1", "n1", "n2")]
    assert [move.why for move in plan.plan.moves] == ["drain"]


def test_a_shared_cap_limits_a_plan(engine: Engine) -> None:
    write_shops(engine, ["n1"] * 4)
    plan = make_plan(
        engine, shop_mesh(), S, inventory(node("n1"), node("n2", max_entities={"*": 1})), DrainRequest(["n1"])
    )
    assert len(plan.plan.moves) == 1
    assert len(plan.plan.cannot_move) == 3


def test_pinned_entities_stay(engine: Engine) -> None:
    write_shops(engine, ["n1", "n1"])
    known = inventory(node("n1"), node("n2"))
    plan = make_plan(engine, shop_mesh(), S, known, DrainRequest(["n1"], pinned=["2"]))
    assert ends(plan) == [("1", "n1", "n2")]
    assert [str(entity) for entity, _ in plan.plan.cannot_move] == ["2"]
    with pytest.raises(UnknownName, match="'two'"):
        make_plan(engine, shop_mesh(), S, known, DrainRequest(["n1"], pinned=["two"]))
    with pytest.raises(UnknownName, match=r"service shop\.orders has no entity '9'$"):
        make_plan(engine, shop_mesh(), S, known, DrainRequest(["n1"], pinned=["9"]))


def test_a_drain_of_a_mesh_accepts_names_that_only_one_service_knows(engine: Engine) -> None:
    write_shops(engine, ["gone", "gone"])
    write_parcels(engine, [1])
    parcels = parcel_service()
    mesh = Mesh([*shop_mesh().services, parcels])
    known = inventory(node("n1"), Node("n2", "127.0.0.1", SecretStr(API_KEY), (parcels.name,)))
    asked = DrainRequest(["gone"], pinned=["2"])
    assert ends(make_plan(engine, mesh, S, known, asked)) == [("1", "gone", "n1")]
    assert ends(make_plan(engine, mesh, parcels.name, known, asked)) == []


def test_an_unknown_node_is_an_error_that_lists_the_known_ones(engine: Engine) -> None:
    write_shops(engine, ["n1"])
    for asked in (DrainRequest(["n9"]), RebalanceRequest(sources=["n9"])):
        with pytest.raises(UnknownName, match="no node 'n9'; it has: n1, n2"):
            make_plan(engine, shop_mesh(), S, inventory(node("n1"), node("n2")), asked)


def test_the_same_request_on_the_same_facts_gives_an_identical_plan(engine: Engine) -> None:
    write_shops(engine, ["n1"] * 9)
    known = inventory(node("n1"), node("n2"))
    first = make_plan(engine, shop_mesh(), S, known, RebalanceRequest())
    second = make_plan(engine, shop_mesh(), S, inventory(node("n2"), node("n1")), RebalanceRequest())
    assert first.to_json() == second.to_json()
    assert first.id == second.id
    assert make_plan(engine, shop_mesh(), S, known, RebalanceRequest(objective="moves")).id != first.id


def test_a_plan_is_read_as_it_was_saved(engine: Engine) -> None:
    write_shops(engine, ["n1"] * 5)
    made = make_plan(engine, shop_mesh(), S, inventory(node("n1"), node("n2")), RebalanceRequest())
    saved = read_plan(engine, made.id)
    assert saved.state == "planned"
    assert saved.plan.to_json() == made.to_json()
    assert str(saved.plan) == str(made)
    assert API_KEY not in made.to_json()
    with pytest.raises(UnknownName, match=f"no plan 'drain-0'; it has: {made.id}"):
        read_plan(engine, "drain-0")


def change_weight(engine: Engine) -> None:
    with Session(engine) as session, session.begin():
        session.execute(update(Shop).where(Shop.id == 1).values(size=3))
        session.execute(update(Shop).where(Shop.id == 3).values(size=1))


def move_one(engine: Engine) -> None:
    with Session(engine) as session, session.begin():
        session.execute(update(Shop).where(Shop.id == 1).values(node="n2"))


@pytest.mark.parametrize(
    ("change", "nodes", "changes"),
    [
        (
            move_one,
            [node("n1"), node("n2")],
            [
                "node n1 held 4 entities of weight 10, now 3 of 9",
                "node n2 held 0 entities of weight 0, now 1 of 1",
            ],
        ),
        (
            change_weight,
            [node("n1"), node("n2")],
            ["node n1 holds other entities, or the same entities with other weights"],
        ),
        (None, [node("n1"), node("n2", state=NodeState.DRAINING)], ["node n2 no longer takes entities", "node n2 is now drained"]),
        (None, [node("n1"), node("n2", max_weight={S: 8})], ["node n2 had no max_weight, now max_weight 8"]),
        (None, [node("n1"), node("n2"), node("n3")], ["node n3 was added"]),
        (None, [node("n1")], ["node n2 was removed"]),
    ],
)  # fmt: skip
def test_a_stale_plan_is_refused_with_the_changes(
    engine: Engine, change: Any, nodes: Sequence[Node], changes: list[str]
) -> None:
    write_shops(engine, ["n1"] * 4)
    mesh = shop_mesh(criterion=EntityWeight(Shop.size))
    plan = make_plan(engine, mesh, S, inventory(node("n1"), node("n2")), RebalanceRequest())
    if change is not None:
        change(engine)
    with pytest.raises(StalePlan) as stale:
        start_plan(engine, mesh, plan.id, inventory(*nodes))
    assert list(stale.value.changes) == changes
    assert read_plan(engine, plan.id).state == "planned"


def test_a_started_plan_can_be_continued_and_an_applied_one_cannot(engine: Engine) -> None:
    write_shops(engine, ["n1"] * 4)
    mesh, known = shop_mesh(), inventory(node("n1"), node("n2"))
    plan = make_plan(engine, mesh, S, known, RebalanceRequest())
    start_plan(engine, mesh, plan.id, known)
    move_one(engine)  # as the first step of the plan, before the run died
    assert start_plan(engine, mesh, plan.id, known).state == "applying"
    finish_plan(engine, plan.id)
    with pytest.raises(ConfigurationError, match="was applied already; plan again"):
        start_plan(engine, mesh, plan.id, known)
