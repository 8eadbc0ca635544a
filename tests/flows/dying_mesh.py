"""A mesh whose push kills the process that runs the lane, as the loss of its machine would."""

from __future__ import annotations

import os
import signal

from tests.support.shop import PUSH_FLAGS, Order, shop_service
from workmesh_flows import Mesh, NodeClient, Push


def dying(records: list[Order], node: NodeClient) -> None:
    del records, node
    os.kill(os.getpid(), signal.SIGKILL)


mesh = Mesh([shop_service(push=Push(dying, flags=PUSH_FLAGS, batch_size=10))])
