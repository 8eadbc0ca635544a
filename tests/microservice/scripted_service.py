"""A micro-service whose records hold what it does with them: refuse, fail, wait, exit, and so on."""

import os
import sys
import time
from pathlib import Path
from typing import Any

from workmesh_flows.microservice import MicroService, RecordRefused

HALF = "\ud83d"
"""Half an emoji, as in a text that was cut at the wrong place; it cannot be encoded as JSON."""

scripted = MicroService("micro.scripted", version="2.3.4")


def check(record: dict[str, Any]) -> None:
    if "refuse" in record:
        raise RecordRefused(record["refuse"].replace("HALF", HALF))
    if "bug_on" in record:
        int(record["bug_on"])  # the text of a ValueError quotes what was sent
    time.sleep(record.get("check", 0))
    if "hold" in record:  # until the test removes the file
        (held := Path(record["hold"])).touch()
        while held.exists():
            time.sleep(0.005)
    record.clear()  # the original record is stored, whatever a check does to it


@scripted.protocol("delivery", check=check)
def deliver(record: dict[str, Any]) -> dict[str, Any] | None:
    if calls := os.environ.get("CALLS"):
        with Path(calls).open("a", encoding="utf-8") as log:
            log.write(f"{record['id']}\n")
    time.sleep(record.get("sleep", 0))
    if "fail" in record:
        raise ValueError(record["fail"].replace("HALF", HALF))
    if record.get("exit"):
        sys.exit(3)
    result: dict[str, Any] | None = record.get("result", {"of": record["id"]})
    return result


@scripted.protocol("open", id="key")
def count_open(record: dict[str, Any]) -> dict[str, Any]:
    return {"opened": record["key"]}


@scripted.protocol("odd")
def give_something_odd(record: dict[str, Any]) -> Any:
    return {"fine": {1, 2}, "word": 1 + 2j} if record.get("unwritable") else 7
