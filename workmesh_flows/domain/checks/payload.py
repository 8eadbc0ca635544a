"""Checking that the columns of a record can be sent as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import PurePath
from uuid import UUID

from workmesh_flows.domain.columns import python_type
from workmesh_flows.domain.payload import sent_columns
from workmesh_flows.domain.protocol import Protocol, Push

NO_JSON_FORM = (
    "push sends {name}, whose values are {kind}, which has no JSON form; "
    "give post(..., payload=...) a function that returns what to send of a record"
)

_SENT = (
    *(
        str,
        int,
        float,
        Decimal,
        bytes,
        UUID,
        Enum,
        date,
        time,
        timedelta,
        PurePath,
    ),  # bool is int, datetime is date
    *(list, tuple, set, frozenset, Mapping),
    *(IPv4Address, IPv4Network, IPv6Address, IPv6Network),
)


def payload_problems(protocol: Protocol) -> Iterator[str]:
    """Yield the columns that a push would send and whose type declares values without a JSON form."""
    if not isinstance(protocol.push, Push) or not protocol.push.wants_rows:
        return
    for name, column in sent_columns(protocol).items():
        kind = python_type(column)
        if kind is not None and not issubclass(kind, _SENT) and not is_dataclass(kind):
            yield NO_JSON_FORM.format(name=f"{protocol.record.__name__}.{name}", kind=kind.__name__)
