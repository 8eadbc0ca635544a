"""Records as JSON that nodes in any language can read."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import time, timedelta
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import PurePath
from typing import Any

import orjson

from workmesh_flows.errors import RecordRefused

_SAFE_INTEGER = 2**53 - 1
"""The largest integer that all JSON readers represent exactly (RFC 8259, section 6)."""
NO_JSON = "cannot be written as JSON"
"""How the reason of a refusal by :func:`encode` begins."""
_OPTIONS = orjson.OPT_STRICT_INTEGER | orjson.OPT_NAIVE_UTC | orjson.OPT_NON_STR_KEYS


def encode(payload: Any) -> bytes:  # noqa: ANN401 - any payload
    """Encode as JSON: times in ISO 8601 with offset (naive ones are UTC), UUID, Decimal and large integers as text.

    Bytes become base64, durations ISO 8601, network addresses and paths text, sets lists sorted by their encoding, NaN
    null. The same payload always gives the same bytes. Raises RecordRefused for a value that JSON cannot represent.
    """
    try:
        return orjson.dumps(payload, default=_plain, option=_OPTIONS)
    except TypeError:
        pass
    try:  # the usual cause is an integer that is too large, or a time of day with an offset
        return orjson.dumps(_with_text_for_large(payload), default=_plain, option=_OPTIONS)
    except (TypeError, RecursionError) as error:
        raise RecordRefused(f"{NO_JSON}: {error}") from error


def has_json_form(value: Any) -> bool:  # noqa: ANN401 - any value
    """Whether JSON can represent a value."""
    try:
        encode(value)
    except RecordRefused:
        return False
    return True


def duration(value: timedelta) -> str:
    """A duration as ISO 8601: -P1DT2H3M4.5S."""
    seconds, micros = divmod(abs(value) // timedelta(microseconds=1), 10**6)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    fraction = f".{micros:06}".rstrip("0") if micros else ""
    parts = [
        f"{number}{unit}"
        for number, unit in ((hours, "H"), (minutes, "M"), (f"{seconds}{fraction}", "S"))
        if number not in {0, "0"}
    ]
    at = f"T{''.join(parts)}" if parts else ""
    return f"{'-' if value < timedelta() else ''}P{f'{days}D' if days else ''}{at}" if days or at else "PT0S"


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
        case timedelta():
            return duration(value)
        case IPv4Address() | IPv6Address() | IPv4Network() | IPv6Network() | PurePath():
            return str(value)
        case _:
            message = f"JSON cannot represent {type(value).__name__}"
            raise TypeError(message)


def _with_text_for_large(value: Any) -> Any:  # noqa: ANN401, PLR0911 - any payload; a table of types
    match value:
        case bool():
            return value
        case int() if abs(value) > _SAFE_INTEGER:
            return str(value)
        case time() if value.tzinfo is not None:
            return value.isoformat()
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
