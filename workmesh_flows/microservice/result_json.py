"""Results of processing functions as JSON, as Python programs have them: numpy, dataclasses, pydantic models, sets."""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import PurePath
from typing import Any

import orjson

_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NAIVE_UTC | orjson.OPT_NON_STR_KEYS


def result_as_json(result: object) -> str:
    """The JSON object of a result; None is an empty one.

    Decimals and integers above 64 bits become text, bytes base64, durations ISO 8601, sets sorted lists, NaN and
    infinity null. Raises TypeError, which names the key, for a value that JSON cannot represent, and for a result that
    is no object.
    """
    if result is None:
        return "{}"
    content = _encoded(result) if not isinstance(result, dict) else _object(result)
    if not content.startswith(b"{"):
        message = (
            f"a processing function must return a dict, a dataclass, a pydantic model or None, "
            f"not {type(result).__name__}"
        )
        raise TypeError(message)
    return content.decode()


def _object(result: dict[Any, Any]) -> bytes:
    try:
        return _encoded(result)
    except TypeError as error:
        for key, value in result.items():
            try:
                _encoded({key: value})
            except TypeError as cause:
                message = f"the result {key!r} cannot be written as JSON: {cause}"
                raise TypeError(message) from error
        raise


def _encoded(value: object) -> bytes:
    try:
        return orjson.dumps(value, default=_plain, option=_OPTIONS)
    except TypeError:
        pass
    try:  # the usual causes are an integer of more than 64 bits, and a time of day with an offset
        return orjson.dumps(_without_large(value), default=_plain, option=_OPTIONS)
    except RecursionError as error:
        raise TypeError("it is nested too deeply") from error


def _plain(value: Any) -> Any:  # noqa: ANN401, PLR0911, C901 - any type that orjson does not support
    match value:
        case Decimal() if not value.is_finite():
            return None
        case Decimal() | PurePath() | IPv4Address() | IPv6Address() | IPv4Network() | IPv6Network():
            return str(value)
        case bytes() | bytearray() | memoryview():
            return base64.b64encode(value).decode()
        case datetime():  # a subclass, such as that of pandas
            text = value.isoformat()
            return None if text == "NaT" else datetime.fromisoformat(text)
        case timedelta():
            return _duration(value)
        case AbstractSet():
            return sorted(value, key=_encoded)
        case Mapping():
            return dict(value)
    if callable(dump := getattr(value, "model_dump", None)):  # pydantic
        return dump()
    if callable(as_dict := getattr(value, "_asdict", None)):  # a named tuple
        return as_dict()
    if callable(as_list := getattr(value, "tolist", None)):  # arrays of any layout, and what is like them
        return as_list()
    if isinstance(value, Collection):
        return list(value)
    raise TypeError  # orjson names the type


def _without_large(value: Any) -> Any:  # noqa: ANN401, C901, PLR0911 - any result; a table of types
    match value:
        case bool():
            return value
        case Enum():
            return _without_large(value.value)
        case int() if not -(2**63) <= value < 2**64:
            return str(value)
        case time() if value.tzinfo is not None:
            return value.isoformat()
        case Mapping():
            return {_key(key): _without_large(item) for key, item in value.items()}
        case list() | tuple() if not hasattr(value, "_asdict"):
            return [_without_large(item) for item in value]
        case AbstractSet():
            return [_without_large(item) for item in sorted(value, key=_encoded)]
        case _ if is_dataclass(value) and not isinstance(value, type):
            return {field.name: _without_large(getattr(value, field.name)) for field in fields(value)}
    if callable(dump := getattr(value, "model_dump", None)):
        return _without_large(dump())
    if callable(as_dict := getattr(value, "_asdict", None)):
        return _without_large(as_dict())
    return value


def _key(key: Any) -> Any:  # noqa: ANN401 - any key
    """A key that orjson supports, where it is a scalar of numpy or a large number."""
    plain = key.item() if callable(getattr(key, "item", None)) else key
    return str(plain) if isinstance(plain, int) and not isinstance(plain, bool | Enum) else plain


def _duration(value: timedelta) -> str:
    """ISO 8601, in days and seconds."""
    sign, value = ("-", -value) if value < timedelta() else ("", value)
    fraction = f".{value.microseconds:06}".rstrip("0") if value.microseconds else ""
    return f"{sign}P{value.days}DT{value.seconds}{fraction}S"
