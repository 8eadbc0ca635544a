"""`workmesh init`, `setup`, `serve` and `automations`: their effects, also when they run twice."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from prefect.flows import load_flow_from_entrypoint
from pydantic import SecretStr
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from typer.testing import CliRunner, Result

from tests.support.prefect_api import api_client, post
from workmesh_flows import Mesh, Service
from workmesh_flows.cli import app
from workmesh_flows.demo.mesh import mesh
from workmesh_flows.errors import ConfigurationError
from workmesh_flows.flows.serving import deployments
from workmesh_flows.observability.automations import install
from workmesh_flows.scaffold import next_steps, write_project

ROOT = Path(__file__).parents[2]


def workmesh(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_program_prints_its_version_and_its_purpose() -> None:
    assert re.fullmatch(r"workmesh-flows \d+\.\d+\.\d+, prefect 3\.\d+\.\d+\n", workmesh("--version").output)
    assert "Assign accounts to nodes, push records, pull results, show status." in workmesh("--help").output


def test_a_written_project_passes_its_own_test(tmp_path: Path) -> None:
    folder = tmp_path / "my_saas"
    shown = workmesh("init", folder)
    assert "prefect deploy --all --no-prompt" in shown.output
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(folder), str(ROOT)))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 passed" in ended.stdout, ended.stdout + ended.stderr


def test_the_package_of_a_project_has_the_given_name_or_that_of_its_folder(tmp_path: Path) -> None:
    assert write_project(tmp_path / "My SaaS")[0] == "my_saas"
    package, written = write_project(tmp_path / "other", "acme")
    assert package == "acme"
    assert tmp_path / "other" / "acme" / "mesh.py" in written
    assert "from acme.models import" in (tmp_path / "other" / "acme" / "mesh.py").read_text()
    assert not [path for path in written if "{{" in path.read_text()]


@pytest.mark.parametrize("name", ["my-saas", "7up", "class", "Acme", ""])
def test_an_invalid_package_name_is_refused(tmp_path: Path, name: str) -> None:
    folder = tmp_path / (name or "...")
    with pytest.raises(ConfigurationError, match="is not a valid name of a Python package"):
        write_project(folder, name or None)
    assert not folder.exists()


@pytest.mark.parametrize("name", ["json", "tests", "prefect", "workmesh_flows"])
def test_the_name_of_an_existing_package_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="is the name of an existing Python package"):
        write_project(tmp_path, name)
    assert not list(tmp_path.iterdir())


def test_the_printed_commands_enter_a_folder_whose_name_has_a_blank() -> None:
    assert "\ncd 'my saas'\n" in next_steps(Path("my saas"), "my_saas")


def test_a_project_is_written_for_the_configured_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://10.0.0.5:4310/api")
    shown = workmesh("init", tmp_path / "my_saas").output
    assert "http://10.0.0.5:4310/v2/artifacts/key/workmesh-overview" in shown
    assert 'url = "http://10.0.0.5:4310/api"' in (tmp_path / "my_saas" / "prefect.toml").read_text()


def test_an_existing_file_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "prefect.yaml").write_text("mine")
    with pytest.raises(ConfigurationError, match=r"nothing was written: .*prefect\.yaml"):
        write_project(tmp_path, "acme")
    assert [path.name for path in tmp_path.iterdir()] == ["prefect.yaml"]


def test_setup_creates_pool_and_block_type_and_keeps_them_the_second_time(prefect: str) -> None:
    first, second = workmesh("setup", "--pool", "ours"), workmesh("setup", "--pool", "ours")
    assert "work pool ours: created" in first.output
    assert "work pool ours: exists" in second.output
    assert api_client.get(f"{prefect}/work_pools/ours").json()["type"] == "process"
    assert api_client.get(f"{prefect}/block_types/slug/workmesh-node").json()["name"] == "Workmesh Node"


def test_every_flow_of_a_mesh_is_served_and_loads_from_its_entrypoint(
    prefect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    del prefect
    monkeypatch.setenv("PREFECT_INTEGRATIONS_WORKMESH_MESH", "workmesh_flows.demo.mesh:mesh")
    made = deployments(mesh)
    assert len(made) == 11
    for deployment in made:
        assert deployment.entrypoint is not None
        assert load_flow_from_entrypoint(deployment.entrypoint).name == deployment.flow_name
    push = next(one for one in made if str(one.flow_name).endswith("timeline.push"))
    assert set(push.tags) == {"workmesh", "service:micro.emails.timeline"}


def test_an_unknown_flow_of_the_mesh_is_an_attribute_error(monkeypatch: pytest.MonkeyPatch) -> None:
    import workmesh_flows.flows.serving as served

    monkeypatch.setenv("PREFECT_INTEGRATIONS_WORKMESH_MESH", "workmesh_flows.demo.mesh:mesh")
    with pytest.raises(AttributeError, match="mesh_fly"):
        served.mesh_fly  # noqa: B018
    monkeypatch.delenv("PREFECT_INTEGRATIONS_WORKMESH_MESH")
    with pytest.raises(ConfigurationError, match="no mesh is named"):
        served.mesh_assign  # noqa: B018


def automations(api: str) -> dict[str, Any]:
    return {found["name"]: found for found in post(api, "/automations/filter")}


# Prefect's library for notifications imports imghdr.
@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")
def test_automations_are_installed_once_and_stay_switched_off_by_the_user(prefect: str) -> None:
    from prefect.blocks.notifications import SlackWebhook

    assert workmesh("automations", "install").output.count(": installed") == 5
    made = automations(prefect)
    assert {one["actions"][0]["type"] for one in made.values()} == {"do-nothing", "change-flow-run-state"}
    stopped = made["Workmesh: lane stopped"]
    api_client.patch(f"{prefect}/automations/{stopped['id']}", json={"enabled": False}).raise_for_status()
    SlackWebhook(url=SecretStr("https://hooks.example/hush")).save("ops", overwrite=True)
    again = workmesh("automations", "install", "--notify", "slack-webhook/ops", "--dead-after", "1000")
    assert again.output.count(": changed") == 5
    assert "Workmesh: lane stopped: changed, still disabled" in again.output
    now = automations(prefect)
    assert {name: one["id"] for name, one in now.items()} == {name: one["id"] for name, one in made.items()}
    assert now["Workmesh: lane stopped"]["actions"][0]["type"] == "send-notification"
    assert not now["Workmesh: lane stopped"]["enabled"]
    assert now["Workmesh: dead runs marked as crashed"]["trigger"]["within"] == 1000
    same = workmesh("automations", "install", "--notify", "slack-webhook/ops", "--dead-after", "1000")
    assert same.output.count(": up to date") == 5
    assert automations(prefect) == now


def test_a_node_cannot_be_reported_sooner_than_prefect_can_wait(
    prefect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")  # wide enough for the error in one line
    assert (
        "greater than or equal to 10" in workmesh("automations", "install", "--unreachable-after", "9").output
    )
    with pytest.raises(ConfigurationError, match="after 10 seconds at the earliest, not after 9"):
        install(unreachable_after=9)
    assert automations(prefect) == {}


@pytest.mark.parametrize(
    ("notify", "problem"), [("ops", "write type-slug/name"), ("slack-webhook/nobody", "there is no block slack-webhook/nobody")]
)  # fmt: skip
def test_an_unknown_notification_block_is_refused(prefect: str, notify: str, problem: str) -> None:
    del prefect
    assert problem in str(workmesh("automations", "install", "--notify", notify).exception)


class Base(DeclarativeBase): ...


class Thing(Base):
    __tablename__ = "thing"
    id: Mapped[int] = mapped_column(primary_key=True)
    one: Mapped[str | None]
    other: Mapped[str | None]


def test_services_whose_flows_would_share_an_attribute_are_not_served() -> None:
    alike = [
        Service(name, entity=Thing, assigned_to=column, protocols=[])
        for name, column in (("a.b", Thing.one), ("a_b", Thing.other))
    ]
    with pytest.raises(ConfigurationError, match=r"names are too similar .*serving.a_b_assign"):
        deployments(Mesh(alike))
