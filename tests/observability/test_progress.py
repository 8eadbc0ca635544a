"""Progress of a lane: an artifact and log lines at bounded intervals; errors in showing it do not stop the lane."""

from __future__ import annotations

from typing import Any

import pytest
from prefect.settings import PREFECT_API_URL, get_current_settings

from tests.support.fleet import Fleet
from tests.support.prefect_api import latest_run, post
from tests.support.scripted_node import API_KEY, scripted_node
from tests.support.shop import with_push_success, write_orders, write_shops
from workmesh_flows.flows import service_flows
from workmesh_flows.observability import progress

ORDERS = 45


def pushed(fleet: Fleet) -> None:
    write_shops(fleet.engine, ["n1"])
    write_orders(fleet.engine, [1] * ORDERS)
    with scripted_node() as node:
        fleet.register("n1", node.port, API_KEY)
        service_flows(fleet.mesh, "shop.orders", module=__name__).push()
    assert len(with_push_success(fleet.engine, True)) == ORDERS


def bars(api: str) -> list[dict[str, Any]]:
    run = latest_run(api)["id"]
    wanted = {"flow_runs": {"id": {"any_": [run]}}, "artifacts": {"type": {"any_": ["progress"]}}}
    found: list[dict[str, Any]] = post(api, "/artifacts/filter", wanted)
    return found


def api() -> str:
    url = get_current_settings().api.url
    assert url
    return url


def test_a_long_lane_shows_one_progress_bar_that_ends_at_100_per_cent(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "SECONDS", 0.0)
    pushed(fleet)
    (bar,) = bars(api())
    assert (bar["data"], bar["description"]) == (100.0, "order to n1: pushed")


def test_a_short_lane_creates_no_progress_artifact(fleet: Fleet) -> None:
    pushed(fleet)
    assert bars(api()) == []


def test_an_unreachable_server_does_not_stop_the_lane(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise ConnectionError("the server is unreachable")

    monkeypatch.setattr(progress, "SECONDS", 0.0)
    monkeypatch.setattr(progress, "create_progress_artifact", unreachable)
    pushed(fleet)
    assert bars(api()) == []
    assert caplog.text.count("progress is no longer shown: ConnectionError") <= 1
    assert PREFECT_API_URL.value()
