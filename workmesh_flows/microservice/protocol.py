"""One kind of record of a micro-service, with the two functions that check and process it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from inspect import iscoroutinefunction
from typing import Any, TypeAlias, TypeGuard

Record: TypeAlias = dict[str, Any]
"""A record as it was sent: a JSON object."""

RecordId: TypeAlias = int | str

Check: TypeAlias = Callable[[Record], object]
"""Raises `RecordRefused` for a record that can never be processed; called before anything is stored."""

Process: TypeAlias = Callable[[Record], Record | None]
"""Returns the result for a pull; None means an empty result. An exception marks the record as failed."""

ID_LIMIT = 255

NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
NAME_RULE = "it is made of lower-case letters, digits, '.', '_' and '-', and starts with a letter or digit"


@dataclass(frozen=True)
class Protocol:
    """One kind of record: its name is a part of its endpoints' paths, `id_key` is the key of a record's id."""

    name: str
    process: Process
    check: Check | None = None
    id_key: str = "id"

    def problems(self) -> Iterator[str]:
        """Yield the problems of the declaration, as sentences for the user."""
        if not is_name(self.name):
            yield f"the protocol name {self.name!r} cannot be part of an endpoint: {NAME_RULE}"
        if not isinstance(self.id_key, str) or not self.id_key:
            yield f"protocol {self.name!r}: id must name the key of a record's id, not {self.id_key!r}"
        for role, function in (("processing", self.process), ("check", self.check)):
            if function is None and role == "check":
                continue
            if not callable(function):
                yield f"protocol {self.name!r}: the {role} function cannot be called: it is {function!r}"
            elif iscoroutinefunction(function):
                yield f"protocol {self.name!r}: the {role} function is async; it must be a plain function"


def is_name(text: object) -> bool:
    """Whether a text can be part of an endpoint's path and of a file name."""
    return isinstance(text, str) and NAME.fullmatch(text) is not None


def is_id(value: object) -> TypeGuard[RecordId]:
    """Whether a JSON value can be a record's id: an integer, or a text of limited length."""
    if isinstance(value, str):
        return 0 < len(value) <= ID_LIMIT
    return isinstance(value, int) and not isinstance(value, bool)
