"""A process that drains a node: ``python -m tests.operations.moves.drainer '{"database": ..., "die_at": "moved", ...}'``.

It kills itself with SIGKILL at the given occurrence of a step. It applies the plan by the code that runs use; only the
nodes of a wave are processed by plain calls, one after the other, in place of Prefect tasks.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import SecretStr

from tests.operations.processes import wait_for_go
from tests.support.shop import shop_mesh
from workmesh_flows.adapters.store.engine import open_engine
from workmesh_flows.domain.limits import Limits
from workmesh_flows.domain.node import Inventory, Node, NodeState
from workmesh_flows.operations.moves import hand_over
from workmesh_flows.operations.moves.apply import MovesMade, apply_plan, hand_over_wave
from workmesh_flows.operations.moves.move_context import MoveContext
from workmesh_flows.operations.moves.plan import DrainRequest, finish_plan, make_plan, start_plan

SERVICE = "shop.orders"


def main(order: Mapping[str, Any]) -> None:
    seen = Counter[str]()

    def on_step(step: str) -> None:
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
    on_step("plan saved")
    context = MoveContext(
        engine,
        mesh,
        mesh.service(SERVICE),
        lambda: inventory,
        holder="a drain",
        limits=Limits(lease_seconds=order["lease_seconds"]),
        settle_seconds=0,
        wait_seconds=30,
        on_step=on_step,
    )

    def run_wave(wave: int, sources: Sequence[str]) -> MovesMade:
        return MovesMade([hand_over_wave(context, plan, wave, source) for source in sources])

    made = apply_plan(
        plan,
        run_wave,
        start=lambda: start_plan(engine, mesh, plan.id, inventory),
        finish=lambda _: finish_plan(engine, plan.id),
        on_step=on_step,
    )
    sys.stdout.write(json.dumps({"moved": made.moved, "steps": seen}))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
