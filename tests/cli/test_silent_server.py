"""A Prefect server that accepts connections but never answers."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings
from typer.testing import CliRunner

from workmesh_flows.cli import app
from workmesh_flows.errors import ServerUnreachable
from workmesh_flows.inventory import documents
from workmesh_flows.settings import PREFIX


@pytest.mark.parametrize("command", ["nodes", "push", "report --html mesh.html", "automations install"])
def test_a_command_fails_soon_if_the_server_accepts_connections_but_never_answers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(f"{PREFIX}MESH", "tests.support.shop_mesh:mesh")
    monkeypatch.setattr(documents, "ANSWER_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        api = f"http://127.0.0.1:{silent.getsockname()[1]}/api"
        with temporary_settings({PREFECT_API_URL: api}):
            refused = CliRunner().invoke(app, command.split())
    assert isinstance(refused.exception, ServerUnreachable)
    assert f"cannot be reached at {api}/: timed out; start it" in str(refused.exception)
