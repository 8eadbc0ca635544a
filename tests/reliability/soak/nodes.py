"""The nodes of the soak: real processes, each behind a proxy that breaks things."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.reliability.soak.settings import Settings
from tests.reliability.soak.world import SERVICE
from workmesh_flows.microservice import NodeProcess
from workmesh_flows.testing import TRANSIENT, Chaos, FaultyProxy, History, Unavailable

ROOT = Path(__file__).parents[3]
FAULTS = (*TRANSIENT, Unavailable(retry_after=1))
LOWEST, HIGHEST = 20_000, 32_000
"""Ports that no outgoing connection takes while a node is down."""
AT_ONCE = 4
"""Nodes that start at the same time."""


@dataclass(frozen=True, slots=True)
class Behind:
    """A node behind its proxy."""

    process: NodeProcess
    proxy: FaultyProxy


@contextmanager
def running_nodes(settings: Settings, folder: Path, history: History) -> Iterator[list[Behind]]:
    """All nodes, up and behind proxies that break things."""
    ports = _free_ports()
    with ExitStack() as stack:
        nodes = []
        for number in range(1, settings.nodes + 1):
            name = f"n{number:02}"
            process = NodeProcess(
                "tests.reliability.soak.micro:mail",
                database=folder / f"{name}.db",
                name=name,
                port=next(ports),
                import_from=[ROOT],
            )
            stack.callback(process.kill)
            proxy = FaultyProxy(
                process.url,
                Chaos(settings.seed * 1_000 + number, settings.fault_rate, FAULTS),
                port=next(ports),
                history=history,
                service=SERVICE,
                node=name,
            )
            nodes.append(Behind(process, stack.enter_context(proxy)))
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda node: node.process.start(), nodes))
        yield nodes


def _free_ports() -> Iterator[int]:
    """Ports that are free now; where the search begins differs from process to process."""
    first = os.getpid() * 97
    for offset in range(HIGHEST - LOWEST):
        port = LOWEST + (first + offset) % (HIGHEST - LOWEST)
        if not _taken(port):
            yield port


def _taken(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return True
    return False
