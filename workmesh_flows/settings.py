"""Settings, read as Prefect reads its own.

They are in the environment (``PREFECT_INTEGRATIONS_WORKMESH_*``), in ``.env`` or ``prefect.toml``, or in a profile.
"""

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
    """What can be configured without changing code."""

    model_config: ClassVar[SettingsConfigDict] = build_settings_config(("integrations", "workmesh"))

    mesh: str | None = Field(default=None, description="The mesh to load, as module:attribute.")
    database_url: SecretStr | None = Field(
        default=None,
        description=(
            "Address of the master's database, for a mesh that declares none: "
            "postgresql+psycopg://user:password@host/name."
        ),
    )
    database_block: str | None = Field(
        default=None,
        description=(
            "Name of a SQLAlchemy Connector block (of prefect-sqlalchemy) that has the address; replaces "
            "DATABASE_URL."
        ),
    )
    tables_schema: str | None = Field(
        default=None,
        pattern="^[a-z_][a-z0-9_]*$",
        description="Schema of the Workmesh tables on PostgreSQL; None is the default schema.",
    )
    artifact_prefix: str = Field(
        default="workmesh",
        pattern="^[a-z0-9]+(-[a-z0-9]+)*$",
        description="First part of all artifact keys; two meshes on one Prefect server need different prefixes.",
    )
    connect_timeout: float = Field(
        default=5.0, gt=0, description="Seconds to wait for a connection to a node."
    )
    read_timeout: float = Field(default=60.0, gt=0, description="Seconds to wait for the answer of a node.")
    max_answer_bytes: int = Field(
        default=4 * 1024 * 1024, ge=1024, description="Size of the largest answer that is read, in bytes."
    )
    lease_seconds: float = Field(
        default=30.0,
        ge=1,
        description="Seconds after which the lanes of a run that died are free for other runs.",
    )
    max_request_bytes: int = Field(
        default=4 * 1024 * 1024,
        ge=1024,
        description=(
            "Size of the largest request with several records, in bytes; a single record is sent whatever its "
            "size."
        ),
    )
    max_batch: int | None = Field(
        default=None,
        ge=1,
        description="Maximum number of records in one request, for protocols that declare more.",
    )
    max_attempts: int = Field(
        default=5,
        ge=1,
        description=(
            "Refusals of a record after which the policy of its push applies, for a push that declares no number."
        ),
    )
    breaker_failures: int = Field(
        default=5,
        ge=1,
        description="Consecutive failures of a lane that open its circuit breaker: the lane pauses.",
    )
    breaker_seconds: float = Field(
        default=15.0,
        ge=0,
        description=(
            "Seconds of the first pause; the next ones follow a jittered exponential back-off, at most ten "
            "minutes."
        ),
    )
    lane_retries: int = Field(default=3, ge=0, description="Number of retries of a lane within one run.")
    lane_retry_seconds: float = Field(
        default=2.0,
        ge=0,
        description="Seconds before the first retry, doubled for each further one, with jitter.",
    )
    settle_seconds: float = Field(
        default=60.0,
        ge=0,
        description="Seconds that a move waits for the old node to process the records it has received.",
    )
    lane_wait_seconds: float = Field(
        default=90.0,
        ge=0,
        description="Seconds that a move waits for lanes that another run holds.",
    )
    probe_seconds: float = Field(
        default=60.0,
        ge=0,
        description="Seconds for which runs rely on the last probe of a node; 0: each run probes all nodes.",
    )
    lanes_at_once: int = Field(
        default=32, ge=1, description="Number of lanes that one run processes at the same time."
    )
    keep_days: int = Field(
        default=30,
        ge=1,
        le=36_500,
        description="Days after which `workmesh prune` deletes runs, versions of artifacts and rows of the Workmesh tables.",
    )
    task_runner: Literal["threads", "dask", "ray"] = Field(
        default="threads",
        description="Where the lanes of a run are processed: in threads of its process, or on a Dask or Ray cluster.",
    )
    task_runner_address: str | None = Field(
        default=None,
        description="Address of the cluster: tcp://host:8786 for Dask, host:6379 or ray://host:10001 for Ray. "
        "None: the run starts a cluster of its own on its machine.",
    )

    @property
    def limits(self) -> Limits:
        """The limits of the work with one node."""
        return Limits(**{field.name: getattr(self, field.name) for field in fields(Limits)})


def read_settings() -> WorkmeshSettings:
    """The current settings; raises ConfigurationError, which names all invalid values or unknown names."""
    unknown = [text for field, text in _names_in_use() if field not in WorkmeshSettings.model_fields]
    if unknown:
        raise ConfigurationError("; ".join(f"there is no setting {text}" for text in sorted(unknown)))
    try:
        return WorkmeshSettings()
    except ValidationError as error:
        invalid = "; ".join(
            f"{PREFIX}{str(problem['loc'][0]).upper()}: {problem['msg']}"
            for problem in error.errors(include_input=False, include_url=False)
        )
        raise ConfigurationError(f"invalid settings: {invalid}") from None


def _names_in_use() -> Iterator[tuple[str, str]]:
    """Each name that is set in any source, as a field, and the text of the error for an unknown one.

    Needed because Prefect ignores unknown names.
    """
    profile = ProfileSettingsTomlLoader(WorkmeshSettings).profile_settings
    for variable in {*os.environ, *dotenv_values(".env"), *profile}:
        if variable.upper().startswith(PREFIX):
            field = variable.upper().removeprefix(PREFIX).lower()
            yield field, f"{variable}{_suggestion(field, lambda name: f'{PREFIX}{name.upper()}')}"
    for source in (PrefectTomlConfigSettingsSource, PyprojectTomlConfigSettingsSource):
        table = source(WorkmeshSettings)
        for key in table.toml_data:
            yield key, f"{key} in {table.toml_file_path}{_suggestion(key, str)}"


def _suggestion(field: str, written: Callable[[str], str]) -> str:
    """The known setting with the most similar name, or all names; ``written`` spells a name as its source does."""
    names = list(WorkmeshSettings.model_fields)
    close = get_close_matches(field, names, n=1)
    if close:
        return f"; did you mean {written(close[0])}?"
    return f"; there are {', '.join(written(name).removeprefix(PREFIX) for name in names)}"


def artifact_key(*parts: str) -> str:
    """An artifact key of the prefix and these parts, in lower-case letters, digits and dashes."""
    words = "-".join((read_settings().artifact_prefix, *parts))
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")
