"""Status over time: records pending, and the rate at which records were processed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import pandas as pd


@dataclass(frozen=True, slots=True)
class Backlog:
    """Pending records of one service at each time, and records processed per minute since the time before (0 at first).

    The rate is 0 where fewer records are processed than before, as after a repush.
    """

    times: Sequence[datetime]
    pending: Sequence[int]
    per_minute: Sequence[float]

    @classmethod
    def of(cls, service: str, history: pd.DataFrame) -> Backlog:
        """Compute it from rows with ``time``, ``service``, ``pending`` and ``processed``, oldest first."""
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
