"""Workmesh Flows: a Prefect plugin that sends records to nodes (machines with micro-services) in order, without loss.

This module has everything that declares a mesh. Importing it loads no prefect, httpx, paramiko or pandas.

The public API is this module and `errors`, `settings`, `status`, `assignment`, `flows`, `blocks`, `testing` and
`microservice`. Everything else is private and changes without notice.
"""

from workmesh_flows.domain.calls import NodeClient, get, post
from workmesh_flows.domain.criteria import EntityNumber, EntityWeight, RoundRobin
from workmesh_flows.domain.protocol import Flags, Protocol, Pull, Push
from workmesh_flows.domain.service import Mesh, Service
from workmesh_flows.errors import DefinitionError, RecordRefused, WorkmeshError

__all__ = [
    "DefinitionError",
    "EntityNumber",
    "EntityWeight",
    "Flags",
    "Mesh",
    "NodeClient",
    "Protocol",
    "Pull",
    "Push",
    "RecordRefused",
    "RoundRobin",
    "Service",
    "WorkmeshError",
    "get",
    "post",
]
