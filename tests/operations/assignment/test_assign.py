from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from tests.operations.processes import go, started
from tests.support.shop import Shop, shop_mesh, write_shops
from workmesh_flows import EntityNumber, EntityWeight, RoundRobin
from workmesh_flows.domain.criteria import Criterion
from workmesh_flows.domain.node import Inventory, Node, NodeState
from workmesh_flows.domain.reports import AssignReport
from workmesh_flows.errors import NoCapacity
from workmesh_flows.operations.assignment.assign import assign, assign_entity
from workmesh_flows.operations.moves.plan import RebalanceRequest, make_plan
from workmesh_flows.operations.status import read_status

S = "shop.orders"


def node(
    name: str, *, services: Iterable[str] = (S,), state: NodeState = NodeState.ACTIVE, **caps: int
) -> Node:
    per_service: Any = {cap: {S: value} for cap, value in caps.items()}
    return Node(name, "127.0.0.1", SecretStr("k"), tuple(services), state=state, **per_service)


def inventory(*nodes: Node, problems: Mapping[str, str] | None = None) -> Inventory:
    return Inventory({node.name: node for node in nodes}, problems or {})


def run(engine: Engine, criterion: Criterion, *nodes: Node, limit: int | None = None) -> AssignReport:
    return assign(engine, shop_mesh(criterion=criterion), S, inventory(*nodes), limit=limit)


def held(engine: Engine) -> dict[int, str | None]:
    with Session(engine) as session:
        return dict(session.execute(select(Shop.id, Shop.node).order_by(Shop.id)).all())


def test_round_robin_continues_after_the_last_run(engine: Engine) -> None:
    write_shops(engine, [None] * 7)
    nodes = node("a"), node("b"), node("c")
    first = run(engine, RoundRobin(), *nodes, limit=2)
    assert str(first) == "assigned 2 entities (a 1, b 1)"
    second = run(engine, RoundRobin(), *nodes)
    assert dict(second.assigned) == {"c": 2, "a": 2, "b": 1}
    assert list(held(engine).values()) == ["a", "b", "c", "a", "b", "c", "a"]


def test_the_node_with_the_fewest_entities_for_its_capacity_comes_first(engine: Engine) -> None:
    write_shops(engine, ["a"] * 4 + [None] * 8)
    run(engine, EntityNumber(), node("a", max_entities=8), node("b", max_entities=16))
    assert Counter(held(engine).values()) == {"a": 4, "b": 8}


@pytest.mark.parametrize(
    "weight", [Shop.size, Shop.size * 1, lambda shop: shop.size], ids=["column", "SQL", "function"]
)
def test_weights_may_be_a_column_an_expression_or_a_function(engine: Engine, weight: Any) -> None:
    write_shops(engine, [None] * 10)
    run(engine, EntityWeight(weight), node("a"), node("b"))
    weights = Counter({"a": 0, "b": 0})
    for shop, name in held(engine).items():
        weights[str(name)] += shop
    assert sum(weights.values()) == 55
    assert abs(weights["a"] - weights["b"]) <= 1


def test_caps_are_respected_and_unassigned_entities_are_reported_with_the_cap_that_binds(
    engine: Engine,
) -> None:
    write_shops(engine, ["a", None, None, None, None])
    report = run(engine, RoundRobin(), node("a", max_entities=2), node("b", max_entities=1))
    assert (report.total, report.unassigned) == (2, 2)
    assert report.reasons == [
        ("4", "every node is at its max_entities"),
        ("5", "every node is at its max_entities"),
    ]
    assert list(held(engine).values()) == ["a", "a", "b", None, None]
    assert report.total + report.unassigned == 4


def test_the_weight_already_assigned_to_a_node_counts_against_its_cap(engine: Engine) -> None:
    write_shops(engine, ["a", "a", None, None, None])
    report = run(engine, EntityWeight(Shop.size), node("a", max_weight=8), node("b", max_weight=4))
    assert held(engine) == {1: "a", 2: "a", 3: None, 4: "b", 5: "a"}
    assert report.reasons == [("3", "its weight 3 is more than max_weight leaves free on any node (0)")]


@pytest.mark.parametrize("state", [NodeState.DRAINING, NodeState.STANDBY, NodeState.DISABLED])
def test_only_active_nodes_that_run_the_service_take_new_entities(engine: Engine, state: NodeState) -> None:
    write_shops(engine, [None, None])
    run(engine, RoundRobin(), node("a", state=state), node("b", services=["other"]), node("c"))
    assert list(held(engine).values()) == ["c", "c"]


def test_without_a_node_nothing_is_assigned_and_the_reason_is_given(engine: Engine) -> None:
    write_shops(engine, [None, None])
    report = run(engine, RoundRobin())
    assert (report.total, report.unassigned) == (0, 2)
    assert report.reasons[0] == ("1", "no active node runs the service")


