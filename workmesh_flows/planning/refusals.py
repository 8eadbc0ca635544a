"""What follows from a refusal of a record."""

from __future__ import annotations

from enum import StrEnum

from workmesh_flows.domain.protocol import Policy


class RefusalState(StrEnum):
    """What is to become of a record that was refused."""

    RETRYING = "trying"
    """It is tried again in the next run; what follows it of its owner waits."""
    PARKED = "parked"
    """Neither it nor what follows it of its owner is sent, until a person decides."""
    BLOCKING = "blocking"
    """Nothing of its lane is sent, until a person decides."""
    SKIPPED = "skipped"
    """It is not sent any more; what follows it goes on."""

    @property
    def label(self) -> str:
        """The state as tables and pages show it; the database keeps ``trying`` for a record that is retried."""
        return "retrying" if self is RefusalState.RETRYING else self.value


def state_after(attempts: int, *, most: int, policy: Policy) -> RefusalState:
    """What becomes of a record that was refused so often."""
    if attempts < most:
        return RefusalState.RETRYING
    return {
        "park_entity": RefusalState.PARKED,
        "block": RefusalState.BLOCKING,
        "skip_record": RefusalState.SKIPPED,
    }[policy]
