"""The flows of the sample's e-mail timeline service, for prefect.yaml."""

from workmesh_flows.demo.mesh import SERVICE, mesh
from workmesh_flows.flows import service_flows

flows = service_flows(mesh, SERVICE, module=__name__)
assign, push, pull, sync = flows.assign, flows.push, flows.pull, flows.sync
replay, rebalance, status = flows.replay, flows.rebalance, flows.status
