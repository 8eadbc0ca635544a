"""The check of a whole history against every guarantee of delivery."""

from __future__ import annotations

from collections.abc import Iterable

from workmesh_flows.testing.history.checks.duplicates import find_duplicates
from workmesh_flows.testing.history.checks.loss import find_lost_records
from workmesh_flows.testing.history.checks.ordering import find_records_out_of_order
from workmesh_flows.testing.history.checks.push_times import find_falling_push_times
from workmesh_flows.testing.history.checks.single_sender import find_concurrent_senders
from workmesh_flows.testing.history.checks.totals import find_wrong_totals
from workmesh_flows.testing.history.events import Event
from workmesh_flows.testing.history.index import index_history
from workmesh_flows.testing.history.verdict import Verdict


def check_history(events: Iterable[Event], *, settled: bool = False) -> Verdict:
    """Return every violation in a history; its events may come in any order.

    With ``settled`` all work should be finished: a record that is still pending, and not parked, counts as lost.
    """
    index = index_history(events)
    violations = (
        *find_records_out_of_order(index),
        *find_lost_records(index, settled=settled),
        *find_duplicates(index),
        *find_concurrent_senders(index),
        *find_wrong_totals(index),
        *find_falling_push_times(index),
    )
    return Verdict(index.events, sum(len(records) for records in index.records.values()), violations)
