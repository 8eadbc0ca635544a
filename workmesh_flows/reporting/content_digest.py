"""A digest of what an artifact shows: equal for equal content, whatever the order in which a database gave it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workmesh_flows.operations.counts import Count
    from workmesh_flows.operations.status import Status


@dataclass(frozen=True, slots=True)
class StatusContent:
    """Digests of what pages and tables show of a status: of all nodes, and of the records of each service."""

    nodes: str
    services: Mapping[str, str]

    @classmethod
    def of(cls, status: Status) -> StatusContent:
        """Compute them once for all artifacts: a status of a thousand nodes has many parts."""
        counts: dict[str, list[Count]] = {service: [] for service in status.held}
        for count in status.counts:
            counts[count.service].append(count)
        nodes = content_digest(
            repr(sorted(status.inventory.nodes.items())),
            status.inventory.problems,
            repr(sorted(status.probes.items())),
            status.held,
            status.unusable,
        )
        return cls(nodes, {service: content_digest(sorted(map(repr, of))) for service, of in counts.items()})


def content_digest(*parts: object) -> str:
    """A SHA-256 digest, in hexadecimal, of dataclasses, mappings, sets, sequences and plain values.

    A secret counts as its mask.
    """
    return hashlib.sha256(repr([_ordered(part) for part in parts]).encode()).hexdigest()


def _ordered(value: object) -> object:
    if isinstance(value, str | int | float | None):
        return value
    if is_dataclass(value):
        return [_ordered(getattr(value, field.name)) for field in fields(value)]
    if isinstance(value, Mapping):
        return sorted((repr(key), _ordered(one)) for key, one in value.items())
    if isinstance(value, AbstractSet):
        return sorted(repr(_ordered(one)) for one in value)
    if isinstance(value, list | tuple):
        return [_ordered(one) for one in value]
    return repr(value)
