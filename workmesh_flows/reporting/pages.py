"""Markdown pages about a mesh and its services: what needs attention, figures, charts and links."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import pandas as pd

from workmesh_flows.operations.status import Status
from workmesh_flows.planning.refusals import RefusalState
from workmesh_flows.reporting.attention import attention_list, service_of
from workmesh_flows.reporting.backlog import Backlog
from workmesh_flows.reporting.charts import history_chart, load_chart, queue_chart
from workmesh_flows.reporting.markdown import ROWS, brief, escaped, link, linked, picture, table
from workmesh_flows.reporting.page_data import Links, PageData, Run
from workmesh_flows.reporting.status_tables import (
    NODE_COLUMNS,
    OTHER,
    SERVICE_COLUMNS,
    nodes_table,
    services_table,
)

QUEUES = 20
"""Nodes in the chart of the longest queues."""


def overview_page(data: PageData, links: Links) -> str:
    """The page of the whole mesh."""
    services = [
        [linked(row["service"], links.service(row["service"])), *(row[name] for name in SERVICE_COLUMNS[1:])]
        for row in services_table(data.status).to_dict("records")
    ]
    nodes = nodes_table(data.status)
    rows = [_node_row(row, links) for row in nodes.to_dict("records")]
    return _joined(
        "# Mesh",
        attention_list(data, data.conditions, links, list(data.status.held)),
        _actions(links.actions(None)),
        "## Services",
        table(SERVICE_COLUMNS, services),
        "## Nodes",
        table([*NODE_COLUMNS, "task runs"], rows)
        or "The inventory has no node yet: add a block of type Workmesh Node.",
        _unknown_services(data.status),
        *_load(data.status, None),
        *_queues(data.status),
    )


def service_page(name: str, data: PageData, links: Links) -> str:
    """The page of one service."""
    of_service = [condition for condition in data.conditions if service_of(condition) in {None, name}]
    (figures,) = (row for row in services_table(data.status).to_dict("records") if row["service"] == name)
    return _joined(
        f"# {escaped(name)}",
        attention_list(data, of_service, links, [name]),
        table(SERVICE_COLUMNS[1:], [[figures[column] for column in SERVICE_COLUMNS[1:]]]),
        _actions(links.actions(name)),
        *_backlog(name, data),
        *_load(data.status, name),
        *_refused(name, data),
        *_runs(links.runs(name), data.now),
        "## Lanes",
        _lanes(name, data, links) or "No lane has run yet.",
    )


def _node_row(row: Mapping[Hashable, Any], links: Links) -> list[object]:
    """A node and its figures with links to its block and its task runs; the row of all else has none."""
    name, figures = row["node"], [row[column] for column in NODE_COLUMNS[1:]]
    if name == OTHER:
        return [name, *figures, None]
    return [linked(name, links.block(name)), *figures, link("runs", links.node(name))]


def _actions(actions: Sequence[tuple[str, str]]) -> str:
    """Links to the forms that start runs."""
    return "Run: " + " · ".join(link(action, address) for action, address in actions) if actions else ""


def _unknown_services(status: Status) -> str:
    """Services that nodes name and this mesh does not declare: misspelt, or of another mesh on this server."""
    named = {
        name: sorted(set(node.services) - set(status.held)) for name, node in status.inventory.nodes.items()
    }
    listed = [
        f"{escaped(name)} ({escaped(', '.join(services))})" for name, services in named.items() if services
    ]
    return f"Nodes with services that this mesh does not declare: {', '.join(listed)}." if listed else ""


def _lanes(name: str, data: PageData, links: Links) -> str:
    pending = {
        (count.protocol, count.node): count.pending for count in data.status.counts if count.service == name
    }
    columns = (
        "protocol",
        "node",
        "direction",
        "breaker",
        "pending",
        "processed",
        "failed answers",
        "last push",
        "holder",
    )
    lanes = sorted(
        (lane for lane in data.lanes.to_dict("records") if lane["service"] == name),
        key=lambda lane: (
            lane["breaker"] == "closed",
            not lane["failed answers"],
        ),  # lanes with problems come first
    )
    rows: list[tuple[object, ...]] = [
        (
            lane["protocol"],
            linked(lane["node"], links.block(lane["node"])),
            lane["direction"],
            "" if lane["breaker"] == "closed" else lane["breaker"],
            pending.get((lane["protocol"], lane["node"]), 0) if lane["direction"] == "push" else None,
            lane["processed"],
            lane["failed answers"],
            _this_day(lane["last push"], data.now),
            lane["holder"],
        )
        for lane in lanes
    ]
    shown = slice(None if any(lane["holder"] for lane in lanes) else -1)  # no empty column of holders
    return table(columns[shown], [row[shown] for row in rows])


def _this_day(time: datetime | None, now: datetime) -> str | datetime | None:
    """A time without its date if it is of the page's own day: a narrow column leaves space for the others."""
    if time is None or pd.isna(time):
        return None
    return f"{time:%H:%M:%S}" if time.date() == now.date() else time


def _refused(name: str, data: PageData) -> Iterable[str]:
    """The refused and failed records except skipped ones; the ids come last, since they are long."""
    shown = [r for r in data.refused if r.service == name and r.state is not RefusalState.SKIPPED]
    rows = [
        (
            r.state.label,
            brief(r.reason),
            r.attempts,
            r.waiting,
            r.since,
            r.node,
            r.protocol,
            r.entity,
            r.record,
        )
        for r in shown[:ROWS]
    ]
    if rows:
        yield "## Refused and failed records"
        yield (
            "The next push sends retrying and replayed records again; parked and blocking ones wait for your "
            "decision. Failed records were accepted by their node, which could not process them: fix the cause, then run "
            "replay with `failed`. The figures above also count failed records as in flight, and the others as pending. "
            "`workmesh failed` lists the skipped records, too."
        )
        columns = ("state", "reason", "attempts", "waiting", "since", "node", "protocol", "entity", "record")
        yield table(columns, rows, total=len(shown))


def _runs(runs: Sequence[Run], now: datetime) -> Iterable[str]:
    if runs:
        yield "## Last runs"
        yield table(
            ("run", "state", "started", "message"),
            [
                (link(run.name, run.address), run.state, _this_day(run.started, now), run.message)
                for run in runs
            ],
        )


def _load(status: Status, service: str | None) -> Iterable[str]:
    """A chart of the load of each node and its cap: entities for all services, for one what its criterion counts."""
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


def _queues(status: Status) -> Iterable[str]:
    """A chart of the longest queues of nodes, where any is not empty."""
    longest = sorted(
        ((probe.workload, name) for name, probe in status.probes.items() if probe.workload), reverse=True
    )[:QUEUES]
    if longest:
        chart = queue_chart([name for _, name in longest], [workload for workload, _ in longest])
        yield picture(chart, "records in the queue of each node")


def _backlog(name: str, data: PageData) -> Iterable[str]:
    backlog = Backlog.of(name, data.history, complete=data.history_complete)
    if len(backlog.times) > 1:
        chart = history_chart(backlog.times, backlog.pending, backlog.processed)
        yield picture(chart, "backlog and throughput")


def _joined(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)
