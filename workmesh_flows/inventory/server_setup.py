"""What a Prefect server needs once before it can run a mesh: the block type of nodes, and a work pool."""

from __future__ import annotations

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.exceptions import ObjectAlreadyExists

from workmesh_flows.blocks import WorkmeshNode


def register_node_type() -> None:
    """Register the block type and its newest schema; a registered type is updated."""
    WorkmeshNode.register_type_and_schema()


def create_pool(name: str) -> bool:
    """Create a work pool of processes; False if a pool of this name exists, which stays as it is."""
    with get_client(sync_client=True) as client:
        try:
            client.create_work_pool(WorkPoolCreate(name=name, type="process"))
        except ObjectAlreadyExists:
            return False
    return True
