"""What the doctor says about the mesh's database: whether it answers, and the summary of `workmesh check`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from sqlalchemy import Engine

from workmesh_flows.adapters.store.entities import totals_by_node
from workmesh_flows.domain.reports import counted
from workmesh_flows.domain.service import Mesh
from workmesh_flows.errors import StoreError
from workmesh_flows.operations.check import Finding, Level, check_mesh
from workmesh_flows.operations.health.diagnosis import Diagnosis, Result

SUBJECT = "database"


def database_diagnoses(engine: Engine, mesh: Mesh, nodes: Collection[str] | None) -> Iterator[Diagnosis]:
    """Check the tables of a mesh; raises StoreError if the database is unreachable."""
    findings = check_mesh(engine, mesh, nodes)
    yield Diagnosis(SUBJECT, "connection", Result.OK, f"{engine.dialect.name} answers")
    own = [finding for finding in findings if finding.service is None]
    yield _summary("Workmesh tables", own)
    yield _summary("your tables", [finding for finding in findings if finding.service is not None])


def held_services(engine: Engine, mesh: Mesh) -> dict[str, list[str]]:
    """The services of which each node holds entities, by its name; a service that cannot be read is left out."""
    held: dict[str, list[str]] = {}
    for service in mesh.services:
        try:
            totals = totals_by_node(engine, service)
        except StoreError:
            continue  # the check of the tables says why
        for node in totals:
            if node is not None:
                held.setdefault(node, []).append(service.name)
    return held


def _summary(check: str, findings: Sequence[Finding]) -> Diagnosis:
    problems = [finding for finding in findings if finding.level is Level.PROBLEM]
    advice = [finding for finding in findings if finding.level is Level.ADVICE]
    worst = problems or advice
    if not worst:
        return Diagnosis(SUBJECT, check, Result.OK, "as declared")
    first = worst[0]
    more = f", and {len(worst) - 1:,} more" if len(worst) > 1 else ""
    detail = f"{counted(len(problems), 'problem')}: " if problems else ""
    ddl = ", and workmesh check --sql for the missing DDL" if any(one.ddl for one in worst) else ""
    to_do = f"workmesh check{ddl}" if ddl or more else first.to_do
    result = Result.PROBLEM if problems else Result.WARNING
    return Diagnosis(SUBJECT, check, result, f"{detail}{first.where}: {first.what}{more}", to_do)
