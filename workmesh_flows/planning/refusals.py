"""The state of a record after a refusal."""

from __future__ import annotations

from enum import StrEnum

from workmesh_flows.domain.protocol import Policy


class RefusalState(StrEnum):
    """The state of a refused record; the values are stored in the database."""

    RETRYING = "trying"
    """It is sent again by the next push; later records of its entity wait behind it."""
    PARKED = "parked"
    """It was refused for the last time; it and later records of its entity wait for a decision."""
    BLOCKING = "blocking"
    """It was refused for the last time; all records of its lane wait for a decision."""
    SKIPPED = "skipped"
    """It was refused for the last time and is not sent again; later records of its entity are sent."""

    @property
    def label(self) -> str:
        """The state as tables and pages show it; the database keeps ``trying`` for a record that is retried."""
        return "retrying" if self is RefusalState.RETRYING else self.value


def state_after(attempts: int, *, most: int, policy: Policy) -> RefusalState:
    """The state of a record after ``attempts`` refusals, of at most ``most``."""
    if attempts < most:
        return RefusalState.RETRYING
    return {
        "park_entity": RefusalState.PARKED,
        "block": RefusalState.BLOCKING,
        "skip_record": RefusalState.SKIPPED,
    }[policy]
