"""Names of runs: what is done, and where, as people read them in a list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

LONGEST = 100
SEVERAL = 3
"""Names that are listed; of more, their number is said."""
PLACES = {"push": " to ", "pull": " from ", "sync": " with "}


def run_name(action: str, subject: str, parameters: Mapping[str, Any]) -> str:
    """The name of a run, as in ``push delivery to n2``; ``subject`` is the service, or the mesh.

    Only values that are not at their defaults make it longer.
    """
    told = _drain(parameters) if action == "drain" else _of_service(action, subject, parameters)
    dry = " (dry run)" if parameters.get("dry_run") and not parameters.get("revoke") else ""
    return told[: LONGEST - len(dry)] + dry


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
        return f"{verb} refused records of {subject}"
    where = f"{PLACES[action]}{_listed(nodes, 'nodes')}" if nodes else ""
    what = _listed(protocols, "protocols") if protocols else subject
    return f"{action} {what}{where}"


def _drain(parameters: Mapping[str, Any]) -> str:
    nodes = _listed(parameters.get("nodes") or [], "nodes")
    if parameters.get("revoke"):
        return f"revoke the drain of {nodes}"
    plan = parameters.get("plan")
    return f"drain {nodes} by plan {plan}" if plan else f"drain {nodes}".rstrip()


def _listed(names: Sequence[object], word: str) -> str:
    if len(names) > SEVERAL:
        return f"{len(names)} {word}"
    return ", ".join(str(name) for name in names)
