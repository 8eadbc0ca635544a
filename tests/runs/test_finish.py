"""A run ends by what it did: where its tables and pages cannot be made it says so, and nothing else changes."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from tests.operations.delivery.parking import refusing_these
from tests.support.fleet import Fleet
from tests.support.prefect_api import latest_run, wait_for_log
from tests.support.scripted_node import API_KEY, Answer, scripted_node
from tests.support.shop import with_push_success, write_orders, write_shops
from workmesh_flows.errors import RunFailed, StoreError
from workmesh_flows.flows import service_flows


@pytest.fixture
def flows(fleet: Fleet) -> Any:
    """Flows on a database whose table of conditions, which every page needs, cannot be read."""
    write_shops(fleet.engine, ["n1"])
    write_orders(fleet.engine, [1] * 3)
    with fleet.engine.begin() as connection:
        connection.execute(text("ALTER TABLE workmesh_conditions DROP COLUMN detail"))
    return service_flows(fleet.mesh, "shop.orders", module=__name__)


def test_a_push_is_completed_though_its_pages_cannot_be_made(prefect: str, fleet: Fleet, flows: Any) -> None:
    with scripted_node(refusing_these()) as node:
        fleet.register("n1", node.port, API_KEY)
        assert flows.push().message == "pushed 3 records on 1 lane"
    assert with_push_success(fleet.engine, True) == [1, 2, 3]
    wait_for_log(prefect, latest_run(prefect)["id"], "the status at its end could not be shown")


def test_the_reason_of_a_stopped_lane_is_not_hidden_by_pages_that_cannot_be_made(
    fleet: Fleet, flows: Any
) -> None:
    with scripted_node(lambda _: Answer(b"", 403)) as node:
        fleet.register("n1", node.port, API_KEY)
        with pytest.raises(RunFailed, match=r"1 lane failed(.|\n)*403"):
            flows.push()


def test_a_run_that_only_counts_fails_where_it_cannot_show_what_it_counted(fleet: Fleet, flows: Any) -> None:
    with scripted_node(refusing_these()) as node:
        fleet.register("n1", node.port, API_KEY)
        with pytest.raises(StoreError):
            flows.status()
