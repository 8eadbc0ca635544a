"""The inventory: the node documents of the Prefect server, all read in one call."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import BlockDocumentUpdate
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from pydantic import ValidationError

from workmesh_flows.blocks import WorkmeshNode
from workmesh_flows.domain.node import Inventory, NodeState
from workmesh_flows.errors import ServerUnreachable, UnknownName
from workmesh_flows.inventory.field_problems import describe_errors

SLUG = "workmesh-node"
ANSWER_SECONDS = 10.0
"""Timeout of the first request to a server; Prefect's own client waits six minutes for a server that hangs."""
FRESH_SECONDS = 10.0
"""Seconds for which the end of a run relies on the inventory that its lanes used."""
_inventory_of_block: ContextVar[tuple[Inventory, float] | None] = ContextVar(
    "workmesh_inventory_of_block", default=None
)
"""The inventory that `inventory_read_once` has read for the current block, and when, by the monotonic clock.

A context variable, since tasks take only names and numbers as arguments: they may run in another process, and an
inventory holds API keys. Prefect runs the tasks of this process in copies of the flow's context.
"""


@contextmanager
def inventory_read_once() -> Iterator[None]:
    """Read the inventory once for all tasks of the block.

    Lanes that this process runs then start without asking the Prefect server, even while the server is unreachable. A
    nested block uses the inventory of the outer one.
    """
    token = _inventory_of_block.set(_inventory_of_block.get() or (load_inventory(), time.monotonic()))
    try:
        yield
    finally:
        _inventory_of_block.reset(token)


def current_inventory() -> Inventory:
    """The inventory of the enclosing block; outside a block, and in other processes, it is read from the server."""
    read = _inventory_of_block.get()
    return load_inventory() if read is None else read[0]


def recent_inventory() -> Inventory:
    """The inventory of the enclosing block if it was read a moment ago; otherwise it is read again."""
    read = _inventory_of_block.get()
    return read[0] if read is not None and time.monotonic() - read[1] < FRESH_SECONDS else load_inventory()


def load_inventory() -> Inventory:
    """All nodes; a document that does not validate is listed among the problems under its name.

    Raises ServerUnreachable if the Prefect server cannot be reached.
    """
    documents = _documents()
    blocks, problems = _validated(documents)
    revisions = {document.name: f"{document.id} {document.updated}" for document in documents}
    nodes = {name: replace(block.to_node(name), revision=revisions[name]) for name, block in blocks.items()}
    return Inventory(nodes, problems)


def load_blocks() -> tuple[dict[str, WorkmeshNode], dict[str, str]]:
    """The valid blocks by name, and for each block that does not validate the reason, by name."""
    return _validated(_documents())


def _validated(documents: Iterable[_Document]) -> tuple[dict[str, WorkmeshNode], dict[str, str]]:
    blocks: dict[str, WorkmeshNode] = {}
    problems: dict[str, str] = {}
    for document in documents:
        try:
            blocks[document.name] = WorkmeshNode.model_validate(document.data)
        except ValidationError as error:
            problems[document.name] = describe_errors(error)
    return blocks, problems


def outdated_nodes() -> list[str]:
    """The nodes whose documents have the schema of an earlier version: their edit forms lack newer fields."""
    checksum = WorkmeshNode._calculate_schema_checksum()  # noqa: SLF001 - the only value by which Prefect compares schemas
    return sorted(document.name for document in _documents() if document.checksum != checksum)


def document_ids() -> dict[str, UUID]:
    """The id of each node's document, including documents that do not validate."""
    return {document.name: document.id for document in _documents(secrets=False)}


def set_node_state(name: str, state: NodeState) -> None:
    """Change only the state in a node's document; raises UnknownName if there is no such node."""
    with get_client(sync_client=True) as client:
        document = next((found for found in _documents() if found.name == name), None)
        if document is None:
            raise UnknownName("the mesh", "node", name, sorted(load_inventory().nodes))
        update = BlockDocumentUpdate(data={"state": state.value}, merge_existing_data=True)
        client.update_block_document(document.id, update)


def wait_for_server(seconds: float, waiting: Callable[[object], None] | None = None) -> None:
    """Wait until the Prefect server answers; raises ServerUnreachable if it does not within ``seconds``.

    ``waiting`` is called once, with the server's address, if the server does not answer the first request.
    """
    end = time.monotonic() + seconds
    with (
        temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 1}),
        get_client(sync_client=True, httpx_settings={"timeout": ANSWER_SECONDS}) as client,
    ):
        while (error := client.api_healthcheck()) is not None:
            if time.monotonic() >= end:
                raise ServerUnreachable(_unreachable(client.api_url, error)) from error
            if waiting is not None:
                waiting(client.api_url)
                waiting = None
            time.sleep(0.5)


def _unreachable(address: object, error: Exception) -> str:
    return (
        f"the Prefect server cannot be reached at {address}: {error}; start it (prefect server start), or set "
        "PREFECT_API_URL"
    )


@dataclass(frozen=True, slots=True)
class _Document:
    """A node's document as the server gives it; Prefect's own class takes as long to read a thousand as the server."""

    id: UUID
    name: str
    updated: str
    data: Mapping[str, Any]
    checksum: str


def _documents(*, secrets: bool = True) -> list[_Document]:
    path: Any = f"/block_types/slug/{SLUG}/block_documents"
    with get_client(sync_client=True) as client:
        try:
            answer = client.request("GET", path, params={"include_secrets": secrets}).json()
        except httpx.TransportError as error:
            raise ServerUnreachable(_unreachable(client.api_url, error)) from error
        except PrefectHTTPStatusError as error:
            if error.response.status_code != HTTPStatus.NOT_FOUND:
                raise
            return []  # the block type is not registered: no node has been saved yet
    return [
        _Document(
            UUID(found["id"]),
            found["name"],
            str(found["updated"]),
            found["data"],
            (found["block_schema"] or {}).get("checksum", ""),
        )
        for found in answer
        if found["name"] is not None
    ]
