"""A prune of a real Prefect server: which runs, logs and artifacts it deletes, and which stay."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from prefect import flow, get_client, get_run_logger, tags, task
from prefect.artifacts import create_markdown_artifact, create_progress_artifact
from prefect.runtime import flow_run
from prefect.states import Running
from typer.testing import CliRunner

from tests.operations.old_rows import add, plan
from tests.runs.shop_flows import flows_of, mesh_flows_of, nodes
from tests.support.fleet import Fleet
from tests.support.prefect_api import latest_table, post
from tests.support.shop import write_orders, write_shops
from workmesh_flows.adapters.store.engine import utc_now
from workmesh_flows.adapters.store.schema import plans
from workmesh_flows.cli import app
from workmesh_flows.cli.output import UsageError
from workmesh_flows.domain.pruned import Pruned
from workmesh_flows.observability import old_artifacts, old_runs
from workmesh_flows.observability.artifact_keys import artifact_keys

SERVICE = "old.shop"
OURS = ["workmesh", f"service:{SERVICE}"]


@task
def nothing() -> None:
    """A task of an old run."""


def old_flow(name: str) -> Any:
    """A flow with a task, a log line and an artifact without a key; returns the id of its run."""

    @flow(name=name)
    def run() -> str:
        nothing()
        get_run_logger().info("an old line")
        create_progress_artifact(50.0)
        return str(flow_run.id)

    return run


def tagged(names: list[str], run: Callable[[], str], times: int = 1) -> list[str]:
    with tags(*names):
        return [run() for _ in range(times)]


def about(runs: list[str]) -> dict[str, Any]:
    return {"flow_runs": {"id": {"any_": runs}}, "limit": 200}


def remaining(api: str, runs: list[str]) -> list[str]:
    found = {run["id"] for run in post(api, "/flow_runs/filter", about(runs))}
    return [run for run in runs if run in found]


def logs_of(api: str, runs: list[str]) -> int:
    return len(post(api, "/logs/filter", {"logs": {"flow_run_id": {"any_": runs}}, "limit": 200}))


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def prune_runs(*, dry_run: bool = False) -> Counter[str]:
    """What is deleted of the runs that have ended by now."""
    found = Counter[str]()
    with get_client(sync_client=True) as client:
        for batch in old_runs.prune_runs(client, [SERVICE], utc_now(), dry_run=dry_run):
            found[batch.kind] += batch.number
    return found


def test_ended_runs_are_deleted_with_their_tasks_and_logs_except_the_last_of_each_flow(
    prefect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(old_runs, "PAGE", 2)
    prune_runs()
    pushes = tagged(OURS, old_flow(f"{SERVICE}.push"), 6)
    pulls = tagged(OURS, old_flow(f"{SERVICE}.pull"))
    drains = tagged(OURS, old_flow("mesh.drain"), 2)
    others = tagged(["workmesh", "service:another"], old_flow("mesh.drain"), 2)
    users = tagged(OURS, old_flow("old.shop.push it"), 2)
    with get_client(sync_client=True) as client:
        started = client.create_flow_run(old_flow(f"{SERVICE}.push"), state=Running())
    runs = [*pushes, *pulls, *drains, *others, *users, str(started.id)]
    deleted = [*pushes[:-1], *drains[:-1]]
    wait_until(lambda: len(post(prefect, "/task_runs/filter", about(deleted))) == len(deleted))
    wait_until(lambda: logs_of(prefect, deleted) >= len(deleted))

    found = Counter({"flow runs": len(deleted), "artifacts": len(deleted)})
    assert prune_runs(dry_run=True) == found
    assert remaining(prefect, runs) == runs
    assert prune_runs() == found
    assert remaining(prefect, runs) == [run for run in runs if run not in deleted]
    assert post(prefect, "/task_runs/filter", about(deleted)) == []
    wait_until(lambda: logs_of(prefect, deleted) == 0)
    assert logs_of(prefect, users) > 0
    artifacts = post(
        prefect, "/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": runs}}, "limit": 200}
    )
    assert {artifact["flow_run_id"] for artifact in artifacts} == {*runs} - {*deleted, str(started.id)}
    assert prune_runs() == {}


def test_runs_that_ended_after_the_time_stay(prefect: str) -> None:
    runs = tagged(OURS, old_flow(f"{SERVICE}.push"), 2)
    with get_client(sync_client=True) as client:
        hour_ago = utc_now() - timedelta(hours=1)
        assert not list(old_runs.prune_runs(client, [SERVICE], hour_ago, dry_run=False))
    assert remaining(prefect, runs) == runs


def test_a_run_of_the_mesh_that_died_before_it_named_its_services_is_deleted(prefect: str) -> None:
    died = tagged(["workmesh"], old_flow("mesh.drain"))
    by_hand = tagged([], old_flow("mesh.drain"))
    last = tagged(OURS, old_flow("mesh.drain"))
    prune_runs()
    assert remaining(prefect, [*died, *by_hand, *last]) == [*by_hand, *last]


def versions(api: str, key: str) -> list[str]:
    asked = {"artifacts": {"key": {"any_": [key]}}, "sort": "CREATED_DESC", "limit": 200}
    return [artifact["data"] for artifact in post(api, "/artifacts/filter", asked)]


def prune_versions(before: timedelta = timedelta(0), *, dry_run: bool = False) -> int:
    with get_client(sync_client=True) as client:
        return sum(old_artifacts.prune_versions(client, [SERVICE], utc_now() - before, dry_run=dry_run))


def test_versions_are_deleted_except_the_latest_and_those_of_the_charts(
    prefect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_INTEGRATIONS_WORKMESH_ARTIFACT_PREFIX", "prune-test")
    monkeypatch.setattr(old_artifacts, "PAGE", 2)
    monkeypatch.setattr(old_artifacts, "VERSIONS", 3)

    @flow(name=f"{SERVICE}.status")
    def publish() -> None:
        for key in ("services", "overview", "old-shop-push", "not-ours"):
            for number in range(6):
                create_markdown_artifact(key=f"prune-test-{key}", markdown=f"{number}")

    publish()
    assert prune_versions(timedelta(hours=1)) == 0
    assert prune_versions(dry_run=True) == 3 + 5 + 5
    assert len(versions(prefect, "prune-test-overview")) == 6
    assert prune_versions() == 3 + 5 + 5
    assert versions(prefect, "prune-test-services") == ["5", "4", "3"]
    assert versions(prefect, "prune-test-overview") == versions(prefect, "prune-test-old-shop-push") == ["5"]
    assert len(versions(prefect, "prune-test-not-ours")) == 6
    assert prune_versions() == 0


@pytest.mark.usefixtures("_no_long_waits")
def test_the_keys_of_all_artifacts_that_the_flows_publish_are_known(
    fleet: Fleet, prefect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_INTEGRATIONS_WORKMESH_ARTIFACT_PREFIX", "keys-test")
    write_shops(fleet.engine, ["n1", None])
    write_orders(fleet.engine, [1, 2])
    flows, mesh = flows_of(fleet), mesh_flows_of(fleet)
    with nodes(fleet, "n1", "n2"):
        flows.sync()
        flows.rebalance()
        mesh.drain(nodes=["n1"], dry_run=False)
        mesh.doctor()
        mesh.prune()
    asked = {"artifacts": {"key": {"like_": "keys-test-%"}}, "limit": 200}
    published = {artifact["key"] for artifact in post(prefect, "/artifacts/latest/filter", asked)}
    assert published == set(artifact_keys(["shop.orders"]))


def test_a_run_deletes_old_rows_and_publishes_the_table(fleet: Fleet, prefect: str) -> None:
    write_shops(fleet.engine, [None])
    add(fleet.engine, plans, plan("old", at=utc_now() - timedelta(days=31)))
    add(fleet.engine, plans, plan("new", at=utc_now() - timedelta(days=29)))
    flows = mesh_flows_of(fleet)
    dry = flows.prune(dry_run=True)
    assert dry.message == "dry run, would delete 1 plan from more than 30 days ago"
    assert latest_table(prefect, "workmesh-prune")[0] == {
        "kind": "moves",
        "place": "database",
        "would delete": 0,
    }
    made = flows.prune()
    assert made.message == "deleted 1 plan from more than 30 days ago"
    assert Pruned("plans", 1) in made.pruned
    assert {"kind": "plans", "place": "database", "deleted": 1} in latest_table(prefect, "workmesh-prune")
    assert flows.prune(older_than="4w").message == "deleted 1 plan from more than 28 days ago"
    assert flows.prune(older_than="12h").message.endswith(" from more than 12 hours ago")


def test_the_command_shows_what_it_deletes(
    fleet: Fleet, prefect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", prefect)
    monkeypatch.setattr("workmesh_flows.cli.run_flow.mesh_of", lambda _: fleet.mesh)
    write_shops(fleet.engine, [None])
    add(fleet.engine, plans, plan("old", at=utc_now() - timedelta(days=31)))
    dry = CliRunner().invoke(app, ["prune", "--dry-run"]).stdout
    assert dry.startswith("dry run, would delete 1 plan from more than 30 days ago\nWould delete\n")
    assert "plans           database      1" in dry
    assert CliRunner().invoke(app, ["prune"]).stdout.startswith("deleted 1 plan from")
    wrong = CliRunner().invoke(app, ["prune", "--older-than", "30"])
    assert isinstance(wrong.exception, UsageError)
    assert str(wrong.exception).startswith("'30' is not an age: give a number of hours, days or weeks")
