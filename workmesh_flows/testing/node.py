"""A real node for tests: the reference micro-service in its own process, and a client for it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import SecretStr

from workmesh_flows.adapters.node_http.client import node_client as http_client
from workmesh_flows.domain.calls import NodeClient
from workmesh_flows.domain.limits import Limits
from workmesh_flows.domain.node import Node
from workmesh_flows.errors import ConfigurationError
from workmesh_flows.microservice import MicroService, NodeProcess


@contextmanager
def running_node(
    microservice: MicroService | str,
    *,
    name: str = "n1",
    database: str | Path | None = None,
    **options: Any,  # noqa: ANN401 - the options of NodeProcess
) -> Iterator[NodeProcess]:
    """Serve a micro-service as a node on a free port of 127.0.0.1 for the length of a block.

    ``microservice`` is an attribute of an importable module, or its name as ``module:attribute``: the node's process
    imports it. Its database is deleted after the block unless a path is given. The node can be killed and started
    again; see `NodeProcess`, which also takes the other ``options``. Raises ConfigurationError or StartError.
    """
    reference = microservice if isinstance(microservice, str) else _reference(microservice)
    with TemporaryDirectory(prefix="workmesh-node-") as folder:
        path = Path(folder) / f"{name}.db" if database is None else database
        with NodeProcess(reference, database=path, name=name, **options) as process:
            yield process


def inventory_node(
    process: NodeProcess,
    *services: str,
    port: int | None = None,
    **more: Any,  # noqa: ANN401 - the fields of Node
) -> Node:
    """The inventory entry of a running node; pass the ``port`` of a proxy to send its requests through the proxy."""
    return Node(
        name=process.name,
        host="127.0.0.1",
        port=process.port if port is None else port,
        api_key=SecretStr(process.api_key),
        services=services,
        **more,
    )


@contextmanager
def node_client(node: Node, limits: Limits | None = None) -> Iterator[NodeClient]:
    """Open the client that push and pull functions get for a node; it is closed at the end of the block.

    Requests carry no lane and no epoch. Raises NodeMisconfigured for an invalid address.
    """
    with http_client(node, limits or Limits()) as client:
        yield client


def _reference(microservice: MicroService) -> str:
    for name, module in list(sys.modules.items()):
        if name not in {"__main__", "__mp_main__"}:  # another process knows these by other names
            for attribute, value in list(getattr(module, "__dict__", {}).items()):
                if value is microservice:
                    return f"{name}:{attribute}"
    raise ConfigurationError(
        f"{microservice!r} is no attribute of an importable module, so no other process can serve it; declare it in a "
        "module of its own, or pass 'module:attribute'"
    )
