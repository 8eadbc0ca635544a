"""The settings of a node, from arguments or the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from workmesh_flows.errors import StartError
from workmesh_flows.microservice.api_key import ApiKey, is_blank

API_KEY = "WORKMESH_API_KEY"
DATABASE = "WORKMESH_DATABASE"
BODY_LIMIT = "WORKMESH_BODY_LIMIT"

REQUEST_SECONDS = "WORKMESH_REQUEST_SECONDS"
MAX_CONNECTIONS = "WORKMESH_MAX_CONNECTIONS"

DEFAULT_BODY_LIMIT = 32 * 1024 * 1024
DEFAULT_REQUEST_SECONDS = 30
DEFAULT_MAX_CONNECTIONS = 500


@dataclass(frozen=True)
class Settings:
    """The settings of a node.

    `body_limit` is in bytes, `request_seconds` how long a request may take to arrive, `max_connections` how many
    connections `serve` keeps.
    """

    api_key: ApiKey
    database: Path
    body_limit: int = DEFAULT_BODY_LIMIT
    request_seconds: float = DEFAULT_REQUEST_SECONDS
    max_connections: int = DEFAULT_MAX_CONNECTIONS


def resolve(
    name: str, *, api_key: str | None, database: str | Path | None, body_limit: int | None
) -> Settings:
    """Complete the given settings from the environment; raises `StartError` for a missing or invalid one."""
    key = os.environ.get(API_KEY) if api_key is None else api_key
    if key is None or is_blank(key):
        message = f"{name} has no API key: set {API_KEY} in the environment or pass api_key"
        raise StartError(message)
    path = Path(database or os.environ.get(DATABASE) or f"{name}.db").absolute()
    if not path.parent.is_dir():
        message = (
            f"{name} cannot create its database in {path.parent}: the folder does not exist ({DATABASE})"
        )
        raise StartError(message)
    return Settings(
        ApiKey(key),
        path,
        body_limit=_number(BODY_LIMIT, body_limit, DEFAULT_BODY_LIMIT, "bytes"),
        request_seconds=_number(REQUEST_SECONDS, None, DEFAULT_REQUEST_SECONDS, "seconds"),
        max_connections=_number(MAX_CONNECTIONS, None, DEFAULT_MAX_CONNECTIONS, "connections"),
    )


def _number(name: str, value: int | None, default: int, unit: str) -> int:
    text = os.environ.get(name, str(default)) if value is None else str(value)
    if not text.isdecimal() or int(text) == 0:
        message = f"{name} must be a number of {unit} above zero, not {text!r}"
        raise StartError(message)
    return int(text)
