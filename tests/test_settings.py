from __future__ import annotations

from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import BlockDocumentUpdate
from prefect_sqlalchemy import SqlAlchemyConnector
from sqlalchemy import inspect

from workmesh_flows import Mesh
from workmesh_flows.errors import ConfigurationError
from workmesh_flows.mesh_database import database_of, mesh_engine
from workmesh_flows.settings import read_settings

PREFIX = "PREFECT_INTEGRATIONS_WORKMESH_"


@pytest.fixture(autouse=True)
def _nothing_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}READ_TIMEOUT", "7")
    assert read_settings().limits.read_timeout == 7


def test_settings_come_from_prefect_toml(tmp_path: Path) -> None:
    (tmp_path / "prefect.toml").write_text("[integrations.workmesh]\nlanes_at_once = 3\n")
    assert read_settings().lanes_at_once == 3


def test_every_invalid_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}READ_TIMEOUT", "-1")
    monkeypatch.setenv(f"{PREFIX}LANES_AT_ONCE", "many")
    with pytest.raises(ConfigurationError) as caught:
        read_settings()
    assert f"{PREFIX}READ_TIMEOUT: Input should be greater than 0" in str(caught.value)
    assert f"{PREFIX}LANES_AT_ONCE: Input should be a valid integer" in str(caught.value)


def test_the_error_for_a_mesh_without_a_database_names_the_setting() -> None:
    with pytest.raises(ConfigurationError, match=f"{PREFIX}DATABASE_URL"):
        database_of(Mesh([]))


def test_the_database_of_the_mesh_takes_precedence_over_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}DATABASE_URL", "sqlite:///of_the_setting.db")
    assert database_of(Mesh([])) == "sqlite:///of_the_setting.db"
    assert database_of(Mesh([], database="sqlite:///of_the_mesh.db")) == "sqlite:///of_the_mesh.db"


def test_the_database_address_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}DATABASE_URL", "postgresql+psycopg://me:hush@host/name")
    assert "hush" not in repr(read_settings())


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("MEHS", f"did you mean {PREFIX}MESH?"),
        ("DATABASE", f"did you mean {PREFIX}DATABASE_URL?"),
        ("COLOUR", "; there are MESH, DATABASE_URL, "),
    ],
)
def test_an_unknown_setting_is_rejected_with_a_suggestion(
    monkeypatch: pytest.MonkeyPatch, name: str, suggestion: str
) -> None:
    monkeypatch.setenv(f"{PREFIX}{name}", "7")
    with pytest.raises(ConfigurationError) as caught:
        read_settings()
    assert f"there is no setting {PREFIX}{name}" in str(caught.value)
    assert suggestion in str(caught.value)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        (
            "prefect.toml",
            "[integrations.workmesh]\nmax_bach = 3\n",
            "there is no setting max_bach in prefect.toml; did you mean max_batch?",
        ),
        (
            "pyproject.toml",
            "[tool.prefect.integrations.workmesh]\ncolour = 3\n",
            "there is no setting colour in pyproject.toml; there are mesh, database_url, ",
        ),
        (".env", f"{PREFIX}MEHS=my:mesh\n", f"there is no setting {PREFIX}MEHS; did you mean {PREFIX}MESH?"),
        (
            "profiles.toml",
            f'active = "mine"\n[profiles.mine]\n{PREFIX}MEHS = "my:mesh"\n',
            f"there is no setting {PREFIX}MEHS; did you mean {PREFIX}MESH?",
        ),
    ],
    ids=["prefect.toml", "pyproject.toml", ".env", "profile"],
)
def test_an_unknown_setting_is_rejected_in_every_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, text: str, message: str
) -> None:
    monkeypatch.setenv("PREFECT_PROFILES_PATH", str(tmp_path / "profiles.toml"))
    (tmp_path / file).write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        read_settings()
    assert message in str(caught.value)


def test_a_prefix_that_is_not_valid_in_artifact_keys_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}ARTIFACT_PREFIX", "My Mesh")
    with pytest.raises(ConfigurationError, match="ARTIFACT_PREFIX: String should match pattern"):
        read_settings()


@pytest.fixture
def connector(prefect: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Save a connector block of prefect-sqlalchemy; the path of its database."""
    del prefect
    path = tmp_path / "of_the_block.db"
    SqlAlchemyConnector(connection_info=f"sqlite:///{path}", connect_args={"timeout": 3}).save(
        "main", overwrite=True
    )
    monkeypatch.setenv(f"{PREFIX}DATABASE_BLOCK", "main")
    return path


def test_the_database_can_be_an_existing_connector_block(connector: Path) -> None:
    with mesh_engine(Mesh([])) as engine:
        assert engine.url.database == str(connector)
        assert "workmesh_lanes" in inspect(engine).get_table_names()


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"DATABASE_BLOCK": "nobody"}, "SQLAlchemy Connector block 'nobody' does not exist"),
        ({"DATABASE_URL": "sqlite:///x.db"}, "DATABASE_BLOCK are both set: remove one of them"),
    ],
)
def test_an_unusable_block_is_named(
    connector: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], message: str
) -> None:
    del connector
    for name, value in environment.items():
        monkeypatch.setenv(f"{PREFIX}{name}", value)
    with pytest.raises(ConfigurationError) as caught, mesh_engine(Mesh([])):
        pass
    assert message in str(caught.value)


def test_the_error_for_a_block_with_an_async_driver_does_not_show_its_password(connector: Path) -> None:
    del connector
    with get_client(sync_client=True) as client:  # as a user who edits a valid block in the UI
        document = client.read_block_document_by_name("main", "sqlalchemy-connector")
        address = {"connection_info": "postgresql+asyncpg://me:hush@host/name"}
        client.update_block_document(
            document.id, BlockDocumentUpdate(data=address, merge_existing_data=False)
        )
    with pytest.raises(ConfigurationError) as caught, mesh_engine(Mesh([])):
        pass
    assert "'main' cannot be used: its address must have a driver that is not async" in str(caught.value)
    assert "hush" not in str(caught.value)
