"""A request at a proxy, as a policy sees it, and a parser of the records in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias
from urllib.parse import unquote

import orjson

from workmesh_flows.testing.history.events import Id


@dataclass(frozen=True, slots=True)
class Request:
    """A complete request to a node; header names are in lower case. Its ``repr`` shows no secret."""

    number: int
    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def epoch(self) -> int | None:
        """The epoch of its sender's lease of the lane."""
        value = self.headers.get("workmesh-epoch", "")
        return int(value) if value.isdecimal() else None


@dataclass(frozen=True, slots=True)
class RequestContent:
    """The lane of a request and the ids of its records; ``direction`` is None for a request without records."""

    protocol: str | None = None
    direction: Literal["push", "pull"] | None = None
    ids: tuple[Id, ...] = ()


RequestParser: TypeAlias = Callable[[Request], RequestContent]
"""Finds the lane and the ids in a request; write one of your own where records are sent in another form."""


def parse_request(request: Request, *, id_key: str = "id") -> RequestContent:
    """Find the lane and the ids in a request that `post` or `get` sent.

    The protocol is that of the lane in the ``Workmesh-Lane`` header, else the last folder of the path, as in
    ``/api/1.0/<protocol>/push.json``. Beside ``api_key`` the body has one key: a record or a list of records, each
    with its id under ``id_key`` (push), or a list of ids (pull).
    """
    *_, folder, _ = ["", "", *request.path.split("/")]
    lane = unquote(request.headers.get("workmesh-lane", "").rpartition("/")[2])
    without_records, protocol = RequestContent(lane or None), lane or folder or None
    try:
        body = orjson.loads(request.body)
    except orjson.JSONDecodeError:
        return without_records
    payload = [value for key, value in body.items() if key != "api_key"] if isinstance(body, dict) else []
    items: Any = payload[0] if len(payload) == 1 else None
    match items:
        case dict():
            items = [items]
        case list() if items:
            pass
        case _:
            return without_records
    if all(isinstance(item, dict) for item in items):
        return RequestContent(protocol, "push", tuple(item[id_key] for item in items if id_key in item))
    return RequestContent(protocol, "pull", tuple(items))
