"""The keys of all artifacts that the runs of a mesh publish."""

from __future__ import annotations

from collections.abc import Iterable

from workmesh_flows.settings import artifact_key

TABLES = ("nodes", "services", "parked", "plan", "moves", "doctor", "prune", "overview")
"""Last parts of the keys that do not depend on a service."""


def artifact_keys(services: Iterable[str]) -> list[str]:
    """The keys of a mesh with these services."""
    keys = [artifact_key(table) for table in TABLES]
    for service in services:
        keys += [artifact_key(service), artifact_key(service, "push"), artifact_key(service, "pull")]
    return list(dict.fromkeys(keys))
