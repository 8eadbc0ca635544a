"""The command that upgrades the Workmesh tables, as a user runs it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, insert
from typer.testing import CliRunner

from tests.support.own_tables import NEXT, create_release_0_1_0, next_release, rows_of
from tests.support.shop import write_shops
from workmesh_flows.adapters.store.own_tables import CURRENT
from workmesh_flows.adapters.store.schema import lanes
from workmesh_flows.cli import app
from workmesh_flows.errors import ConfigurationError
from workmesh_flows.settings import PREFIX

MESH = """
from tests.support.shop import shop_service
from workmesh_flows import Mesh
mesh = Mesh([shop_service()])
"""


@pytest.fixture
def saas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """A project whose database has no Workmesh tables."""
    (tmp_path / "shop_mesh.py").write_text(MESH)
    engine = create_engine(f"sqlite:///{tmp_path / 'master.db'}")
    write_shops(engine, ["n1"])
    monkeypatch.setenv(f"{PREFIX}DATABASE_URL", f"sqlite:///{tmp_path / 'master.db'}")
    monkeypatch.setenv(f"{PREFIX}MESH", "shop_mesh:mesh")
    monkeypatch.syspath_prepend(tmp_path)
    yield engine
    engine.dispose()


def upgrade(*options: str) -> str:
    """The output of the command."""
    ended = CliRunner().invoke(app, ["upgrade", *options], catch_exceptions=False)
    assert ended.exit_code == 0
    return ended.stdout


def test_the_command_shows_what_it_does_and_may_be_repeated(saas: Engine, tmp_path: Path) -> None:
    create_release_0_1_0(saas)
    with next_release(tmp_path):
        said = upgrade().splitlines()
        assert said[-2:] == [
            f"{NEXT}  Lanes have a colour",
            f"{saas.url.database}: upgraded the Workmesh tables from version 0001 to {NEXT}",
        ]
        assert upgrade() == f"{saas.url.database}: the Workmesh tables have version {NEXT}, nothing to do\n"
        assert upgrade("--sql") == "\n"


def test_the_command_creates_the_tables_as_a_first_run_does(saas: Engine) -> None:
    assert upgrade().splitlines()[-1].endswith(f"created the Workmesh tables in version {CURRENT}")
    assert CliRunner().invoke(app, ["check", "--sql"]).stdout.count("workmesh_lanes") == 0
    assert rows_of(saas)["workmesh_lanes"] == []


def test_the_printed_statements_upgrade_the_database(saas: Engine, tmp_path: Path) -> None:
    create_release_0_1_0(saas)
    before = rows_of(saas)
    with next_release(tmp_path):
        with closing(sqlite3.connect(str(saas.url.database))) as database:
            database.executescript(upgrade("--sql"))
        assert upgrade().endswith("nothing to do\n")
    assert rows_of(saas)["workmesh_plans"] == before["workmesh_plans"]


def test_lanes_that_a_run_holds_are_named_unless_forced(saas: Engine, tmp_path: Path) -> None:
    create_release_0_1_0(saas)
    until = datetime.now(UTC) + timedelta(minutes=1)
    with saas.begin() as connection:
        key = {"service": "shop.orders", "protocol": "order", "node": "n9", "direction": "push"}
        connection.execute(insert(lanes).values(**key, holder="nightly", lease_until=until))
    with next_release(tmp_path):
        with pytest.raises(ConfigurationError, match=r"order to n9 of .* held by nightly"):
            upgrade()
        assert upgrade("--force").splitlines()[-1].endswith(f"to {NEXT}")
