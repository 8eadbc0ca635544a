"""Paging by the values of the last row: no offset, and a page costs the same wherever it begins."""

from __future__ import annotations

from typing import Any, TypeAlias

from sqlalchemy import Column, ColumnElement, Double, Float, bindparam, cast, tuple_, type_coerce
from sqlalchemy.types import NULLTYPE

Mark: TypeAlias = tuple[Any, Any]
"""Where a page ended: the mark of the column that orders it (see :func:`mark`), and the id."""


def mark(column: Column[Any]) -> ColumnElement[Any]:
    """An ordering column in the database's own form, so that a value read from it compares equal when sent back.

    The column's type is not applied: SQLite may hold times that another program wrote in another form. A number of
    single precision is read in double precision, which represents it exactly.
    """
    return type_coerce(cast(column, Double()) if isinstance(column.type, Float) else column, NULLTYPE)


def is_behind(order: tuple[Column[Any], Column[Any]], after: Mark) -> ColumnElement[bool]:
    """The condition on rows that come after a mark in the order of two columns."""
    marks = (bindparam(None, after[0], type_=NULLTYPE), bindparam(None, after[1], type_=order[1].type))
    return tuple_(*order) > tuple_(*marks)
