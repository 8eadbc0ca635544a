"""The doctor: what works, and what each fault of a real server, node, database or deployment looks like."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prefect import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings
from sqlalchemy import create_engine, text, update
from typer.testing import CliRunner

from tests.operations.delivery.lane_runs import PUSH, STATUS
from tests.runs.shop_flows import api, flows_of, mesh_flows_of, nodes, nothing_processed
from tests.support.certificates import make_authority
from tests.support.fleet import Fleet
from tests.support.prefect_api import api_client, latest_table, post
from tests.support.schema_findings import create_shop
from tests.support.scripted_node import API_KEY, Answer, failure, scripted_node
from tests.support.shop import Shop, shop_service, write_orders, write_shops
from workmesh_flows import EntityWeight, Mesh
from workmesh_flows.cli import app
from workmesh_flows.errors import RunFailed
from workmesh_flows.inventory.server_setup import register_node_type
from workmesh_flows.observability.automations import install
from workmesh_flows.operations.health.diagnosis import Diagnosis, Result
from workmesh_flows.runs.doctor import diagnose
from workmesh_flows.settings import PREFIX


def rows(mesh: Mesh | None, subject: str) -> list[Diagnosis]:
    return [one for one in diagnose(lambda: mesh) if one.subject == subject]


def only(mesh: Mesh | None, subject: str) -> Diagnosis:
    (found,) = rows(mesh, subject)
    return found


@contextmanager
def deployed(mesh: Mesh, *, scheduled: bool = True) -> Iterator[str]:
    """A deployment of the shop's sync in a work pool of its own; gives the name of the pool."""
    from datetime import timedelta

    from prefect.client.schemas.actions import DeploymentScheduleCreate, WorkPoolCreate
    from prefect.client.schemas.schedules import IntervalSchedule

    pool = "doctors-pool"
    with get_client(sync_client=True) as client:
        flow = client.create_flow_from_name("shop.orders.sync")
        client.create_work_pool(WorkPoolCreate(name=pool, type="process"), overwrite=True)
        schedule = DeploymentScheduleCreate(
            schedule=IntervalSchedule(interval=timedelta(days=300)), active=True
        )
        made = client.create_deployment(
            flow_id=flow, name="orders-sync", work_pool_name=pool, schedules=[schedule] if scheduled else []
        )
        try:
            yield pool
        finally:
            client.delete_deployment(made)
            client.delete_work_pool(pool)


def test_where_everything_works_each_check_is_ok(fleet: Fleet) -> None:
    create_shop(fleet.engine)
    write_shops(fleet.engine, ["n1"])
    install()
    with nodes(fleet, "n1"), deployed(fleet.mesh) as pool:
        api_client.post(
            f"{api()}/work_pools/{pool}/workers/heartbeat", json={"name": "w1"}
        ).raise_for_status()
        found = diagnose(lambda: fleet.mesh)
    assert [str(one) for one in found if one.result is Result.PROBLEM] == []
    ok = {one.subject: one.detail for one in found if one.result is Result.OK and one.check != "delivery"}
    assert ok["mesh"] == "shop.orders"
    assert "answers, version 3." in ok["Prefect server"]
    assert ok["block type"] == "registered"
    assert ok["service shop.orders"] == "1 deployment, 1 active schedule of sync and push"
    assert ok["work pool doctors-pool"] == "online: w1"
    assert ok["automations"] == "5 are installed and enabled"
    assert "runs shop.orders (10 records per request)" in ok["node n1"]


