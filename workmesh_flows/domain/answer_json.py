"""Reading the JSON of a node: strictly and fast where it is valid, tolerantly where only a value of it is not."""

from __future__ import annotations

import codecs
import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

EXACT_DIGITS = 15
"""Digits of a decimal number that a float always holds."""

_AS_ZERO = bytes.maketrans(b"123456789.E", b"0000000000e")
_LONG_NUMBERS = (b"0" * (EXACT_DIGITS + 1), b"0e000", b"0e-000", b"0e+000")
"""How numbers that a float may not hold begin, after `_AS_ZERO`; texts that look so only cost the slower reading."""
_HALF_PAIR = re.compile("[\ud800-\udfff]")
_HALF_PAIR_IN_UTF8 = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")
_UNREADABLE = "�"


def read_json(body: bytes) -> Any:  # noqa: ANN401 - any JSON
    """The value of a JSON text; raises ValueError where it is none.

    Integers are exact. A number with a fraction is a float if the shortest text of the float is the same number, and
    else a Decimal. What strict JSON refuses is read where its meaning is clear: NaN, Infinity, control characters in
    texts, half a surrogate pair (it becomes U+FFFD), a byte order mark, bytes that are Windows-1252 (or Latin-1)
    instead of UTF-8.
    """
    if not _has_long_number(body):
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError:
            pass
    try:
        return _without_half_pairs(json.loads(_decoded(body), strict=False, parse_float=_exact))
    except (RecursionError, InvalidOperation) as error:
        message = f"it cannot be read: {type(error).__name__}"
        raise ValueError(message) from error


def _has_long_number(body: bytes) -> bool:
    digits = body.translate(_AS_ZERO)  # a tenth of the time of a regular expression
    return any(number in digits for number in _LONG_NUMBERS)


def _exact(text: str) -> float | Decimal:
    number, exact = float(text), Decimal(text)
    return number if Decimal(repr(number)) == exact else exact


def _decoded(body: bytes) -> str:
    encoding = json.detect_encoding(body)
    return body.decode(encoding, errors=_BAD_BYTES if encoding.startswith("utf-8") else "replace")


def _as_windows_1252(error: UnicodeError) -> tuple[str, int]:
    """Decode the bytes that are not UTF-8; those around them, perhaps of another record, may well be."""
    assert isinstance(error, UnicodeDecodeError)  # noqa: S101 - it is registered for decoding only
    if _HALF_PAIR_IN_UTF8.match(error.object, error.start):
        return _UNREADABLE, error.start + 3
    return error.object[error.start : error.end].decode("cp1252", errors="replace"), error.end


_BAD_BYTES = "workmesh-windows-1252"
codecs.register_error(_BAD_BYTES, _as_windows_1252)


def _without_half_pairs(value: Any) -> Any:  # noqa: ANN401 - any JSON
    match value:
        case str():
            return _HALF_PAIR.sub(_UNREADABLE, value) if not value.isascii() else value
        case dict():
            return {_without_half_pairs(key): _without_half_pairs(item) for key, item in value.items()}
        case list():
            return [_without_half_pairs(item) for item in value]
        case _:
            return value
