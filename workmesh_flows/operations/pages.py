"""Pages of Markdown about a mesh and about each of its services: what needs somebody, figures, charts, links."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import pandas as pd

from workmesh_flows.adapters.conditions import Condition
from workmesh_flows.adapters.drawing import history_chart, load_chart
from workmesh_flows.adapters.parked_list import ParkedRecord
from workmesh_flows.domain.node import misspelt
from workmesh_flows.operations.history import Backlog
from workmesh_flows.operations.markdown import Link, escaped, link, moment, picture, table
from workmesh_flows.operations.status import Status
from workmesh_flows.operations.tables import NODE_COLUMNS, SERVICE_COLUMNS, nodes_table, services_table
from workmesh_flows.planning.delivery import Standing

SHOWN = 20
"""Things that need somebody, of which a page tells."""
HELP = {
    "lane stopped": "Nothing is lost: mend the cause, the next run goes on",
    "node unreachable": "Its lanes wait: start it, or disable it in its block",
    "record parked": "Mend it and run replay, or skip it",
    "entities unassigned": "Add a node, or raise a cap",
}


class Links(Protocol):
    """Where a page's links lead; an empty text where there is nothing to lead to."""

    def node(self, name: str) -> str: ...
    def block(self, node: str) -> str: ...
    def service(self, name: str) -> str: ...
    def runs(self, service: str) -> Sequence[Run]: ...
    def actions(self, service: str) -> Sequence[tuple[str, str]]: ...


@dataclass(frozen=True, slots=True)
class Run:
    """A flow run, as a page lists it."""

    name: str
    address: str
    state: str
    began: datetime | None
    message: str


@dataclass(frozen=True, slots=True)
class Facts:
    """All that pages are made from; ``history`` has a backlog for each service, the oldest first."""

    now: datetime
    status: Status
    conditions: Sequence[Condition]
    lanes: pd.DataFrame
    refused: Sequence[ParkedRecord]
    history: pd.DataFrame


def overview_page(facts: Facts, links: Links) -> str:
    """The whole mesh."""
    services = [
        [_linked(row["service"], links.service(row["service"])), *(row[name] for name in SERVICE_COLUMNS[1:])]
        for row in services_table(facts.status).to_dict("records")
    ]
    nodes = nodes_table(facts.status)
    rows = [
        [_linked(row["node"], links.node(row["node"])), *(row[name] for name in NODE_COLUMNS[1:])]
        for row in nodes.to_dict("records")
    ]
    return _joined(
        "# Mesh",
        _head(facts, facts.conditions, links),
        "## Services",
        table(SERVICE_COLUMNS, services),
        "## Nodes",
        table(NODE_COLUMNS, rows) or "No node is in the inventory yet: add a block of type Workmesh Node.",
        _strangers(facts.status),
        *_load(facts.status, None),
    )


def service_page(name: str, facts: Facts, links: Links) -> str:
    """One service."""
    of_service = [
        condition
        for condition in facts.conditions
        if condition.kind == "node unreachable" or condition.subject.partition("/")[0] == name
    ]
    (figures,) = (row for row in services_table(facts.status).to_dict("records") if row["service"] == name)
    actions = links.actions(name)
    return _joined(
        f"# {escaped(name)}",
        _head(facts, of_service, links),
        table(SERVICE_COLUMNS[1:], [[figures[column] for column in SERVICE_COLUMNS[1:]]]),
        "Run: " + " · ".join(link(action, address) for action, address in actions) if actions else "",
        *_backlog(name, facts.history),
        *_load(facts.status, name),
        *_refused(name, facts.refused),
        *_runs(links.runs(name)),
        "## Lanes",
        _lanes(name, facts, links) or "No lane was worked yet.",
    )


def _head(facts: Facts, conditions: Sequence[Condition], links: Links) -> str:
    """Since when it is true, and whether anything needs somebody; a node left out may be of any service.

    Lanes of a node that is not reached stand for nothing of their own.
    """
    at = f"As of {moment(facts.now)} UTC."
    away = {condition.subject for condition in conditions if condition.kind == "node unreachable"}
    lines = [
        f"- node left out: **{_linked(name, links.block(name))}**, its block does not validate: {escaped(problem.rstrip('.'))}. Mend it under Blocks."
        for name, problem in sorted(facts.status.inventory.problems.items())
    ]
    lines += [
        f"- node **{_linked(name, links.block(name))}**: {escaped(doubt)} Mend its block."
        for name, node in sorted(facts.status.inventory.nodes.items())
        if (doubt := misspelt(node.services, facts.status.held))
    ]
    lines += [
        _told(alike, links)
        for alike in _alike(conditions)
        if alike[0].kind != "lane stopped" or _node_of_lane(alike[0].subject) not in away
    ]
    if not lines:
        return f"**Nothing needs you.** {at}"
    more = [f"- and {len(lines) - SHOWN:,} more"] if len(lines) > SHOWN else []
    need = f"{len(lines):,} things need you." if len(lines) > 1 else "One thing needs you."
    return f"**{need}** {at}\n\n" + "\n".join([*lines[:SHOWN], *more])


