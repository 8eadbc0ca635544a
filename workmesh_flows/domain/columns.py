"""Reading mapped classes and their columns, without a database."""

from __future__ import annotations

from typing import Any, TypeAlias, TypeGuard

from sqlalchemy import Column, Table, UniqueConstraint, inspect
from sqlalchemy.exc import NoInspectionAvailable, SQLAlchemyError
from sqlalchemy.orm import ColumnProperty, InstrumentedAttribute, Mapper

ColumnRef: TypeAlias = InstrumentedAttribute[Any]
"""A column of a mapped class, as in ``Account.name``."""


def mapper_problem(cls: object, role: str) -> str | None:
    """Say why a class cannot be used as entity or record, or None where it can."""
    if not isinstance(cls, type):
        return f"{role} must be a mapped class, not {cls!r}"
    try:
        mapper: Mapper[Any] = inspect(cls)
    except NoInspectionAvailable:
        return f"{role} {cls.__name__} is not a class mapped by SQLAlchemy"
    try:
        mapper.registry.configure()
    except SQLAlchemyError as error:
        return f"SQLAlchemy cannot configure {cls.__name__}: {str(error).splitlines()[0]}"
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
    """Whether a value is a column of a mapped class: not a relationship, not a column of a bare table."""
    return isinstance(value, InstrumentedAttribute) and isinstance(value.property, ColumnProperty)


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


def is_unique(column: Column[Any]) -> bool:
    """Whether the declaration alone says that no two rows share a value of this column."""
    table = column.table
    alone = [constraint for constraint in table.constraints if isinstance(constraint, UniqueConstraint)]
    return (
        bool(column.unique)
        or list(table.primary_key.columns) == [column]
        or any(list(constraint.columns) == [column] for constraint in alone)
        or any(index.unique and list(index.columns) == [column] for index in table.indexes)
    )


def described(attribute: object) -> str:
    """``Class.attribute`` for a mapped attribute, its repr for anything else."""
    return str(attribute) if isinstance(attribute, InstrumentedAttribute) else repr(attribute)
