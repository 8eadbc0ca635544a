"""What `workmesh init` prints and writes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from workmesh_flows.scaffold import API, next_steps, write_project


@pytest.mark.parametrize(
    ("api", "start", "page"),
    [
        pytest.param(
            API, "prefect server start > prefect.log", "http://127.0.0.1:4200/v2/", id="the default"
        ),
        pytest.param(
            "http://localhost:4777/api/",
            "prefect server start --port 4777 > ",
            "http://localhost:4777/v2/",
            id="a port",
        ),
        pytest.param("https://prefect.example/api", "", "https://prefect.example/v2/", id="another machine"),
        pytest.param(
            "https://api.prefect.cloud/api/accounts/a", "", "the artifact workmesh", id="Prefect Cloud"
        ),
    ],
)
def test_the_commands_start_the_server_of_the_api_and_name_the_page(api: str, start: str, page: str) -> None:
    steps = next_steps(Path("x"), "my_saas", api=api)
    assert ("prefect server start" in steps) == bool(start)
    assert start in steps
    assert f"look at the page of the mesh,\n{page}" in steps


def test_the_sample_is_written_once(tmp_path: Path) -> None:
    write_project(tmp_path, "a_saas")
    ends = [
        subprocess.run(
            [sys.executable, "-m", "a_saas.sample"], cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    ]
    assert ends == [
        f"wrote 20 accounts with 1000 leads into sqlite:///{tmp_path / 'saas.db'}\n",
        f"nothing was written: sqlite:///{tmp_path / 'saas.db'} has accounts already\n",
    ]
