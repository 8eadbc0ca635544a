"""Nodes and the inventory."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from workmesh_flows.domain.node import Inventory, Node, NodeState
from workmesh_flows.errors import UnknownName


def node(**more: Any) -> Node:
    parts = {"name": "n1", "host": "n1.example", "api_key": SecretStr("{0A7E1C52}"), "services": ("s",)}
    return Node(**{**parts, **more})


@pytest.mark.parametrize(
    ("parts", "address"),
    [
        pytest.param({}, "http://n1.example:80", id="by default"),
        pytest.param(
            {"scheme": "https", "port": 8443}, "https://n1.example:8443", id="another scheme and port"
        ),
        pytest.param({"host": "10.0.0.1"}, "http://10.0.0.1:80", id="IPv4"),
        pytest.param({"host": "fd00::1"}, "http://[fd00::1]:80", id="IPv6"),
        pytest.param({"host": "[fd00::1]"}, "http://[fd00::1]:80", id="IPv6 in brackets"),
    ],
)
def test_the_address_of_a_node_has_scheme_host_and_port(parts: dict[str, Any], address: str) -> None:
    assert node(**parts).address == address


@pytest.mark.parametrize(
    ("state", "takes"),
    [
        (NodeState.ACTIVE, True),
        (NodeState.DRAINING, False),
        (NodeState.STANDBY, False),
        (NodeState.DISABLED, False),
    ],
)
def test_only_an_active_node_that_runs_the_service_takes_new_entities(state: NodeState, takes: bool) -> None:
    assert node(state=state).takes_new("s") is takes
    assert not node(state=state).takes_new("another")


@pytest.mark.parametrize(
    ("caps", "elsewhere", "cap"),
    [
        pytest.param({}, 5, None, id="no cap"),
        pytest.param({"s": 7}, 5, 7, id="own cap only"),
        pytest.param({"*": 9}, 5, 4, id="rest of the shared cap"),
        pytest.param({"*": 9, "s": 3}, 5, 3, id="own cap is smaller"),
        pytest.param({"*": 9, "s": 3}, 7, 2, id="rest of the shared cap is smaller"),
        pytest.param({"*": 9}, 12, 0, id="shared cap exceeded"),
        pytest.param({"t": 1}, 0, None, id="cap of another service"),
    ],
)
def test_the_entity_cap_is_the_smaller_of_the_own_cap_and_the_rest_of_the_shared_cap(
    caps: dict[str, int], elsewhere: int, cap: int | None
) -> None:
    assert node(max_entities=caps).entity_cap("s", elsewhere) == cap


def test_a_node_does_not_show_its_api_key() -> None:
    assert "0A7E1C52" not in repr(node()) + str(node())


def test_an_inventory_reports_the_problem_with_a_node() -> None:
    inventory = Inventory({"n1": node(), "n3": node(name="n3")}, {"n2": "port: not a number"})
    assert inventory.node("n1").name == "n1"
    with pytest.raises(UnknownName, match="the mesh has no node 'n9'; it has: n1, n3"):
        inventory.node("n9")
    assert inventory.problem_with("n1", "s") is None
    assert inventory.problem_with("n1", "t") == "it does not run t"
    assert inventory.problem_with("n2", "s") == "its block does not validate: port: not a number"
    assert inventory.problem_with("n9", "s") == "it is not in the inventory"
