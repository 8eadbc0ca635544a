"""Records as JSON: what a node can read in any language."""

from __future__ import annotations

import base64
from decimal import Decimal
from typing import Any

import orjson

from workmesh_flows.errors import RecordRefused

_SAFE_INTEGER = 2**53 - 1
"""The largest whole number that JSON readers keep exactly (RFC 8259, section 6)."""
_OPTIONS = orjson.OPT_STRICT_INTEGER | orjson.OPT_NAIVE_UTC | orjson.OPT_NON_STR_KEYS


def encode(payload: Any) -> bytes:  # noqa: ANN401 - any payload
    """Write JSON: times in ISO 8601 with offset (naive ones are UTC), UUID, Decimal and large integers as text.

    Bytes are base64. Raises RecordRefused where a value has no place in JSON.
    """
    try:
        return orjson.dumps(payload, default=_plain, option=_OPTIONS)
    except TypeError:
        pass
    try:  # an integer that is too large is the usual cause
        return orjson.dumps(_with_text_for_large(payload), default=_plain, option=_OPTIONS)
    except TypeError as error:
        raise RecordRefused(f"cannot be written as JSON: {error}") from error


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever orjson does not know
    match value:
        case Decimal():
            return str(value)
        case bytes() | bytearray() | memoryview():
            return base64.b64encode(value).decode()
        case set() | frozenset():
            return sorted(value)
        case _:
            message = f"{type(value).__name__} has no place in JSON"
            raise TypeError(message)


def _with_text_for_large(value: Any) -> Any:  # noqa: ANN401 - any payload
    match value:
        case bool():
            return value
        case int() if abs(value) > _SAFE_INTEGER:
            return str(value)
        case dict():
            return {key: _with_text_for_large(item) for key, item in value.items()}
        case list() | tuple():
            return [_with_text_for_large(item) for item in value]
        case _:
            return value
