"""The flows of one service: assign, push, pull, sync, replay, rebalance, status."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from workmesh_flows.domain.service import Mesh
from workmesh_flows.flows import service_forms as forms
from workmesh_flows.flows.factory import ServiceFlow, as_flow
from workmesh_flows.flows.form_fields import Protocols


@dataclass(frozen=True, slots=True)
class ServiceFlows:
    """The flows of one service, each named ``<service>.<action>``."""

    assign: ServiceFlow
    push: ServiceFlow
    pull: ServiceFlow
    sync: ServiceFlow
    replay: ServiceFlow
    rebalance: ServiceFlow
    status: ServiceFlow


def service_flows(mesh: Mesh, name: str, *, module: str) -> ServiceFlows:
    """The flows of a service; assign each to its name in ``module`` (pass ``__name__``), where Prefect looks for it.

    Raises UnknownName for a service that the mesh does not have.
    """
    names = tuple(protocol.name for protocol in mesh.service(name).protocols)
    choice: Any = Literal[names] if names else str
    made = partial(as_flow, mesh=mesh, service=name, module=module)
    chosen = partial(made, types={"protocols": Protocols[choice]})
    return ServiceFlows(
        assign=made(forms.assign),
        push=chosen(forms.push),
        pull=chosen(forms.pull),
        sync=chosen(forms.sync),
        replay=chosen(forms.replay),
        rebalance=made(forms.rebalance),
        status=made(forms.status),
    )
