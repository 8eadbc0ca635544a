from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest

from tests.cli.programs import MESH, Ended, Workmesh
from workmesh_flows.cli import main


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
