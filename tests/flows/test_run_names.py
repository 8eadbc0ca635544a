from __future__ import annotations

from typing import Any

import httpx
import pytest
from prefect import tags
from prefect.client.orchestration import get_client
from prefect.flow_engine import run_flow

from tests.support.fleet import Fleet
from tests.support.prefect_api import latest_run
from tests.support.shop import write_shops
from workmesh_flows.flows import mesh_flows, service_flows
from workmesh_flows.flows.run_names import MAX_LENGTH, run_name
from workmesh_flows.observability import tags as tag_module


@pytest.mark.parametrize(
    ("action", "parameters", "name"),
    [
        ("push", {}, "push s"),
        ("push", {"nodes": ["n2"], "protocols": ["delivery"]}, "push delivery to n2"),
        ("pull", {"nodes": ["n1", "n2"], "protocols": []}, "pull s from n1, n2"),
        ("sync", {"nodes": ["n1", "n2", "n3", "n4"]}, "sync s with 4 nodes"),
        ("status", {}, "status s"),
        ("assign", {"dry_run": True}, "assign s (dry run)"),
        ("assign", {"entities": ["17"], "reassign": True}, "reassign 17 of s"),
        ("assign", {"entities": ["17"], "repush": True}, "repush 17 of s"),
        ("assign", {"entities": ["1", "2"], "reassign": True, "repush": True}, "reassign and repush 1, 2 of s"),
        ("replay", {}, "replay refused records of s"),
        ("replay", {"failed": True}, "replay failed records of s"),
        ("replay", {"records": ["3"], "skip": True}, "skip 3 of s"),
        ("replay", {"entities": ["9"]}, "replay records of 9 of s"),
        ("rebalance", {"dry_run": True, "plan": None}, "rebalance s (dry run)"),
        ("rebalance", {"dry_run": False, "plan": "r-1"}, "rebalance s by plan r-1"),
        ("drain", {"nodes": ["n3"], "dry_run": True}, "drain n3 (dry run)"),
        ("drain", {"nodes": [], "dry_run": True}, "drain (dry run)"),
        ("drain", {"nodes": ["n3"], "dry_run": True, "revoke": True}, "revoke the drain of n3"),
        ("drain", {"nodes": ["n3"], "dry_run": False, "plan": "d-1"}, "drain n3 by plan d-1"),
    ],
)  # fmt: skip
def test_the_name_of_a_run_gives_its_action_subject_and_nodes(
    action: str, parameters: dict[str, Any], name: str
) -> None:
    assert run_name(action, "s", parameters) == name


def test_a_long_name_is_cut_but_still_shows_a_dry_run() -> None:
    name = run_name("assign", "s" * 300, {"dry_run": True})
    assert len(name) == MAX_LENGTH
    assert name.endswith(" (dry run)")


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("sandy-cockatoo", "status shop.orders"),
        ("Generic-Quokka", "status shop.orders"),
        ("Friday's count", "Friday's count"),
    ],
)
def test_a_run_replaces_the_name_that_prefect_generated_and_keeps_a_given_one(
    fleet: Fleet, prefect: str, given: str, name: str
) -> None:
    write_shops(fleet.engine, [None])
    flow: Any = service_flows(fleet.mesh, "shop.orders", module=__name__).status
    with get_client(sync_client=True) as client:
        created = client.create_flow_run(flow, name=given)
    run_flow(flow, flow_run=created)
    assert latest_run(prefect)["name"] == name


def test_a_run_over_some_nodes_is_tagged_with_them_and_keeps_its_own_tags(fleet: Fleet, prefect: str) -> None:
    write_shops(fleet.engine, ["n1", "n2"])
    fleet.register("n1", 9, "key")
    fleet.register("n2", 9, "key")
    flow: Any = service_flows(fleet.mesh, "shop.orders", module=__name__).push
    with tags("nightly"):
        flow(nodes=["n1"])
    assert latest_run(prefect)["tags"] == ["nightly", "node:n1"]
    with tags("nightly"):
        flow()
    assert latest_run(prefect)["tags"] == ["nightly"]


def test_a_run_of_the_mesh_is_tagged_with_each_of_its_services(fleet: Fleet, prefect: str) -> None:
    write_shops(fleet.engine, ["n1"])
    flow: Any = mesh_flows(fleet.mesh, module=__name__).assign
    for _ in range(2):
        flow()
        assert latest_run(prefect)["tags"] == ["service:shop.orders"]


def test_a_run_completes_even_if_its_tags_cannot_be_written(
    fleet: Fleet, prefect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_answer(**_: object) -> None:
        raise httpx.ReadTimeout("timed out")

    write_shops(fleet.engine, ["n1"])
    monkeypatch.setattr(tag_module, "get_client", no_answer)
    flow: Any = mesh_flows(fleet.mesh, module=__name__).assign
    assert flow().message == "shop.orders: assigned 0 entities"
    assert latest_run(prefect)["state"]["type"] == "COMPLETED"
