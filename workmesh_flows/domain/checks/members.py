"""Checks of names, and of lists of protocols and services."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

from workmesh_flows.domain.columns import described

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")

T = TypeVar("T")


def name_problem(kind: str, name: object) -> str | None:
    """Return why a name is not valid; names are parts of flow names, file names, URLs and Workmesh tables."""
    if isinstance(name, str) and NAME.fullmatch(name):
        return None
    return (
        f"{kind} name {described(name)} must be up to 200 letters, digits, dots, dashes and underscores, "
        "and start with a letter or digit"
    )


def read_members(role: str, given: object, kind: type[T]) -> tuple[tuple[T, ...], tuple[str, ...]]:
    """Return the members of a list that are of a kind, and the problems of the list and of its other members.

    Values are not shown in problems: a misplaced argument may be a database URL with a password.
    """
    if not isinstance(given, Iterable) or isinstance(given, str | bytes | Mapping):
        return (), (f"{role} must be a list of {kind.__name__}, not a {type(given).__name__}",)
    members = tuple(given)
    return (
        tuple(member for member in members if isinstance(member, kind)),
        tuple(
            f"{role} contains a {type(member).__name__}, which is not a {kind.__name__}"
            for member in members
            if not isinstance(member, kind)
        ),
    )


def repeated(kind: str, names: list[object]) -> Iterator[str]:
    """Yield a problem for each name that occurs more than once."""
    texts = [name for name in names if isinstance(name, str)]
    for name in sorted({name for name in texts if texts.count(name) > 1}):
        yield f"two {kind}s have the name {name!r}"
