"""The micro-service that works for the shop of the tests."""

from __future__ import annotations

import time
from typing import Any

from workmesh_flows.microservice import MicroService

orders = MicroService("shop.orders", version="2.1.0")


@orders.protocol("order")
def score(order: dict[str, Any]) -> dict[str, Any]:
    return {"score": order["id"] * 10}


def take_your_time(order: dict[str, Any]) -> None:
    """Ten orders take a fifth of a second to be accepted."""
    del order
    time.sleep(0.02)


slow = MicroService("shop.orders", version="2.1.0")
slow.protocol("order", check=take_your_time)(score)
