"""An unreachable Prefect server: delivery continues, nothing is lost, and commands report what they know."""

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
"""The second lane starts when the first has ended."""
HASTY = {"PREFECT_CLIENT_MAX_RETRIES": "1"}
"""Prefect's client gives up after seconds, not after a minute."""


@pytest.fixture
def held(prefect: str, tmp_path: Path) -> Iterator[HeldOrders]:
    del prefect
    with held_orders(tmp_path) as orders:
        yield orders


@pytest.fixture
def relay(prefect: str) -> Iterator[Relay]:
    """A connection to the server that can be cut."""
    with relay_to(prefect) as relay:
        yield relay


def output_of(process: subprocess.Popen[str], seconds: float = 100) -> str:
    """The output of a command; waits for its end."""
    try:
        return process.communicate(timeout=seconds)[0]
    finally:
        process.kill()


def push_without_server(held: HeldOrders, relay: Relay, **environment: str) -> subprocess.Popen[str]:
    """A push whose server is cut off during its first lane; returns when every order was pushed."""
    process = held.start("push", api=relay.api, **ONE_LANE, **environment)
    held.wait_until_held(nodes=1)
    relay.cut()
    held.go.set()
    wait_until("all was pushed", lambda: held.pushed() == ORDERS)
    return process


@pytest.mark.timeout(240)
def test_a_run_completes_although_its_server_is_killed_and_restarted_meanwhile(
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
            output = output_of(process)
            assert process.returncode == 0, output
            state = latest_run(server.api)["state"]
            assert (state["type"], state["message"]) == ("COMPLETED", f"pushed {ORDERS} records on 2 lanes")
            held.assert_nothing_lost()
    finally:
        server.stop()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_run_waits_for_a_server_that_is_unreachable_for_a_minute(
    prefect: str, held: HeldOrders, relay: Relay
) -> None:
    process = push_without_server(held, relay)
    time.sleep(60)
    relay.open()
    output = output_of(process, 200)
    assert process.returncode == 0, output
    assert latest_run(prefect)["state"]["message"] == f"pushed {ORDERS} records on 2 lanes"
    held.assert_nothing_lost()


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_command_reports_that_the_server_did_not_get_the_final_state_and_the_next_run_corrects_it(
    prefect: str, held: HeldOrders, relay: Relay
) -> None:
    output = output_of(process := push_without_server(held, relay, **HASTY))
    assert process.returncode == 1, output
    assert (
        "\nworkmesh: the connection to the Prefect server was lost, so it does not know how this run ended"
        in output
    )
    assert "the status at its end could not be shown" in output
    assert latest_run(prefect)["state"]["type"] == "RUNNING"
    held.assert_nothing_lost()
    relay.open()
    output = output_of(process := held.start("push", api=relay.api))
    assert (process.returncode, output.strip()) == (
        0,
        "pushed 0 records on 0 lanes, 2 lanes have nothing pending",
    )
    assert latest_run(prefect)["state"]["type"] == "COMPLETED"
    (row,) = latest_table(prefect, "workmesh-services")
    assert (row["pending"], row["in flight"]) == (0, ORDERS)


@pytest.mark.timeout(240)
def test_a_run_does_not_start_without_a_server_and_reports_why(held: HeldOrders, relay: Relay) -> None:
    relay.cut()
    began = time.monotonic()
    output = output_of(process := held.start("push", api=relay.api))
    assert process.returncode == 1
    assert output.startswith(f"workmesh: the Prefect server cannot be reached at {relay.api}")
    assert "set PREFECT_API_URL" in output
    assert time.monotonic() - began < 60
    assert held.pushed() == 0
    assert not held.holders()


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_server_that_hangs_during_a_run_delays_no_lane(
    prefect: str, held: HeldOrders, relay: Relay
) -> None:
    process = held.start("push", api=relay.api, **ONE_LANE, PREFECT_API_REQUEST_TIMEOUT="5")
    held.wait_until_held(nodes=1)
    relay.answering.clear()
    held.go.set()
    wait_until("all was pushed", lambda: held.pushed() == ORDERS)
    relay.answering.set()
    output = output_of(process)
    assert process.returncode == 0, output
    assert latest_run(prefect)["state"]["message"] == f"pushed {ORDERS} records on 2 lanes"
    held.assert_nothing_lost()


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_why_a_lane_failed_is_reported_without_a_server_too(held: HeldOrders, relay: Relay) -> None:
    process = held.start("push", api=relay.api, **HASTY, **ONE_LANE, **{f"{PREFIX}LANE_RETRIES": "0"})
    held.wait_until_held(nodes=1)
    relay.cut()
    for node in held.nodes:
        node.kill()
    held.go.set()
    output = output_of(process)
    assert process.returncode == 1
    assert "2 lanes failed" in output
    assert "order, node n1: " in output
