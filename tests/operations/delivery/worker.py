"""A process that works lanes of orders: ``python -m tests.operations.delivery.worker '{"action": "push", ...}'``.

It prints the result of each lane at the end. With ``patience`` it retries for that number of seconds, as a schedule would.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr
from sqlalchemy import Engine

from tests.operations.processes import wait_for_go
from tests.support.shop import shop_service
from workmesh_flows.adapters.store.engine import open_engine
from workmesh_flows.domain.limits import Limits
from workmesh_flows.domain.node import Node
from workmesh_flows.errors import LaneBusy, LaneError, LaneStopped
from workmesh_flows.operations.delivery.lane_context import LaneContext
from workmesh_flows.operations.delivery.pull import pull_lane
from workmesh_flows.operations.delivery.push import push_lane


def main(order: Mapping[str, Any]) -> None:
    engine = open_engine(order["database"])
    wait_for_go()
    end = time.monotonic() + order["patience"]
    sys.stdout.write(json.dumps([_worked(engine, order, node, end) for node in order["nodes"]]))


def _worked(engine: Engine, order: Mapping[str, Any], node: Mapping[str, Any], end: float) -> dict[str, Any]:
    service = shop_service(batch_size=order["batch_size"])
    known = Node(node["name"], "127.0.0.1", SecretStr(node["api_key"]), ("shop.orders",), node["port"])
    limits = Limits(lease_seconds=order["lease_seconds"])
    work = LaneContext(engine, service, service.protocols[0], known, order["holder"], limits)
    while True:
        try:
            report = push_lane(work) if order["action"] == "push" else pull_lane(work)
            return {"outcome": "done", "selected": report.selected}
        except LaneError as error:
            again = isinstance(error, LaneBusy) or (isinstance(error, LaneStopped) and error.transient)
            if not again or time.monotonic() > end:
                return {"outcome": type(error).__name__}
            time.sleep(0.05)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
