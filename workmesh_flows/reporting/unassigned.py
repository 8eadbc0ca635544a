"""What to do about entities without a node."""

from __future__ import annotations

from workmesh_flows.domain.reports import counted
from workmesh_flows.operations.status import Status


def unassigned_remedy(status: Status, service: str, otherwise: str) -> str:
    """What gives entities without a node one: their weights must be corrected, or what to do ``otherwise``, or both."""
    entities, _ = status.held.get(service, {}).get(None, (0, 0))
    if not (by_weight := status.unusable_unassigned.get(service, 0)):
        return otherwise
    weights = counted(by_weight, "entity has a weight", "entities have weights")
    remedy = f"{weights} that cannot be used: correct {'it' if by_weight == 1 else 'them'} (workmesh check), then run assign"
    return remedy if by_weight >= entities else f"{remedy}; for the others {otherwise}"
