"""Writing nodes into the inventory: hundreds in seconds.

Prefect's own ``save`` registers the block type again and builds its schema some forty times for each block. The
result is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import BlockDocumentCreate, BlockDocumentUpdate
from prefect.exceptions import ObjectAlreadyExists

from workmesh_flows.blocks import WorkmeshNode
from workmesh_flows.inventory.documents import SLUG

if TYPE_CHECKING:
    from uuid import UUID

Write = Callable[[str, WorkmeshNode], None]


@contextmanager
def writing_nodes() -> Iterator[Write]:
    """Yield a function that writes a node under its name; it creates the document or overwrites it."""
    WorkmeshNode.register_type_and_schema(_sync=True)  # type: ignore[call-arg]  # Prefect's wrapper takes it
    type_id = cast("UUID", WorkmeshNode._block_type_id)  # noqa: SLF001 - set by the registration; has no public name
    schema_id = cast("UUID", WorkmeshNode._block_schema_id)  # noqa: SLF001 - set by the registration, too
    with get_client(sync_client=True) as client:

        def write(name: str, node: WorkmeshNode) -> None:
            dumped = node.model_dump(mode="json", context={"include_secrets": True})
            data = {field: dumped[field] for field in WorkmeshNode.model_fields}
            try:
                client.create_block_document(
                    BlockDocumentCreate(
                        name=name, data=data, block_type_id=type_id, block_schema_id=schema_id
                    )
                )
            except ObjectAlreadyExists:
                found = client.read_block_document_by_name(name, SLUG)
                client.update_block_document(
                    found.id,
                    BlockDocumentUpdate(data=data, block_schema_id=schema_id, merge_existing_data=False),
                )

        yield write
