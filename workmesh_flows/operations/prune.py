"""Pruning the Workmesh tables: old rows that nothing can still need are deleted, batch by batch.

A prune may be killed and repeated, and runs beside others: each batch is a transaction of its own, which deletes only rows
that are still not needed then. Only rows of the mesh's services are deleted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime

from sqlalchemy import Engine

from workmesh_flows.adapters.store.protocol_tables import all_pull_tables, all_push_tables
from workmesh_flows.adapters.store.pruning.old_former_pushes import prune_former_pushes
from workmesh_flows.adapters.store.pruning.old_lanes import prune_lanes
from workmesh_flows.adapters.store.pruning.old_missing import prune_missing
from workmesh_flows.adapters.store.pruning.old_moves import prune_moves
from workmesh_flows.adapters.store.pruning.old_plans import prune_plans
from workmesh_flows.adapters.store.pruning.old_skips import prune_skips
from workmesh_flows.domain.pruned import Kind, Pruned
from workmesh_flows.domain.service import Mesh


def prune_tables(
    engine: Engine, mesh: Mesh, nodes: Collection[str], before: datetime, *, dry_run: bool = False
) -> Iterator[Pruned]:
    """Delete rows from before a time; yield the number of each batch. ``nodes`` are the names of all node blocks.

    With ``dry_run``, yield what would be deleted.
    """
    names = [service.name for service in mesh.services]
    yield from _counted("plans", prune_plans(engine, names, before, dry_run=dry_run))
    for service in mesh.services:
        yield from _counted("moves", prune_moves(engine, service, before, dry_run=dry_run))
        for pulled in all_pull_tables(service):
            former = prune_former_pushes(engine, pulled, before, nodes, dry_run=dry_run)
            yield from _counted("former pushes", former)
            yield from _counted("missing records", prune_missing(engine, pulled, before, dry_run=dry_run))
        for pushed in all_push_tables(service):
            yield from _counted("skipped records", prune_skips(engine, pushed, before, dry_run=dry_run))
        yield from _counted("lanes", prune_lanes(engine, service, before, nodes, dry_run=dry_run))


def _counted(kind: Kind, numbers: Iterator[int]) -> Iterator[Pruned]:
    return (Pruned(kind, number) for number in numbers)
