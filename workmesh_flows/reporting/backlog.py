"""Status over time: records pending, and records processed, as the runs counted them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import pandas as pd


@dataclass(frozen=True, slots=True)
class Backlog:
    """Pending records of one service at each time that a run counted, and records processed since the time before.

    The number is 0 where fewer records are processed than before, as after a repush.
    """

    times: Sequence[datetime]
    pending: Sequence[int]
    processed: Sequence[int]

    @classmethod
    def of(cls, service: str, history: pd.DataFrame, *, complete: bool) -> Backlog:
        """Compute it from rows with ``time``, ``service``, ``pending`` and ``processed``, oldest first.

        In a ``complete`` history, which starts with the first run, no record was processed before it. Otherwise the
        first number is 0, since it is unknown what was processed before.
        """
        rows = history[history["service"] == service] if len(history) else history
        if not len(rows):
            return cls((), (), ())
        done = [int(number) for number in rows["processed"]]
        before = [0 if complete else done[0], *done]
        return cls(
            [time.to_pydatetime() for time in rows["time"]],
            [int(number) for number in rows["pending"]],
            [max(now - then, 0) for now, then in zip(done, before, strict=False)],
        )
