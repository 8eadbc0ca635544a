"""Completion of names in a shell, without a Prefect server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tests.cli.programs import ROOT
from tests.support.shop import write_shops
from workmesh_flows.cli import completion
from workmesh_flows.settings import PREFIX

START = "from workmesh_flows.cli import app; app(prog_name='workmesh')"


@pytest.fixture
def environment(folder: Path) -> dict[str, str]:
    """The environment of a shell whose entities are at two nodes."""
    url = f"sqlite:///{folder / 'shop.db'}"
    engine = create_engine(url)
    write_shops(engine, ["n1", "m2", "n1", None])
    engine.dispose()
    known = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    settings = {f"{PREFIX}MESH": "shop_mesh:mesh", f"{PREFIX}DATABASE_URL": url}
    return {**known, "PYTHONPATH": str(ROOT), "PREFECT_HOME": str(folder / "home"), **settings}


def completed(folder: Path, environment: dict[str, str], line: str) -> list[str]:
    """What bash offers for the last word of the line."""
    words = line.split(" ")
    asked = {
        "_WORKMESH_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }
    ended = subprocess.run(
        [sys.executable, "-c", START],
        cwd=folder,
        env={**environment, **asked},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ended.stderr == ""
    return ended.stdout.split()


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("workmesh push ", ["shop.orders"]),
        ("workmesh push --protocol o", ["order"]),
        ("workmesh push shop.orders --protocol ", ["order"]),
        ("workmesh push --node ", ["m2", "n1"]),
        ("workmesh drain n", ["n1"]),
        ("workmesh failed s", ["shop.orders"]),
        ("workmesh push --mesh nowhere:mesh ", []),
    ],
)
def test_names_are_completed(folder: Path, environment: dict[str, str], line: str, names: list[str]) -> None:
    assert completed(folder, environment, line) == names


def test_the_mesh_may_be_named_in_a_file_or_in_a_profile(folder: Path, environment: dict[str, str]) -> None:
    del environment[f"{PREFIX}MESH"]
    assert completed(folder, environment, "workmesh push ") == []
    (folder / "home").mkdir(exist_ok=True)
    (folder / "home" / "profiles.toml").write_text(
        f'active = "ours"\n[profiles.ours]\n{PREFIX}MESH = "shop_mesh:mesh"\n'
    )
    assert completed(folder, environment, "workmesh push ") == ["shop.orders"]
    (folder / "home" / "profiles.toml").unlink()
    (folder / "prefect.toml").write_text('[integrations.workmesh]\nmesh = "shop_mesh:mesh"\n')
    assert completed(folder, environment, "workmesh push ") == ["shop.orders"]


def test_a_broken_mesh_and_a_missing_table_give_no_names(folder: Path, environment: dict[str, str]) -> None:
    engine = create_engine(environment[f"{PREFIX}DATABASE_URL"])
    with engine.begin() as connection:
        connection.execute(text('ALTER TABLE "Shop" RENAME TO gone'))
    engine.dispose()
    assert completed(folder, environment, "workmesh drain ") == []
    (folder / "shop_mesh.py").write_text("print('hello')\nraise RuntimeError('broken')\n")
    assert completed(folder, environment, "workmesh push ") == []


def test_a_database_that_does_not_answer_gives_no_names(monkeypatch: pytest.MonkeyPatch) -> None:
    from threading import Event
    from types import SimpleNamespace
    from typing import Any

    stopped = Event()
    monkeypatch.setattr(completion, "SECONDS", 0.05)
    monkeypatch.setattr(completion, "_mesh", lambda context: context)
    monkeypatch.setattr(completion, "_engine", lambda mesh: stopped.wait(30))
    context: Any = SimpleNamespace(params={}, services=["one"])
    assert completion.complete_node(context, "") == []
    stopped.set()
