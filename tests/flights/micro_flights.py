"""A micro-service for flights: it returns their distance in hundreds of miles."""

from __future__ import annotations

from typing import Any

from workmesh_flows.microservice import MicroService

flights = MicroService("flights.distances", version="1.0.0")


@flights.protocol("flight")
def measure(flight: dict[str, Any]) -> dict[str, Any]:
    return {"hundreds": flight["distance"] // 100}
