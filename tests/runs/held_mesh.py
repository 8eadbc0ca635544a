"""The mesh of the shop, in batches of five, in a module that other processes can import."""

from __future__ import annotations

from tests.support.shop import shop_service
from workmesh_flows import Mesh
from workmesh_flows.flows import service_flows

mesh = Mesh([shop_service(batch_size=5)])
push = service_flows(mesh, "shop.orders", module=__name__).push
