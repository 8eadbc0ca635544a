"""Records as JSON that nodes in any language can read."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal
from enum import Enum
from typing import Any

import orjson

from workmesh_flows.errors import RecordRefused

_SAFE_INTEGER = 2**53 - 1
"""The largest integer that all JSON readers represent exactly (RFC 8259, section 6)."""
_OPTIONS = orjson.OPT_STRICT_INTEGER | orjson.OPT_NAIVE_UTC | orjson.OPT_NON_STR_KEYS


def encode(payload: Any) -> bytes:  # noqa: ANN401 - any payload
    """Encode as JSON: times in ISO 8601 with offset (naive ones are UTC), UUID, Decimal and large integers as text.

    Bytes become base64, sets lists sorted by their encoding, NaN null. The same payload always gives the same bytes.
    Raises RecordRefused for a value that JSON cannot represent.
    """
    try:
        return orjson.dumps(payload, default=_plain, option=_OPTIONS)
    except TypeError:
        pass
    try:  # the usual cause is an integer that is too large
        return orjson.dumps(_with_text_for_large(payload), default=_plain, option=_OPTIONS)
    except (TypeError, RecursionError) as error:
        raise RecordRefused(f"cannot be written as JSON: {error}") from error


def _plain(value: Any) -> Any:  # noqa: ANN401 - any type that orjson does not support
    match value:
        case Decimal():
            return str(value)
        case bytes() | bytearray() | memoryview():
            return base64.b64encode(value).decode()
        case set() | frozenset():
            return sorted(value, key=encode)
        case Mapping():
            return dict(value)
        case _:
            message = f"JSON cannot represent {type(value).__name__}"
            raise TypeError(message)


def _with_text_for_large(value: Any) -> Any:  # noqa: ANN401, PLR0911 - any payload; a table of types
    match value:
        case bool():
            return value
        case int() if abs(value) > _SAFE_INTEGER:
            return str(value)
        case Enum():
            return _with_text_for_large(value.value)
        case Mapping():
            return {_key(key): _with_text_for_large(item) for key, item in value.items()}
        case list() | tuple():
            return [_with_text_for_large(item) for item in value]
        case set() | frozenset():
            return [_with_text_for_large(item) for item in sorted(value, key=encode)]
        case _ if is_dataclass(value) and not isinstance(value, type):
            return {field.name: _with_text_for_large(getattr(value, field.name)) for field in fields(value)}
        case _:
            return value


def _key(key: Any) -> Any:  # noqa: ANN401 - any key
    return str(key) if isinstance(key, int) and not isinstance(key, bool | Enum) else key
