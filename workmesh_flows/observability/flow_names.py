"""The names of all flows, by which the server's runs and deployments of a mesh are found."""

from __future__ import annotations

from collections.abc import Iterable

SERVICE_ACTIONS = ("assign", "push", "pull", "sync", "replay", "rebalance", "status")
MESH_ACTIONS = ("assign", "drain", "doctor", "prune")
MESH_FLOWS = tuple(f"mesh.{action}" for action in MESH_ACTIONS)


def flow_names(services: Iterable[str]) -> list[str]:
    """The flows of these services and of their mesh."""
    return [*(f"{service}.{action}" for service in services for action in SERVICE_ACTIONS), *MESH_FLOWS]
