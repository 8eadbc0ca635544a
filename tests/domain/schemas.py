"""Short declarations of mapped classes, and the owner path that a service finds for them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Boolean, DateTime, ForeignKey, Integer, String
from sqlalchemy.orm import DeclarativeBase, mapped_column

from workmesh_flows import DefinitionError, Flags, Protocol, Push, Service, post


def new_base() -> Any:
    """A new declarative base with its own registry."""
    return type("Base", (DeclarativeBase,), {})


def declare(
    base: Any, class_name: str, *, table: str | None = None, args: Any = None, **attributes: Any
) -> Any:
    """A mapped class; it gets an integer primary key ``id`` unless ``attributes`` has one."""
    key = {} if "id" in attributes else {"id": mapped_column(Integer, primary_key=True)}
    names = {"__tablename__": table or class_name.lower(), "__table_args__": args}
    return type(
        class_name, (base,), {**{k: v for k, v in names.items() if v is not None}, **key, **attributes}
    )


def entity(base: Any, class_name: str = "Shop", **more: Any) -> Any:
    """A class that is valid as entity."""
    return declare(base, class_name, **{"node": mapped_column(String(50)), **more})


def record(base: Any, class_name: str = "Order", **more: Any) -> Any:
    """A class that is valid as record."""
    flags = {
        "at": mapped_column(DateTime, nullable=False),
        "push_time": mapped_column(DateTime),
        "push_success": mapped_column(Boolean),
        "push_error": mapped_column(String(100)),
    }
    return declare(base, class_name, **{**flags, **more})


def to(target: str, **more: Any) -> Any:
    """A foreign key column, such as ``shop_id=to("shop.id")``."""
    return mapped_column(ForeignKey(target), **more)


def serve(record: Any, entity: Any, owner: Any = None) -> Service:
    """A service that pushes these records to the nodes of these entities."""
    push = Push(post("/push"), Flags(record.push_time, record.push_success, record.push_error))
    protocol = Protocol("record", record=record, id=record.id, sort=record.at, owner=owner, push=push)
    return Service("service", entity=entity, assigned_to=entity.node, protocols=[protocol])


def path(record: Any, entity: Any, owner: Any = None) -> list[str]:
    """The joins of the owner path, each as ``table.column = table.column``."""
    return [
        ", ".join(f"{a.table}.{a.name} = {b.table}.{b.name}" for a, b in hop.pairs)
        for hop in serve(record, entity, owner).protocols[0].path
    ]


def problems(record: Any, entity: Any, owner: Any = None) -> list[str]:
    """The problems of the declaration; empty if it is valid."""
    try:
        serve(record, entity, owner)
    except DefinitionError as error:
        return [problem.removeprefix("protocol 'record': ") for problem in error.problems]
    return []
