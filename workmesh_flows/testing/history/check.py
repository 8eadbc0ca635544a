"""Holding a history against what delivery promises."""

from __future__ import annotations

from collections.abc import Iterable

from workmesh_flows.testing.history.check_loss import loss_violations, twice_violations
from workmesh_flows.testing.history.check_order import order_violations
from workmesh_flows.testing.history.check_push_times import push_time_violations
from workmesh_flows.testing.history.check_single_sender import conservation_violations, sender_violations
from workmesh_flows.testing.history.events import Event
from workmesh_flows.testing.history.index import index_history
from workmesh_flows.testing.history.verdict import Verdict


def check_history(events: Iterable[Event], *, settled: bool = False) -> Verdict:
    """Every violation in a history; events may come in any order.

    ``settled`` says that the work was to be finished: what still waits, and is not parked, is a loss then.
    """
    ledger = index_history(events)
    violations = (
        *order_violations(ledger),
        *loss_violations(ledger, settled=settled),
        *twice_violations(ledger),
        *sender_violations(ledger),
        *conservation_violations(ledger),
        *push_time_violations(ledger),
    )
    return Verdict(ledger.events, sum(len(records) for records in ledger.records.values()), violations)
