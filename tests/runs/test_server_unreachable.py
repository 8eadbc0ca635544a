"""A Prefect server that is away: delivery goes on, nothing is lost, and runs say what they know."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from tests.runs.held_orders import ORDERS, HeldOrders, held_orders, wait_until
from tests.support.prefect_api import latest_run, latest_table
from tests.support.relay import Relay, relay_to
from workmesh_flows.demo.server import ServerProcess
from workmesh_flows.settings import PREFIX

ONE_LANE = {f"{PREFIX}LANES_AT_ONCE": "1"}
"""The second lane begins when the first has ended."""
HASTY = {"PREFECT_CLIENT_MAX_RETRIES": "1"}
"""Prefect's client gives up after seconds, not after a minute."""


@pytest.fixture
def held(prefect: str, tmp_path: Path) -> Iterator[HeldOrders]:
    del prefect
    with held_orders(tmp_path) as orders:
        yield orders


@pytest.fixture
def relay(prefect: str) -> Iterator[Relay]:
    """The way to the server, which can be cut."""
    with relay_to(prefect) as way:
        yield way


def ended(process: subprocess.Popen[str], seconds: float = 100) -> str:
    """What a command said, once it is over."""
    try:
        return process.communicate(timeout=seconds)[0]
    finally:
        process.kill()


def push_without_server(held: HeldOrders, relay: Relay, **environment: str) -> subprocess.Popen[str]:
    """A push whose server goes away in the middle of its first lane, and all is sent before it comes back."""
    process = held.start("push", api=relay.api, **ONE_LANE, **environment)
    held.wait_until_held(nodes=1)
    relay.cut()
    held.go.set()
    wait_until("all was pushed", lambda: held.pushed() == ORDERS)
    return process


@pytest.mark.timeout(240)
def test_a_server_that_is_killed_in_the_middle_of_a_run_and_started_again_finds_it_completed(
    tmp_path: Path,
) -> None:
    (home := tmp_path / "server").mkdir()
    server = ServerProcess(home)
    try:
        server.start()
        with temporary_settings({PREFECT_API_URL: server.api}), held_orders(tmp_path) as held:
            process = held.start("push", api=server.api, **ONE_LANE)
            held.wait_until_held(nodes=1)
            server.kill()
            held.go.set()
            wait_until("all was pushed", lambda: held.pushed() == ORDERS)
            server.start()
            said = ended(process)
            assert process.returncode == 0, said
            state = latest_run(server.api)["state"]
            assert (state["type"], state["message"]) == ("COMPLETED", f"pushed {ORDERS} records on 2 lanes")
            held.see_nothing_lost()
    finally:
        server.stop()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_server_that_is_away_for_a_minute_is_waited_for(
    prefect: str, held: HeldOrders, relay: Relay
) -> None:
    process = push_without_server(held, relay)
    time.sleep(60)
    relay.open()
    said = ended(process, 200)
    assert process.returncode == 0, said
    assert latest_run(prefect)["state"]["message"] == f"pushed {ORDERS} records on 2 lanes"
    held.see_nothing_lost()


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_run_that_cannot_tell_its_end_says_so_and_the_next_run_tells_the_truth(
    prefect: str, held: HeldOrders, relay: Relay
) -> None:
    said = ended(process := push_without_server(held, relay, **HASTY))
    assert process.returncode == 1, said
    assert "\nworkmesh: the Prefect server went away and was not told how this run ended" in said
    assert "the status at its end could not be shown" in said
    assert latest_run(prefect)["state"]["type"] == "RUNNING"
    held.see_nothing_lost()
    relay.open()
    said = ended(process := held.start("push", api=relay.api))
    assert (process.returncode, said.strip()) == (0, "pushed 0 records on 2 lanes")
    assert latest_run(prefect)["state"]["type"] == "COMPLETED"
    (row,) = latest_table(prefect, "workmesh-services")
    assert (row["pending"], row["in flight"]) == (0, ORDERS)


@pytest.mark.timeout(240)
def test_a_run_begins_not_at_all_without_a_server_and_says_why(held: HeldOrders, relay: Relay) -> None:
    relay.cut()
    began = time.monotonic()
    said = ended(process := held.start("push", api=relay.api))
    assert process.returncode == 1
    assert said.startswith(f"workmesh: the Prefect server cannot be reached at {relay.api}")
    assert "set PREFECT_API_URL" in said
    assert time.monotonic() - began < 60
    assert held.pushed() == 0
    assert not held.holders()


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_server_that_hangs_in_the_middle_of_a_run_keeps_no_lane_from_its_end(
    prefect: str, held: HeldOrders, relay: Relay
) -> None:
    process = held.start("push", api=relay.api, **ONE_LANE, PREFECT_API_REQUEST_TIMEOUT="5")
    held.wait_until_held(nodes=1)
    relay.talking.clear()
    held.go.set()
    wait_until("all was pushed", lambda: held.pushed() == ORDERS)
    relay.talking.set()
    said = ended(process)
    assert process.returncode == 0, said
    assert latest_run(prefect)["state"]["message"] == f"pushed {ORDERS} records on 2 lanes"
    held.see_nothing_lost()


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_why_a_lane_stopped_is_told_without_a_server_too(held: HeldOrders, relay: Relay) -> None:
    process = held.start("push", api=relay.api, **HASTY, **ONE_LANE, **{f"{PREFIX}LANE_RETRIES": "0"})
    held.wait_until_held(nodes=1)
    relay.cut()
    for node in held.nodes:
        node.kill()
    held.go.set()
    said = ended(process)
    assert process.returncode == 1
    assert "2 lanes failed" in said
    assert "order, node n1: " in said
