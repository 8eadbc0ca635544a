"""Failed records as an operator sees them: in a run's message, tables, page and commands, until a replay."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.microservice.caller import wait_for
from tests.operations.delivery.test_failed_records import BUG, push_only
from tests.support.fleet import Fleet
from tests.support.prefect_api import latest_table, post
from tests.support.shop import shop_service, write_orders, write_shops
from workmesh_flows import Mesh, Service
from workmesh_flows.flows import service_flows
from workmesh_flows.microservice import NodeProcess
from workmesh_flows.settings import artifact_key
from workmesh_flows.status import node_status, refused_records, service_status


@pytest.mark.parametrize(
    "service", [push_only(), shop_service(batch_size=100)], ids=["no results", "results"]
)
def test_records_that_fail_are_shown_until_one_replay_brings_all(
    fleet: Fleet, prefect: str, tmp_path: Path, service: Service
) -> None:
    write_shops(fleet.engine, ["n1", "n1"])
    write_orders(fleet.engine, [1, 2] * 250)
    fleet.mesh = Mesh([service], database=lambda: fleet.engine)
    flows = service_flows(fleet.mesh, "shop.orders", module=__name__)
    bug, effects = tmp_path / "bug", tmp_path / "effects"
    bug.touch()
    with NodeProcess(
        "tests.operations.delivery.buggy_orders:orders",
        database=tmp_path / "n1.db",
        environment={"BUG": str(bug), "EFFECTS": str(effects)},
    ) as process:
        fleet.register("n1", process.port, process.api_key)
        flows.push()
        wait_for(lambda: all(item.processed_at for item in process.arrivals()))
        assert flows.pull().message.endswith("20 failed")
        shown = refused_records(fleet.mesh)
        assert (len(shown), set(shown["state"]), set(shown["node"])) == (20, {"failed"}, {"n1"})
        assert BUG in set(shown["reason"])
        assert len(latest_table(prefect, "workmesh-parked")) == 20
        (row,) = node_status(fleet.mesh)[["pending", "failed", "processed"]].to_dict("records")
        assert row == {"pending": 0, "failed": 20, "processed": 480}
        found = post(
            prefect,
            "/artifacts/latest/filter",
            {"artifacts": {"key": {"any_": [artifact_key("shop.orders")]}}},
        )
        page = found[0]["description"]
        assert "records failed:" in page
        assert "## Refused and failed records" in page
        assert "a bug of today" in page

        bug.unlink()
        message = flows.replay(failed=True).message
        assert message == "replayed 20 records; pushed 20 records on 1 lane"
        wait_for(lambda: all(item.processed_at for item in process.arrivals()))
        flows.pull()
    assert refused_records(fleet.mesh).empty
    figures = service_status(fleet.mesh)[["pending", "failed", "in flight", "processed"]]
    assert figures.to_dict("records") == [{"pending": 0, "failed": 0, "in flight": 0, "processed": 500}]
    assert Counter(Counter(effects.read_text().split()).values()) == {1: 500}
