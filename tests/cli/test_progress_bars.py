"""Bars of a run in a terminal: of lanes, assignments and moves."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from tests.support.fleet import Fleet
from tests.support.scripted_node import API_KEY, scripted_node
from tests.support.shop import write_orders, write_shops
from workmesh_flows.cli.progress_bars import progress_shown
from workmesh_flows.flows import mesh_flows, service_flows
from workmesh_flows.observability.progress_listeners import listening, notify


def test_a_terminal_shows_the_run_and_what_takes_longer() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    with console.capture() as captured, progress_shown(console, "shop.orders.push"):
        notify("order to [n1]", 10, 30)
        notify("order to n2", 5, 5)
        notify("order to n1", 9, 9)
    shown = captured.get()
    assert "shop.orders.push" in shown
    assert "order to [n1]" in shown
    assert "10/30" in shown
    assert "order to n2" not in shown


def test_a_pipe_shows_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    console = Console(file=io.StringIO())
    with progress_shown(console, "shop.orders.push"):
        notify("order to n1", 10, 30)
    assert capfd.readouterr() == ("", "")
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == ""


def test_assignments_lanes_and_moves_report_their_progress(fleet: Fleet) -> None:
    write_shops(fleet.engine, [None, None, "old"])
    write_orders(fleet.engine, [1] * 12)
    told = []
    with scripted_node() as node, listening(lambda *progress: told.append(progress)):
        fleet.register("n1", node.port, API_KEY)
        service_flows(fleet.mesh, "shop.orders", module=__name__).assign()
        service_flows(fleet.mesh, "shop.orders", module=__name__).push(nodes=["n1"])
        mesh_flows(fleet.mesh, module=__name__).drain(nodes=["old"], dry_run=False)
    assert told == [
        ("shop.orders: entities written", 2, 2),
        ("order to n1", 10, 12),
        ("order to n1", 12, 12),
        ("shop.orders: entities from old", 0, 1),
        ("shop.orders: entities from old", 1, 1),
    ]
