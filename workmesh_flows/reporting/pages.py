"""Pages of Markdown about a mesh and about each of its services: what needs somebody, figures, charts, links."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import pandas as pd

from workmesh_flows.operations.status import Status
from workmesh_flows.planning.refusals import RefusalState
from workmesh_flows.reporting.attention import head
from workmesh_flows.reporting.backlog import Backlog
from workmesh_flows.reporting.charts import history_chart, load_chart
from workmesh_flows.reporting.markdown import brief, escaped, link, linked, picture, table
from workmesh_flows.reporting.page_data import Links, PageData, Run
from workmesh_flows.reporting.status_tables import NODE_COLUMNS, SERVICE_COLUMNS, nodes_table, services_table


def overview_page(facts: PageData, links: Links) -> str:
    """The whole mesh."""
    services = [
        [linked(row["service"], links.service(row["service"])), *(row[name] for name in SERVICE_COLUMNS[1:])]
        for row in services_table(facts.status).to_dict("records")
    ]
    nodes = nodes_table(facts.status)
    rows = [
        [
            linked(row["node"], links.block(row["node"])),
            *(row[name] for name in NODE_COLUMNS[1:]),
            link("runs", links.node(row["node"])),
        ]
        for row in nodes.to_dict("records")
    ]
    return _joined(
        "# Mesh",
        head(facts, facts.conditions, links, list(facts.status.held)),
        _actions(links.actions(None)),
        "## Services",
        table(SERVICE_COLUMNS, services),
        "## Nodes",
        table([*NODE_COLUMNS, "last"], rows)
        or "No node is in the inventory yet: add a block of type Workmesh Node.",
        _unknown_services(facts.status),
        *_load(facts.status, None),
    )


def service_page(name: str, facts: PageData, links: Links) -> str:
    """One service."""
    of_service = [
        condition
        for condition in facts.conditions
        if condition.kind == "node unreachable" or condition.subject.partition("/")[0] == name
    ]
    (figures,) = (row for row in services_table(facts.status).to_dict("records") if row["service"] == name)
    return _joined(
        f"# {escaped(name)}",
        head(facts, of_service, links, [name]),
        table(SERVICE_COLUMNS[1:], [[figures[column] for column in SERVICE_COLUMNS[1:]]]),
        _actions(links.actions(name)),
        *_backlog(name, facts.history),
        *_load(facts.status, name),
        *_refused(name, facts),
        *_runs(links.runs(name), facts.now),
        "## Lanes",
        _lanes(name, facts, links) or "No lane was worked yet.",
    )


def _actions(actions: Sequence[tuple[str, str]]) -> str:
    """Links to the forms from which runs are started."""
    return "Run: " + " · ".join(link(action, address) for action, address in actions) if actions else ""


def _unknown_services(status: Status) -> str:
    """Services that nodes name and this mesh does not declare: of another mesh on this server, or misspelt."""
    named = {
        name: sorted(set(node.services) - set(status.held)) for name, node in status.inventory.nodes.items()
    }
    told = [
        f"{escaped(name)} ({escaped(', '.join(services))})" for name, services in named.items() if services
    ]
    return f"Nodes with services that this mesh does not declare: {', '.join(told)}." if told else ""


def _lanes(name: str, facts: PageData, links: Links) -> str:
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
    worked = sorted(
        (lane for lane in facts.lanes.to_dict("records") if lane["service"] == name),
        key=lambda lane: (lane["breaker"] == "closed", not lane["refused"]),  # what needs a look stands first
    )
    rows: list[tuple[object, ...]] = [
        (
            lane["protocol"],
            linked(lane["node"], links.block(lane["node"])),
            lane["direction"],
            "" if lane["breaker"] == "closed" else lane["breaker"],
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


def _this_day(time: datetime | None, now: datetime) -> str | datetime | None:
    """Of a time of the page's own day the hour alone: a narrow column leaves the others their room."""
    if time is None or pd.isna(time):
        return None
    return f"{time:%H:%M:%S}" if time.date() == now.date() else time


def _refused(name: str, facts: PageData) -> Iterable[str]:
    """What is to be decided stands first; ids, which are long, last."""
    rows = [
        (
            r.state.value,
            brief(r.reason),
            r.attempts,
            r.waiting,
            _this_day(r.since, facts.now),
            r.node,
            r.protocol,
            r.record,
        )
        for r in facts.refused
        if r.service == name and r.state is not RefusalState.SKIPPED
    ]
    if rows:
        yield "## Refused records"
        yield table(("state", "reason", "attempts", "waiting", "since", "node", "protocol", "record"), rows)


def _runs(runs: Sequence[Run], now: datetime) -> Iterable[str]:
    if runs:
        yield "## Last runs"
        yield table(
            ("run", "state", "began", "what it did"),
            [
                (link(run.name, run.address), run.state, _this_day(run.began, now), run.message)
                for run in runs
            ],
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


def _joined(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)
