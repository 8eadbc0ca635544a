"""A process that drains a node: ``python -m tests.operations.moves.drainer '{"database": ..., "die_at": "moved", ...}'``.

It kills itself, as ``kill -9`` would, when it comes to a step for the so-many-th time.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from tests.operations.processes import wait_for_go
from tests.support.shop import shop_mesh
from workmesh_flows.adapters.store.engine import open_engine
from workmesh_flows.domain.limits import Limits
from workmesh_flows.domain.node import Inventory, Node, NodeState
from workmesh_flows.operations.moves import hand_over
from workmesh_flows.operations.moves.apply import apply_plan
from workmesh_flows.operations.moves.move_context import MoveContext
from workmesh_flows.operations.moves.plan import DrainRequest, make_plan

SERVICE = "shop.orders"


def main(order: Mapping[str, Any]) -> None:
    seen = Counter[str]()

    def told(step: str) -> None:
        seen[step] += 1
        if [step, seen[step]] == order["die_at"]:
            os.kill(os.getpid(), signal.SIGKILL)

    hand_over.MOVED_AT_ONCE = 2
    nodes = {
        node["name"]: Node(
            node["name"],
            "127.0.0.1",
            SecretStr(node["api_key"]),
            (SERVICE,),
            node["port"],
            state=NodeState.DRAINING if node["name"] == "n1" else NodeState.ACTIVE,
        )
        for node in order["nodes"]
    }
    inventory, mesh, engine = Inventory(nodes), shop_mesh(), open_engine(order["database"])
    wait_for_go()
    plan = make_plan(engine, mesh, SERVICE, inventory, DrainRequest(["n1"], at_once=3))
    told("planned")
    moving = MoveContext(
        engine,
        mesh,
        mesh.service(SERVICE),
        lambda: inventory,
        holder="a drain",
        limits=Limits(lease_seconds=order["lease_seconds"]),
        settle_seconds=0,
        wait_seconds=30,
        revocable=True,
        told=told,
    )
    reports = apply_plan(moving, plan)
    sys.stdout.write(json.dumps({"moved": sum(report.moved for report in reports), "steps": seen}))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
