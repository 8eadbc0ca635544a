"""A process that assigns shops: ``python -m tests.operations.assignment.assigner DATABASE MAX_ENTITIES``."""

from __future__ import annotations

import json
import sys

from pydantic import SecretStr

from tests.operations.processes import wait_for_go
from tests.support.shop import shop_mesh
from workmesh_flows.adapters.store.engine import open_engine
from workmesh_flows.domain.node import Inventory, Node
from workmesh_flows.operations.assignment.assign import assign


def inventory(max_entities: int) -> Inventory:
    """Three nodes with a cap each."""
    caps = {"shop.orders": max_entities}
    names = ("n1", "n2", "n3")
    return Inventory(
        {name: Node(name, "h", SecretStr("k"), ("shop.orders",), max_entities=caps) for name in names}
    )


def main(database: str, max_entities: str) -> None:
    engine = open_engine(database)
    wait_for_go()
    report = assign(engine, shop_mesh(), "shop.orders", inventory(int(max_entities)))
    sys.stdout.write(json.dumps({"assigned": report.total, "unassigned": report.unassigned}))


if __name__ == "__main__":
    main(*sys.argv[1:])
