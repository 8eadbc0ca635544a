"""A micro-service for the sample that accepts no record until a file appears: until then its lanes stay busy."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from workmesh_flows.microservice import MicroService

GATE = "WORKMESH_TEST_GATE"

gated = MicroService("micro.emails.timeline", version="1.0.0")


def wait_for_the_gate(record: dict[str, Any]) -> None:
    del record
    gate = Path(os.environ[GATE])
    while not gate.exists():
        time.sleep(0.05)


def score(record: dict[str, Any]) -> dict[str, Any]:
    del record
    return {"score": 1}


for name in ("delivery", "open", "click", "unsubscribe"):
    gated.protocol(name, check=wait_for_the_gate)(score)
