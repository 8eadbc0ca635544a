"""A process that assigns accounts: ``python -m tests.operations.assignment.account_assigner DATABASE CAP SERVICE...``.

Two nodes have the cap, over all services. It prints how many entities got a node.
"""

from __future__ import annotations

import json
import sys

from tests.operations.processes import wait_for_go
from tests.support.accounts import account_mesh, inventory, node
from workmesh_flows.adapters.store.engine import open_engine
from workmesh_flows.operations.assignment.assign import assign


def main(database: str, cap: str, *services: str) -> None:
    engine, mesh = open_engine(database), account_mesh()
    caps = inventory(*(node(name, max_entities={"*": int(cap)}) for name in ("n1", "n2")))
    wait_for_go()
    sys.stdout.write(json.dumps(sum(assign(engine, mesh, name, caps).total for name in services)))


if __name__ == "__main__":
    main(*sys.argv[1:])
