from __future__ import annotations

from pathlib import Path

import pytest

from workmesh_flows import Mesh
from workmesh_flows.errors import ConfigurationError
from workmesh_flows.settings import database_of, read_settings

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


def test_every_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}READ_TIMEOUT", "-1")
    monkeypatch.setenv(f"{PREFIX}LANES_AT_ONCE", "many")
    with pytest.raises(ConfigurationError) as refused:
        read_settings()
    assert f"{PREFIX}READ_TIMEOUT: Input should be greater than 0" in str(refused.value)
    assert f"{PREFIX}LANES_AT_ONCE: Input should be a valid integer" in str(refused.value)


def test_a_mesh_without_a_database_says_what_to_set() -> None:
    with pytest.raises(ConfigurationError, match=f"{PREFIX}DATABASE_URL"):
        database_of(Mesh([]))


def test_the_mesh_s_own_database_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}DATABASE_URL", "sqlite:///of_the_setting.db")
    assert database_of(Mesh([])) == "sqlite:///of_the_setting.db"
    assert database_of(Mesh([], database="sqlite:///of_the_mesh.db")) == "sqlite:///of_the_mesh.db"


def test_the_database_address_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}DATABASE_URL", "postgresql+psycopg://me:hush@host/name")
    assert "hush" not in repr(read_settings())
