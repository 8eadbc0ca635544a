"""What an import of nodes changes in the inventory: a plan made from facts, and its application."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace

from pydantic import Secret, SecretStr

from workmesh_flows.blocks import ServiceLimits, WorkmeshNode
from workmesh_flows.domain.node import likely_misspelling
from workmesh_flows.domain.service import Mesh
from workmesh_flows.errors import ConfigurationError
from workmesh_flows.inventory.bulk_write import writing_nodes
from workmesh_flows.inventory.documents import load_blocks, outdated_nodes
from workmesh_flows.mesh_database import mesh_engine
from workmesh_flows.operations.status import assigned_nodes


@dataclass(frozen=True, slots=True)
class NodeChange:
    """A node to write under its name, or to delete.

    ``action`` is "added", "fixed", "deleted" or "changed: <fields with old and new values>".
    """

    name: str
    action: str
    node: WorkmeshNode | None = None

    def __str__(self) -> str:
        return f"{self.name}: {self.action}"

    def announced(self) -> str:
        """The line of a dry run."""
        return f"{self.name}: would be {self.action}"


@dataclass(frozen=True, slots=True)
class SyncPlan:
    """The changes in their order, and nodes that stay.

    ``foreign`` nodes are not deleted, since they run services that the mesh does not declare; ``occupied`` nodes must
    not be deleted, since they hold entities of these services. ``doubts`` are sentences about misspelled services.
    """

    changes: Sequence[NodeChange]
    unchanged: int
    foreign: Mapping[str, Sequence[str]] = field(default_factory=dict)
    occupied: Mapping[str, Sequence[str]] = field(default_factory=dict)
    doubts: Sequence[str] = ()

    @property
    def deleted(self) -> list[str]:
        """The names of the nodes to delete."""
        return [change.name for change in self.changes if change.node is None]

    def refusing(self, held: Mapping[str, Collection[str]]) -> SyncPlan:
        """The plan with deleted nodes marked as occupied; ``held`` are the nodes that hold entities, by service."""
        found = {name: [service for service, nodes in held.items() if name in nodes] for name in self.deleted}
        return replace(self, occupied={name: services for name, services in found.items() if services})

    def require_allowed(self) -> None:
        """Raise ConfigurationError if nodes to be deleted hold entities, which would be left behind."""
        lines = [
            f"  {name} holds entities of {', '.join(services)}: workmesh drain {name} --apply"
            for name, services in self.occupied.items()
        ]
        if lines:
            raise ConfigurationError(
                "nothing was changed: nodes to be deleted hold entities; drain them first\n"
                + "\n".join(lines)
            )

    def summary(self) -> list[str]:
        """The lines after the changes: nodes that stay, and the number of unchanged nodes."""
        left = [
            f"{name}: not deleted, since it runs {', '.join(services)}, which this mesh does not declare"
            for name, services in self.foreign.items()
        ]
        return [*left, f"{self.unchanged} unchanged"]

    def __str__(self) -> str:
        return "\n".join([*(change.announced() for change in self.changes), *self.summary()])


def plan_sync(
    wanted: Mapping[str, WorkmeshNode],
    stored: Mapping[str, WorkmeshNode],
    problems: Collection[str] = (),
    *,
    prune: bool = False,
    services: Collection[str] | None = None,
) -> SyncPlan:
    """The changes that make the inventory what a file wants.

    ``problems`` are the names of stored nodes that do not validate. ``services`` are those of the mesh; None if no mesh
    is known: then no node is foreign, and no service misspelled. With ``prune``, nodes that the file does not name are
    deleted; those that run a service of another mesh stay, since this mesh does not know whether they hold entities.
    """
    written = [
        NodeChange(name, action, node)
        for name, node in wanted.items()
        if (action := _action(node, stored.get(name), broken=name in problems))
    ]
    surplus = sorted({*stored, *problems} - set(wanted)) if prune else []
    foreign = {} if services is None else _foreign(surplus, stored, services)
    deleted = [NodeChange(name, "deleted") for name in surplus if name not in foreign]
    return SyncPlan(
        changes=[*written, *deleted],
        unchanged=len(wanted) - len(written),
        foreign=foreign,
        doubts=[] if services is None else _doubts(wanted, services),
    )


def apply_sync(plan: SyncPlan) -> Iterator[NodeChange]:
    """Make the changes; each is given after it is written, so that an interrupted import shows how far it came."""
    plan.require_allowed()
    written = any(change.node is not None for change in plan.changes)
    with writing_nodes() if written else nullcontext() as write:
        for change in plan.changes:
            if change.node is None:
                WorkmeshNode.delete(change.name)
            elif write is not None:
                write(change.name, change.node)
            yield change


def upgrade_nodes() -> Iterator[str]:
    """Rewrite the blocks of an earlier version in this version's form; each name is given after its block is written.

    Blocks that do not validate stay as they are.
    """
    stored, _ = load_blocks()
    old = [name for name in outdated_nodes() if name in stored]
    with writing_nodes() if old else nullcontext() as write:
        for name in old:
            if write is not None:
                write(name, stored[name])
            yield name


def nodes_with_entities(mesh: Mesh) -> dict[str, Collection[str]]:
    """The nodes that hold entities, by service of the mesh."""
    with mesh_engine(mesh) as engine:
        return {service.name: assigned_nodes(engine, service) for service in mesh.services}


def changed_fields(stored: WorkmeshNode, wanted: WorkmeshNode) -> list[str]:
    """The fields in which a wanted node differs from the stored one."""
    return [name for name in WorkmeshNode.model_fields if getattr(stored, name) != getattr(wanted, name)]


def _action(wanted: WorkmeshNode, stored: WorkmeshNode | None, *, broken: bool) -> str:
    """What is done to a node of the file; empty if it is stored as wanted."""
    if stored is None:
        return "fixed" if broken else "added"
    changed = changed_fields(stored, wanted)
    return f"changed: {'; '.join(_change(stored, wanted, field) for field in changed)}" if changed else ""


def _change(stored: WorkmeshNode, wanted: WorkmeshNode, field: str) -> str:
    """A changed field with its old and new value; a secret without them."""
    old, new = getattr(stored, field), getattr(wanted, field)
    if isinstance(old, Secret | SecretStr) or isinstance(new, Secret | SecretStr):
        return field
    return f"{field} {_shown(old)} -> {_shown(new)}"


def _shown(value: object) -> str:
    match value:
        case ServiceLimits():
            caps = value.model_dump(exclude={"service"}, exclude_none=True)
            return " ".join([value.service, *(f"{name}={cap}" for name, cap in caps.items())])
        case list():
            return ", ".join(_shown(item) for item in value) or "none"
        case bool():
            return "yes" if value else "no"
        case None:
            return "none"
        case _:
            return str(value)


def _foreign(
    surplus: Sequence[str], stored: Mapping[str, WorkmeshNode], declared: Collection[str]
) -> dict[str, list[str]]:
    found = {name: sorted(set(stored[name].services) - set(declared)) for name in surplus if name in stored}
    return {name: services for name, services in found.items() if services}


def _doubts(wanted: Mapping[str, WorkmeshNode], declared: Collection[str]) -> list[str]:
    found = {name: likely_misspelling(node.services, declared) for name, node in wanted.items()}
    return [f"{name}: {doubt}" for name, doubt in found.items() if doubt]
