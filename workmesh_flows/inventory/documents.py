"""The inventory: all node documents of the Prefect server, read in one call."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from http import HTTPStatus
from uuid import UUID

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import BlockDocumentUpdate
from prefect.client.schemas.objects import BlockDocument
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from pydantic import ValidationError

from workmesh_flows.blocks import WorkmeshNode
from workmesh_flows.domain.node import Inventory, NodeState
from workmesh_flows.errors import ServerUnreachable, UnknownName

SLUG = "workmesh-node"
ANSWER_SECONDS = 10.0
"""For the first answer of a server; Prefect's own patience with one that hangs is six minutes."""
_kept: ContextVar[Inventory | None] = ContextVar("workmesh_kept_inventory", default=None)
_OURS = "Value error, "
"""What pydantic writes before a sentence of ours."""


@contextmanager
def inventory_read_once() -> Iterator[None]:
    """Read the inventory once for the tasks of a block.

    Lanes that this process works begin without asking the Prefect server, also while it is away. A block within
    another one keeps what that one read.
    """
    before = _kept.set(current_inventory())
    try:
        yield
    finally:
        _kept.reset(before)


def current_inventory() -> Inventory:
    """The inventory of the block around; in another process, or outside of a block, what the server has now."""
    kept = _kept.get()
    return load_inventory() if kept is None else kept


def load_inventory() -> Inventory:
    """All nodes; a document that does not validate is reported under its name and hides no other one.

    Raises ServerUnreachable where the Prefect server cannot be reached.
    """
    blocks, problems = load_blocks()
    return Inventory({name: block.to_node(name) for name, block in blocks.items()}, problems)


def load_blocks() -> tuple[dict[str, WorkmeshNode], dict[str, str]]:
    """The blocks of all nodes by name, and by name what is wrong with those that do not validate."""
    blocks: dict[str, WorkmeshNode] = {}
    problems: dict[str, str] = {}
    for document in _documents():
        if document.name is None:
            continue
        try:
            blocks[document.name] = WorkmeshNode.model_validate(document.data)
        except ValidationError as error:
            problems[document.name] = describe_errors(error)
    return blocks, problems


def outdated_nodes() -> list[str]:
    """The nodes whose documents have the form of an earlier version: new fields are missing in their edit form."""
    checksum = WorkmeshNode._calculate_schema_checksum()  # noqa: SLF001 - Prefect compares schemas by nothing else
    return sorted(
        document.name
        for document in _documents()
        if document.name is not None and _schema_of(document) != checksum
    )


def document_ids() -> dict[str, UUID]:
    """The id of each node's document, also of those that do not validate."""
    return {document.name: document.id for document in _documents(secrets=False) if document.name}


def set_node_state(name: str, state: NodeState) -> None:
    """Change a node's state in its document, and nothing else of it; raises UnknownName."""
    with get_client(sync_client=True) as client:
        document = next((found for found in _documents() if found.name == name), None)
        if document is None:
            raise UnknownName("node", name, sorted(load_inventory().nodes))
        update = BlockDocumentUpdate(data={"state": state.value}, merge_existing_data=True)
        client.update_block_document(document.id, update)


def wait_for_server(seconds: float, waiting: Callable[[object], None] | None = None) -> None:
    """Until the Prefect server answers; raises ServerUnreachable where it does not within so many seconds.

    ``waiting`` is told its address, once, where it does not answer at once.
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


def _documents(*, secrets: bool = True) -> list[BlockDocument]:
    with get_client(sync_client=True) as client:
        try:
            return client.read_block_documents_by_type(SLUG, include_secrets=secrets)
        except httpx.TransportError as error:
            raise ServerUnreachable(_unreachable(client.api_url, error)) from error
        except PrefectHTTPStatusError as error:
            if error.response.status_code != HTTPStatus.NOT_FOUND:
                raise
            return []  # the type is not registered: no node was ever saved


def _schema_of(document: BlockDocument) -> str | None:
    return document.block_schema.checksum if document.block_schema else None


def describe_errors(error: ValidationError) -> str:
    """What is wrong, field by field, without the values: one of them may be a key."""
    return "; ".join(
        f"{'.'.join(str(part) for part in problem['loc']) or 'node'}"
        f"{' is not filled in' if problem['type'] == 'missing' else ': ' + problem['msg'].removeprefix(_OURS)}"
        for problem in error.errors(include_input=False, include_url=False, include_context=False)
    )
