"""`workmesh nodes import`, `export` and `upgrade`, run in this process against a real Prefect server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.types import SecretDict
from pydantic import SecretStr
from sqlalchemy import create_engine, update
from typer.testing import CliRunner, Result

from tests.support.prefect_api import api_client
from tests.support.shop import Shop, write_shops
from workmesh_flows.blocks import ServiceLimits, WorkmeshNode
from workmesh_flows.cli import app
from workmesh_flows.domain.node import NodeState
from workmesh_flows.inventory.bulk_write import writing_nodes
from workmesh_flows.inventory.documents import SLUG, load_inventory, outdated_nodes, set_node_state
from workmesh_flows.settings import PREFIX

KEY = "{3D1D3C52-0C1B-4E7A-8D3F-5B6C7D8E9F01}"
FILE = """
n1: {host: 10.0.0.1, api_key: "${THE_KEY}", services: [s]}
n2: {host: 10.0.0.2, api_key: "${THE_KEY}", services: [s]}
"""


@pytest.fixture(autouse=True)
def _the_key(prefect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    del prefect
    monkeypatch.setenv("THE_KEY", KEY)
    monkeypatch.setenv("COLUMNS", "200")


def workmesh(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def hosts() -> dict[str, str]:
    return {name: node.host for name, node in load_inventory().nodes.items()}


def test_an_import_writes_the_nodes_of_a_file_and_a_second_import_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "nodes.yaml"
    file.write_text(FILE)
    first = workmesh("nodes", "import", file)
    assert first.output.splitlines() == ["n1: added", "n2: added", "0 unchanged"]
    assert hosts() == {"n1": "10.0.0.1", "n2": "10.0.0.2"}
    file.write_text(FILE.replace("10.0.0.2", "10.0.0.3"))
    assert workmesh("nodes", "import", file).output.splitlines() == [
        "n2: changed: host 10.0.0.2 -> 10.0.0.3",
        "1 unchanged",
    ]
    assert workmesh("nodes", "import", file).output.splitlines() == ["2 unchanged"]
    assert hosts() == {"n1": "10.0.0.1", "n2": "10.0.0.3"}
    assert load_inventory().nodes["n2"].api_key.get_secret_value() == KEY


def test_an_interrupted_import_is_completed_by_running_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "nodes.yaml"
    file.write_text(FILE)
    with monkeypatch.context() as patch:

        def interrupted(line: str) -> None:
            if line.startswith("n1"):  # the node is written, but its line is not printed
                raise KeyboardInterrupt

        patch.setattr("workmesh_flows.cli.nodes.typer.echo", interrupted)
        workmesh("nodes", "import", file)
    assert hosts() == {"n1": "10.0.0.1"}
    assert workmesh("nodes", "import", file).output.splitlines() == ["n2: added", "1 unchanged"]
    assert hosts() == {"n1": "10.0.0.1", "n2": "10.0.0.2"}


def test_a_node_is_written_as_by_prefect_s_own_save_also_over_an_existing_one() -> None:
    node = WorkmeshNode(
        host="10.0.0.1",
        api_key=SecretStr(KEY),
        services=["s", "t"],
        limits=[ServiceLimits(service="s", max_weight=2, max_rate=1.5)],
        tags=["eu"],
        headers=SecretDict({"X-Token": "abcdef"}),
        proxy=SecretStr("http://u:pw@proxy:3128"),
        path="/gate",
    )
    node.save("saved")
    with writing_nodes() as write:
        write("written", node)
        write("written", node)  # as after a lost answer to the first request
    with get_client(sync_client=True) as client:
        found = client.read_block_documents_by_type(SLUG, include_secrets=True)
    documents = {one.name: (one.data, one.block_schema_id, one.is_anonymous) for one in found}
    assert documents["written"] == documents["saved"]
    assert len(found) == 2


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "nodes.yaml"
    file.write_text(FILE)
    output = workmesh("nodes", "import", file, "--dry-run").output
    assert output.startswith(
        "n1: would be added\nn2: would be added\n0 unchanged\ndry run, nothing was written"
    )
    assert hosts() == {}


def test_with_prune_a_node_that_the_file_does_not_name_is_deleted_unless_it_holds_entities(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    monkeypatch.setenv(f"{PREFIX}MESH", "tests.support.shop_mesh:mesh")
    monkeypatch.setenv(f"{PREFIX}DATABASE_URL", url)
    engine = create_engine(url)
    write_shops(engine, ["n2"])
    file = tmp_path / "nodes.yaml"
    nodes = FILE.replace("[s]", "[shop.orders]")
    file.write_text(nodes)
    workmesh("nodes", "import", file)
    file.write_text(nodes.strip().splitlines()[0].replace("10.0.0.1", "10.0.0.9"))
    for more in ([], ["--dry-run"]):
        ended = workmesh("nodes", "import", file, "--prune", *more)
        assert str(ended.exception).splitlines()[1:] == [
            "  n2 holds entities of shop.orders: workmesh drain n2 --apply"
        ]
    assert hosts() == {"n1": "10.0.0.1", "n2": "10.0.0.2"}
    with engine.begin() as connection:
        connection.execute(update(Shop).values(node="n1"))
    engine.dispose()
    assert "n2: would be deleted" in workmesh("nodes", "import", file, "--prune", "--dry-run").output
    assert list(hosts()) == ["n1", "n2"]
    workmesh("nodes", "import", file)
    assert list(hosts()) == ["n1", "n2"]
    assert "n2: deleted" in workmesh("nodes", "import", file, "--prune").output
    assert hosts() == {"n1": "10.0.0.9"}


def test_a_node_of_another_mesh_on_the_same_server_is_not_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{PREFIX}MESH", "tests.support.shop_mesh:mesh")
    monkeypatch.setenv(f"{PREFIX}DATABASE_URL", f"sqlite:///{tmp_path / 'shop.db'}")
    file = tmp_path / "nodes.yaml"
    file.write_text(FILE)
    workmesh("nodes", "import", file)
    file.write_text(FILE.strip().splitlines()[0])
    output = workmesh("nodes", "import", file, "--prune").output
    assert "n2: not deleted, since it runs s, which this mesh does not declare" in output
    assert list(hosts()) == ["n1", "n2"]


def test_without_a_mesh_no_node_is_deleted_since_its_entities_are_unknown(tmp_path: Path) -> None:
    file = tmp_path / "nodes.yaml"
    file.write_text(FILE)
    workmesh("nodes", "import", file)
    file.write_text("")
    assert "no mesh is named" in str(workmesh("nodes", "import", file, "--prune").exception)
    assert list(hosts()) == ["n1", "n2"]


def test_a_file_with_one_invalid_node_changes_no_node(tmp_path: Path) -> None:
    file = tmp_path / "nodes.yaml"
    file.write_text(FILE.replace("10.0.0.2", "with/a/path"))
    ended = workmesh("nodes", "import", file)
    assert "n2: host" in str(ended.exception)
    assert hosts() == {}


def test_an_exported_file_can_be_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    WorkmeshNode(host="10.0.0.1", api_key=SecretStr(KEY), services=["s"], tags=["eu"]).save("n1")
    shown = workmesh("nodes", "export")
    assert KEY not in shown.output
    assert shown.output.splitlines()[0] == "n1:"
    file = tmp_path / "nodes.yaml"
    workmesh("nodes", "export", file)
    WorkmeshNode.delete("n1")
    monkeypatch.setenv("WORKMESH_KEY_N1", KEY)
    assert workmesh("nodes", "import", file).output.splitlines() == ["n1: added", "0 unchanged"]
    assert load_inventory().nodes["n1"].tags == ("eu",)


def test_an_export_over_the_imported_file_keeps_its_variables(tmp_path: Path) -> None:
    file = tmp_path / "nodes.yaml"
    file.write_text(FILE)
    workmesh("nodes", "import", file)
    workmesh("nodes", "export", file)
    assert file.read_text().count("${THE_KEY}") == 2
    assert workmesh("nodes", "import", file).output.splitlines() == ["2 unchanged"]


def test_an_import_leaves_a_node_that_is_being_drained_in_its_state(tmp_path: Path) -> None:
    file = tmp_path / "nodes.yaml"
    file.write_text(FILE)
    workmesh("nodes", "import", file)
    set_node_state("n1", NodeState.DRAINING)
    assert workmesh("nodes", "import", file).output.splitlines() == ["2 unchanged"]
    assert load_inventory().nodes["n1"].state is NodeState.DRAINING
    file.write_text(FILE.replace("[s]}", "[s], state: active}", 1))
    assert workmesh("nodes", "import", file).output.splitlines() == [
        "n1: changed: state draining -> active",
        "1 unchanged",
    ]


def test_the_error_for_a_missing_key_says_how_a_stored_node_keeps_its_key(tmp_path: Path) -> None:
    file = tmp_path / "nodes.yaml"
    file.write_text(FILE.splitlines()[1])
    workmesh("nodes", "import", file)
    file.write_text(FILE.replace("THE_KEY", "NO_SUCH_KEY"))
    lines = str(workmesh("nodes", "import", file).exception).splitlines()
    assert lines[1:] == [
        "  n1: the environment variable NO_SUCH_KEY for its api_key is not set; remove the line api_key to keep the stored key",
        "  n2: the environment variable NO_SUCH_KEY for its api_key is not set",
    ]
    file.write_text("n1: {host: 10.0.0.7, services: [s]}")
    assert workmesh("nodes", "import", file).output.splitlines() == [
        "n1: changed: host 10.0.0.1 -> 10.0.0.7",
        "0 unchanged",
    ]
    assert load_inventory().nodes["n1"].api_key.get_secret_value() == KEY


def test_a_service_whose_name_resembles_one_of_the_mesh_is_reported_as_misspelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "nodes.yaml"
    file.write_text(FILE.replace("[s]", "[shop.order, invoices]", 1).replace("[s]", "[shop.orders]"))
    doubt = "n1: the mesh has no service shop.order: did you mean shop.orders?"
    assert doubt not in workmesh("nodes", "import", file, "--dry-run").output, "no mesh is named"
    monkeypatch.setenv(f"{PREFIX}MESH", "tests.support.shop_mesh:mesh")
    monkeypatch.setenv(f"{PREFIX}DATABASE_URL", f"sqlite:///{tmp_path / 'shop.db'}")
    write_shops(create_engine(f"sqlite:///{tmp_path / 'shop.db'}"), ["n1"])
    assert workmesh("nodes", "import", file).output.splitlines() == [
        "n1: added",
        "n2: added",
        "0 unchanged",
        doubt,
    ]
    shown = workmesh("nodes").output
    assert f"{doubt}; " in shown, "together with the problem that a ping found"
    assert "n2: the mesh has no" not in shown


@pytest.fixture
def _block_type_deleted() -> Iterator[None]:
    """Delete the block type afterwards: the server makes forms from the schema that was registered last."""
    yield
    with get_client(sync_client=True) as client:
        client.delete_block_type(client.read_block_type_by_slug(SLUG).id)


@pytest.mark.usefixtures("_block_type_deleted")
def test_upgrade_rewrites_documents_of_an_earlier_schema_and_keeps_their_values(
    prefect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    WorkmeshNode(host="10.0.0.1", api_key=SecretStr(KEY), services=["s"]).save("now")
    _save_with_an_earlier_schema(prefect)
    assert outdated_nodes() == ["then"]
    ended = workmesh("nodes", "upgrade")
    assert ended.output.splitlines() == ["then: upgraded", "1 node was up to date"]
    assert outdated_nodes() == []
    assert hosts() == {"now": "10.0.0.1", "then": "10.0.0.9"}
    assert load_inventory().nodes["then"].api_key.get_secret_value() == KEY


def _save_with_an_earlier_schema(api: str) -> None:
    """Save a document of an earlier version, without tags and limits."""
    with get_client(sync_client=True) as client:
        block_type = client.read_block_type_by_slug(SLUG)
    fields: dict[str, dict[str, object]] = {
        name: {"title": name, "type": "string"} for name in ("host", "services")
    }
    fields["api_key"] = {"title": "api_key", "type": "string", "writeOnly": True, "format": "password"}
    earlier = {"title": "WorkmeshNode", "type": "object", "properties": fields, "secret_fields": ["api_key"]}
    schema = api_client.post(
        f"{api}/block_schemas/",
        json={"fields": {**earlier, "block_type_slug": SLUG}, "block_type_id": str(block_type.id)},
    ).raise_for_status()
    api_client.post(
        f"{api}/block_documents/",
        json={
            "name": "then",
            "data": {"host": "10.0.0.9", "services": ["s"], "api_key": KEY},
            "block_schema_id": schema.json()["id"],
            "block_type_id": str(block_type.id),
        },
    ).raise_for_status()
