"""What the doctor says about the delivery of each service: what stopped, what waits for a decision, what has no node.

It reads only the database: what runs have saved, and counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Engine

from workmesh_flows.adapters.store.conditions import Condition, all_conditions
from workmesh_flows.adapters.store.engine import database_clock, translated_errors
from workmesh_flows.adapters.store.entities import Weights, weights_by_node
from workmesh_flows.adapters.store.lanes import read_lanes
from workmesh_flows.adapters.store.protocol_tables import all_push_tables
from workmesh_flows.adapters.store.refused_list import RefusedRecord, refused_records
from workmesh_flows.adapters.store.statements.pending import count_pending
from workmesh_flows.domain.lane import Lane, lanes_of_node
from workmesh_flows.domain.reports import counted
from workmesh_flows.domain.service import Mesh, Service
from workmesh_flows.errors import StoreError
from workmesh_flows.operations.health.diagnosis import Diagnosis, Result, guarded
from workmesh_flows.planning.refusals import RefusalState


@dataclass(frozen=True, slots=True)
class _Saved:
    """What runs have saved about lanes: their rows, and since when and why each stopped."""

    now: datetime
    rows: Mapping[Lane, Mapping[str, Any]]
    stopped: Mapping[str, Condition]


def delivery_diagnoses(engine: Engine, mesh: Mesh) -> list[Diagnosis]:
    """The diagnoses of all services; nothing where tables are missing, which the check of the tables reports."""
    try:
        saved = _read_saved(engine)
    except StoreError:
        return []
    found = list[Diagnosis]()
    for service in mesh.services:
        subject = f"service {service.name}"
        found += guarded(subject, "delivery", partial(_examined, engine, service, saved))
    return found


def _read_saved(engine: Engine) -> _Saved:
    rows = {
        Lane(row["service"], row["protocol"], row["node"], row["direction"]): row
        for row in read_lanes(engine)
    }
    stopped = {each.subject: each for each in all_conditions(engine) if each.kind == "lane stopped"}
    return _Saved(database_clock(engine)(), rows, stopped)


def _examined(engine: Engine, service: Service, saved: _Saved) -> list[Diagnosis]:
    try:
        weights = weights_by_node(engine, service)
        found = [
            *_lanes(service, weights, saved),
            *_refused(engine, service),
            *_without_node(engine, service, weights),
            *_weights(service, weights),
        ]
    except StoreError:
        return []  # the check of the tables says why
    works = "no lane is stopped, no record is parked or failed, no pending record lacks a node"
    return found or [Diagnosis(f"service {service.name}", "delivery", Result.OK, works)]


def _lanes(service: Service, weights: Weights, saved: _Saved) -> Iterator[Diagnosis]:
    """The lanes that are paused or stopped, or whose last run failed, of the nodes that hold entities."""
    for node in sorted(name for name in weights.totals if name is not None):
        for lane in lanes_of_node(service, node):
            row, stopped = saved.rows.get(lane), saved.stopped.get(lane.subject)
            run = f"workmesh {lane.direction} {service.name} --node {node}"
            if row is not None and (paused := _paused(row, saved.now)):
                result, detail = paused
                by_breaker = result is Result.PROBLEM
                to_do = f"fix the cause, then: {run} --now" if by_breaker else f"after this time: {run}"
            elif stopped is not None:
                since = f"{stopped.since:%Y-%m-%d %H:%M:%S} UTC"
                result, detail = Result.PROBLEM, f"stopped since {since}: {stopped.detail}"
                to_do = f"fix the cause, then: {run}"
            elif row is not None and row["failures"]:
                result, detail = Result.WARNING, _failures(row)
                to_do = run
            else:
                continue
            yield Diagnosis(f"service {service.name}", f"lane {lane}", result, detail, to_do)


def _paused(row: Mapping[str, Any], now: datetime) -> tuple[Result, str] | None:
    """Why a lane sends no request now, or only one batch; None where it is not paused."""
    until = row["retry_at"]
    waits = until is not None and until > now
    ends = f" until {until:%Y-%m-%d %H:%M:%S} UTC" if waits else ""
    if row["breaker"] != "closed":
        return Result.PROBLEM, f"its circuit breaker is {row['breaker']}{ends} after {_failures(row)}"
    return (Result.WARNING, f"the node asked for a pause{ends}: {row['last_failure']}") if waits else None


def _failures(row: Mapping[str, Any]) -> str:
    return f"{counted(row['failures'], 'consecutive failure')}, the last one: {row['last_failure']}"


def _refused(engine: Engine, service: Service) -> Iterator[Diagnosis]:
    """Records that wait for a decision, with what waits behind them, and records that their node could not process."""
    for tables in all_push_tables(service):
        records = refused_records(engine, tables)
        replay = f"workmesh replay {service.name} --protocol {tables.protocol.name}"
        for state, result, to_do in (
            (RefusalState.BLOCKING, Result.PROBLEM, replay),
            (RefusalState.PARKED, Result.WARNING, replay),
            (RefusalState.FAILED, Result.WARNING, f"{replay} --failed"),
        ):
            if found := [record for record in records if record.state is state]:
                check = f"{state.label} records of {tables.protocol.name}"
                action = f"fix the cause (workmesh failed {service.name} lists all), then: {to_do}"
                yield Diagnosis(f"service {service.name}", check, result, _in_words(found, state), action)


def _in_words(records: Sequence[RefusedRecord], state: RefusalState) -> str:
    """The number of records, what waits behind them, and the earliest one with its reason."""
    first = records[0]
    behind = {each.node if state is RefusalState.BLOCKING else each.entity: each.waiting for each in records}
    waiting = sum(behind.values())
    wait = f", {counted(waiting, 'record')} {'waits' if waiting == 1 else 'wait'} behind" if waiting else ""
    example = "" if len(records) == 1 else "for example "
    return f"{counted(len(records), 'record')}{wait}: {example}{first.record} of entity {first.entity}: {first.reason}"


def _without_node(engine: Engine, service: Service, weights: Weights) -> Iterator[Diagnosis]:
    """Pending records that no run sends, because their entities have no node."""
    entities, _ = weights.totals.get(None, (0, 0))
    if not entities:
        return
    pending = 0
    with translated_errors(), engine.connect() as connection:
        for tables in all_push_tables(service):
            pending += connection.scalar(count_pending(tables, None)) or 0
    if pending:
        detail = (
            f"{counted(pending, 'pending record')} cannot be sent: "
            f"{counted(entities, 'entity has', 'entities have')} no node"
        )
        assign = f"workmesh assign {service.name}"
        to_do = f"correct the weights, then: {assign}" if weights.unusable_unassigned >= entities else assign
        yield Diagnosis(f"service {service.name}", "records without node", Result.WARNING, detail, to_do)


def _weights(service: Service, weights: Weights) -> Iterator[Diagnosis]:
    """Entities whose weight is not a whole number from 0 up."""
    if number := len(weights.unusable):
        key, reason = weights.unusable[0]
        detail = f"{counted(number, 'entity has a weight', 'entities have weights')} that cannot be used: {key}: {reason}"
        to_do = "correct it: until then it counts as 0, and an entity without a node is not assigned"
        yield Diagnosis(f"service {service.name}", "weights", Result.PROBLEM, detail, to_do)
