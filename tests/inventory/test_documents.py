from __future__ import annotations

from contextlib import suppress

from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from pydantic import SecretStr

from tests.support.prefect_api import api_client
from workmesh_flows.blocks import WorkmeshNode
from workmesh_flows.inventory.documents import SLUG, load_inventory

KEY = "{1B1D3C52-0C1B-4E7A-8D3F-5B6C7D8E9F01}"


def save(name: str, host: str = "10.0.0.1") -> None:
    WorkmeshNode(host=host, api_key=SecretStr(KEY), services=["s"]).save(name, overwrite=True)


def test_each_document_is_loaded_as_a_node_with_its_name_and_key(prefect: str) -> None:
    del prefect
    for number in range(1, 4):
        save(f"n{number}", f"10.0.0.{number}")
    inventory = load_inventory()
    assert {name: node.host for name, node in inventory.nodes.items()} == {
        "n1": "10.0.0.1",
        "n2": "10.0.0.2",
        "n3": "10.0.0.3",
    }
    assert inventory.nodes["n2"].api_key.get_secret_value() == KEY
    assert inventory.problems == {}


def test_an_invalid_document_is_reported_by_name_and_the_others_are_loaded(prefect: str) -> None:
    save("good")
    save("bad")
    with get_client(sync_client=True) as client:
        document = client.read_block_document_by_name("bad", SLUG)
    changed = {"data": {"port": "not-a-number", "api_key": "", "host": "10.0.0.1", "services": ["s"]}}
    api_client.patch(f"{prefect}/block_documents/{document.id}", json=changed).raise_for_status()
    inventory = load_inventory()
    assert list(inventory.nodes) == ["good"]
    assert list(inventory.problems) == ["bad"]
    assert "port must be a whole number" in inventory.problems["bad"]
    assert "the API key must not be empty" in inventory.problems["bad"]
    assert KEY not in str(inventory)


def test_a_server_without_the_block_type_has_no_nodes(prefect: str) -> None:
    del prefect
    with get_client(sync_client=True) as client:
        with suppress(ObjectNotFound):
            client.delete_block_type(client.read_block_type_by_slug(SLUG).id)
        assert load_inventory().nodes == {}