def _alike(conditions: Sequence[Condition]) -> list[list[Condition]]:
    """Records of one protocol that were set aside are one thing, told once; all else stands alone."""
    found: dict[tuple[str, str], list[Condition]] = {}
    for condition in conditions:
        parked = condition.kind == "record parked"
        subject = "/".join(condition.subject.split("/")[:2]) if parked else condition.subject
        found.setdefault((condition.kind, subject), []).append(condition)
    return list(found.values())


def _told(alike: Sequence[Condition], links: Links) -> str:
    """One line: what, since when, why, and what to do. Of several records the first, and how many there are."""
    first = alike[0]
    others = f" and {len(alike) - 1:,} more of its protocol" if len(alike) > 1 else ""
    return (
        f"- {first.kind}: **{_place(first, links)}**{others} since {moment(first.since)}, "
        f"{escaped(first.detail.rstrip('.'))}. {HELP[first.kind]}."
    )


def _place(condition: Condition, links: Links) -> str:
    """Its subject, with a link to where it is mended: the block of a node, the page of a service."""
    if condition.kind == "node unreachable":
        return _linked(condition.subject, links.block(condition.subject))
    return _linked(condition.subject, links.service(condition.subject.partition("/")[0]))


def _node_of_lane(subject: str) -> str:
    return subject.split("/")[-2]


def _strangers(status: Status) -> str:
    """Services that nodes name and this mesh does not declare: of another mesh on this server, or misspelt."""
    named = {
        name: sorted(set(node.services) - set(status.held)) for name, node in status.inventory.nodes.items()
    }
    told = [
        f"{escaped(name)} ({escaped(', '.join(services))})" for name, services in named.items() if services
    ]
    return f"Nodes with services that this mesh does not declare: {', '.join(told)}." if told else ""


def _lanes(name: str, facts: Facts, links: Links) -> str:
    pending = {
        (count.protocol, count.node): count.pending for count in facts.status.counts if count.service == name
    }
    columns = (
        "protocol",
        "node",
        "direction",
        "breaker",
        "pending",
        "done",
        "refused",
        "last push",
        "held by",
    )
    worked = [lane for lane in facts.lanes.to_dict("records") if lane["service"] == name]
    rows: list[tuple[object, ...]] = [
        (
            lane["protocol"],
            _linked(lane["node"], links.node(lane["node"])),
            lane["direction"],
            lane["breaker"],
            pending.get((lane["protocol"], lane["node"]), 0) if lane["direction"] == "push" else None,
            lane["done"],
            lane["refused"],
            _this_day(lane["last_push_time"], facts.now),
            lane["holder"],
        )
        for lane in worked
    ]
    shown = slice(None if any(lane["holder"] for lane in worked) else -1)
    return table(columns[shown], [row[shown] for row in rows])


def _this_day(time: datetime, now: datetime) -> str | datetime:
    """Of a time of the page's own day the hour alone: a narrow column leaves the others their room."""
    return f"{time:%H:%M:%S}" if not pd.isna(time) and time.date() == now.date() else time


def _refused(name: str, refused: Sequence[ParkedRecord]) -> Iterable[str]:
    rows = [
        (r.protocol, r.record, r.entity, r.node, r.state.value, r.attempts, r.waiting, r.since, r.reason)
        for r in refused
        if r.service == name and r.state is not Standing.SKIPPED
    ]
    if rows:
        yield "## Refused records"
        yield table(
            ("protocol", "record", "entity", "node", "state", "attempts", "waiting", "since", "reason"), rows
        )


def _runs(runs: Sequence[Run]) -> Iterable[str]:
    if runs:
        yield "## Runs before this one"
        yield table(
            ("run", "state", "began", "what it did"),
            [(link(run.name, run.address), run.state, run.began, run.message) for run in runs],
        )


def _load(status: Status, service: str | None) -> Iterable[str]:
    """What each node holds against its cap: of all services in entities, of one in what its criterion counts."""
    named = sorted(status.inventory.nodes)
    if service is None:
        unit = "entities"
        held = {node: sum(holding.get(node, (0, 0))[0] for holding in status.held.values()) for node in named}
        caps = {node: status.inventory.nodes[node].shared_cap for node in named}
    else:
        named = [node for node in named if service in status.inventory.nodes[node].services]
        weighed = service in status.weighed
        unit = "weight" if weighed else "entities"
        held = {node: status.held[service].get(node, (0, 0))[weighed] for node in named}
        caps = {
            node: (
                status.inventory.nodes[node].max_weight
                if weighed
                else status.inventory.nodes[node].max_entities
            ).get(service)
            for node in named
        }
    if named:
        chart = load_chart(named, [held[node] for node in named], [caps[node] for node in named], unit)
        yield picture(chart, f"{unit} held by each node")


def _backlog(name: str, history: pd.DataFrame) -> Iterable[str]:
    backlog = Backlog.of(name, history)
    if len(backlog.times) > 1:
        yield picture(
            history_chart(backlog.times, backlog.pending, backlog.per_minute), "backlog and throughput"
        )


def _linked(text: str, address: str) -> Link:
    return link(text, address) if address else Link(escaped(text))


def _joined(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)
