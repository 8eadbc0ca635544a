"""Names of flow runs for lists in the UI: the action, its subject and the nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

MAX_LENGTH = 100
MAX_LISTED = 3
"""Names listed one by one; a longer list is shown as its number."""
PREPOSITIONS = {"push": " to ", "pull": " from ", "sync": " with "}


def run_name(action: str, subject: str, parameters: Mapping[str, Any]) -> str:
    """The name of a run, such as ``push delivery to n2``; ``subject`` is the service or the mesh.

    Parameters at their defaults are left out.
    """
    name = _drain(parameters) if action == "drain" else _of_service(action, subject, parameters)
    dry = " (dry run)" if parameters.get("dry_run") and not parameters.get("revoke") else ""
    return name[: MAX_LENGTH - len(dry)] + dry


def _of_service(action: str, subject: str, parameters: Mapping[str, Any]) -> str:
    nodes, protocols, entities = (parameters.get(name) or [] for name in ("nodes", "protocols", "entities"))
    if plan := parameters.get("plan"):
        return f"{action} {subject} by plan {plan}"
    if action == "assign" and entities:
        verbs = {(True, True): "reassign and repush", (True, False): "reassign", (False, True): "repush"}
        verb = verbs.get((bool(parameters.get("reassign")), bool(parameters.get("repush"))), "assign")
        return f"{verb} {_listed(entities, 'entities')} of {subject}"
    if action == "replay":
        verb = "skip" if parameters.get("skip") else "replay"
        records = parameters.get("records") or []
        if records or entities:
            what = _listed(records, "records") if records else f"records of {_listed(entities, 'entities')}"
            return f"{verb} {what} of {subject}"
        return f"{verb} {'failed' if parameters.get('failed') else 'refused'} records of {subject}"
    where = f"{PREPOSITIONS[action]}{_listed(nodes, 'nodes')}" if nodes else ""
    what = _listed(protocols, "protocols") if protocols else subject
    return f"{action} {what}{where}"


def _drain(parameters: Mapping[str, Any]) -> str:
    nodes = _listed(parameters.get("nodes") or [], "nodes")
    if parameters.get("revoke"):
        return f"revoke the drain of {nodes}"
    plan = parameters.get("plan")
    return f"drain {nodes} by plan {plan}" if plan else f"drain {nodes}".rstrip()


def _listed(names: Sequence[object], word: str) -> str:
    if len(names) > MAX_LISTED:
        return f"{len(names)} {word}"
    return ", ".join(str(name) for name in names)
