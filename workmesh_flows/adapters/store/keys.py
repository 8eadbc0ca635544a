"""Keys as they are said: by nodes, by people and in plans, read into a column's own type."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column

from workmesh_flows.domain.columns import python_type

LARGEST_KEY = 2**63 - 1
"""The largest whole number that a database column keeps."""


def parse_key(column: Column[Any], said: Any) -> Any:  # noqa: ANN401 - any JSON in, any key out
    """A key as somebody says it, in the column's own type; raises ValueError where it cannot be one."""
    kind = python_type(column)
    if isinstance(said, bool) or not isinstance(said, str | int):
        raise ValueError(f"{said!r} is no key")  # noqa: TRY004 - it was said by a node, not written in code
    try:
        read = said if kind is None or isinstance(said, kind) else kind(said)
    except (
        ValueError,
        AttributeError,
        ArithmeticError,
        TypeError,
    ) as error:  # UUID(5), Decimal("x"), datetime("x")
        raise ValueError(f"{said!r} is no key") from error
    if isinstance(read, int) and abs(read) > LARGEST_KEY:
        raise ValueError(f"{said!r} is no key")
    return read
