"""Recording into a history: records and their states from the master's database, arrivals from a node's log."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Engine, inspect, select

from workmesh_flows.adapters.store.engine import translated_errors
from workmesh_flows.adapters.store.schema import moves
from workmesh_flows.adapters.store.values import as_utc
from workmesh_flows.domain.protocol import Protocol
from workmesh_flows.domain.reports import PullReport, PushReport
from workmesh_flows.domain.service import Mesh, Service
from workmesh_flows.microservice import arrivals
from workmesh_flows.testing.history.events import (
    ArrivalsRead,
    EntityMoved,
    LaneReported,
    RecordAccepted,
    RecordExists,
    RecordState,
)
from workmesh_flows.testing.history.file import History
from workmesh_flows.testing.history.parked import read_parked
from workmesh_flows.testing.history.snapshot import as_id, as_sort, snapshot_rows

COUNTS = ("selected", "pushed", "refused", "parked", "waiting", "pulled", "failed", "in_flight")


def record_records(history: History, engine: Engine, mesh: Mesh, *, written: float | None = None) -> None:
    """Record every record in the database; ``written`` is the time of the commit, if a run may have started before.

    May be called again after more records were written: of a record that is recorded twice, the earlier time counts.
    """
    for service, protocol in _pushed_protocols(mesh):
        for row in snapshot_rows(engine, service, protocol):
            history.write(
                RecordExists(
                    service=service.name,
                    protocol=protocol.name,
                    id=as_id(row.id),
                    owner=None if row.owner is None else as_id(row.owner),
                    sort=as_sort(row.sort),
                    written=written,
                )
            )


def record_arrivals(history: History, node: str, database: str | Path, *, service: str) -> None:
    """Record everything that a reference micro-service accepted, from its arrival log; the node may be running."""
    log = arrivals(database)
    for arrival in log:
        epoch = arrival.epoch or ""
        history.write(
            RecordAccepted(
                service=service,
                protocol=arrival.protocol,
                node=node,
                id=arrival.id,
                seq=arrival.seq,
                time=arrival.received_at.timestamp(),
                epoch=int(epoch) if epoch.isdecimal() else None,
            )
        )
    history.write(ArrivalsRead(service=service, node=node, records=len(log)))


def record_report(history: History, report: PushReport | PullReport, *, service: str) -> None:
    """Record the report of a run over a lane; a lane that stopped has it in ``LaneStopped.report``."""
    counts = {name: getattr(report, name) for name in COUNTS if hasattr(report, name)}
    history.write(
        LaneReported(
            service=service,
            protocol=report.protocol,
            node=report.node,
            direction="push" if isinstance(report, PushReport) else "pull",
            **counts,
        )
    )


def record_state(history: History, engine: Engine, mesh: Mesh) -> None:
    """Record the state of every record, and the moves of entities; call it once, when all work is finished."""
    _record_moves(history, engine, mesh)
    for service, protocol in _pushed_protocols(mesh):
        with translated_errors(), engine.connect() as connection:
            parked = read_parked(connection, service, protocol)
        for place, row in enumerate(snapshot_rows(engine, service, protocol)):
            pushed = row.push_success is True
            history.write(
                RecordState(
                    service=service.name,
                    protocol=protocol.name,
                    id=as_id(row.id),
                    owner=None if row.owner is None else as_id(row.owner),
                    node=row.node,
                    place=place,
                    push_success=row.push_success,
                    push_time=None if row.push_time is None else as_utc(row.push_time).timestamp(),
                    pulls=protocol.pull is not None,
                    pull_success=row.pull_success,
                    parked=None
                    if pushed
                    else parked.state_of(row.id_text, row.owner_text, row.node, depends=bool(row.depends)),
                )
            )


def _record_moves(history: History, engine: Engine, mesh: Mesh) -> None:
    if not inspect(engine).has_table(moves.name, moves.schema):
        return
    of_mesh = moves.c.service.in_([service.name for service in mesh.services])
    with translated_errors(), engine.connect() as connection:
        rows = connection.execute(select(moves).where(of_mesh).order_by(moves.c.id)).all()
    for row in rows:
        history.write(
            EntityMoved(
                service=row.service,
                owner=row.entity,
                source=row.source,
                target=row.target,
                time=row.moved_at.timestamp(),
            )
        )


def _pushed_protocols(mesh: Mesh) -> Iterator[tuple[Service, Protocol]]:
    return (
        (service, protocol) for service in mesh.services for protocol in service.protocols if protocol.push
    )
