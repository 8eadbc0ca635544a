"""The nodes of the soak: real processes, each behind a proxy that injects faults."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.reliability.soak.mail_mesh import SERVICE
from tests.reliability.soak.settings import Settings
from workmesh_flows.microservice import NodeProcess
from workmesh_flows.testing import TRANSIENT, Chaos, FaultyProxy, History, Unavailable

ROOT = Path(__file__).parents[3]
FAULTS = (*TRANSIENT, Unavailable(retry_after=1))
LOWEST, HIGHEST = 20_000, 32_000
"""Ports that the system assigns to no outgoing connection while a node is stopped."""
PARALLEL_STARTS = 4
"""Number of nodes that start at the same time."""


@dataclass(frozen=True, slots=True)
class ProxiedNode:
    """A node and its proxy."""

    process: NodeProcess
    proxy: FaultyProxy


@contextmanager
def running_nodes(settings: Settings, folder: Path, history: History) -> Iterator[list[ProxiedNode]]:
    """All nodes, running behind proxies that inject faults."""
    ports = _free_ports()
    with ExitStack() as stack:
        nodes = []
        for number in range(1, settings.nodes + 1):
            name = f"n{number:02}"
            process = NodeProcess(
                "tests.reliability.soak.mail_service:mail",
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
            nodes.append(ProxiedNode(process, stack.enter_context(proxy)))
        with ThreadPoolExecutor(PARALLEL_STARTS) as pool:
            list(pool.map(lambda node: node.process.start(), nodes))
        yield nodes


def _free_ports() -> Iterator[int]:
    """Ports that are free now; each process starts its search at a different port."""
    first = os.getpid() * 97
    for offset in range(HIGHEST - LOWEST):
        port = LOWEST + (first + offset) % (HIGHEST - LOWEST)
        if not _is_used(port):
            yield port


def _is_used(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return True
    return False
