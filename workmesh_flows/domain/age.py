"""Ages as users write them: 12h, 30d, 8w."""

from __future__ import annotations

import re
from datetime import timedelta

from workmesh_flows.errors import ConfigurationError

UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
LONGEST = timedelta(days=36_500)
"""A hundred years: the time before it can be computed."""


def parse_age(text: str) -> timedelta:
    """An age of at least an hour; raises ConfigurationError for any other text.

    The pages show the runs that failed in the last hour.
    """
    found = re.fullmatch(r"([1-9][0-9]{0,6})([hdw])", text.strip())
    if found is None:
        raise ConfigurationError(
            f"{text!r} is not an age: give a number of hours, days or weeks, such as 12h, 30d or 8w"
        )
    return min(int(found[1]) * UNITS[found[2]], LONGEST)


def age_in_words(age: timedelta) -> str:
    """An age as a sentence names it: ``30 days``, ``12 hours``."""
    hours = round(age / UNITS["h"])
    number, unit = (hours, "hour") if hours % 24 else (hours // 24, "day")
    return f"{number:,} {unit}{'' if number == 1 else 's'}"