def test_entities_of_unknown_nodes_are_not_reassigned(engine: Engine) -> None:
    write_shops(engine, ["gone", "a", None, "invalid"])
    report = assign(engine, shop_mesh(), S, inventory(node("a"), problems={"invalid": "no host"}))
    assert report.total == 1
    assert list(held(engine).values()) == ["gone", "a", "a", "invalid"]


def test_without_unassigned_entities_the_report_is_empty(engine: Engine) -> None:
    write_shops(engine, ["a"])
    report = run(engine, RoundRobin(), node("a"))
    assert str(report) == "assigned 0 entities"


def test_assigning_again_changes_nothing(engine: Engine) -> None:
    write_shops(engine, [None] * 5)
    run(engine, EntityNumber(), node("a"), node("b"))
    before = held(engine)
    assert run(engine, EntityNumber(), node("a"), node("b")).total == 0
    assert held(engine) == before


def test_a_limit_bounds_the_entities_that_are_considered(engine: Engine) -> None:
    write_shops(engine, [None] * 10)
    report = run(engine, EntityWeight(lambda shop: shop.size), node("a"), limit=3)
    assert report.total == 3
    assert [shop for shop, name in held(engine).items() if name] == [1, 2, 3]


@pytest.mark.parametrize(
    "criterion", [RoundRobin(), EntityWeight(Shop.size), EntityWeight(lambda shop: shop.size)]
)
def test_a_condition_chooses_the_entities(engine: Engine, criterion: Criterion) -> None:
    write_shops(engine, [None] * 4 + ["b"])
    mesh, nodes = shop_mesh(criterion=criterion), inventory(node("a"))
    assert assign(engine, mesh, S, nodes, where=Shop.size > 2).total == 2
    assert list(held(engine).values()) == [None, None, "a", "a", "b"]


@pytest.mark.parametrize("bad", [-1, 0.5, float("nan"), float("inf"), "heavy"])
def test_an_entity_with_an_unusable_weight_is_reported_and_all_others_are_assigned(
    engine: Engine, bad: Any
) -> None:
    write_shops(engine, [None] * 5)
    weigh = EntityWeight(lambda shop: bad if shop.id == 3 else 1)
    report = run(engine, weigh, node("a"), node("b"))
    reason = f"its weight {bad!r} is not a whole number from 0 up"
    assert report.reasons == [("3", reason)]
    assert str(report) == f"assigned 4 entities (a 2, b 2); 1 could not be assigned: {reason}"
    assert list(held(engine).values()) == ["a", "b", None, "a", "b"]
    with pytest.raises(NoCapacity, match="is not a whole number"):
        assign_entity(engine, shop_mesh(criterion=weigh), S, inventory(node("a")), 3)


@pytest.mark.parametrize("weight", [0, None])
def test_entities_that_weigh_nothing_are_spread_by_number(engine: Engine, weight: Any) -> None:
    write_shops(engine, ["a", *[None] * 8])
    weigh = EntityWeight(lambda shop: 7 if shop.id == 2 else weight)
    assert run(engine, weigh, node("a"), node("b"), node("c")).total == 8
    assert Counter(held(engine).values()) == {"a": 3, "b": 3, "c": 3}


def test_weights_beyond_64_bits_are_assigned_planned_and_counted(engine: Engine) -> None:
    write_shops(engine, ["a", "a", "a", "a", None])
    mesh = shop_mesh(criterion=EntityWeight(lambda shop: 2**63 + shop.id))
    nodes = inventory(node("a"), node("b"))
    assert assign(engine, mesh, S, nodes).assigned == {"b": 1}
    assert read_status(engine, mesh, nodes).held[S] == {"a": (4, 4 * 2**63 + 10), "b": (1, 2**63 + 5)}
    plan = make_plan(engine, mesh, S, nodes, RebalanceRequest()).plan
    assert [(one.source, one.target) for one in plan.moves] == [("a", "b")]
    assert plan.nodes[0].weight == 4 * 2**63 + 10


@pytest.mark.parametrize(
    "count",
    [2_000, pytest.param(100_000, marks=[pytest.mark.slow, pytest.mark.timeout(600)])],
    ids=["some", "many"],
)
def test_concurrent_runs_assign_each_entity_once_and_exceed_no_cap(engine: Engine, count: int) -> None:
    write_shops(engine, [None] * count)
    cap = count * 3 // 10
    url = engine.url.render_as_string(hide_password=False)
    runs = [started("assignment.assigner", url, str(cap)) for _ in range(2)]
    go(*runs)
    reports = [json.loads(process.communicate()[0]) for process in runs]
    assert [process.returncode for process in runs] == [0, 0]
    assert sum(report["assigned"] for report in reports) == 3 * cap
    assert Counter(held(engine).values()) == {"n1": cap, "n2": cap, "n3": cap, None: count - 3 * cap}
    assert min(report["assigned"] for report in reports) == 0, (
        "the second one finds no free capacity and nothing to do"
    )
