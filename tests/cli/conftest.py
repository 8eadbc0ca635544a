from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from tests.cli.programs import MESH, Ended, Workmesh
from tests.support.fleet import Fleet
from tests.support.shop import shop_mesh
from workmesh_flows.cli import main
from workmesh_flows.settings import PREFIX


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "shop_mesh.py").write_text(MESH)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "shop_mesh", raising=False)  # that of another test
    return tmp_path


@pytest.fixture
def workmesh(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Workmesh:
    """Run the command in this process, since starting a process takes longer than the command."""
    del folder

    def run(*arguments: str, **environment: str) -> Ended:
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["workmesh", *arguments])
            patch.setenv("PREFECT_LOGGING_LEVEL", "WARNING")  # the command sets it if it is not set
            # Prefect's console handler still writes to the standard error of the first test.
            patch.setattr(logging, "raiseExceptions", False)
            for name, value in environment.items():
                patch.setenv(name, value)
            capsys.readouterr()
            try:
                main()
                code = 0
            except SystemExit as ended:
                code = int(ended.code or 0)
            printed = capsys.readouterr()
        return Ended(code, printed.out, printed.err)

    return run


@pytest.fixture
def shop(prefect: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    """The shop's mesh on SQLite, as commands load it; a failed lane is not retried, a refused record is parked."""
    del prefect
    url = f"sqlite:///{folder / 'shop.db'}"
    monkeypatch.setenv(f"{PREFIX}MESH", "shop_mesh:mesh")
    monkeypatch.setenv(f"{PREFIX}DATABASE_URL", url)
    monkeypatch.setenv(f"{PREFIX}LANE_RETRIES", "0")
    monkeypatch.setenv(f"{PREFIX}MAX_ATTEMPTS", "1")
    engine = create_engine(url)
    yield Fleet(shop_mesh(), engine)
    engine.dispose()
