"""Status over time: what waited, and how fast records were processed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import pandas as pd


@dataclass(frozen=True, slots=True)
class Backlog:
    """Of one service: at each time, records pending, and records processed a minute since the time before (0 at first).

    Fewer processed than before, as after a repush, count as none.
    """

    times: Sequence[datetime]
    pending: Sequence[int]
    per_minute: Sequence[float]

    @classmethod
    def of(cls, service: str, history: pd.DataFrame) -> Backlog:
        """From rows with ``time``, ``service``, ``pending`` and ``processed``, the oldest first."""
        rows = history[history["service"] == service] if len(history) else history
        if not len(rows):
            return cls((), (), ())
        minutes = rows["time"].diff().dt.total_seconds() / 60
        done = rows["processed"].astype(float).diff().clip(lower=0)
        per_minute = (done / minutes.where(minutes > 0)).fillna(0.0)
        return cls(
            [time.to_pydatetime() for time in rows["time"]],
            [int(number) for number in rows["pending"]],
            [float(number) for number in per_minute],
        )
