"""A real node for tests: the reference micro-service in a process of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import SecretStr

from workmesh_flows.domain.node import Node
from workmesh_flows.errors import ConfigurationError
from workmesh_flows.microservice import MicroService, NodeProcess


@contextmanager
def running_node(
    microservice: MicroService | str,
    *,
    name: str = "n1",
    database: str | Path | None = None,
    **options: Any,  # noqa: ANN401 - what NodeProcess takes
) -> Iterator[NodeProcess]:
    """A node that serves a micro-service on a free port of 127.0.0.1 for the length of a block.

    ``microservice`` is one that a module has as an attribute, or ``module:attribute``: the process imports it. Its
    database is removed with the block unless a path is given. It can be killed and started again; see `NodeProcess`,
    which also says what else may be given. Raises ConfigurationError or StartError.
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
    **more: Any,  # noqa: ANN401 - what Node takes
) -> Node:
    """A running node as the inventory of a master knows it; with the port of a proxy, as seen through that."""
    return Node(
        name=process.name,
        host="127.0.0.1",
        port=process.port if port is None else port,
        api_key=SecretStr(process.api_key),
        services=services,
        **more,
    )


def _reference(microservice: MicroService) -> str:
    for name, module in list(sys.modules.items()):
        if name not in {"__main__", "__mp_main__"}:  # other names, in another process
            for attribute, value in list(getattr(module, "__dict__", {}).items()):
                if value is microservice:
                    return f"{name}:{attribute}"
    raise ConfigurationError(
        f"{microservice!r} is no attribute of an importable module, so that no other process can serve it; declare it "
        "in a module of its own, or give module:attribute"
    )
