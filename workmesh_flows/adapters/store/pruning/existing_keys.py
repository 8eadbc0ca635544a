"""Which rows of the user's tables still exist, by their keys as text."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Column, Connection, TypeDecorator, select

from workmesh_flows.adapters.store.keys import in_parts, parse_key
from workmesh_flows.domain.columns import python_type


def surely_gone(connection: Connection, key: Column[Any], texts: Collection[str]) -> set[str]:
    """Those of these keys, as Python writes them, for which no row exists.

    A key that cannot be compared for certain, as one of a user-defined type, counts as existing.
    """
    if isinstance(key.type, TypeDecorator) or python_type(key) is None:
        return set()
    keys: dict[str, Any] = {}
    for text in texts:
        try:
            keys[text] = parse_key(key, text)
        except ValueError:
            continue
    gone = set(keys)
    for some in in_parts(list(keys.items())):
        existing = set(connection.scalars(select(key).where(key.in_([parsed for _, parsed in some]))))
        gone.difference_update(text for text, parsed in some if parsed in existing)
    return gone
