"""Keys: parsed into a column's own type as nodes, users and plans write them, and as statements name them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

from sqlalchemy import Column, ColumnElement, String, TypeDecorator, cast, literal

from workmesh_flows.domain.columns import python_type

T = TypeVar("T")

LARGEST_KEY = 2**63 - 1
"""The largest whole number that a database column stores."""
AT_ONCE = 500
"""Keys in one statement."""


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


def as_texts(column: Column[Any], keys: Iterable[Any]) -> list[ColumnElement[str]]:
    """Keys in the form in which the Workmesh tables store them: the database's own text."""
    return [cast(literal(key, column.type), String) for key in keys]


def in_parts(items: Sequence[T], size: int = AT_ONCE) -> Iterator[Sequence[T]]:
    """The items in parts of at most ``size``, one for each statement."""
    return (items[start : start + size] for start in range(0, len(items), size))
