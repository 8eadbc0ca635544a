"""--json: one document on standard output, of the published shape, also if the command fails."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from tests.cli.output_schema import checked
from tests.cli.programs import Workmesh
from tests.operations.old_rows import flag
from tests.support.fleet import Fleet
from tests.support.scripted_node import API_KEY, Answer, Asked, ScriptedNode, scripted_node, success
from tests.support.secrecy import assert_secret
from tests.support.shop import write_orders, write_shops
from tests.testing.history.event_makers import accepted, record, state
from workmesh_flows.cli import app
from workmesh_flows.testing import History

ROOT = Path(__file__).parents[2]
WITHOUT_JSON = {
    "init",
    "demo",
    "microservice",
    "serve",
    "metrics",
    "setup",
    "report",
    "automations install",
    "nodes export",
}
"""Commands that show no table and no plan, serve until they are stopped, or write a file."""

Documents = Callable[..., dict[str, Any]]


@pytest.fixture
def document(workmesh: Workmesh) -> Documents:
    """Run a command with --json; return its document, whose status is the exit status."""

    def run(*arguments: str) -> dict[str, Any]:
        ended = workmesh(*arguments, "--json")
        assert_secret(API_KEY, ended.stdout, ended.stderr)
        made = checked(ended.stdout)
        assert made["status"] == ended.returncode
        assert set(made["tables"]) == _documented_tables()[made["command"]]
        assert (made["error"] is not None) == (ended.returncode == 1 and not made["problems"])
        return made

    return run


def refusing_order_2(asked: Asked) -> Answer:
    """A node that refuses order 2, and has processed all others."""
    if asked.path.endswith("push.json"):
        return success({"refused": {"2": "it has no lines"}})
    if asked.path.endswith("order/status.json"):
        return success(3)
    if asked.path.endswith("pull.json"):
        return success({str(number): {"score": 9} for number in asked.body["ids"]})
    return success("1.0")


@contextmanager
def node_of(shop: Fleet) -> Iterator[ScriptedNode]:
    """Node n1, which refuses order 2."""
    with scripted_node(refusing_order_2) as node:
        shop.register("n1", node.port, API_KEY, limits=[{"service": "shop.orders", "max_entities": 9}])
        yield node


def test_runs_of_delivery_list_lanes_and_assignments(shop: Fleet, document: Documents) -> None:
    write_shops(shop.engine, [None, None])
    write_orders(shop.engine, [1, 2, 1])
    with node_of(shop):
        assert len(document("assign", "--dry-run")["tables"]["entities"]) == 2
        assigned = document("sync")["tables"]
        assert assigned["assigned"] == [{"service": "shop.orders", "node": "n1", "entities": 2}]
        pushed, pulled = assigned["lane_results"]
        assert (pushed["direction"], pushed["pushed"], pushed["parked"], pushed["pulled"]) == (
            "push",
            2,
            1,
            None,
        )
        assert (pulled["direction"], pulled["pulled"], pulled["pushed"]) == ("pull", 2, None)
        assert document("push")["tables"]["lane_results"][0]["reason"] is None
        again = document("pull", "--node", "n1")["tables"]["lane_results"]
        assert sum(row["pulled"] for row in again) == 0
    (parked,) = document("failed")["tables"]["records"]
    assert (parked["record"], parked["state"], parked["attempts"]) == ("2", "parked", 1)
    assert document("replay", "--skip", "--record", "2", "--no-push")["message"] == "skipped 1 record"
    assert {row["direction"] for row in document("lanes")["tables"]["lanes"]} == {"push", "pull"}


def test_runs_of_moves_list_plans_and_hand_overs(shop: Fleet, document: Documents) -> None:
    write_shops(shop.engine, ["n1", "ghost"])
    with node_of(shop):
        shown = document("drain", "ghost")["tables"]
        (plan,), (move,) = shown["plans"], shown["planned_moves"]
        assert (plan["moves"], move["plan"], move["entity"], move["to"]) == (1, plan["plan"], "2", "n1")
        assert {row["node"] for row in shown["balance"]} == {"n1", "ghost"}
        assert document("drain", "ghost", "--apply")["tables"]["hand_overs"][0]["moved"] == 1
        named = document("assign", "--entity", "1")["tables"]
        assert named["entities"] == [{"entity": "1", "node": "n1"}]
        repushed = document("assign", "--entity", "1", "--repush")["tables"]["hand_overs"]
        assert [(row["source"], row["moved"]) for row in repushed] == [("n1", 1)]
        assert document("rebalance")["tables"]["planned_moves"] == []
    assert document("moves")["tables"]["moves"][-1]["plan"] == plan["plan"]


def test_tables_of_the_mesh_and_its_nodes(
    shop: Fleet, folder: Path, document: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_shops(shop.engine, ["n1", "ghost"])
    monkeypatch.setenv("THE_KEY", API_KEY)
    inventory = 'n9: {host: 10.0.0.9, api_key: "${THE_KEY}", services: [shop.orders]}'
    (folder / "nodes.yaml").write_text(inventory)
    with node_of(shop) as node:
        ghost, row = document("nodes")["tables"]["nodes"]
        assert (row["node"], row["port"], row["services"]) == ("n1", node.port, ["shop.orders"])
        assert (row["used"], row["entities"], row["problem"]) == (0.111, 1, None)
        assert (ghost["node"], ghost["port"], ghost["services"], ghost["used"]) == ("ghost", None, [], None)
        assert document("services")["tables"]["services"][0]["nodes"] == 2
        checked_database = document("check")["tables"]
        assert checked_database["findings"]
        assert all(row["sql"].endswith(";") for row in checked_database["statements"])
        results = {row["result"] for row in document("doctor")["tables"]["checks"]}
        assert results <= {"ok", "warning", "problem"}
    for options, done in ((["--dry-run"], False), ([], True)):
        changes = document("nodes", "import", "nodes.yaml", *options)["tables"]["changes"]
        assert changes == [{"node": "n9", "change": "added", "done": done}]
    assert document("nodes", "upgrade")["tables"]["changes"] == []
    assert document("upgrade")["tables"]["migrations"] == []


def test_a_history_is_counted(shop: Fleet, folder: Path, document: Documents) -> None:
    del shop
    with History(folder / "history.jsonl") as history:
        for event in (record(1), accepted(1, 1), state(1)):
            history.write(event)
    assert document("verify", "history.jsonl")["tables"]["history"][0]["events"] == 3


def test_a_prune_is_counted_by_kind(shop: Fleet, document: Documents) -> None:
    write_shops(shop.engine, ["n1"])
    for options in (["--dry-run"], []):
        pruned = document("prune", "--older-than", "8w", *options)["tables"]["pruned"]
        assert [row["place"] for row in pruned] == ["database"] * 6 + ["Prefect"] * 2


def test_an_exact_count_says_by_how_much_it_corrected_the_sums(shop: Fleet, document: Documents) -> None:
    write_shops(shop.engine, ["n1"])
    write_orders(shop.engine, [1, 1])
    flag(shop.engine, 1, pushed=True, pulled=True)
    assert document("services")["tables"]["services"][0]["processed"] == 1
    flag(shop.engine, 2, pushed=True, pulled=True)  # by another program
    found = document("services", "--exact")
    assert found["message"] == "corrected the processed records of shop.orders.order by +1"
    assert found["tables"]["services"][0]["processed"] == 2


def test_entities_that_could_not_be_assigned_are_listed(shop: Fleet, document: Documents) -> None:
    write_shops(shop.engine, [None, None])
    for arguments in (["assign"], ["assign", "--dry-run"]):
        found = document(*arguments)
        assert found["status"] == 3
        assert found["tables"]["assignment"] == [{"service": "shop.orders", "assigned": 0, "unassigned": 2}]
        assert [row["entity"] for row in found["tables"]["unassigned"]] == ["1", "2"]
        assert found["problems"] == [
            "shop.orders: 2 entities could not be assigned: no active node runs the service"
        ]


def test_nodes_that_do_not_work_and_entities_that_cannot_move_are_listed(
    shop: Fleet, document: Documents
) -> None:
    write_shops(shop.engine, [None, "n1"])
    shop.register("n1", 9, API_KEY)
    assigned = document("assign")
    assert (assigned["status"], assigned["tables"]["excluded"][0]["node"]) == (3, "n1")
    drained = document("drain", "n1")
    assert drained["status"] == 3
    assert [row["entity"] for row in drained["tables"]["cannot_move"]] == ["2"]
    assert drained["problems"][0].startswith("shop.orders: 1 entity cannot move: ")
    assert drained["problems"][-1].startswith("the drain would be refused: ")
    nodes = document("nodes")
    assert (nodes["status"], nodes["tables"]["nodes"][0]["reachable"]) == (3, False)
    assert nodes["problems"][0].startswith("n1: no connection")


def test_a_run_that_fails_has_an_error_and_what_it_did_before(shop: Fleet, workmesh: Workmesh) -> None:
    write_shops(shop.engine, ["n1", "ghost"])
    write_orders(shop.engine, [1, 2])
    with scripted_node() as node:
        shop.register("n1", node.port, API_KEY)
        ended = workmesh("push", "--json")
    found = checked(ended.stdout)
    assert (ended.returncode, found["status"], ended.stderr) == (1, 1, "")
    assert found["error"]["type"] == "RunFailed"
    assert found["error"]["message"].startswith("1 lane failed:\n")
    assert [(row["node"], row["state"], row["pushed"]) for row in found["tables"]["lane_results"]] == [
        ("ghost", "stopped", 0),
        ("n1", "done", 1),
    ]


@pytest.mark.parametrize(
    ("arguments", "status", "kind", "message"),
    [
        pytest.param(["push", "nowhere"], 1, "UnknownName", "it has: shop.orders", id="unknown service"),
        pytest.param(["push", "--bogus"], 2, "UsageError", "No such option: --bogus", id="unknown option"),
        pytest.param(
            ["assign", "--together", "--dry-run"], 2, "UsageError", "--together assigns all", id="conflict"
        ),
        pytest.param(["verify", "nothing.jsonl"], 2, "UsageError", "nothing.jsonl", id="no history"),
        pytest.param(["drain"], 2, "UsageError", "Missing argument", id="missing argument"),
    ],
)
@pytest.mark.usefixtures("shop")
def test_a_command_that_cannot_start_has_an_error(
    workmesh: Workmesh, arguments: list[str], status: int, kind: str, message: str
) -> None:
    ended = workmesh(*arguments, "--json")
    found = checked(ended.stdout)
    assert (ended.returncode, found["status"], ended.stderr) == (status, status, "")
    assert found["command"] == arguments[0]
    assert found["error"]["type"] == kind
    assert message in found["error"]["message"]


def test_the_document_stands_alone_on_standard_output(shop: Fleet, folder: Path, workmesh: Workmesh) -> None:
    write_shops(shop.engine, ["n1"])
    module = folder / "shop_mesh.py"
    module.write_text(f"print('loading the mesh')\n{module.read_text()}")
    ended = workmesh("services", "--json")
    assert checked(ended.stdout)["tables"]["services"][0]["entities"] == 1
    assert ended.stderr == "loading the mesh\n"


def test_times_are_in_utc_and_close_to_now(shop: Fleet, document: Documents) -> None:
    write_shops(shop.engine, ["n1"])
    at = datetime.fromisoformat(document("lanes")["at"])
    assert abs(at - datetime.now(UTC)) < timedelta(minutes=1)


def test_every_command_that_shows_a_table_has_the_option() -> None:
    having = {name for name, options in _commands() if "--json" in options}
    assert having == set(_documented_tables())
    assert {name for name, options in _commands() if "--json" not in options} == WITHOUT_JSON


def test_tables_that_change_can_be_watched() -> None:
    watched = {name for name, options in _commands() if "--watch" in options}
    assert watched == {"nodes", "services", "lanes", "failed"}


def _documented_tables() -> dict[str, set[str]]:
    """The tables of each command, from the page about scripts."""
    page = (ROOT / "docs" / "scripting.md").read_text(encoding="utf-8")
    found = {}
    row = r"^\| ((?:`[a-z ]+`,? ?)+)\| ((?:`[a-z_]+`,? ?)+)\|$"
    for names, tables in re.findall(row, page, flags=re.MULTILINE):
        for name in re.findall("`([^`]+)`", names):
            found[name] = set(re.findall("`([^`]+)`", tables))
    return found


def _commands() -> Iterator[tuple[str, set[str]]]:
    """Each command by its words, with its options."""
    waiting: list[tuple[str, Any]] = [("", get_command(app))]
    while waiting:
        name, command = waiting.pop()
        below = getattr(command, "commands", {})
        waiting += [(f"{name} {word}".strip(), further) for word, further in below.items()]
        if name and (not below or getattr(command, "invoke_without_command", False)):
            yield name, {option for parameter in command.params for option in parameter.opts}
