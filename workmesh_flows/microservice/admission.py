"""The checks on a request before its endpoint handles it: a JSON object of limited size with the right API key."""

from __future__ import annotations

from asyncio import timeout
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import orjson

from workmesh_flows.microservice.envelope import RequestDenied
from workmesh_flows.microservice.settings import Settings

if TYPE_CHECKING:
    from starlette.requests import Request

KEY_MISSING = "api_key is required"
KEY_WRONG = "Wrong api_key"
NOT_JSON = "the body is not JSON"
NOT_AN_OBJECT = "the body is not a JSON object"

KEY_LIMIT = 255
"""Largest number of characters of an Idempotency-Key, which is stored."""


@dataclass(frozen=True)
class Call:
    """An admitted request: the payload is the body without the API key.

    `epoch` and `lane` are unchecked header values; only a push uses them.
    """

    payload: dict[str, Any]
    idempotency_key: str | None = None
    epoch: str | None = None
    lane: str | None = None


async def admit(request: Request, settings: Settings) -> Call:
    """Read and check a request; raises `RequestDenied` with a text that quotes nothing of the request."""
    try:
        async with timeout(settings.request_seconds):
            content = await read(request, settings.body_limit)
    except TimeoutError as error:
        message = f"the request did not arrive within {settings.request_seconds:g} seconds"
        raise RequestDenied(message, HTTPStatus.REQUEST_TIMEOUT) from error
    body = parse(content)
    presented = body.pop("api_key", None)
    if presented is None:
        raise RequestDenied(KEY_MISSING)
    if not isinstance(presented, str) or not settings.api_key.matches(presented):
        raise RequestDenied(KEY_WRONG)
    return Call(
        body, _idempotency_key(request), _header(request, "Workmesh-Epoch"), _header(request, "Workmesh-Lane")
    )


async def read(request: Request, limit: int) -> bytes:
    """Read the body; holds at most `limit` bytes and a chunk in memory, whatever Content-Length says."""
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            message = f"the body has more than {limit} bytes"
            raise RequestDenied(message, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        chunks.append(chunk)
    return b"".join(chunks)


def parse(body: bytes) -> dict[str, Any]:
    """Parse the JSON object in a body; the declared content type is ignored."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise RequestDenied(
            NOT_JSON, HTTPStatus.BAD_REQUEST
        ) from None  # the cause would carry the whole body
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
    """Join the values of a repeated header into one list, as HTTP does, so that no single value is used alone."""
    values = request.headers.getlist(name)
    return ", ".join(values) if values else None
