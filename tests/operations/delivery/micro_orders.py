"""A real micro-service for orders: it refuses those without a text, and scores the others."""

from __future__ import annotations

from typing import Any

from workmesh_flows.microservice import MicroService, RecordRefused

orders = MicroService("shop.orders", version="1.2.3")


def check_order(order: dict[str, Any]) -> None:
    if not order["text"]:
        raise RecordRefused("an order needs a text")


@orders.protocol("order", check=check_order)
def score_order(order: dict[str, Any]) -> dict[str, Any]:
    if order["text"] == "impossible":
        raise ValueError("no score for this one")
    return {"score": 10 * order["id"]}
