"""The flows of a whole mesh: assign, drain, doctor, prune."""

from __future__ import annotations

from dataclasses import dataclass

from workmesh_flows.domain.service import Mesh
from workmesh_flows.flows import mesh_forms as forms
from workmesh_flows.flows.factory import ServiceFlow, as_flow


@dataclass(frozen=True, slots=True)
class MeshFlows:
    """The flows that concern all services of a mesh, each named ``mesh.<action>``."""

    assign: ServiceFlow
    drain: ServiceFlow
    doctor: ServiceFlow
    prune: ServiceFlow


def mesh_flows(mesh: Mesh, *, module: str) -> MeshFlows:
    """The flows of a mesh; assign each to its name in ``module`` (pass ``__name__``), where Prefect looks for it."""
    return MeshFlows(
        assign=as_flow(forms.assign, mesh, module=module),
        drain=as_flow(forms.drain, mesh, module=module),
        doctor=as_flow(forms.doctor, mesh, module=module),
        prune=as_flow(forms.prune, mesh, module=module),
    )
