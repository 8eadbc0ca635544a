"""Headers of a sender, and what a node answers to one that was replaced."""

from __future__ import annotations

from tests.microservice.calling import Said


def sender(epoch: int | str, lane: str | None = None, **more: str) -> dict[str, str]:
    named = {} if lane is None else {"Workmesh-Lane": lane}
    return {"Workmesh-Epoch": str(epoch), **named, **more}


def stale(highest: int, given: int) -> Said:
    status = f"stale epoch: this lane has been sent to under epoch {highest}, this request has {given}"
    text = f'{{"status":"{status}","value":{{"epoch":{highest}}}}}'
    return Said(412, status, {"epoch": highest}, text)
