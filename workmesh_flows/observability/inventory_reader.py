"""The inventory for a program that runs for a long time, also while the Prefect server does not answer."""

from __future__ import annotations

import logging
from concurrent.futures import Future
from contextvars import copy_context
from threading import Thread

from workmesh_flows.domain.node import Inventory
from workmesh_flows.errors import ConfigurationError
from workmesh_flows.inventory.documents import load_inventory, wait_for_server

logger = logging.getLogger(__name__)

ANSWER_SECONDS = 3.0
"""How long a reading waits for the Prefect server; Prometheus waits ten seconds for its whole answer."""


class InventoryReader:
    """Reads the inventory in a thread of its own, and remembers the last one; a new problem is a line of the log."""

    def __init__(self) -> None:
        self._last = Inventory({})
        self._reading: Future[Inventory] | None = None
        self._problem = ""

    def read(self) -> tuple[Inventory, bool]:
        """The inventory, and whether it is the present one, not the last known one."""
        problem = self._refresh()
        if problem and problem != self._problem:
            logger.warning("the nodes' blocks cannot be read: %s", problem)
        self._problem = problem
        return self._last, not problem

    def _refresh(self) -> str:
        """Read it; returns why that failed, empty if it did not."""
        from prefect.settings import get_current_settings

        if get_current_settings().api.url is None:  # Prefect would start a server of its own
            return "no Prefect server is set: set PREFECT_API_URL"
        if self._reading is None:
            self._reading = _start_reading()
        try:
            self._last = self._reading.result(ANSWER_SECONDS)
        except TimeoutError:
            if not self._reading.done():  # the next reading waits for the same answer
                return f"the Prefect server does not answer within {ANSWER_SECONDS:g} seconds"
            problem = "TimeoutError"
        except ConfigurationError as error:
            problem = str(error)
        except Exception as error:  # noqa: BLE001 - whatever Prefect's client raises
            problem = type(error).__name__
        else:
            problem = ""
        self._reading = None
        return problem


def _start_reading() -> Future[Inventory]:
    """Read in a daemon thread, so that a server that hangs cannot keep this process alive."""
    future = Future[Inventory]()

    def read() -> None:
        try:
            wait_for_server(0)
            future.set_result(load_inventory())
        except Exception as error:  # noqa: BLE001 - raised where the result is asked for
            future.set_exception(error)

    Thread(target=copy_context().run, args=(read,), name="workmesh-inventory", daemon=True).start()
    return future
