"""The micro-service that works for the shop of the tests."""

from __future__ import annotations

from typing import Any

from workmesh_flows.microservice import MicroService

orders = MicroService("shop.orders", version="2.1.0")


@orders.protocol("order")
def score(order: dict[str, Any]) -> dict[str, Any]:
    return {"score": order["id"] * 10}
