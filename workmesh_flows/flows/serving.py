"""All flows of a mesh served from one process, without a work pool.

Prefect starts each run in its own process, which imports the flow as ``workmesh_flows.flows.serving.NAME``. This module
creates that attribute on demand, from the mesh that the settings name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from typing import Any, cast

from prefect.deployments.runner import RunnerDeployment
from prefect.types.entrypoint import EntrypointType

from workmesh_flows.domain.service import Mesh
from workmesh_flows.errors import ConfigurationError
from workmesh_flows.flows.factory import ServiceFlow
from workmesh_flows.flows.mesh import MeshFlows, mesh_flows
from workmesh_flows.flows.service import ServiceFlows, service_flows
from workmesh_flows.observability.tags import mesh_tags, service_tags
from workmesh_flows.references import load_reference
from workmesh_flows.settings import PREFIX, read_settings


def deployments(mesh: Mesh) -> list[RunnerDeployment]:
    """A deployment for each flow of the mesh; raises ConfigurationError if two flows would have the same attribute."""
    made = [_deployment(flow, tags) for flow, tags in _flows(mesh)]
    names = [deployment.entrypoint for deployment in made]
    if twice := sorted({str(name) for name in names if names.count(name) > 1}):
        raise ConfigurationError(f"services whose names are too similar to be served: {', '.join(twice)}")
    return made


def __getattr__(name: str) -> Any:  # noqa: ANN401 - as Python declares it
    """A flow of the mesh that the settings name; raises AttributeError if the mesh has no such flow."""
    if name.startswith("_"):
        raise AttributeError(name)
    for flow, _ in _flows(_mesh()):
        if _attribute(flow) == name:
            return flow
    raise AttributeError(name)


def _mesh() -> Mesh:
    named = read_settings().mesh
    if named is None:
        raise ConfigurationError(f"no mesh is named: set {PREFIX}MESH to module:attribute")
    return load_reference(named, Mesh)


def _flows(mesh: Mesh) -> Iterator[tuple[ServiceFlow, list[str]]]:
    """Each flow of the mesh, with its tags."""
    for service in mesh.services:
        for flow in _each(service_flows(mesh, service.name, module=__name__)):
            yield flow, service_tags(service.name)
    for flow in _each(mesh_flows(mesh, module=__name__)):
        yield flow, mesh_tags()


def _each(flows: ServiceFlows | MeshFlows) -> Iterator[ServiceFlow]:
    return (getattr(flows, field.name) for field in fields(flows))


def _attribute(flow: ServiceFlow) -> str:
    """The flow's attribute of this module: its name, with underscores for the dots of the service's name."""
    return re.sub(r"\W", "_", flow.name)


def _deployment(flow: ServiceFlow, tags: list[str]) -> RunnerDeployment:
    made = cast(
        "RunnerDeployment",  # its type includes a coroutine
        flow.to_deployment(
            # Only the action: the UI lists a deployment together with the name of its flow.
            name=flow.name.rpartition(".")[2],
            tags=tags,
            description=flow.description,
            entrypoint_type=EntrypointType.MODULE_PATH,
        ),
    )
    # Dots only: for module:name, Prefect would first fetch code from a storage, which this deployment does not have.
    made.entrypoint = f"{__name__}.{_attribute(flow)}"
    return made
