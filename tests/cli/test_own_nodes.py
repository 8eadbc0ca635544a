"""`workmesh nodes` shows the nodes of its own mesh; each problem is printed once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from typer.testing import CliRunner

from tests.support.fleet import Fleet
from tests.support.scripted_node import API_KEY, failure, scripted_node
from tests.support.shop import shop_mesh, write_orders, write_shops
from workmesh_flows.cli import app
from workmesh_flows.settings import PREFIX

ROOT = Path(__file__).parents[2]
MISSPELT = "misspelt: the mesh has no service shop.order: did you mean shop.orders?"


@pytest.fixture
def shop(prefect: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    """The shop's mesh on SQLite, as commands load it; shop 1 is at a node that has no block."""
    del prefect
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    monkeypatch.setenv(f"{PREFIX}MESH", "tests.support.shop_mesh:mesh")
    monkeypatch.setenv(f"{PREFIX}DATABASE_URL", url)
    monkeypatch.setenv("COLUMNS", "200")
    engine = create_engine(url)
    write_shops(engine, ["gone", "holding"])
    write_orders(engine, [1])
    yield Fleet(shop_mesh(), engine)
    engine.dispose()


def test_only_nodes_of_the_mesh_are_shown_and_contacted(shop: Fleet) -> None:
    with scripted_node() as node, scripted_node() as foreign:
        shop.register("own", node.port, API_KEY, services=["shop.orders", "quite.different"])
        shop.register("misspelt", node.port, API_KEY, services=["shop.order"])
        shop.register("holding", node.port, API_KEY, services=["quite.different"])
        shop.register("foreign", foreign.port, API_KEY, services=["quite.different"])
        own = CliRunner().invoke(app, ["nodes"]).output
        assert foreign.asked == []
        every = CliRunner().invoke(app, ["nodes", "--all-meshes"]).output
    assert _names(own) == ["gone", "holding", "misspelt", "own"]
    assert _names(every) == ["foreign", "gone", "holding", "misspelt", "own"]
    assert "quite.different" not in own
    assert "quite.different" in every
    assert own.count(MISSPELT) == 1


def test_a_refused_key_is_printed_once_and_not_as_a_lost_connection(shop: Fleet) -> None:
    with scripted_node(lambda asked: failure("Wrong api_key")) as node:
        shop.register("holding", node.port, API_KEY)
        for more in ([], ["--all"]):
            output = CliRunner().invoke(app, ["nodes", *more]).output
            assert output.count("the node rejects the API key") == 1, output


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (["push", "--node", "nope"], "the mesh has no node 'nope'"),
        (["drain", "nope"], "the mesh has no node 'nope'"),
        (["assign", "--entity", "nope"], "has no entity 'nope'"),
        (["push"], "add its block again, or move its entities to other nodes: workmesh drain gone --apply"),
    ],
)
def test_a_command_prints_its_problem_once(
    shop: Fleet, prefect: str, tmp_path: Path, command: list[str], text: str
) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "workmesh_flows.cli", *command],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PREFECT_HOME": str(tmp_path / "home"),
            "PREFECT_API_URL": prefect,
        },
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ended.returncode == 1
    assert (ended.stdout + ended.stderr).count(text) == 1, ended.stderr


def _names(output: str) -> list[str]:
    """The first words of the rows of the table."""
    lines = output.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("──")) + 1
    names = [line.split()[0] for line in lines[start:] if line.strip()]
    return [name for name in names if not name.endswith(":")]
