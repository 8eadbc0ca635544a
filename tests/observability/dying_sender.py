"""A push whose events leave slowly, killed right after it has saved them as sent."""

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


def save_and_die(*changes: Any) -> None:
    save_changes(*changes)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    with (
        patch.object(EventsWorker, "_handle", handle_slowly),
        patch("workmesh_flows.runs.conditions.save_changes", save_and_die),
    ):
        service_flows(mesh, "shop.orders", module=__name__).push()
