"""What follows from a refusal of a record."""

from __future__ import annotations

from enum import StrEnum

from workmesh_flows.domain.protocol import Policy


class Standing(StrEnum):
    """What is to become of a record that was refused."""

    TRYING = "trying"
    """It is tried again in the next run; what follows it of its owner waits."""
    PARKED = "parked"
    """Neither it nor what follows it of its owner is sent, until a person decides."""
    BLOCKING = "blocking"
    """Nothing of its lane is sent, until a person decides."""
    SKIPPED = "skipped"
    """It is not sent any more; what follows it goes on."""


def standing_after(attempts: int, *, most: int, policy: Policy) -> Standing:
    """What becomes of a record that was refused so often."""
    if attempts < most:
        return Standing.TRYING
    return {
        "park_entity": Standing.PARKED,
        "block": Standing.BLOCKING,
        "skip_record": Standing.SKIPPED,
    }[policy]
