"""The types of keys that a user's tables may have."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Dialect, Integer, String, TypeDecorator, Uuid


@dataclass(frozen=True, slots=True)
class Code:
    """A key of a user's own class."""

    text: str

    def __str__(self) -> str:
        return self.text


class CodeType(TypeDecorator[Code]):
    """A column type that accepts only codes."""

    impl = String(40)
    cache_ok = True

    def process_bind_param(self, value: Code | None, dialect: Dialect) -> str | None:
        del dialect
        return None if value is None else value.text

    def process_result_value(self, value: Any, dialect: Dialect) -> Code | None:
        del dialect
        return None if value is None else Code(value)


@dataclass(frozen=True, slots=True)
class KeyType:
    """A type of key: the column type, the n-th key, and the ways in which people may write a key.

    With ``ordered``, the database sorts the keys in the order of their numbers.
    """

    type: Callable[[], Any]
    key: Callable[[int], Any]
    spellings: Callable[[Any], Collection[str]] = lambda key: [str(key)]
    ordered: bool = True


def _uuid_spellings(key: uuid.UUID) -> list[str]:
    return [str(key), key.hex, str(key).upper(), f"{{{key}}}"]


KEY_TYPES: Mapping[str, KeyType] = {
    "integers": KeyType(Integer, lambda n: n),
    "large integers": KeyType(BigInteger, lambda n: 10**12 + n, lambda key: [str(key), f"0{key}"]),
    "texts": KeyType(lambda: String(40), lambda n: f"Käse {n:05}/é"),
    "UUIDs": KeyType(Uuid, lambda n: uuid.UUID(int=2**100 + n), _uuid_spellings),
    "UUIDs as texts": KeyType(
        lambda: Uuid(as_uuid=False), lambda n: str(uuid.UUID(int=2**100 + n)), ordered=False
    ),
    "codes": KeyType(CodeType, lambda n: Code(f"c{n}"), ordered=False),
}
ORDERED = [name for name, kind in KEY_TYPES.items() if kind.ordered]
