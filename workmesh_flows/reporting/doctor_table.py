"""The table of the doctor."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from workmesh_flows.operations.health.diagnosis import Diagnosis

DOCTOR_COLUMNS = ("subject", "check", "result", "detail", "what to do")


def doctor_table(found: Sequence[Diagnosis]) -> pd.DataFrame:
    """One row per check, in the order of the checks."""
    rows = [(one.subject, one.check, str(one.result), one.detail, one.to_do) for one in found]
    return pd.DataFrame(rows, columns=list(DOCTOR_COLUMNS))
