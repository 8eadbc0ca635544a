"""The plan of an import. Its application is tested with the command: tests/cli/test_nodes.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import SecretStr

from workmesh_flows.blocks import WorkmeshNode
from workmesh_flows.errors import ConfigurationError
from workmesh_flows.inventory.sync import changed_fields, plan_sync

KEY = "{7C1D3C52-0C1B-4E7A-8D3F-5B6C7D8E9F01}"


def node(host: str = "a", services: Sequence[str] = ("shop.orders",), **more: Any) -> WorkmeshNode:
    return WorkmeshNode(host=host, api_key=SecretStr(KEY), services=list(services), **more)


SECRET = "correct-horse-battery"
MESH = ["shop.orders", "shop.mail"]
PRUNE: dict[str, Any] = {"prune": True, "services": MESH}


@pytest.mark.parametrize(
    ("wanted", "stored", "options", "lines"),
    [
        pytest.param({}, {}, {}, ["0 unchanged"], id="an empty file and an empty inventory"),
        pytest.param({"n1": node()}, {}, {}, ["n1: would be added", "0 unchanged"], id="a new node is added"),
        pytest.param({"n1": node()}, {"n1": node()}, {}, ["1 unchanged"], id="an equal node is unchanged"),
        pytest.param(
            {"n1": node("b", port=81)},
            {"n1": node()},
            {},
            ["n1: would be changed: host a -> b; port 80 -> 81", "0 unchanged"],
            id="a changed node is listed with its changed fields, old and new",
        ),
        pytest.param(
            {"n1": node()},
            {},
            {"problems": ["n1"]},
            ["n1: would be fixed", "0 unchanged"],
            id="a node whose block does not validate is fixed",
        ),
        pytest.param(
            {"n2": node(), "n1": node(), "n3": node()},
            {"n3": node()},
            {},
            ["n2: would be added", "n1: would be added", "1 unchanged"],
            id="changes keep the order of the file",
        ),
        pytest.param({}, {"n1": node()}, {}, ["0 unchanged"], id="without prune nothing is deleted"),
        pytest.param(
            {"n3": node()},
            {"n2": node(), "n1": node()},
            PRUNE,
            ["n3: would be added", "n1: would be deleted", "n2: would be deleted", "0 unchanged"],
            id="with prune nodes that the file does not name are deleted, sorted, after the others",
        ),
        pytest.param(
            {},
            {},
            {**PRUNE, "problems": ["n1"]},
            ["n1: would be deleted", "0 unchanged"],
            id="with prune a node whose block does not validate is deleted",
        ),
        pytest.param(
            {},
            {"n1": node(services=["shop.orders", "z", "other"]), "n2": node()},
            PRUNE,
            [
                "n2: would be deleted",
                "n1: not deleted, since it runs other, z, which this mesh does not declare",
                "0 unchanged",
            ],
            id="a node with a service of another mesh stays",
        ),
        pytest.param(
            {},
            {"n1": node(services=["other"])},
            {"prune": True},
            ["n1: would be deleted", "0 unchanged"],
            id="without a mesh no service is foreign",
        ),
    ],
)
def test_the_plan_lists_what_an_import_changes(
    wanted: dict[str, WorkmeshNode],
    stored: dict[str, WorkmeshNode],
    options: dict[str, Any],
    lines: list[str],
) -> None:
    plan = plan_sync(wanted, stored, **options)
    assert str(plan).splitlines() == lines
    assert [str(change) for change in plan.changes] == [
        line.replace("would be ", "") for line in lines if "would be " in line
    ]
    assert KEY not in repr(plan)


@pytest.mark.parametrize(
    ("held", "problem"),
    [
        pytest.param({"shop.orders": [], "shop.mail": ["n9"]}, "", id="no entities at deleted nodes"),
        pytest.param({"shop.orders": ["kept"]}, "", id="entities at a node that stays"),
        pytest.param(
            {"shop.orders": ["n1", "n2"], "shop.mail": ["n1"]},
            "\n  n1 holds entities of shop.orders, shop.mail: workmesh drain n1 --apply"
            "\n  n2 holds entities of shop.orders: workmesh drain n2 --apply",
            id="entities at two deleted nodes",
        ),
    ],
)
def test_a_plan_that_deletes_nodes_with_entities_is_refused(held: dict[str, list[str]], problem: str) -> None:
    stored = {"n1": node(), "n2": node(), "kept": node(), "foreign": node(services=["other"])}
    plan = plan_sync({"kept": node()}, stored, **PRUNE).refusing(held)
    assert plan.deleted == ["n1", "n2"]
    if problem:
        with pytest.raises(ConfigurationError, match=r"^nothing was changed: .* drain them first") as refused:
            plan.require_allowed()
        assert str(refused.value).endswith(problem)
    else:
        plan.require_allowed()


@pytest.mark.parametrize(
    ("services", "known", "doubts"),
    [
        pytest.param(["shop.orders"], MESH, [], id="a declared service"),
        pytest.param(["invoices"], MESH, [], id="a service of another mesh"),
        pytest.param(
            ["shop.order", "shop.mail"],
            MESH,
            ["n1: the mesh has no service shop.order: did you mean shop.orders?"],
            id="a misspelled service",
        ),
        pytest.param(["shop.order"], None, [], id="a misspelled service, and no mesh is known"),
    ],
)
def test_services_that_look_misspelled_are_doubted(
    services: list[str], known: list[str] | None, doubts: list[str]
) -> None:
    assert plan_sync({"n1": node(services=services)}, {}, services=known).doubts == doubts


@pytest.mark.parametrize(
    ("more", "before", "change"),
    [
        pytest.param({"state": "standby"}, {}, "state active -> standby", id="a state"),
        pytest.param({"verify": False}, {}, "verify yes -> no", id="a switch"),
        pytest.param({"tags": ["eu", "b"]}, {}, "tags none -> eu, b", id="a list"),
        pytest.param({}, {"max_entities": 5}, "max_entities 5 -> none", id="a cap that is removed"),
        pytest.param({"path": "/w"}, {}, "path none -> /w", id="a path"),
        pytest.param(
            {"limits": [{"service": "shop.orders", "max_entities": 6}]},
            {"limits": [{"service": "shop.orders", "max_entities": 5, "max_rate": 0.5}]},
            "limits shop.orders max_entities=5 max_rate=0.5 -> shop.orders max_entities=6",
            id="limits",
        ),
        pytest.param({"headers": {"X-Token": SECRET}}, {}, "headers", id="headers, without their values"),
        pytest.param({}, {"headers": {"X-Token": SECRET}}, "headers", id="headers that are removed"),
        pytest.param({"proxy": f"http://u:{SECRET}@p:1"}, {"proxy": "http://p:1"}, "proxy", id="a proxy"),
        pytest.param({"api_key": SECRET}, {}, "api_key", id="a key"),
    ],
)
def test_a_change_has_the_old_and_the_new_value_but_no_secret(
    more: dict[str, Any], before: dict[str, Any], change: str
) -> None:
    given = {"host": "a", "api_key": KEY, "services": ["shop.orders"]}
    plan = plan_sync({"n1": WorkmeshNode(**{**given, **more})}, {"n1": WorkmeshNode(**{**given, **before})})
    assert str(plan).splitlines() == [f"n1: would be changed: {change}", "0 unchanged"]
    assert SECRET not in repr(plan)


def test_changed_fields_are_in_the_order_of_the_form() -> None:
    assert changed_fields(node(), node("b", tags=["eu"], state="standby")) == ["host", "state", "tags"]
    assert changed_fields(node(), node()) == []
