"""Settings, the Prefect way: environment (``PREFECT_INTEGRATIONS_WORKMESH_*``), ``.env``, ``prefect.toml``, profile."""

from __future__ import annotations

from dataclasses import fields
from typing import ClassVar, Literal

from prefect.settings.base import PrefectBaseSettings, build_settings_config
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import SettingsConfigDict

from workmesh_flows.domain.limits import Limits
from workmesh_flows.domain.service import Database, Mesh
from workmesh_flows.errors import ConfigurationError

PREFIX = "PREFECT_INTEGRATIONS_WORKMESH_"


class WorkmeshSettings(PrefectBaseSettings):
    """What can be set without touching code."""

    model_config: ClassVar[SettingsConfigDict] = build_settings_config(("integrations", "workmesh"))

    mesh: str | None = Field(default=None, description="The mesh to load: module:attribute.")
    database_url: SecretStr | None = Field(
        default=None,
        description="Address of the master's database, for a mesh that names none: postgresql+psycopg://user:password@host/name.",
    )
    connect_timeout: float = Field(
        default=5.0, gt=0, description="Seconds to wait for a connection to a node."
    )
    read_timeout: float = Field(default=60.0, gt=0, description="Seconds to wait for a node's answer.")
    max_answer_bytes: int = Field(
        default=4 * 1024 * 1024, ge=1024, description="The largest answer that is read."
    )
    lease_seconds: float = Field(
        default=30.0, ge=1, description="Seconds after which the lanes of a run that died are free again."
    )
    max_request_bytes: int = Field(
        default=4 * 1024 * 1024,
        ge=1024,
        description="The largest request of several records; a record alone is sent whatever its size.",
    )
    breaker_failures: int = Field(
        default=5, ge=1, description="Times in a row that a node is away before its lanes pause."
    )
    breaker_seconds: float = Field(
        default=15.0, ge=0, description="Seconds of the first pause; the next ones grow, up to ten minutes."
    )
    lane_retries: int = Field(default=3, ge=0, description="Times that a lane is tried again in a run.")
    lane_retry_seconds: float = Field(
        default=2.0,
        ge=0,
        description="Seconds before the first of these tries, doubled each time, with jitter.",
    )
    settle_seconds: float = Field(
        default=60.0,
        ge=0,
        description="Seconds that a hand-over waits for a node to process what it was sent.",
    )
    lane_wait_seconds: float = Field(
        default=90.0,
        ge=0,
        description="Seconds that a hand-over waits for lanes that another run holds.",
    )
    lanes_at_once: int = Field(default=32, ge=1, description="Lanes that one run works side by side.")
    task_runner: Literal["threads", "dask", "ray"] = Field(
        default="threads", description="Where a run works its lanes: in its own process, or on a cluster."
    )
    task_runner_address: str | None = Field(
        default=None,
        description="The cluster: tcp://host:8786 for Dask, host:6379 or ray://host:10001 for Ray. "
        "None: one of the run's own, on its machine.",
    )

    @property
    def limits(self) -> Limits:
        """What bounds the work with one node."""
        return Limits(**{field.name: getattr(self, field.name) for field in fields(Limits)})


def read_settings() -> WorkmeshSettings:
    """The settings as they are now; raises ConfigurationError that names each wrong one."""
    try:
        return WorkmeshSettings()
    except ValidationError as error:
        wrong = "; ".join(
            f"{PREFIX}{str(problem['loc'][0]).upper()}: {problem['msg']}"
            for problem in error.errors(include_input=False, include_url=False)
        )
        raise ConfigurationError(f"a setting is wrong: {wrong}") from None


def database_of(mesh: Mesh) -> Database:
    """Where a mesh's records are; raises ConfigurationError where nothing says so."""
    if mesh.database is not None:
        return mesh.database
    url = read_settings().database_url
    if url is None:
        raise ConfigurationError(
            "no database is set: give Mesh(..., database=...), or set "
            f"{PREFIX}DATABASE_URL to an address like postgresql+psycopg://user:password@host/name"
        )
    return url.get_secret_value()
