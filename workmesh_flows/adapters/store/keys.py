"""Keys as nodes, users and plans write them, parsed into a column's own type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, String, TypeDecorator, cast

from workmesh_flows.domain.columns import python_type

LARGEST_KEY = 2**63 - 1
"""The largest whole number that a database column stores."""


def parse_key(column: Column[Any], value: Any) -> Any:  # noqa: ANN401 - any JSON in, any key out
    """A key in the column's own type, from its text or number; raises ValueError where it cannot be one."""
    kind = python_type(column)
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(f"{value!r} is no key")  # noqa: TRY004 - a wrong value from a node, no programming error
    try:
        key = value if kind is None or isinstance(value, kind) else kind(value)
    except (
        ValueError,
        AttributeError,
        ArithmeticError,
        TypeError,
    ) as error:  # UUID(5), Decimal("x"), datetime("x")
        raise ValueError(f"{value!r} is no key") from error
    if isinstance(key, int) and abs(key) > LARGEST_KEY:
        raise ValueError(f"{value!r} is no key")
    return key


def is_one_of(key: Column[Any], texts: Sequence[str]) -> ColumnElement[bool]:
    """The condition on records with one of these keys; compares the column itself, for its index, where possible."""
    if isinstance(key.type, TypeDecorator):  # a user-defined type: which values it takes is unknown
        return cast(key, String).in_(texts)
    try:
        return key.in_([parse_key(key, text) for text in texts])
    except ValueError:
        return cast(key, String).in_(texts)
