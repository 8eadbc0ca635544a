"""A run ends in the state of its work: a failure to publish tables and pages is logged and changes nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from tests.operations.delivery.refusals import refusing_these
from tests.support.fleet import Fleet
from tests.support.prefect_api import latest_run, wait_for_log
from tests.support.scripted_node import API_KEY, Answer, scripted_node
from tests.support.shop import with_push_success, write_orders, write_shops
from workmesh_flows.errors import RunFailed, StoreError
from workmesh_flows.flows import service_flows


@pytest.fixture
def flows(fleet: Fleet) -> Any:
    """Flows on a database in which the table of conditions, which every page needs, cannot be read."""
    write_shops(fleet.engine, ["n1"])
    write_orders(fleet.engine, [1] * 3)
    with fleet.engine.begin() as connection:
        connection.execute(text("ALTER TABLE workmesh_conditions DROP COLUMN detail"))
    return service_flows(fleet.mesh, "shop.orders", module=__name__)


def test_a_push_completes_although_its_pages_cannot_be_published(
    prefect: str, fleet: Fleet, flows: Any
) -> None:
    with scripted_node(refusing_these()) as node:
        fleet.register("n1", node.port, API_KEY)
        assert flows.push().message == "pushed 3 records on 1 lane"
    assert with_push_success(fleet.engine, True) == [1, 2, 3]
    wait_for_log(prefect, latest_run(prefect)["id"], "the status at its end could not be shown")


def test_a_failure_to_publish_pages_does_not_hide_why_a_lane_failed(fleet: Fleet, flows: Any) -> None:
    with scripted_node(lambda _: Answer(b"", 403)) as node:
        fleet.register("n1", node.port, API_KEY)
        with pytest.raises(RunFailed, match=r"1 lane failed(.|\n)*403"):
            flows.push()


def test_a_status_run_fails_where_its_counts_cannot_be_published(fleet: Fleet, flows: Any) -> None:
    with scripted_node(refusing_these()) as node:
        fleet.register("n1", node.port, API_KEY)
        with pytest.raises(StoreError):
            flows.status()
