"""Commands that need only the database: they ask no Prefect server, and start none."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import create_engine

from tests.cli.programs import process
from tests.support.shop import write_orders, write_shops
from workmesh_flows.settings import PREFIX


@pytest.mark.parametrize(
    "api",
    [
        pytest.param({}, id="no server is set"),
        pytest.param({"PREFECT_API_URL": "http://127.0.0.1:9/api"}, id="the server is down"),
    ],
)
@pytest.mark.parametrize("command", ["lanes", "failed", "moves", "services"])
def test_a_command_works_without_a_server(folder: Path, command: str, api: dict[str, str]) -> None:
    url = f"sqlite:///{folder / 'shop.db'}"
    engine = create_engine(url)
    write_shops(engine, ["n1", "n2", None])
    write_orders(engine, [1, 2])
    engine.dispose()
    environment = {f"{PREFIX}MESH": "shop_mesh:mesh", f"{PREFIX}DATABASE_URL": url, **api}
    ended = process(folder, command, **environment)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert not list((folder / "home").glob("*.db"))
    if command == "services":
        assert ended.stdout.splitlines()[-1].split()[:4] == ["shop.orders", "2", "3", "1"]
