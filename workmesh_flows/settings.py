"""Settings, the Prefect way: environment (``PREFECT_INTEGRATIONS_WORKMESH_*``), ``.env``, ``prefect.toml``, profile."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import fields
from difflib import get_close_matches
from typing import ClassVar, Literal

from dotenv import dotenv_values
from prefect.settings.base import PrefectBaseSettings, build_settings_config
from prefect.settings.sources import (
    PrefectTomlConfigSettingsSource,
    ProfileSettingsTomlLoader,
    PyprojectTomlConfigSettingsSource,
)
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import SettingsConfigDict

from workmesh_flows.domain.limits import Limits
from workmesh_flows.errors import ConfigurationError

__all__ = ["PREFIX", "WorkmeshSettings", "read_settings"]

PREFIX = "PREFECT_INTEGRATIONS_WORKMESH_"
"""First part of the environment variable of every setting."""


class WorkmeshSettings(PrefectBaseSettings):
    """What can be set without touching code."""

    model_config: ClassVar[SettingsConfigDict] = build_settings_config(("integrations", "workmesh"))

    mesh: str | None = Field(default=None, description="The mesh to load: module:attribute.")
    database_url: SecretStr | None = Field(
        default=None,
        description="Address of the master's database, for a mesh that names none: postgresql+psycopg://user:password@host/name.",
    )
    database_block: str | None = Field(
        default=None,
        description="Instead of an address: name of a SQLAlchemy Connector block (of prefect-sqlalchemy) that has it.",
    )
    artifact_prefix: str = Field(
        default="workmesh",
        pattern="^[a-z0-9]+(-[a-z0-9]+)*$",
        description="First word of the keys of artifacts; two meshes on one Prefect server need different ones.",
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
    max_batch: int | None = Field(
        default=None, ge=1, description="Most records in one request, where a protocol declares more."
    )
    max_attempts: int = Field(
        default=5,
        ge=1,
        description="Refusals after which a record is set aside, where its push names no number.",
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
    if strangers := [told for field, told in _set_names() if field not in WorkmeshSettings.model_fields]:
        raise ConfigurationError("; ".join(f"there is no setting {told}" for told in sorted(strangers)))
    try:
        return WorkmeshSettings()
    except ValidationError as error:
        wrong = "; ".join(
            f"{PREFIX}{str(problem['loc'][0]).upper()}: {problem['msg']}"
            for problem in error.errors(include_input=False, include_url=False)
        )
        raise ConfigurationError(f"a setting is wrong: {wrong}") from None


def _set_names() -> Iterator[tuple[str, str]]:
    """The field of each setting that is set, wherever, and what to say if there is none: Prefect reads over it."""
    profile = ProfileSettingsTomlLoader(WorkmeshSettings).profile_settings
    for variable in {*os.environ, *dotenv_values(".env"), *profile}:
        if variable.upper().startswith(PREFIX):
            field = variable.upper().removeprefix(PREFIX).lower()
            yield field, f"{variable}{_meant(field, lambda name: f'{PREFIX}{name.upper()}')}"
    for source in (PrefectTomlConfigSettingsSource, PyprojectTomlConfigSettingsSource):
        table = source(WorkmeshSettings)
        for key in table.toml_data:
            yield key, f"{key} in {table.toml_file_path}{_meant(key, str)}"


def _meant(field: str, written: Callable[[str], str]) -> str:
    """The setting that is spelled most like it, as it is written where this one stands."""
    names = list(WorkmeshSettings.model_fields)
    close = get_close_matches(field, names, n=1)
    if close:
        return f"; did you mean {written(close[0])}?"
    return f"; there are {', '.join(written(name).removeprefix(PREFIX) for name in names)}"


def artifact_key(*parts: str) -> str:
    """The settings' prefix and these parts as an artifact key: lower-case letters, digits and dashes."""
    words = "-".join((read_settings().artifact_prefix, *parts))
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")
