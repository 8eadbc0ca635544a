"""The block types of Workmesh, which Prefect registers when its server starts."""

from workmesh_flows.blocks.node import ServiceLimits, WorkmeshNode

__all__ = ["ServiceLimits", "WorkmeshNode"]
