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

DEFAULT_BODY_LIMIT = 32 * 1024 * 1024


@dataclass(frozen=True)
class Settings:
    """The settings of a node; `body_limit` is in bytes."""

    api_key: ApiKey
    database: Path
    body_limit: int = DEFAULT_BODY_LIMIT


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
    return Settings(ApiKey(key), path, _body_limit(body_limit))


def _body_limit(value: int | None) -> int:
    text = os.environ.get(BODY_LIMIT, str(DEFAULT_BODY_LIMIT)) if value is None else str(value)
    if not text.isdecimal() or int(text) == 0:
        message = f"{BODY_LIMIT} must be a number of bytes above zero, not {text!r}"
        raise StartError(message)
    return int(text)
