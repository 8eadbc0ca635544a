"""Parked records in the replay flow, the artifact and the commands."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from typer.testing import CliRunner

from tests.operations.delivery.lane_runs import push
from tests.operations.delivery.refusals import few_attempts, refused_records, refusing_these
from tests.support.fleet import Fleet
from tests.support.prefect_api import everything, latest_run, latest_table
from tests.support.scripted_node import API_KEY, Answer, scripted_node, success
from tests.support.shop import with_push_success, write_orders, write_shops
from workmesh_flows import Mesh
from workmesh_flows.adapters.store.own_tables import create_own_tables
from workmesh_flows.cli.typer_app import app
from workmesh_flows.errors import ConfigurationError, RunFailed, UnknownName
from workmesh_flows.flows import ServiceFlows, service_flows

ROOT = Path(__file__).parents[2]
MESH = """
from tests.operations.delivery.refusals import few_attempts
from workmesh_flows import Mesh
mesh = Mesh([few_attempts(attempts=1)])
"""
ECHO = Answer(b'{"status": "bad, and so is %s", "value": ""}' % API_KEY.encode())


def flows_of(fleet: Fleet, **more: object) -> ServiceFlows:
    fleet.mesh = Mesh([few_attempts(**more)], database=lambda: fleet.engine)  # type: ignore[arg-type]
    return service_flows(fleet.mesh, "shop.orders", module=__name__)


def test_a_push_publishes_parked_records_and_a_replay_sends_them(fleet: Fleet, prefect: str) -> None:
    write_shops(fleet.engine, ["n1", "n1"])
    write_orders(fleet.engine, [1, 2] * 3)
    flows = flows_of(fleet, attempts=1)
    assert flows.replay.name == "shop.orders.replay"
    with scripted_node(refusing_these(3, answer=ECHO)) as node:
        fleet.register("n1", node.port, API_KEY)
        waits = "1 record waits behind 1 parked record: workmesh replay"
        assert flows.push().message == f"pushed 4 records on 1 lane, 1 parked, 1 waiting; {waits}"
        assert flows.push().message == f"pushed 0 records on 1 lane; {waits}"
        (row,) = latest_table(prefect, "workmesh-parked")
        assert row.pop("since")
        assert row == {
            "protocol": "order",
            "record": "3",
            "entity": "1",
            "node": "n1",
            "state": "parked",
            "attempts": 1,
            "waiting": 1,
            "reason": "bad, and so is ***",
        }
        node.script = lambda asked: success()
        assert flows.replay().message == "replayed 1 record; pushed 2 records on 1 lane"
    assert refused_records(fleet.engine) == {}
    assert latest_table(prefect, "workmesh-parked") == []
    assert latest_run(prefect)["state"]["type"] == "COMPLETED"
    assert API_KEY.strip("{}").lower() not in everything(prefect).lower()


def test_a_blocking_record_fails_runs_until_it_is_skipped(fleet: Fleet) -> None:
    write_shops(fleet.engine, ["n1"])
    write_orders(fleet.engine, [1] * 3)
    flows = flows_of(fleet, attempts=1, policy="block")
    with scripted_node(refusing_these(1)) as node:
        fleet.register("n1", node.port, API_KEY)
        with pytest.raises(RunFailed, match="order, node n1: record 1 blocks it: no good"):
            flows.push()
        with pytest.raises(
            UnknownName,
            match=r"service shop\.orders has no refused record '2'; workmesh failed lists these records",
        ):
            flows.replay(records=["1", "2"], skip=True)
        with pytest.raises(ConfigurationError, match="name the records or entities to skip"):
            flows.replay(skip=True)
        message = flows.replay(records=["1"], skip=True).message
    assert message == "skipped 1 record; pushed 2 records on 1 lane"
    assert with_push_success(fleet.engine, True) == [2, 3]


def workmesh(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "workmesh_flows.cli", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_the_commands_list_replay_and_skip_refused_records(
    prefect: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "parked_shop.py").write_text(MESH)
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    engine = create_engine(url)
    create_own_tables(engine)
    write_shops(engine, ["n1", "n1"])
    write_orders(engine, [1, 2] * 2)
    with scripted_node(refusing_these(1, 2)) as node:
        push(engine, few_attempts(attempts=1), node.node())
    environment = {
        "PREFECT_API_URL": prefect,
        "PREFECT_INTEGRATIONS_WORKMESH_DATABASE_URL": url,
        "PREFECT_INTEGRATIONS_WORKMESH_MESH": "parked_shop:mesh",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.syspath_prepend(tmp_path)
    listed = workmesh(tmp_path, "failed")
    assert listed.returncode == 0, listed.stderr
    assert "Refused and failed records" in listed.stdout
    assert "no good" in listed.stdout
    refused = CliRunner().invoke(app, ["replay", "--skip", "--no-push"])
    assert refused.exit_code == 1
    assert "name the records or entities to skip" in str(refused.exception)
    skipped = CliRunner().invoke(app, ["replay", "--record", "1", "--skip", "--no-push"])
    assert skipped.exit_code == 0, skipped.output
    assert refused_records(engine) == {"1": ("skipped", 1), "2": ("parked", 1)}
    replayed = CliRunner().invoke(app, ["replay", "--entity", "2", "--no-push"])
    assert replayed.exit_code == 0, replayed.output
    assert "released 1 record for the next push" in replayed.output
    assert refused_records(engine) == {"1": ("skipped", 1)}
    engine.dispose()


def test_a_retried_replay_does_not_decide_again_about_the_same_records(fleet: Fleet) -> None:
    write_shops(fleet.engine, ["n1"])
    write_orders(fleet.engine, [1])
    flows = flows_of(fleet, attempts=1)
    with scripted_node(refusing_these(1)) as node:
        fleet.register("n1", node.port, API_KEY)
        flows.push()
        answers = iter([Answer(code=403)])
        node.script = lambda asked: next(answers, success())
        outcome = flows.replay.with_options(retries=1)(records=["1"])
    assert outcome.message == "replayed 1 record; pushed 1 record on 1 lane"
    assert with_push_success(fleet.engine, True) == [1]
