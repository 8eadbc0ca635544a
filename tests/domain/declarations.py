"""A valid declaration, of which tests replace single parts."""

from __future__ import annotations

from typing import Any

from tests.domain.odd_columns import Parcel
from tests.support.shop import PULL_FLAGS, PUSH_FLAGS, Order, Shop
from workmesh_flows import DefinitionError, Flags, Protocol, Pull, Push, Service, get, post


def push(**changes: Any) -> Push:
    return Push(**{"send": post("/push.json", batch_size=10), "flags": PUSH_FLAGS, **changes})


def pull(**changes: Any) -> Pull:
    fetch = get("/pull.json", into={"score": Order.score})
    return Pull(**{"status": "/status.json", "fetch": fetch, "flags": PULL_FLAGS, **changes})


def protocol(name: Any = "order", **changes: Any) -> Protocol:
    parts = {"record": Order, "id": Order.id, "sort": Order.at, "push": push(), "pull": pull()}
    return Protocol(name, **{**parts, **changes})


def service(name: Any = "shop.orders", **changes: Any) -> Service:
    parts = {"entity": Shop, "assigned_to": Shop.node, "protocols": [protocol()]}
    return Service(name, **{**parts, **changes})


def problems(name: Any = "shop.orders", **changes: Any) -> list[str]:
    """The problems of a service; empty if it is valid."""
    try:
        service(name, **changes)
    except DefinitionError as error:
        return list(error.problems)
    return []


def protocol_problems(name: Any = "order", **changes: Any) -> list[str]:
    """The problems of a service with this protocol, without the prefix that names the protocol."""
    found = problems(protocols=[protocol(name, **changes)])
    return [problem.removeprefix(f"protocol {name!r}: ") for problem in found]


def parcel(**changes: Any) -> Protocol:
    flags = Flags(Parcel.time, Parcel.success, Parcel.error)
    parts = {"record": Parcel, "id": Parcel.id, "sort": Parcel.at, "push": push(flags=flags), "pull": None}
    return protocol("parcel", **{**parts, **changes})


def parcel_flags(**changes: Any) -> Push:
    parts = {"time": Parcel.time, "success": Parcel.success, "error": Parcel.error}
    return push(flags=Flags(**{**parts, **changes}))
