from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, text

from tests.support.databases import empty_postgresql

pytestmark = pytest.mark.timeout(180)


def run_demo(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``workmesh demo`` as a new user does: with an empty home directory and no configuration."""
    known = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    return subprocess.run(
        [sys.executable, "-m", "workmesh_flows.cli", "demo", *arguments],
        cwd=home,
        env={**known, "HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )


def tables(output: str) -> str:
    """The two tables of the output."""
    return re.sub(r" +\n", "\n", output[output.index("Nodes") : output.index("Look at")])


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    return run_demo(tmp_path_factory.mktemp("home"))


def test_the_demo_processes_every_record_and_assigns_every_account(
    on_sqlite: subprocess.CompletedProcess[str],
) -> None:
    assert on_sqlite.returncode == 0, on_sqlite.stderr
    rows = [
        line.split() for line in tables(on_sqlite.stdout).splitlines() if line.startswith(("demo-", "micro."))
    ]
    assert [row[0] for row in rows] == ["demo-1", "demo-2", "demo-3", "micro.emails.timeline"]
    assert sum(int(row[4]) for row in rows[:3]) == 200
    assert sum(int(row[-1].replace(",", "")) for row in rows[:3]) == 20_000
    assert rows[3][1:] == ["3", "200", "0", "0", "0", "0", "20,000"]


def test_the_demo_names_files_that_exist(on_sqlite: subprocess.CompletedProcess[str]) -> None:
    (code,) = re.findall(r"the code +(\S+) declares", on_sqlite.stdout)
    assert Path(code).is_file()
    assert "Mesh(" in Path(code).read_text()


def test_the_demo_shows_no_key_and_no_trace(on_sqlite: subprocess.CompletedProcess[str]) -> None:
    assert "Traceback" not in on_sqlite.stderr
    assert "api_key" not in on_sqlite.stdout + on_sqlite.stderr


@pytest.mark.slow
def test_the_demo_shows_the_same_tables_on_postgresql_and_drops_its_own_there(
    on_sqlite: subprocess.CompletedProcess[str], postgresql_server: str, tmp_path: Path
) -> None:
    with empty_postgresql(postgresql_server) as url:
        ended = run_demo(tmp_path, "--database", url)
        assert ended.returncode == 0, ended.stderr
        assert tables(ended.stdout) == tables(on_sqlite.stdout)
        engine = create_engine(url)
        assert inspect(engine).get_table_names() == []
        engine.dispose()


def test_the_demo_does_not_touch_an_existing_table(postgresql_server: str, tmp_path: Path) -> None:
    with empty_postgresql(postgresql_server) as url:
        engine = create_engine(url)
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE account (id int)"))
        ended = run_demo(tmp_path, "--database", url)
        assert ended.returncode == 1
        assert "already has a table called account; give the demo an empty database" in ended.stderr
        assert inspect(engine).get_table_names() == ["account"]
        engine.dispose()


@pytest.mark.parametrize(
    ("address", "message"),
    [
        pytest.param(
            "postgresql+psycopg2cffi://me:hush@127.0.0.1/name",
            "and write postgresql+psycopg://",
            id="a driver that is not installed",
        ),
        pytest.param(
            "postgresql+psycopg://me:hush@127.0.0.1:1/name",
            "workmesh: connection failed: ",
            id="a database that is unreachable",
        ),
    ],
)
def test_a_database_that_cannot_be_used_is_reported_in_one_line(
    tmp_path: Path, address: str, message: str
) -> None:
    ended = run_demo(tmp_path, "--database", address)
    assert ended.returncode == 1
    assert message in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert "hush" not in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
