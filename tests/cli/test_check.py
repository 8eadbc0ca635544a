from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from typer.testing import CliRunner

from tests.support.schema_findings import create_shop
from workmesh_flows.cli import app

ROOT = Path(__file__).parents[2]
MESH = """
from tests.support.shop import shop_service
from workmesh_flows import Mesh
mesh = Mesh([shop_service()])
"""


def test_the_command_reports_problems_and_its_ddl_fixes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shop_mesh.py").write_text(MESH)
    address = f"sqlite:///{tmp_path / 'master.db'}"
    engine = create_engine(address)
    create_shop(engine)
    with engine.begin() as connection:
        connection.execute(text('ALTER TABLE "select" DROP COLUMN push_error'))
    ended = check(tmp_path, address)
    assert ended.returncode == 1, ended.stderr
    assert "shop.orders" in ended.stdout
    assert "the column is missing (push error)" in " ".join(ended.stdout.split())
    ddl = ended.stdout.split("-- missing DDL; --sql prints only these statements\n")[1]
    monkeypatch.setenv("PREFECT_INTEGRATIONS_WORKMESH_DATABASE_URL", address)
    command = ["check", "--mesh", "shop_mesh:mesh", "--sql"]
    monkeypatch.syspath_prepend(tmp_path)
    only = CliRunner().invoke(app, command)
    assert (only.exit_code, only.stdout) == (1, ddl)
    with closing(sqlite3.connect(tmp_path / "master.db")) as database:
        database.executescript(ddl)
    clean = CliRunner().invoke(app, command)
    assert (clean.exit_code, clean.stdout) == (0, "")
    engine.dispose()


def check(folder: Path, address: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does, without a Prefect server."""
    known = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    return subprocess.run(
        [sys.executable, "-m", "workmesh_flows.cli", "check", "--mesh", "shop_mesh:mesh"],
        cwd=folder,
        env={
            **known,
            "PYTHONPATH": str(ROOT),
            "PREFECT_HOME": str(folder / "home"),
            "PREFECT_INTEGRATIONS_WORKMESH_DATABASE_URL": address,
        },
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
