"""The flows of the sample's mesh that concern all its services, for prefect.yaml."""

from workmesh_flows.demo.mesh import mesh
from workmesh_flows.flows import mesh_flows

flows = mesh_flows(mesh, module=__name__)
assign, drain, doctor, prune = flows.assign, flows.drain, flows.doctor, flows.prune
