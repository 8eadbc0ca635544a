"""The run that deletes old history, in the mesh's database and on the Prefect server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta

from prefect import get_run_logger
from prefect.client.orchestration import get_client

from workmesh_flows.adapters.store.engine import database_clock, utc_now
from workmesh_flows.domain.age import age_in_words, parse_age
from workmesh_flows.domain.pruned import PLACES, Kind, Pruned
from workmesh_flows.domain.service import Mesh
from workmesh_flows.inventory.documents import load_inventory
from workmesh_flows.mesh_database import mesh_engine
from workmesh_flows.observability.artifacts import publish_pruned
from workmesh_flows.observability.best_effort import best_effort
from workmesh_flows.observability.old_artifacts import prune_versions
from workmesh_flows.observability.old_runs import prune_runs
from workmesh_flows.operations.prune import prune_tables
from workmesh_flows.runs.result import RunResult
from workmesh_flows.settings import read_settings

LOGGED = 2_000
"""Number of deleted rows of one kind after which the log says how far the prune is."""


def prune(mesh: Mesh, older_than: str = "", *, dry_run: bool = False) -> RunResult:
    """Delete what is older than an age such as ``30d``, by default ``KEEP_DAYS``; publish the table `workmesh-prune`."""
    age = parse_age(older_than) if older_than else timedelta(days=read_settings().keep_days)
    counts = _counted(prune_mesh(mesh, age, dry_run=dry_run), dry_run=dry_run)
    pruned = [Pruned(kind, counts[kind]) for kind in PLACES]
    message = summary(pruned, age, dry_run=dry_run)
    get_run_logger().info("%s", message)
    with best_effort("the table of the prune"):
        publish_pruned(pruned, message, dry_run=dry_run)
    return RunResult(message, pruned=pruned)


def prune_mesh(mesh: Mesh, age: timedelta, *, dry_run: bool) -> Iterator[Pruned]:
    """Delete what is older than an age, batch by batch; yield the numbers of each batch."""
    inventory = load_inventory()
    nodes = {*inventory.nodes, *inventory.problems}
    with mesh_engine(mesh) as engine:
        yield from prune_tables(engine, mesh, nodes, database_clock(engine)() - age, dry_run=dry_run)
    yield from prune_server(mesh, utc_now() - age, dry_run=dry_run)


def prune_server(mesh: Mesh, before: datetime, *, dry_run: bool) -> Iterator[Pruned]:
    """Delete versions of artifacts and flow runs from before a time on the Prefect server."""
    names = [service.name for service in mesh.services]
    with get_client(sync_client=True) as client:
        for number in prune_versions(client, names, before, dry_run=dry_run):
            yield Pruned("artifacts", number)
        yield from prune_runs(client, names, before, dry_run=dry_run)


def summary(pruned: list[Pruned], age: timedelta, *, dry_run: bool) -> str:
    """What was deleted, in one sentence."""
    parts = [
        f"{one.number:,} {_singular(one.kind) if one.number == 1 else one.kind}"
        for one in pruned
        if one.number
    ]
    what = ", ".join(parts) or "nothing"
    verb = "dry run, would delete" if dry_run else "deleted"
    return f"{verb} {what} from more than {age_in_words(age)} ago"


def _singular(kind: Kind) -> str:
    return "former push" if kind == "former pushes" else kind.removesuffix("s")


def _counted(batches: Iterator[Pruned], *, dry_run: bool) -> Counter[Kind]:
    """The number of each kind; the log says how far long work is."""
    counts, logger = Counter[Kind](), get_run_logger()
    for batch in batches:
        before = counts[batch.kind]
        counts[batch.kind] += batch.number
        if counts[batch.kind] // LOGGED > before // LOGGED:
            verb = "found" if dry_run else "deleted"
            logger.info("%s %s %s so far", verb, f"{counts[batch.kind]:,}", batch.kind)
    return counts
