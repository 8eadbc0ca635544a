"""The notebooks run completely and in order: the second reads the data of the first."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
NAMES = ("tour", "fleet")

pytestmark = [
    pytest.mark.timeout(300),
    # Warnings of Jupyter itself: it searches its folders, and closes sockets late.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]


def executed(name: str, folder: Path) -> list[Any]:
    """Execute a notebook; return its code cells with their outputs."""
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    client = NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(folder)}})
    client.execute()
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def text_of(cell: Any) -> str:
    found = [output.get("data", {}).get("text/plain", output.get("text", "")) for output in cell.outputs]
    return "\n".join(found)


def test_the_tour_runs_to_a_status_and_the_fleet_shows_its_history(
    prefect: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "PREFECT_API_URL": prefect,
        "PREFECT_LOCAL_STORAGE_PATH": str(tmp_path / "results"),
        "PREFECT_INTEGRATIONS_WORKMESH_ARTIFACT_PREFIX": "notebooks-test",
        "PYTHONPATH": str(NOTEBOOKS.parent),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    }.items():
        monkeypatch.setenv(name, value)
    before = os.environ.get("PREFECT_INTEGRATIONS_WORKMESH_DATABASE_URL")
    tour = executed("tour", tmp_path)
    assert len(tour) <= 10
    assert "pushed 600 records" in text_of(tour[4])
    assert "tour-1" in text_of(tour[6])
    assert "20" in text_of(tour[6])
    fleet = executed("fleet", tmp_path)
    assert "micro.emails.timeline" in text_of(fleet[0])
    assert any("image/png" in output.get("data", {}) for output in fleet[1].outputs), "a chart"
    assert "tour-1" in text_of(fleet[3])
    assert os.environ.get("PREFECT_INTEGRATIONS_WORKMESH_DATABASE_URL") == before


def test_notebooks_are_committed_without_outputs() -> None:
    for name in NAMES:
        notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
        assert not [cell for cell in notebook.cells if cell.cell_type == "code" and cell.outputs]
