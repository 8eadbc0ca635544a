"""Functions of all kinds, valid and invalid as push, pull or payload functions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any


def send_one(record: Any, node: Any) -> None: ...


async def send_later(record: Any, node: Any) -> None: ...


def send_lazily(record: Any, node: Any) -> Iterator[None]:
    yield


async def send_lazily_later(record: Any, node: Any) -> AsyncIterator[None]:
    yield


def take_record(record: Any) -> dict[str, Any]:
    return {}


class Sender:
    def __call__(self, record: Any, node: Any) -> None: ...


class AsyncSender:
    async def __call__(self, record: Any, node: Any) -> None: ...

    def __repr__(self) -> str:
        return "AsyncSender()"
