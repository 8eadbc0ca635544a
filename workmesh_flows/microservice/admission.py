"""What a request must pass before an access point sees it: a bounded JSON object with the right key."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import orjson

from workmesh_flows.microservice.api_key import ApiKey
from workmesh_flows.microservice.envelope import RequestDenied

if TYPE_CHECKING:
    from starlette.requests import Request

KEY_MISSING = "api_key is required"
KEY_WRONG = "Wrong api_key"
NOT_JSON = "the body is not JSON"
NOT_AN_OBJECT = "the body is not a JSON object"

KEY_LIMIT = 255
"""Characters an Idempotency-Key may have: it is stored."""


@dataclass(frozen=True)
class Call:
    """An admitted request: the payload is the body without its key.

    `epoch` and `lane` are headers as they came: only a push looks at them.
    """

    payload: dict[str, Any]
    idempotency_key: str | None = None
    epoch: str | None = None
    lane: str | None = None


async def admit(request: Request, key: ApiKey, body_limit: int) -> Call:
    """Read and judge a request; raises `RequestDenied` with a text that quotes nothing of it."""
    body = parse(await read(request, body_limit))
    presented = body.pop("api_key", None)
    if presented is None:
        raise RequestDenied(KEY_MISSING)
    if not isinstance(presented, str) or not key.matches(presented):
        raise RequestDenied(KEY_WRONG)
    return Call(
        body, _idempotency_key(request), _header(request, "Workmesh-Epoch"), _header(request, "Workmesh-Lane")
    )


async def read(request: Request, limit: int) -> bytes:
    """The body, never more than `limit` bytes of it in memory, whatever Content-Length says."""
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            message = f"the body has more than {limit} bytes"
            raise RequestDenied(message, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        chunks.append(chunk)
    return b"".join(chunks)


def parse(body: bytes) -> dict[str, Any]:
    """The JSON object a body holds; the declared content type is not looked at."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise RequestDenied(NOT_JSON, HTTPStatus.BAD_REQUEST) from None  # the cause carries the whole body
    if not isinstance(value, dict):
        raise RequestDenied(NOT_AN_OBJECT, HTTPStatus.BAD_REQUEST)
    return value


def _idempotency_key(request: Request) -> str | None:
    key = _header(request, "Idempotency-Key")
    if key is not None and len(key) > KEY_LIMIT:
        message = f"Idempotency-Key has more than {KEY_LIMIT} characters"
        raise RequestDenied(message, HTTPStatus.BAD_REQUEST)
    return key or None


def _header(request: Request, name: str) -> str | None:
    """A header that came more than once is one list, as HTTP has it: none of its values passes for the only one."""
    values = request.headers.getlist(name)
    return ", ".join(values) if values else None
