"""A node that accepts everything without work, so that only the sender's time is measured. Served by uvicorn."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

ANSWER = b'{"status":"success","value":""}'
EMPTY_QUEUE = b'{"status":"success","value":0}'


async def app(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Read the whole body and answer success."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    answer = EMPTY_QUEUE if scope["path"].endswith("/workload.json") else ANSWER
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})
