"""Ages: 12h, 30d, 8w."""

from __future__ import annotations

from datetime import timedelta

import pytest

from workmesh_flows.domain.age import LONGEST, age_in_words, parse_age
from workmesh_flows.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "age", "words"),
    [
        ("1h", timedelta(hours=1), "1 hour"),
        ("12h", timedelta(hours=12), "12 hours"),
        ("24h", timedelta(days=1), "1 day"),
        (" 30d ", timedelta(days=30), "30 days"),
        ("8w", timedelta(weeks=8), "56 days"),
        ("9999999w", LONGEST, "36,500 days"),
    ],
)
def test_an_age_is_a_number_of_hours_days_or_weeks(text: str, age: timedelta, words: str) -> None:
    assert parse_age(text) == age
    assert age_in_words(age) == words


@pytest.mark.parametrize("text", ["", "30", "d", "0d", "-1d", "1.5d", "30 d", "30m", "1y", "30D", "٣d"])
def test_another_text_is_no_age(text: str) -> None:
    with pytest.raises(ConfigurationError, match="such as 12h, 30d or 8w"):
        parse_age(text)
