"""The headers of a sender, and a node's answer to a sender that was replaced."""

from __future__ import annotations

from tests.microservice.caller import Answer


def sender(epoch: int | str, lane: str | None = None, **more: str) -> dict[str, str]:
    named = {} if lane is None else {"Workmesh-Lane": lane}
    return {"Workmesh-Epoch": str(epoch), **named, **more}


def stale(highest: int, given: int) -> Answer:
    status = f"stale epoch: this lane was pushed to under epoch {highest}, this request has epoch {given}"
    text = f'{{"status":"{status}","value":{{"epoch":{highest}}}}}'
    return Answer(412, status, {"epoch": highest}, text)
