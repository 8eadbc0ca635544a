"""Reading SQLAlchemy's mapped classes and their columns, without a database connection."""

from __future__ import annotations

from collections.abc import Collection
from reprlib import Repr
from types import FunctionType
from typing import Any, TypeAlias, TypeGuard

from sqlalchemy import JSON, Column, Index, Table, UniqueConstraint, inspect
from sqlalchemy.exc import NoInspectionAvailable, SQLAlchemyError
from sqlalchemy.orm import ColumnProperty, InstrumentedAttribute, Mapper
from sqlalchemy.types import TypeEngine

ColumnRef: TypeAlias = InstrumentedAttribute[Any]
"""A column of a mapped class, such as ``Account.name``."""

_short = Repr()
_short.maxstring = _short.maxother = 80


def mapper_problem(cls: object, role: str) -> str | None:
    """Return why a class cannot be used as entity or record, or None if it can."""
    if not isinstance(cls, type):
        return f"{role} must be a mapped class, not {described(cls)}"
    try:
        mapper: Mapper[Any] = inspect(cls)
        mapper.registry.configure(cascade=True)
    except NoInspectionAvailable:
        return f"{role} {cls.__name__} is not a class mapped by SQLAlchemy"
    except Exception as error:  # noqa: BLE001 - a relationship may be declared by a function
        return f"SQLAlchemy cannot configure {cls.__name__}: {first_line(error)}"
    if mapper.inherits is not None or not isinstance(mapper.local_table, Table):
        return f"{role} {cls.__name__} is mapped by inheritance or to a join; use a class mapped to one table"
    return None


def mapper_of(cls: type[Any]) -> Mapper[Any]:
    """The mapper of a class that passed :func:`mapper_problem`."""
    mapper: Mapper[Any] = inspect(cls)
    return mapper


def table_of(cls: type[Any]) -> Table:
    """The one table of a mapped class."""
    table = mapper_of(cls).local_table
    assert isinstance(table, Table)  # noqa: S101 - mapper_problem checked it
    return table


def key_of(cls: type[Any]) -> Column[Any]:
    """The primary key column of a mapped class; entities have exactly one."""
    column = mapper_of(cls).primary_key[0]
    assert isinstance(column, Column)  # noqa: S101 - mapper_problem checked that the class maps one table
    return column


def is_column(value: object) -> TypeGuard[ColumnRef]:
    """Whether a value is a mapped column, not a relationship, SQL expression or column of a bare table."""
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
    assert isinstance(column, Column)  # noqa: S101 - is_column checked it
    return column


def belongs_to(attribute: ColumnRef, cls: type[Any]) -> bool:
    """Whether the attribute belongs to this class."""
    return bool(attribute.parent.class_ is cls)


def python_type(column: Column[Any]) -> type | None:
    """The Python type of a column's values; None if SQLAlchemy does not know it."""
    return python_type_of(column.type)


def python_type_of(kind: TypeEngine[Any]) -> type | None:
    """The Python type of the values of a column type; None if SQLAlchemy does not know it.

    For a type without one, SQLAlchemy 2.0 raises NotImplementedError, as its documentation says; 2.1 returns ``object``.
    """
    if isinstance(kind, JSON):  # SQLAlchemy 2.1 knows no single type for it
        return dict
    try:
        known = kind.python_type
    except NotImplementedError:
        return None
    return known if isinstance(known, type) and known is not object else None


def are_unique(columns: Collection[Column[Any]]) -> bool:
    """Whether these columns include a primary key, a unique constraint or a unique index of their table."""
    table = next(iter(columns)).table
    constraints = [table.primary_key, *(c for c in table.constraints if isinstance(c, UniqueConstraint))]
    keys = [set(constraint.columns) for constraint in constraints]
    keys += [set(index.columns) for index in table.indexes if index.unique and not _is_partial(index)]
    return any(key and key <= set(columns) for key in keys)


def described(value: object) -> str:
    """A short text for error messages: ``Class.attribute``, the name of a function, or a truncated repr."""
    if isinstance(value, InstrumentedAttribute):
        return str(value)
    return value.__qualname__ if isinstance(value, FunctionType) else _short.repr(value)


def first_line(error: BaseException) -> str:
    """The first line of an error's text, without the statement and the links that SQLAlchemy appends."""
    fields = error.args[0] if error.args else None
    text = (
        fields["M"] if isinstance(fields, dict) and "M" in fields else error
    )  # pg8000 has PostgreSQL's fields
    return next(iter(str(text).splitlines()), "") or type(error).__name__


def _is_partial(index: Index) -> bool:
    return any(option.endswith("_where") for option in index.dialect_kwargs)
