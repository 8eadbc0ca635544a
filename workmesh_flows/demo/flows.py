"""The flows of the sample's service and mesh, in the module where deployments look for them."""

from __future__ import annotations

from workmesh_flows.demo.mesh import SERVICE, mesh
from workmesh_flows.flows import mesh_flows, service_flows

flows = service_flows(mesh, SERVICE, module=__name__)
assign, push, pull, sync = flows.assign, flows.push, flows.pull, flows.sync
replay, rebalance, status = flows.replay, flows.rebalance, flows.status
drain = mesh_flows(mesh, module=__name__).drain
