"""Checking the columns that a protocol writes: its flags, and the columns for results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from workmesh_flows.domain.checks.columns import column_problem
from workmesh_flows.domain.columns import ColumnRef, column_of, described, is_column
from workmesh_flows.domain.protocol import Flags, Protocol, Pull, Push

MICROSECONDS = 6
"""Decimal places of a second that flags must store."""


def flag_problems(role: str, flags: object, record: type[Any]) -> Iterator[str]:
    """Yield the problems of the flags of one direction."""
    if not isinstance(flags, Flags):
        yield f"{role} must be Flags(time, success, error), not {described(flags)}"
        return
    kinds = (("time", flags.time, datetime), ("success", flags.success, bool), ("error", flags.error, str))
    for part, attribute, kind in kinds:
        name = f"{role} {part}"
        if problem := column_problem(
            name, attribute, record, kind, nullable="null means that the record is pending"
        ):
            yield problem
        elif part == "time" and _is_coarse(attribute):
            yield f"{name} {described(attribute)} must store microseconds, which the order of records needs"


def shared_flags(protocols: list[tuple[str, Protocol]]) -> Iterator[str]:
    """Yield a problem for each column that is used as two flags."""
    seen: dict[Any, str] = {}
    for where, protocol in protocols:
        for role, flag in _flags_of(protocol):
            user = f"{where} {role}"
            if other := seen.get(column_of(flag)):
                yield f"{described(flag)} is both {other} and {user}; each flag needs its own column"
            seen[column_of(flag)] = user


def into_problems(into: object, protocol: Protocol) -> Iterator[str]:
    """Yield the problems of the columns that results are written into."""
    if not isinstance(into, Mapping):
        yield f"pull into must be a dict from keys of a result to columns, not {described(into)}"
        return
    taken = {column_of(flag): f"is the {role}" for role, flag in _flags_of(protocol)}
    taken |= {
        column_of(attribute): f"is the {role}"
        for role, attribute in (("id", protocol.id), ("sort column", protocol.sort))
        if is_column(attribute)
    }
    for key, attribute in into.items():
        role = f"pull into[{described(key)}]"
        if not isinstance(key, str):
            yield f"{role} can never be found: the keys of a result are strings"
        if problem := column_problem(role, attribute, protocol.record):
            yield problem
        elif other := taken.get(column_of(attribute)):
            yield f"{role} would write {described(attribute)}, which {other}"
        else:
            taken[column_of(attribute)] = f"{role} writes too"


def _flags_of(protocol: Protocol) -> Iterator[tuple[str, ColumnRef]]:
    """Yield role and column of each flag that is a column."""
    for name, direction in (("push", protocol.push), ("pull", protocol.pull)):
        if isinstance(direction, Push | Pull) and isinstance(direction.flags, Flags):
            for part, flag in zip(("time", "success", "error"), direction.flags.columns, strict=True):
                if is_column(flag):
                    yield f"{name} flag {part}", flag


def _is_coarse(attribute: ColumnRef) -> bool:
    precision = getattr(column_of(attribute).type, "precision", None)
    return precision is not None and precision < MICROSECONDS
