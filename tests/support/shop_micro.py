"""The micro-service for the orders of the tests."""

from __future__ import annotations

import time
from typing import Any

from workmesh_flows.microservice import MicroService

orders = MicroService("shop.orders", version="2.1.0")


@orders.protocol("order")
def score(order: dict[str, Any]) -> dict[str, Any]:
    return {"score": order["id"] * 10}


def check_slowly(order: dict[str, Any]) -> None:
    """Accepting ten orders takes a fifth of a second."""
    del order
    time.sleep(0.02)


slow = MicroService("shop.orders", version="2.1.0")
slow.protocol("order", check=check_slowly)(score)
