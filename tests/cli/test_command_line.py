from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import create_engine

from tests.cli.programs import Ended, Workmesh, process
from tests.operations.moves.movers import nodes_of_shops
from tests.support.scripted_node import API_KEY, Answer, Asked, scripted_node, success
from tests.support.shop import with_push_success, write_orders, write_shops
from workmesh_flows.blocks import WorkmeshNode


def error_line(ended: Ended) -> str:
    """The one line of an error."""
    assert ended.returncode == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    lines = [line for line in ended.stderr.splitlines() if line.startswith("workmesh: ")]
    assert len(lines) == 1, ended.stderr
    return lines[0]


def test_help_lists_the_commands(workmesh: Workmesh) -> None:
    ended = workmesh("--help")
    assert ended.returncode == 0
    commands = (
        "demo",
        "nodes",
        "services",
        "assign",
        "push",
        "pull",
        "sync",
        "rebalance",
        "drain",
        "moves",
        "lanes",
        "failed",
        "replay",
        "check",
        "doctor",
        "upgrade",
        "verify",
    )
    for command in (*commands, "microservice"):
        assert f" {command} " in ended.stdout


def test_the_commands_are_defined_without_importing_prefect_or_pandas() -> None:
    code = "import sys, workmesh_flows.cli; print(sorted({'httpx', 'pandas', 'prefect'} & set(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        pytest.param(["push"], "no mesh is named: give --mesh module:attribute", id="no mesh"),
        pytest.param(["push", "--mesh", "shop_mesh"], "write module:attribute", id="no attribute"),
        pytest.param(["push", "--mesh", "nowhere:mesh"], "there is no module nowhere", id="no module"),
        pytest.param(
            ["push", "--mesh", "shop_mesh:number"],
            "attribute 'number' of module shop_mesh is not a Mesh",
            id="no mesh there",
        ),
        pytest.param(
            ["push", "--mesh", "shop_mesh:mesh", "shop.order"], "it has: shop.orders", id="no such service"
        ),
        pytest.param(["nodes", "--mesh", "shop_mesh:mesh"], "no database is set", id="no database"),
        pytest.param(["microservice", "nowhere:app"], "there is no module nowhere", id="no micro-service"),
    ],
)
def test_an_error_is_reported_in_one_line(
    prefect: str, workmesh: Workmesh, arguments: list[str], line: str
) -> None:
    del prefect
    assert line in error_line(workmesh(*arguments))


def test_an_unreachable_server_is_reported_in_one_line(folder: Path) -> None:
    environment = {
        "PREFECT_API_URL": "http://127.0.0.1:9/api",
        "PREFECT_CLIENT_MAX_RETRIES": "0",
        "PREFECT_INTEGRATIONS_WORKMESH_DATABASE_URL": f"sqlite:///{folder / 'master.db'}",
    }
    line = error_line(process(folder, "nodes", "--mesh", "shop_mesh:mesh", **environment))
    assert "the Prefect server cannot be reached" in line


def test_tables_and_flows_work_from_the_command_line(prefect: str, folder: Path, workmesh: Workmesh) -> None:
    url = f"sqlite:///{folder / 'master.db'}"
    engine = create_engine(url)
    write_shops(engine, [None, "ghost"])
    write_orders(engine, [1, 1, 1, 2])
    environment = {
        "PREFECT_INTEGRATIONS_WORKMESH_MESH": "shop_mesh:mesh",
        "PREFECT_INTEGRATIONS_WORKMESH_DATABASE_URL": url,
        "PREFECT_INTEGRATIONS_WORKMESH_LANE_RETRIES": "0",
    }

    def script(asked: Asked) -> Answer:
        return success(3 if asked.path.endswith("order/status.json") else {"1": {"score": 9}})

    with scripted_node(script) as node:
        WorkmeshNode(
            host="127.0.0.1", port=node.port, api_key=SecretStr(API_KEY), services=["shop.orders"]
        ).save("n1")
        assert "assigned 1 entity (n1 1)" in workmesh("assign", **environment).stdout
        pushed = workmesh("push", "shop.orders", "--node", "n1", "--limit", "2", **environment)
        assert pushed.stdout.strip() == "pushed 2 records on 1 lane, 1 not reached"
        stopped = workmesh("push", **environment)
        assert error_line(stopped) == "workmesh: 1 lane failed:"
        assert "\nTotal: pushed 1 record on 2 lanes. Nothing is lost" in stopped.stderr
        assert with_push_success(engine, True) == [1, 2, 3]
        assert "pulled 1 record" in workmesh("pull", "--node", "n1", **environment).stdout
        nodes = process(folder, "nodes", PREFECT_API_URL=prefect, **environment).stdout
        services = workmesh("services", "--all", **environment).stdout
    engine.dispose()
    rows = {line.split()[0]: line.split() for line in nodes.splitlines() if line.strip()}
    assert rows["n1"] == ["n1", "active", "yes", "1", "1", "0", "0", "1", "shop.orders"]
    assert rows["ghost"][:2] == ["ghost", "unknown"]
    assert "ghost: it is not in the inventory, but entities are assigned to it: add its block" in nodes
    assert "nan" not in nodes
    assert "ownerless" in services
    assert API_KEY not in nodes + services


def test_drain_shows_its_plan_and_applies_it_only_with_apply(
    prefect: str, folder: Path, workmesh: Workmesh
) -> None:
    del prefect
    url = f"sqlite:///{folder / 'master.db'}"
    engine = create_engine(url)
    write_shops(engine, ["n1", "n1", "n2"])
    for name in ("n1", "n2"):
        WorkmeshNode(host="127.0.0.1", port=9, api_key=SecretStr(API_KEY), services=["shop.orders"]).save(
            name
        )
    environment = {
        "PREFECT_INTEGRATIONS_WORKMESH_DATABASE_URL": url,
        "PREFECT_INTEGRATIONS_WORKMESH_MESH": "shop_mesh:mesh",
    }
    shown = workmesh("drain", "n1", "--force", **environment)
    assert shown.returncode == 0, shown.stderr
    assert "dry run, nothing was moved: drain of shop.orders: 2 moves, from 1 node to 1 node" in shown.stdout
    assert [line.split()[:6] for line in shown.stdout.splitlines() if line.startswith(("1 ", "2 "))] == [
        ["1", "n1", "n2", "1", "drain", "2.00"],
        ["2", "n1", "n2", "1", "drain", "2.00"],
    ]
    assert nodes_of_shops(engine) == {1: "n1", 2: "n1", 3: "n2"}
    applied = workmesh("drain", "n1", "--apply", "--force", **environment)
    assert "moved 2 entities" in applied.stdout
    assert set(nodes_of_shops(engine).values()) == {"n2"}
    log = workmesh("moves", **environment)
    assert log.stdout.count("drain-") == 2
    engine.dispose()
