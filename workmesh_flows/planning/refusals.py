"""Whose fault refusals are, and the state of a record after one."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from workmesh_flows.domain.protocol import Policy

SUSPICIOUS = 3
"""Entities whose records a node refuses, without accepting any in the run, from which on the node is at fault."""
SUSPICIOUS_LATER = 10
"""The same for a node that accepted records earlier in the run."""


class RefusalState(StrEnum):
    """The state of a refused or failed record; the values are stored in the database."""

    RETRYING = "trying"
    """It is sent again by the next push; later records of its entity wait behind it."""
    PARKED = "parked"
    """It was refused for the last time; it and later records of its entity wait for a decision."""
    BLOCKING = "blocking"
    """It was refused for the last time; all records of its lane wait for a decision."""
    SKIPPED = "skipped"
    """It was refused for the last time and is not sent again; later records of its entity are sent."""
    FAILED = "failed"
    """Its node accepted it and could not process it; no record waits behind it."""
    REPLAYED = "replayed"
    """It failed, and the next push sends it again."""

    @property
    def label(self) -> str:
        """The state as tables and pages show it; the database keeps ``trying`` for a record that is retried."""
        return "retrying" if self is RefusalState.RETRYING else self.value


REFUSED = (RefusalState.RETRYING, RefusalState.PARKED, RefusalState.BLOCKING, RefusalState.SKIPPED)
"""The states of records whose node's last answer was no; records in the other states are failed ones."""

UNDECIDED = (RefusalState.PARKED, RefusalState.BLOCKING)
"""The states of records that wait for a decision."""


def state_after(attempts: int, *, most: int, policy: Policy) -> RefusalState:
    """The state of a record after ``attempts`` refusals, of at most ``most``."""
    if attempts < most:
        return RefusalState.RETRYING
    return {
        "park_entity": RefusalState.PARKED,
        "block": RefusalState.BLOCKING,
        "skip_record": RefusalState.SKIPPED,
    }[policy]


def is_fault_of_node(owners: Iterable[Any], *, accepted_before: bool) -> bool:
    """Whether refusals of records of these entities, one after the other, are the fault of their node.

    A record that is refused while records of other entities are accepted is at fault itself. Faults of many unrelated
    entities in a row are less likely than one fault of the node; they are more likely where the node accepted records
    in the same run.
    """
    return len(set(owners)) >= (SUSPICIOUS_LATER if accepted_before else SUSPICIOUS)
