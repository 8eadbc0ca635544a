"""The exit status of each way in which a command ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.cli.programs import ROOT, Workmesh
from tests.support.fleet import Fleet
from tests.support.scripted_node import API_KEY, Answer, Asked, scripted_node, success
from tests.support.shop import write_orders, write_shops
from workmesh_flows.adapters.store.lanes import acquire_lane
from workmesh_flows.adapters.store.own_tables import create_own_tables
from workmesh_flows.cli.exit_status import MEANINGS, ExitStatus
from workmesh_flows.domain.lane import Lane


def test_each_status_has_a_meaning() -> None:
    assert set(MEANINGS) == set(ExitStatus)


def test_a_run_that_did_everything_ends_with_0(shop: Fleet, workmesh: Workmesh) -> None:
    write_shops(shop.engine, ["n1"])
    write_orders(shop.engine, [1])
    with scripted_node() as node:
        shop.register("n1", node.port, API_KEY)
        ended = workmesh("push")
    assert (ended.returncode, ended.stdout) == (0, "pushed 1 record on 1 lane\n")


def test_a_disabled_node_and_pinned_entities_leave_nothing(shop: Fleet, workmesh: Workmesh) -> None:
    write_shops(shop.engine, ["n1", "n2"])
    write_orders(shop.engine, [1])
    with scripted_node() as node:
        shop.register("n1", node.port, API_KEY, state="disabled")
        shop.register("n2", node.port, API_KEY)
        for arguments in (["push"], ["nodes"], ["drain", "n1", "--pin", "1"]):
            ended = workmesh(*arguments)
            assert ended.returncode == 0, ended


def test_a_lane_that_another_run_holds_ends_with_3(shop: Fleet, workmesh: Workmesh) -> None:
    write_shops(shop.engine, ["n1"])
    write_orders(shop.engine, [1])
    create_own_tables(shop.engine)
    lane = Lane("shop.orders", "order", "n1", "push")
    acquire_lane(shop.engine, lane, holder="another run", clock=lambda: datetime.now(UTC), lease_seconds=60)
    with scripted_node() as node:
        shop.register("n1", node.port, API_KEY)
        ended = workmesh("push")
    assert ended.returncode == 3
    assert ended.stdout.startswith(
        "pushed 0 records on 1 lane, 1 lane busy (order to n1: held by another run until "
    )


def test_entities_without_a_node_end_with_3_and_an_entity_that_was_named_with_1(
    shop: Fleet, workmesh: Workmesh
) -> None:
    write_shops(shop.engine, [None])
    for arguments, status in (
        (["assign"], 3),
        (["assign", "--dry-run"], 3),
        (["assign", "--entity", "1"], 1),
    ):
        ended = workmesh(*arguments)
        assert (ended.returncode, "no active node runs the service" in ended.stdout + ended.stderr) == (
            status,
            True,
        )


def test_a_drain_that_would_be_refused_ends_with_3_and_with_apply_with_1(
    shop: Fleet, workmesh: Workmesh
) -> None:
    write_shops(shop.engine, ["n1"])
    with scripted_node() as node:
        shop.register("n1", node.port, API_KEY)
        shown, applied = workmesh("drain", "n1"), workmesh("drain", "n1", "--apply")
    assert (shown.returncode, "the drain would be refused" in shown.stdout) == (3, True)
    assert (applied.returncode, applied.stdout) == (1, "")


def test_a_node_that_rejects_the_key_ends_with_3(shop: Fleet, workmesh: Workmesh) -> None:
    write_shops(shop.engine, ["n1"])
    with scripted_node(lambda asked: Answer(code=401)) as node:
        shop.register("n1", node.port, API_KEY)
        ended = workmesh("nodes")
    assert (ended.returncode, "n1: the node rejects the API key" in ended.stdout) == (3, True)


def test_nodes_that_are_unreachable_invalid_or_without_a_block_end_with_3(
    shop: Fleet, workmesh: Workmesh
) -> None:
    write_shops(shop.engine, ["ghost"])
    ended = workmesh("nodes")
    assert (ended.returncode, "ghost: it is not in the inventory" in ended.stdout) == (3, True)
    write_orders(shop.engine, [1])
    assert workmesh("services").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([""], "workmesh: No such command ''. (see workmesh --help)"),
        (["push", "--limit", "many"], "workmesh: Invalid value for '--limit': Input should be a valid integer, unable to parse string as an integer (see workmesh push --help)"),
        (["nodes", "--json", "upgrade"], None),
        (["check", "--sql", "--json"], None),
        (["assign", "--reassign"], "workmesh: --reassign and --repush require --entity; workmesh rebalance moves entities of all nodes"),
        (["assign", "--dry-run", "--entity", "1"], "workmesh: --dry-run plans all entities without a node: it excludes --entity"),
    ],
)  # fmt: skip
def test_wrong_usage_ends_with_2_in_one_line(
    workmesh: Workmesh, arguments: list[str], line: str | None
) -> None:
    ended = workmesh(*arguments)
    assert ended.returncode == 2, ended
    if line is not None:
        assert (ended.stdout, ended.stderr) == ("", f"{line}\n")


def test_help_is_also_called_h(workmesh: Workmesh) -> None:
    for command in ([], ["push"], ["nodes", "import"], ["automations", "install"]):
        short, long = workmesh(*command, "-h"), workmesh(*command, "--help")
        assert (short.returncode, short.stdout) == (0, long.stdout)


def test_ctrl_c_ends_a_run_with_130_and_prints_nothing(shop: Fleet, prefect: str, folder: Path) -> None:
    write_shops(shop.engine, ["n1"])
    write_orders(shop.engine, [1])

    def slow(asked: Asked) -> Answer:
        time.sleep(0.5 if asked.path.endswith("push.json") else 0)
        return success()

    with scripted_node(slow) as node:
        shop.register("n1", node.port, API_KEY)
        running = subprocess.Popen(
            [sys.executable, "-m", "workmesh_flows.cli", "push"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PREFECT_API_URL": prefect},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        end = time.monotonic() + 60
        while not any("push" in asked.path for asked in node.asked):
            assert time.monotonic() < end
            time.sleep(0.02)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
    assert (running.returncode, out, err) == (130, "", "")
