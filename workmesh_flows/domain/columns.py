"""Reading mapped classes and their columns, without a database."""

from __future__ import annotations

from collections.abc import Collection
from reprlib import Repr
from types import FunctionType
from typing import Any, TypeAlias, TypeGuard

from sqlalchemy import Column, Index, Table, UniqueConstraint, inspect
from sqlalchemy.exc import NoInspectionAvailable, SQLAlchemyError
from sqlalchemy.orm import ColumnProperty, InstrumentedAttribute, Mapper

ColumnRef: TypeAlias = InstrumentedAttribute[Any]
"""A column of a mapped class, as in ``Account.name``."""

_short = Repr()
_short.maxstring = _short.maxother = 80


def mapper_problem(cls: object, role: str) -> str | None:
    """Say why a class cannot be used as entity or record, or None where it can."""
    if not isinstance(cls, type):
        return f"{role} must be a mapped class, not {described(cls)}"
    try:
        mapper: Mapper[Any] = inspect(cls)
        mapper.registry.configure(cascade=True)
    except NoInspectionAvailable:
        return f"{role} {cls.__name__} is not a class mapped by SQLAlchemy"
    except Exception as error:  # noqa: BLE001 - a relationship may be given as a function, which may raise anything
        return f"SQLAlchemy cannot configure {cls.__name__}: {first_line(error)}"
    if mapper.inherits is not None or not isinstance(mapper.local_table, Table):
        return f"{role} {cls.__name__} is mapped by inheritance or to a join; use a class mapped to one table"
    return None


def mapper_of(cls: type[Any]) -> Mapper[Any]:
    """The mapper of a class that :func:`mapper_problem` found nothing wrong with."""
    mapper: Mapper[Any] = inspect(cls)
    return mapper


def table_of(cls: type[Any]) -> Table:
    """The one table of a mapped class."""
    table = mapper_of(cls).local_table
    assert isinstance(table, Table)  # noqa: S101 - mapper_problem has seen to it
    return table


def key_of(cls: type[Any]) -> Column[Any]:
    """The one column that identifies an object of a mapped class."""
    column = mapper_of(cls).primary_key[0]
    assert isinstance(column, Column)  # noqa: S101 - the one-table rule has seen to it
    return column


def is_column(value: object) -> TypeGuard[ColumnRef]:
    """Whether a value is a column of a mapped class: no relationship, no SQL expression, no bare table's column."""
    if not isinstance(value, InstrumentedAttribute):
        return False
    try:
        found = value.property
    except SQLAlchemyError:  # a relationship of a class that cannot be configured
        return False
    return isinstance(found, ColumnProperty) and isinstance(found.columns[0], Column)


def column_of(attribute: ColumnRef) -> Column[Any]:
    """The table column behind a mapped attribute."""
    column = attribute.property.columns[0]
    assert isinstance(column, Column)  # noqa: S101 - is_column and the one-table rule have seen to it
    return column


def belongs_to(attribute: ColumnRef, cls: type[Any]) -> bool:
    """Whether the attribute is one of this class's own."""
    return bool(attribute.parent.class_ is cls)


def python_type(column: Column[Any]) -> type | None:
    """The Python type of a column's values, None where SQLAlchemy cannot say."""
    try:
        return column.type.python_type
    except NotImplementedError:
        return None


def are_unique(columns: Collection[Column[Any]]) -> bool:
    """Whether the declaration alone says that no two rows of a table share the values of these columns."""
    table = next(iter(columns)).table
    constraints = [table.primary_key, *(c for c in table.constraints if isinstance(c, UniqueConstraint))]
    keys = [set(constraint.columns) for constraint in constraints]
    keys += [set(index.columns) for index in table.indexes if index.unique and not _is_partial(index)]
    return any(key and key <= set(columns) for key in keys)


def described(value: object) -> str:
    """``Class.attribute`` for a mapped attribute, the name of a function, a short repr of anything else."""
    if isinstance(value, InstrumentedAttribute):
        return str(value)
    return value.__qualname__ if isinstance(value, FunctionType) else _short.repr(value)


def first_line(error: BaseException) -> str:
    """What an error says, without the statement or the links that SQLAlchemy puts below."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def _is_partial(index: Index) -> bool:
    return any(option.endswith("_where") for option in index.dialect_kwargs)
