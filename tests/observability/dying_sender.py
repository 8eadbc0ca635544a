"""A push whose events take their time, and that is killed as soon as it has kept what it told of."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any
from unittest.mock import patch

from prefect.events.worker import EventsWorker

from tests.support.shop_mesh import mesh
from workmesh_flows.adapters.store.conditions import save_changes
from workmesh_flows.flows import service_flows

handle = EventsWorker._handle


async def handle_slowly(worker: EventsWorker, event: Any) -> None:
    if event.event.startswith("workmesh."):
        await asyncio.sleep(1)
    await handle(worker, event)


def remember_and_die(*told: Any) -> None:
    save_changes(*told)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    with (
        patch.object(EventsWorker, "_handle", handle_slowly),
        patch("workmesh_flows.runs.conditions.remember", remember_and_die),
    ):
        service_flows(mesh, "shop.orders", module=__name__).push()
