"""Results of processing functions as Python programs have them."""

from __future__ import annotations

import json
from collections import OrderedDict, deque, namedtuple
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import pytest
from pydantic import BaseModel

from workmesh_flows.microservice.result_json import result_as_json


class Mood(Enum):
    GOOD = "good"


@dataclass
class Score:
    score: float
    mood: Mood = Mood.GOOD


class Model(BaseModel):
    score: Decimal
    large: int = 2**70


Pair = namedtuple("Pair", "a b")  # noqa: PYI024 - untyped ones occur


@pytest.mark.parametrize(
    ("value", "written"),
    [
        pytest.param(np.float32(0.5), 0.5, id="a float of numpy"),
        pytest.param(np.float64(0.1), 0.1, id="a double of numpy"),
        pytest.param(np.int64(3), 3, id="an integer of numpy"),
        pytest.param(np.bool_(True), True, id="a boolean of numpy"),
        pytest.param(np.str_("x"), "x", id="a text of numpy"),
        pytest.param(np.arange(3), [0, 1, 2], id="an array"),
        pytest.param(np.arange(6).reshape(2, 3).T, [[0, 3], [1, 4], [2, 5]], id="an array of another layout"),
        pytest.param(np.array(["a", None], dtype=object), ["a", None], id="an array of objects"),
        pytest.param(np.datetime64("2026-03-01T12:00:00"), "2026-03-01T12:00:00+00:00", id="a time of numpy"),
        pytest.param(np.float64("nan"), None, id="not a number, of numpy"),
        pytest.param(float("nan"), None, id="not a number"),
        pytest.param(float("inf"), None, id="infinite"),
        pytest.param(Decimal("NaN"), None, id="a decimal that is not a number"),
        pytest.param(
            pd.Timestamp("2026-03-01", tz="UTC"), "2026-03-01T00:00:00+00:00", id="a time of pandas"
        ),
        pytest.param(pd.NaT, None, id="no time of pandas"),
        pytest.param(pd.Series([1, 2]), [1, 2], id="a column of pandas"),
        pytest.param(Decimal("12.50"), "12.50", id="a decimal"),
        pytest.param(2**70, str(2**70), id="a large number"),
        pytest.param(datetime(2026, 3, 1, tzinfo=UTC), "2026-03-01T00:00:00+00:00", id="a time"),
        pytest.param(date(2026, 3, 1), "2026-03-01", id="a date"),
        pytest.param(time(12, tzinfo=timezone(timedelta(hours=1))), "12:00:00+01:00", id="a time of day"),
        pytest.param(timedelta(1, 2, 500_000), "P1DT2.5S", id="a duration"),
        pytest.param(-timedelta(seconds=5), "-P0DT5S", id="a negative duration"),
        pytest.param(UUID(int=1), "00000000-0000-0000-0000-000000000001", id="a UUID"),
        pytest.param(b"\x00\xff", "AP8=", id="bytes"),
        pytest.param(Mood.GOOD, "good", id="an enum"),
        pytest.param({"b", "a"}, ["a", "b"], id="a set"),
        pytest.param({2**70, 1}, [str(2**70), 1], id="a set with a large number"),
        pytest.param(deque([1, 2]), [1, 2], id="a queue"),
        pytest.param(Pair(1, 2**70), {"a": 1, "b": str(2**70)}, id="a named tuple"),
        pytest.param({np.int64(1): 2}, {"1": 2}, id="a key of numpy"),
        pytest.param(PurePosixPath("a/b"), "a/b", id="a path"),
        pytest.param(Score(0.5), {"score": 0.5, "mood": "good"}, id="a dataclass"),
        pytest.param([Model(score=Decimal("0.5"))], [{"score": "0.5", "large": str(2**70)}], id="a model"),
    ],
)
def test_a_value_is_written_as_json(value: Any, written: Any) -> None:
    assert json.loads(result_as_json({"value": value})) == {"value": written}


@pytest.mark.parametrize(
    "result",
    [Score(0.5), Pair(1, 2), Model(score=Decimal(1)), OrderedDict(a=1), MappingProxyType({"a": 1}), None],
    ids=lambda result: type(result).__name__,
)
def test_a_result_may_be_any_object_with_named_values(result: Any) -> None:
    assert isinstance(json.loads(result_as_json(result)), dict)


@pytest.mark.parametrize(
    ("result", "problem"),
    [
        pytest.param(
            {"a": 1, "b": object()}, "the result 'b' cannot be written as JSON: .*: object", id="object"
        ),
        pytest.param({"text": "so good \ud83d"}, "the result 'text' cannot be written as JSON", id="half"),
        pytest.param([1], "must return a dict, a dataclass, a pydantic model or None, not list", id="list"),
        pytest.param(np.float64(1), "or None, not float64", id="number"),
    ],
)
def test_what_cannot_be_written_is_named(result: Any, problem: str) -> None:
    with pytest.raises(TypeError, match=problem):
        result_as_json(result)


def test_a_result_that_contains_itself_is_refused() -> None:
    result: dict[str, Any] = {}
    result["again"] = [result]
    with pytest.raises(TypeError, match="cannot be written as JSON"):
        result_as_json(result)
