"""The rebalance flow: a dry run first, the plan as an artifact, then exactly its rows are applied."""

from __future__ import annotations

from typing import Any

import pytest

from tests.operations.moves.movers import move_log, nodes_of_shops
from tests.runs.shop_flows import api, flows_of, mesh_flows_of, nodes
from tests.support.fleet import Fleet
from tests.support.prefect_api import everything, latest_run, latest_table, post
from tests.support.scripted_node import API_KEY
from tests.support.shop import with_push_success, write_orders, write_shops
from workmesh_flows.errors import ConfigurationError, StalePlan, StoreError, UnknownName
from workmesh_flows.status import moves_made
from workmesh_flows.tasks import moves as tasks

pytestmark = pytest.mark.usefixtures("_no_long_waits")


def ends(rows: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return [(row["entity"], row["from"], row["to"]) for row in rows]


def logged(fleet: Fleet) -> list[tuple[str, str, str]]:
    return [(row.entity, row.source, row.target) for row in move_log(fleet.engine)]


def test_a_rebalance_is_a_dry_run_by_default_and_then_applies_the_rows_that_it_showed(
    fleet: Fleet,
) -> None:
    write_shops(fleet.engine, ["n1"] * 6)
    write_orders(fleet.engine, [1, 2, 3, 4, 5, 6])
    with nodes(fleet, "n1", "n2", "n3"):
        flows = flows_of(fleet)
        flows.push()
        planned = flows.rebalance()
        assert planned.message.startswith(
            "dry run, nothing was moved: rebalance of shop.orders: 4 moves, from 1 node to 2 nodes"
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


def test_a_stale_plan_is_rejected_with_the_changes(fleet: Fleet) -> None:
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


def test_a_plan_whose_end_was_not_saved_is_finished_by_applying_it_again(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose_the_database(*_: object) -> None:
        raise StoreError("the connection was lost")

    write_shops(fleet.engine, ["n1"] * 6)
    with nodes(fleet, "n1", "n2", "n3"):
        flows = flows_of(fleet)
        (plan,) = flows.rebalance().plans
        with monkeypatch.context() as broken:
            broken.setattr(tasks, "finish_plan", lose_the_database)
            with pytest.raises(StoreError, match="the connection was lost"):
                flows.rebalance(plan=plan.id, dry_run=False)
        moved = logged(fleet)
        assert len(moved) == 4
        assert flows.rebalance(plan=plan.id, dry_run=False).message.startswith("moved 4 entities")
        assert logged(fleet) == moved
        with pytest.raises(ConfigurationError, match=f"plan {plan.id} was applied already"):
            flows.rebalance(plan=plan.id, dry_run=False)


def test_an_unknown_plan_is_rejected_with_the_known_ones(fleet: Fleet) -> None:
    write_shops(fleet.engine, ["n1"])
    with nodes(fleet, "n1", "n2"):
        drain = mesh_flows_of(fleet).drain
        (plan,) = drain(["n1"]).plans
        with pytest.raises(UnknownName, match=rf"it has: {plan.id} \(drain of shop\.orders\)"):
            flows_of(fleet).rebalance(plan="nothing")


def test_the_summary_of_an_empty_plan_that_is_applied_says_why_it_is_empty(fleet: Fleet) -> None:
    write_shops(fleet.engine, ["n1", "n2"])
    with nodes(fleet, "n1", "n2", "n3"):
        drain = mesh_flows_of(fleet).drain
        assert (
            "moved 0 entities; shop.orders: balanced within"
            in flows_of(fleet).rebalance(dry_run=False, tolerance=1).message
        )
        assert drain(["n3"], dry_run=False).message == (
            "moved 0 entities; shop.orders: the drained nodes are empty"
        )


def test_the_forms_describe_every_field_and_default_to_a_dry_run() -> None:
    from workmesh_flows.demo import flows

    for flow in (flows.assign, flows.rebalance, flows.drain):
        assert all(field["description"] for field in flow.parameters.properties.values())
    assert flows.rebalance.parameters.properties["dry_run"]["default"] is True
    assert flows.drain.parameters.properties["dry_run"]["default"] is True
    assert flows.rebalance.parameters.required == []
    assert flows.drain.parameters.required == ["nodes"]
    assert flows.drain.name == "mesh.drain"


def test_an_empty_plan_says_why_it_is_empty(fleet: Fleet) -> None:
    write_shops(fleet.engine, ["n1", "n2"])
    with nodes(fleet, "n1", "n2"):
        assert "balanced" in flows_of(fleet).rebalance().message
    description = post(api(), "/artifacts/latest/filter", {"artifacts": {"key": {"any_": ["workmesh-plan"]}}})
    assert "balanced" in description[0]["description"]
