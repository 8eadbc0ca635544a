"""JSON as nodes send it: valid, or odd in a value whose meaning is clear."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workmesh_flows.domain.answer_json import read_json

UNREADABLE = "\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(
    ("body", "value"),
    [
        pytest.param(b'"so good \\ud83d"', f"so good {UNREADABLE}", id="half an escaped pair at the end"),
        pytest.param(b'"\\ude00 \\ud83d\\ude00"', f"{UNREADABLE} 😀", id="half a pair beside a whole one"),
        pytest.param(b'{"\\ud83d": 1}', {UNREADABLE: 1}, id="half a pair in a key"),
        pytest.param(b'"\xed\xa0\xbd! \xc3\xa9"', f"{UNREADABLE}! é", id="half a pair as bytes, beside UTF-8"),
        pytest.param(b'"a\x01b\nc\td"', "a\x01b\nc\td", id="control characters"),
        pytest.param(b'\xef\xbb\xbf{"a": "\xc3\xa9"}', {"a": "é"}, id="a byte order mark"),
        pytest.param(b'"caf\xe9"', "café", id="Latin-1"),
        pytest.param(b'["caf\xe9", "caf\xc3\xa9"]', ["café", "café"], id="Latin-1 beside UTF-8"),
        pytest.param(b'"\x93quoted\x94 \x80 5"', "“quoted” € 5", id="Windows-1252"),
        pytest.param(b'"\x81"', UNREADABLE, id="a byte of no encoding"),
        pytest.param(b'"\xe2\x82"', "\u00e2\u201a", id="UTF-8 that was cut in the middle of a letter"),
        pytest.param('{"a": "é"}'.encode("utf-16"), {"a": "é"}, id="UTF-16"),
        pytest.param(b"[Infinity, -Infinity]", [math.inf, -math.inf], id="infinity"),
    ],
)  # fmt: skip
def test_what_strict_json_refuses_is_read_where_its_meaning_is_clear(body: bytes, value: Any) -> None:
    found = read_json(body)
    assert found == value
    json.dumps(found, ensure_ascii=False).encode()


def test_nan_is_read_as_a_float() -> None:
    found = read_json(b'{"a": NaN, "b": 1}')
    assert math.isnan(found["a"])
    assert found["b"] == 1


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"<html>", id="HTML"),
        pytest.param(b'{"status": "succ', id="cut"),
        pytest.param(b'{"a": 1} more', id="followed by more"),
        pytest.param(b"{'a': 1}", id="Python"),
        pytest.param(b"\xff\xfe{}", id="bytes"),
        pytest.param(b"[" * 100_000, id="nested too deeply"),
        pytest.param(b"9" * 5_000, id="an integer of 5,000 digits"),
        pytest.param(b"1e99999999999999999999", id="an exponent of 20 digits"),
    ],
)
def test_what_is_no_json_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_json(body)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("18446744073709551617", 2**64 + 1, id="an integer of 65 bits"),
        pytest.param("-9223372036854775809", -(2**63) - 1, id="a negative integer of 65 bits"),
        pytest.param("1234567890123456789012345", 1234567890123456789012345, id="an integer of 25 digits"),
        pytest.param("0.1", 0.1, id="a short decimal is a float"),
        pytest.param("1e5", 1e5, id="a short number with an exponent is a float"),
        pytest.param("0.30000000000000004", 0.1 + 0.2, id="the text of a float is a float"),
        pytest.param("1.7976931348623157e308", 1.7976931348623157e308, id="the largest float is a float"),
        pytest.param("0.10000000000000000000", 0.1, id="zeros at the end lose nothing"),
        pytest.param("12345678901.123456789012345678", Decimal("12345678901.123456789012345678"), id="29 digits"),
        pytest.param("-0.1234567890123456789", Decimal("-0.1234567890123456789"), id="19 digits, negative"),
        pytest.param("1234567890.1234567890e-3", Decimal("1234567890.1234567890e-3"), id="with an exponent"),
        pytest.param("9007199254740993.0", Decimal("9007199254740993.0"), id="one more than floats can count"),
        pytest.param("1e400", Decimal("1e400"), id="too large for a float"),
        pytest.param("1E+400", Decimal("1e400"), id="too large for a float, in another spelling"),
        pytest.param("1e-400", Decimal("1e-400"), id="too small for a float"),
    ],
)  # fmt: skip
def test_a_number_is_exact(text: str, value: float | Decimal) -> None:
    found = read_json(f'{{"a": {text}, "b": 0.5}}'.encode())
    assert (type(found["a"]), found["a"]) == (type(value), value)
    assert (type(found["b"]), found["b"]) == (float, 0.5)


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_any_decimal_number_is_exact(number: Decimal) -> None:
    found = read_json(f"[{number}]".encode())[0]
    assert Decimal(str(found)) == number


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(json_values)
def test_valid_json_is_read_as_it_was_written(value: Any) -> None:
    assert read_json(json.dumps(value).encode()) == value


@given(st.binary())
def test_any_bytes_are_read_or_are_a_value_error(body: bytes) -> None:
    try:
        found = read_json(body)
    except ValueError:
        with pytest.raises(orjson.JSONDecodeError):
            orjson.loads(body)
    else:
        json.dumps(found, ensure_ascii=False, default=str).encode()
