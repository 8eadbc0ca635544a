"""The doctor: checks everything that a mesh needs, as far as it can be reached, and never fails itself."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field

from prefect import get_run_logger

from workmesh_flows.domain.limits import Limits
from workmesh_flows.domain.node import Inventory, NodeState, concerns
from workmesh_flows.domain.service import Mesh, Service
from workmesh_flows.errors import ConfigurationError, RunFailed
from workmesh_flows.inventory.documents import load_inventory
from workmesh_flows.inventory.server_diagnoses import block_type_diagnoses, server_diagnosis
from workmesh_flows.mesh_database import unprepared_engine
from workmesh_flows.observability.artifacts import publish_doctor
from workmesh_flows.observability.deployment_diagnoses import automation_diagnoses, deployment_diagnoses
from workmesh_flows.operations.health.database_diagnoses import database_diagnoses, held_services
from workmesh_flows.operations.health.delivery_diagnoses import delivery_diagnoses
from workmesh_flows.operations.health.diagnosis import (
    Diagnosis,
    Result,
    count_diagnoses,
    guarded,
    problems_of,
)
from workmesh_flows.operations.health.node_check import check_limits, check_nodes
from workmesh_flows.operations.health.node_diagnoses import inventory_diagnoses, node_diagnoses
from workmesh_flows.runs.result import RunResult
from workmesh_flows.settings import PREFIX, read_settings

SETTING = f"set {PREFIX}MESH to module:attribute (in prefect.toml: mesh under [integrations.workmesh])"
SETTINGS = "correct the environment, .env or prefect.toml"
DATABASE = f"start the database, or correct its address ({PREFIX}DATABASE_URL, or Mesh(..., database=...))"


def doctor(mesh: Mesh) -> RunResult:
    """Publish the table `workmesh-doctor`; raises RunFailed, which lists the problems, if there are any."""
    found = diagnose(lambda: mesh)
    publish_doctor(found)
    summary = count_diagnoses(found)
    if problems := problems_of(found):
        lines = "\n".join(f"  {problem}" for problem in problems)
        raise RunFailed(f"{summary}\n{lines}")
    get_run_logger().info("%s", summary)
    return RunResult(summary)


def diagnose(load: Callable[[], Mesh | None]) -> list[Diagnosis]:
    """All diagnoses; ``load`` returns the mesh, or None if no mesh is named. Raises nothing."""
    visit = _Visit()
    return [*visit.settings(), *visit.mesh(load), *visit.server(), *visit.database(), *visit.nodes()]


@dataclass(slots=True)
class _Visit:
    """What the checks have found out so far and later ones need."""

    valid: bool = True
    """Whether the settings can be read; the address of the database is one."""
    limits: Limits = field(default_factory=Limits)
    services: Sequence[Service] = ()
    declared: Mesh | None = None
    inventory: Inventory | None = None
    held: dict[str, list[str]] = field(default_factory=dict)

    def settings(self) -> list[Diagnosis]:
        """Unknown or invalid settings."""

        def examine() -> Iterator[Diagnosis]:
            self.limits = read_settings().limits
            yield Diagnosis("settings", "names and values", Result.OK, "valid")

        found = guarded("settings", "names and values", examine, SETTINGS)
        self.valid = not problems_of(found)
        return found

    def mesh(self, load: Callable[[], Mesh | None]) -> list[Diagnosis]:
        """Whether the mesh can be loaded."""

        def examine() -> Iterator[Diagnosis]:
            self.declared = load()
            if self.declared is None:
                raise ConfigurationError("no mesh is named")
            self.services = self.declared.services
            yield Diagnosis("mesh", "loads", Result.OK, ", ".join(one.name for one in self.services))

        return guarded("mesh", "loads", examine, SETTING)

    def server(self) -> list[Diagnosis]:
        """The Prefect server, and everything that is stored on it; the rest is left out if it does not answer."""
        subject = "Prefect server"
        found = guarded(subject, "connection", lambda: [server_diagnosis()], "read the log of the server")
        if problems_of(found):
            return found
        found += guarded("block type", "Workmesh Node", block_type_diagnoses, "workmesh setup")
        found += guarded("nodes", "blocks", self._read_inventory, "workmesh setup")
        if self.services:
            deployments = lambda: deployment_diagnoses(self.services)  # noqa: E731 - passed on at once
            found += guarded("deployments", "state", deployments, "read the log of the server")
        return found + guarded("automations", "installed", automation_diagnoses, "read the log of the server")

    def _read_inventory(self) -> list[Diagnosis]:
        self.inventory = load_inventory()
        return []

    def database(self) -> list[Diagnosis]:
        """The mesh's database."""
        if self.declared is None:
            return [Diagnosis("database", "connection", Result.WARNING, "not checked: no mesh", SETTING)]
        mesh = self.declared
        if mesh.database is None and not self.valid:
            detail = "not checked: its address is among the settings"
            return [Diagnosis("database", "connection", Result.WARNING, detail, SETTINGS)]

        def examine() -> Iterator[Diagnosis]:
            with unprepared_engine(mesh) as engine:
                yield from database_diagnoses(engine, mesh, self._names())
                self.held = held_services(engine, mesh)
                yield from delivery_diagnoses(engine, mesh)

        return guarded("database", "connection", examine, DATABASE)

    def _names(self) -> Collection[str] | None:
        return None if self.inventory is None else {*self.inventory.nodes, *self.inventory.problems}

    def nodes(self) -> list[Diagnosis]:
        """The nodes of the mesh, or all nodes if it cannot be loaded."""
        if self.inventory is None:
            detail = "not checked: their blocks could not be read from the Prefect server"
            return [Diagnosis("nodes", "connection", Result.WARNING, detail)]
        inventory = self.inventory
        return guarded("nodes", "connection", lambda: self._nodes(inventory))

    def _nodes(self, inventory: Inventory) -> Iterator[Diagnosis]:
        names = [service.name for service in self.services]
        own = [
            node
            for name, node in sorted(inventory.nodes.items())
            if self.declared is None or name in self.held or concerns(node, names)
        ]
        yield from inventory_diagnoses(inventory, self.services, self.held)
        asked = [node for node in own if node.state is not NodeState.DISABLED]
        checks = check_nodes(asked, self.services, check_limits(self.limits), version=True)
        for node in own:
            yield from node_diagnoses(node, checks.get(node.name), self.services, self.limits)
