"""What passes a proxy, as policies see it: a request, and the records that it carries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias
from urllib.parse import unquote

import orjson

from workmesh_flows.testing.history.events import Id


@dataclass(frozen=True, slots=True)
class Request:
    """A whole request on its way to a node; header names are in lower case. Its ``repr`` shows no secret."""

    number: int
    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def epoch(self) -> int | None:
        """The epoch under which its sender holds the lane."""
        said = self.headers.get("workmesh-epoch", "")
        return int(said) if said.isdecimal() else None


@dataclass(frozen=True, slots=True)
class Carried:
    """Of which lane a request is, and which records it holds; ``direction`` is None for a mere question."""

    protocol: str | None = None
    direction: Literal["push", "pull"] | None = None
    ids: tuple[Id, ...] = ()


Reading: TypeAlias = Callable[[Request], Carried]
"""Says what a request carries; give one of your own where records are sent in another form."""


def carried_by(request: Request, *, id_key: str = "id") -> Carried:
    """What a request of the ready-made functions carries.

    The protocol is that of the lane which the request names in a header, else the last folder of the path, as in
    ``/api/1.0/<protocol>/push.json``. Beside ``api_key`` the body
    has one key: a record or a list of them, each with its id under ``id_key`` (push), or a list of
    ids (pull).
    """
    *_, folder, _ = ["", "", *request.path.split("/")]
    lane = unquote(request.headers.get("workmesh-lane", "").rpartition("/")[2])
    question, protocol = Carried(lane or None), lane or folder or None
    try:
        body = orjson.loads(request.body)
    except orjson.JSONDecodeError:
        return question
    payload = [value for key, value in body.items() if key != "api_key"] if isinstance(body, dict) else []
    items: Any = payload[0] if len(payload) == 1 else None
    match items:
        case dict():
            items = [items]
        case list() if items:
            pass
        case _:
            return question
    if all(isinstance(item, dict) for item in items):
        return Carried(protocol, "push", tuple(item[id_key] for item in items if id_key in item))
    return Carried(protocol, "pull", tuple(items))
