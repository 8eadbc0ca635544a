"""The flows of a service and of a mesh.

A deployment file takes a few lines:

    from my_saas.mesh import mesh
    from workmesh_flows.flows import service_flows

    flows = service_flows(mesh, "micro.emails.timeline", module=__name__)
    assign, push, pull, sync = flows.assign, flows.push, flows.pull, flows.sync
    replay, rebalance, status = flows.replay, flows.rebalance, flows.status
"""

from workmesh_flows.flows.mesh import MeshFlows, mesh_flows
from workmesh_flows.flows.service import ServiceFlows, service_flows

__all__ = ["MeshFlows", "ServiceFlows", "mesh_flows", "service_flows"]
