"""Payloads as JSON: exact for any reader, the same bytes each time, and with room for the key."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from ipaddress import ip_address, ip_interface, ip_network
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.sql import quoted_name

from workmesh_flows.adapters.node_http.client import _with_key
from workmesh_flows.adapters.node_http.encoding import encode
from workmesh_flows.errors import RecordRefused

SAFE = 2**53 - 1


class Colour(Enum):
    RED = "red"
    WIDE = 2**60


class Level(IntEnum):
    LOW = 1
    WIDE = 2**60


class Word(StrEnum):
    YES = "yes"


@dataclass
class Point:
    x: int
    y: Any = None


@pytest.mark.parametrize(
    ("value", "written"),
    [
        pytest.param(
            datetime(2026, 3, 1, 12, tzinfo=UTC).replace(tzinfo=None),
            "2026-03-01T12:00:00+00:00",
            id="a naive time is UTC",
        ),
        pytest.param(
            datetime(2026, 3, 1, 12, 0, 0, 1, tzinfo=UTC),
            "2026-03-01T12:00:00.000001+00:00",
            id="microseconds",
        ),
        pytest.param(
            datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=5, minutes=30))),
            "2026-03-01T12:00:00+05:30",
            id="a time keeps its offset",
        ),
        pytest.param(date(2026, 3, 1), "2026-03-01", id="a date"),
        pytest.param(time(12, 30), "12:30:00", id="a time of day"),
        pytest.param(
            time(12, 30, tzinfo=timezone(timedelta(hours=2))), "12:30:00+02:00", id="with an offset"
        ),
        pytest.param(timedelta(0), "PT0S", id="no time at all"),
        pytest.param(timedelta(hours=1), "PT1H", id="a duration"),
        pytest.param(timedelta(days=2), "P2D", id="a duration of days"),
        pytest.param(-timedelta(1, 7384, 500_000), "-P1DT2H3M4.5S", id="a negative duration"),
        pytest.param([timedelta(microseconds=1)], ["PT0.000001S"], id="durations in a list"),
        pytest.param(ip_address("10.0.0.1"), "10.0.0.1", id="an address"),
        pytest.param(ip_interface("10.0.0.1/8"), "10.0.0.1/8", id="an address with its network"),
        pytest.param(ip_network("2001:db8::/32"), "2001:db8::/32", id="a network"),
        pytest.param(PurePosixPath("a/b"), "a/b", id="a path"),
        pytest.param(UUID(int=5), "00000000-0000-0000-0000-000000000005", id="a UUID"),
        pytest.param(Decimal("12.50"), "12.50", id="a decimal keeps its places"),
        pytest.param(b"\x00\xff", "AP8=", id="bytes are base64"),
        pytest.param(bytearray(b"\x00\xff"), "AP8=", id="a bytearray"),
        pytest.param(memoryview(b"\x00\xff"), "AP8=", id="a memoryview"),
        pytest.param(None, None, id="nothing"),
        pytest.param(True, True, id="true"),
        pytest.param(SAFE, SAFE, id="the largest whole number that every reader keeps"),
        pytest.param(-SAFE, -SAFE, id="the smallest one"),
        pytest.param(SAFE + 1, str(SAFE + 1), id="one more is text"),
        pytest.param(-SAFE - 1, str(-SAFE - 1), id="one less is text"),
        pytest.param(10**30, str(10**30), id="a number of any length"),
        pytest.param(float("nan"), None, id="not a number"),
        pytest.param(Colour.RED, "red", id="an enum is its value"),
        pytest.param(Colour.WIDE, str(2**60), id="an enum of a large number"),
        pytest.param(Level.LOW, 1, id="an enum that is a number"),
        pytest.param(Level.WIDE, str(2**60), id="an enum that is a large number"),
        pytest.param(Word.YES, "yes", id="an enum that is a text"),
        pytest.param({3, 1, 2}, [1, 2, 3], id="a set"),
        pytest.param(frozenset("ba"), ["a", "b"], id="a frozenset"),
        pytest.param({1, "a"}, ["a", 1], id="a set of several types"),
        pytest.param({2**60, 1}, [str(2**60), 1], id="a set with a large number"),
        pytest.param({frozenset({2, 1}), frozenset({3})}, [[1, 2], [3]], id="sets in a set"),
        pytest.param({UUID(int=2), UUID(int=1)}, [str(UUID(int=1)), str(UUID(int=2))], id="a set of UUIDs"),
        pytest.param((1, 2**60), [1, str(2**60)], id="a tuple"),
        pytest.param(Point(1, Point(2**60)), {"x": 1, "y": {"x": str(2**60), "y": None}}, id="dataclasses"),
        pytest.param(MappingProxyType({"a": {2**60}}), {"a": [str(2**60)]}, id="a mapping that is no dict"),
        pytest.param(
            {"a": [{"b": (2**60, [Decimal(1), {2**70: {b"x"}}])}]},
            {"a": [{"b": [str(2**60), ["1", {str(2**70): ["eA=="]}]]}]},
            id="all of it nested",
        ),
        pytest.param(
            {1: "a", None: "b", UUID(int=1): "c"},
            {"1": "a", "null": "b", str(UUID(int=1)): "c"},
            id="keys that are no text",
        ),
        pytest.param({quoted_name("Group", quote=True): 1}, {"Group": 1}, id="a quoted column name"),
    ],
)
def test_a_value_is_encoded_so_that_any_reader_preserves_it(value: Any, written: Any) -> None:
    assert json.loads(encode(value)) == written
    assert json.loads(encode({"deep": [value]})) == {"deep": [written]}
    assert json.loads(encode([value, 2**60]))[0] == written, "the encoding for large numbers agrees"


class Unsupported:
    def __repr__(self) -> str:
        return "a secret"


@pytest.mark.parametrize(
    ("value", "named"),
    [
        pytest.param(Unsupported(), "Unsupported", id="an object"),
        pytest.param([{"a": Unsupported()}], "Unsupported", id="an object inside"),
        pytest.param({Unsupported()}, "Unsupported", id="an object in a set"),
        pytest.param([Unsupported(), 2**60], "Unsupported", id="beside a large number"),
        pytest.param(Unsupported, "type", id="a class"),
        pytest.param(1 + 2j, "complex", id="a complex number"),
        pytest.param("\ud800", "surrogates", id="half a character"),
        pytest.param({(1, 2): 3}, "Dict key", id="a key that is a tuple"),
    ],
)
def test_a_type_that_json_cannot_represent_is_refused_by_name(value: Any, named: str) -> None:
    with pytest.raises(RecordRefused) as raised:
        encode(value)
    assert named in raised.value.reason
    assert "cannot be written as JSON" in raised.value.reason
    assert "secret" not in raised.value.reason


def test_a_payload_that_contains_itself_is_refused() -> None:
    endless: dict[str, Any] = {}
    endless["again"] = [endless]
    with pytest.raises(RecordRefused, match="cannot be written as JSON"):
        encode(endless)


def test_the_same_payload_gives_the_same_bytes_in_every_process() -> None:
    """Sets of strings have another order in each process; the Idempotency-Key must not depend on it."""
    code = (
        "from workmesh_flows.adapters.node_http.encoding import encode; import sys;"
        "sys.stdout.buffer.write(encode({'tags': {frozenset(['x', 'y']), 'abc', 'b', 'c', 5}}))"
    )
    written = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(written) == 1


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(min_value=-SAFE, max_value=SAFE)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4)
    ),
    max_leaves=12,
)
PAYLOADS = st.dictionaries(st.text(st.characters(codec="utf-8")), JSON_VALUES, max_size=5)
KEYS = st.text(st.characters(codec="utf-8")) | st.sampled_from(['"', '\\"', "ключ", "{a}", "}", "\0\n", "😀"])


@given(payload=PAYLOADS, api_key=KEYS)
def test_any_key_can_be_added_to_any_payload(payload: dict[str, Any], api_key: str) -> None:
    assert json.loads(_with_key(encode(payload), api_key)) == {**payload, "api_key": api_key}


def test_the_key_can_be_added_to_an_empty_payload() -> None:
    assert json.loads(_with_key(encode({}), "k")) == {"api_key": "k"}


def test_the_node_s_key_replaces_an_api_key_in_the_payload() -> None:
    assert json.loads(_with_key(encode({"api_key": "mine", "a": 1}), "k")) == {"api_key": "k", "a": 1}


@settings(max_examples=50)
@given(st.integers())
def test_any_integer_is_preserved_exactly(number: int) -> None:
    decoded = json.loads(encode({"n": number}))["n"]
    assert int(decoded) == number
    assert isinstance(decoded, int) == (abs(number) <= SAFE)


@settings(max_examples=50)
@given(st.datetimes(timezones=st.none() | st.timezones()))
def test_any_time_is_preserved_as_the_same_moment(moment: datetime) -> None:
    offset = moment.utcoffset()
    decoded = datetime.fromisoformat(json.loads(encode(moment)))
    assert decoded.tzinfo is not None
    if offset is None:
        assert decoded == moment.replace(tzinfo=UTC)
    elif offset.total_seconds() % 60 == 0:  # ISO 8601 has no seconds in an offset; local mean times do
        assert decoded.astimezone(UTC) == moment.astimezone(UTC)