def test_each_fault_of_a_node_has_its_own_check_and_remedy(
    fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")  # trust what every machine trusts, as a worker does
    write_shops(fleet.engine, ["gone"])
    authority = make_authority(tmp_path)
    with (
        nodes(fleet, "wrong-key", "another-service") as running,
        scripted_node(nothing_processed, tls=authority.server("127.0.0.1")) as secure,
    ):
        running["wrong-key"].script = lambda asked: failure("Wrong api_key")
        running["another-service"].script = lambda asked: (
            Answer(code=404) if asked.path == STATUS else nothing_processed(asked)
        )
        fleet.register("unknown-ca", secure.port, API_KEY, scheme="https")
        fleet.register("known-ca", secure.port, API_KEY, scheme="https", ca_file=authority.ca_file)
        fleet.register("wrong-scheme", running["wrong-key"].port, API_KEY, scheme="https")
        fleet.register("down", _unused_port(), API_KEY)
        fleet.register("repaired", _unused_port(), API_KEY, state="disabled")
        fleet.register("misspelt", _unused_port(), API_KEY, services=["shop.order"])
        fleet.register("foreign", _unused_port(), API_KEY, services=["quite.different"])
        found = diagnose(lambda: fleet.mesh)
    shown = {
        (one.subject.removeprefix("node "), one.check): (str(one.result), one.detail, one.to_do)
        for one in found
        if one.subject.startswith("node ")
    }
    assert shown["wrong-key", "API key"] == (
        "problem",
        "the node rejects the API key: /api/1.0/ping.json is refused: Wrong api_key",
        "write the node's key into its block (field API key)",
    )
    result, detail, to_do = shown["another-service", "services"]
    assert (result, detail) == (
        "problem",
        f"it does not run shop.orders: {STATUS} answers 404: it has no such endpoint",
    )
    assert "remove shop.orders from the services in its block" in to_do
    result, detail, to_do = shown["unknown-ca", "TLS certificate"]
    assert (result, to_do) == ("problem", "enter the CA file in its block (field CA file)")
    assert shown["known-ca", "connection, API key, services"][0] == "ok"
    assert shown["wrong-scheme", "connection"][2] == "fix the scheme in its block: http or https"
    assert shown["down", "connection"][2] == "start the node, or fix host and port in its block"
    assert shown["repaired", "state"] == ("ok", "disabled: it is not contacted", "")
    assert shown["misspelt", "services"][:2] == (
        "warning",
        "the mesh has no service shop.order: did you mean shop.orders?",
    )
    assert shown["gone", "block"][1] == "it holds entities of shop.orders, but has no block"
    assert not [key for key in shown if key[0] == "foreign"], "a node of another mesh is not contacted"
    assert API_KEY not in str(shown)


def test_a_block_that_a_form_saved_with_a_wrong_value_is_named(fleet: Fleet) -> None:
    write_shops(fleet.engine, [None])
    fleet.register("n1", 1, API_KEY)
    with get_client(sync_client=True) as client:
        (document,) = client.read_block_documents_by_type("workmesh-node")
    api_client.patch(
        f"{api()}/block_documents/{document.id}",
        json={"data": {"host": "http://x/y"}, "merge_existing_data": True},
    ).raise_for_status()
    found = only(fleet.mesh, "node n1")
    assert (found.check, found.result) == ("block", Result.PROBLEM)
    assert "the host must be a name or an IP address alone" in found.detail
    assert found.to_do == "correct the block in the UI: Blocks, n1"


def test_deployments_and_workers_that_are_missing_or_paused_are_reported(fleet: Fleet) -> None:
    write_shops(fleet.engine, [None])
    nothing = [one for one in rows(fleet.mesh, "service shop.orders") if one.check == "deployments"]
    assert [(one.result, one.to_do) for one in nothing] == [
        (Result.WARNING, "prefect deploy --all --no-prompt, or workmesh serve")
    ]
    with deployed(fleet.mesh) as pool:
        assert only(fleet.mesh, f"work pool {pool}").to_do == f"prefect worker start --pool {pool}"
        (one,) = post(api(), "/deployments/filter", {"deployments": {"name": {"any_": ["orders-sync"]}}})
        schedule = one["schedules"][0]["id"]
        api_client.patch(
            f"{api()}/deployments/{one['id']}/schedules/{schedule}", json={"active": False}
        ).raise_for_status()
        api_client.patch(f"{api()}/work_pools/{pool}", json={"is_paused": True}).raise_for_status()
        assert only(fleet.mesh, f"work pool {pool}").to_do == f"prefect work-pool resume {pool}"
        stopped = [one for one in rows(fleet.mesh, "service shop.orders") if one.check == "schedules"]
    assert stopped[0].to_do == f"prefect deployment schedule resume shop.orders.sync/orders-sync {schedule}"
    assert stopped[1].detail == "no active schedule of sync or push: records are sent only by hand"


def test_a_lane_that_stopped_in_a_run_is_a_problem_although_its_node_answers_the_check(fleet: Fleet) -> None:
    create_shop(fleet.engine)
    write_shops(fleet.engine, ["n1"])
    write_orders(fleet.engine, [1])
    with nodes(fleet, "n1") as running:
        running["n1"].script = lambda asked: (
            Answer(code=404) if asked.path == PUSH else nothing_processed(asked)
        )
        with pytest.raises(RunFailed, match="answers 404"):
            flows_of(fleet).push()
        found = [one for one in diagnose(lambda: fleet.mesh) if one.result is Result.PROBLEM]
    assert [(one.subject, one.check) for one in found] == [("service shop.orders", "lane order to n1")]
    assert f"{PUSH} answers 404: it has no such endpoint" in found[0].detail
    assert found[0].to_do == "fix the cause, then: workmesh push shop.orders --node n1"


def test_what_check_finds_without_ddl_has_its_own_remedy(fleet: Fleet) -> None:
    create_shop(fleet.engine)
    write_shops(fleet.engine, [None])
    with fleet.engine.begin() as connection:
        connection.execute(update(Shop).values(size=-1))
    mesh = Mesh([shop_service(criterion=EntityWeight(Shop.size))], database=fleet.mesh.database)
    (found,) = [one for one in rows(mesh, "database") if one.result is Result.PROBLEM]
    assert found.check == "your tables"
    assert (
        found.to_do == "correct it: until then it counts as 0, and an entity without a node is not assigned"
    )


def test_a_stopped_database_and_a_missing_column_are_problems(fleet: Fleet) -> None:
    register_node_type()
    gone = f"postgresql+psycopg://user:secret@127.0.0.1:{_unused_port()}/name"
    stopped = only(Mesh([shop_service()], database=gone), "database")
    assert (stopped.check, stopped.result) == ("connection", Result.PROBLEM)
    assert "secret" not in stopped.detail
    create_shop(fleet.engine)
    with fleet.engine.begin() as connection:
        connection.execute(text('ALTER TABLE "select" DROP COLUMN push_error'))
    found = {one.check: one for one in rows(fleet.mesh, "database")}
    assert found["connection"].result is Result.OK
    assert found["your tables"].result is Result.PROBLEM
    assert found["your tables"].detail.startswith("1 problem: select.push_error: ")
    assert found["your tables"].to_do.startswith("workmesh check")


def test_the_doctor_does_not_fail_without_server_mesh_database_or_valid_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "broken.py").write_text("raise RuntimeError('[/red] broken at import')")
    with temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{_unused_port()}/api"}):
        nothing = CliRunner().invoke(app, ["doctor"])
        broken = CliRunner().invoke(app, ["doctor", "--mesh", "broken:mesh"])
        no_database = CliRunner().invoke(app, ["doctor", "--mesh", "tests.support.shop_mesh:mesh"])
        monkeypatch.setenv(f"{PREFIX}CONECT_TIMEOUT", "1")
        setting = CliRunner().invoke(app, ["doctor", "--mesh", "tests.support.shop_mesh:mesh"])
    assert [one.exit_code for one in (nothing, broken, no_database, setting)] == [1] * 4
    assert "no mesh is named" in nothing.output
    assert "mesh under [integrations.workmesh]" in " ".join(nothing.output.split())
    assert "RuntimeError: [/red] broken at" in " ".join(broken.output.split())
    assert "no database is set" in " ".join(no_database.output.split())
    assert "CONNECT_TIMEOUT?" in "".join(setting.output.split())
    for one in (nothing, broken, no_database, setting):
        assert "prefect server start, or set" in " ".join(one.output.split())
        assert "Traceback" not in one.output


