"""Checking that a column can play its role."""

from __future__ import annotations

from typing import Any

from workmesh_flows.domain.columns import belongs_to, column_of, described, is_column, python_type


def column_problem(  # noqa: PLR0913 - each argument is one requirement
    role: str,
    attribute: object,
    cls: type[Any],
    kind: type | None = None,
    *,
    nullable: str = "",
    filled: str = "",
) -> str | None:
    """Return why an attribute cannot play a role: no column, another class, a wrong type or nullability.

    ``nullable`` is the reason why the column must be nullable, ``filled`` the reason why it must not.
    """
    if not is_column(attribute):
        return f"{role} must be a column of {cls.__name__}, not {described(attribute)}"
    if not belongs_to(attribute, cls):
        return f"{role} is {described(attribute)}, which is not a column of {cls.__name__}"
    column = column_of(attribute)
    found = python_type(column)
    if kind is not None and found is not None and not issubclass(found, kind):
        return f"{role} {described(attribute)} has the type {found.__name__}; it must be {kind.__name__}"
    if nullable and not column.nullable:
        return f"{role} {described(attribute)} must be nullable: {nullable}"
    if filled and column.nullable:
        return f"{role} {described(attribute)} must not be nullable: {filled}"
    return None
