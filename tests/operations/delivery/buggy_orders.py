"""A micro-service with a bug while the file BUG exists: it cannot process each 25th order. EFFECTS logs the others."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from workmesh_flows.microservice import MicroService

orders = MicroService("shop.orders", version="1.0.0")


@orders.protocol("order")
def score_order(order: dict[str, Any]) -> dict[str, Any]:
    if order["id"] % 25 == 0 and Path(os.environ["BUG"]).exists():
        raise KeyError("a bug of today's deployment")
    with Path(os.environ["EFFECTS"]).open("a", encoding="utf-8") as log:
        log.write(f"{order['id']}\n")
    return {"score": 10 * order["id"]}