def test_the_command_exits_with_0_if_there_are_only_warnings(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    monkeypatch.setenv(f"{PREFIX}DATABASE_URL", url)
    engine = create_engine(url)
    create_shop(engine)
    engine.dispose()
    with nodes(fleet, "n1"):
        ended = CliRunner().invoke(app, ["doctor", "--mesh", "tests.support.shop_mesh:mesh"])
    assert (ended.exit_code, ": 0 problems, " in ended.output) == (0, True), ended.output


def test_the_flow_publishes_the_table_and_fails_with_the_problems(fleet: Fleet) -> None:
    create_shop(fleet.engine)
    with nodes(fleet, "n1") as running:
        assert ": 0 problems, " in mesh_flows_of(fleet).doctor().message
        running["n1"].script = lambda asked: failure("Wrong api_key")
        with pytest.raises(RunFailed, match="node n1, API key: the node rejects the API key"):
            mesh_flows_of(fleet).doctor()
    first = latest_table(api(), "workmesh-doctor")[0]
    assert (first["subject"], first["check"], first["result"]) == ("node n1", "API key", "problem")
    assert set(first) == {"subject", "check", "result", "detail", "what to do"}


def test_a_mesh_without_nodes_and_a_service_without_a_node_are_problems(fleet: Fleet) -> None:
    create_shop(fleet.engine)
    assert only(fleet.mesh, "nodes").to_do == "workmesh nodes import nodes.yaml"
    fleet.register("n1", 1, API_KEY, services=["quite.different"])
    (found,) = [one for one in rows(fleet.mesh, "service shop.orders") if one.check == "nodes"]
    assert found.detail == "no active node runs it"


def _unused_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
