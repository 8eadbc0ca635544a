"""Types of the fields that Prefect's UIs show as the form of a flow.

No type admits None: a form would ask for the type first ("int" or "None"). So 0 means no limit, and an empty text or
list means that nothing is chosen.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeAlias

from prefect.blocks.core import Block
from pydantic import BeforeValidator, Field, WithJsonSchema
from typing_extensions import TypeAliasType

from workmesh_flows.blocks.node import WorkmeshNode

EMPTY: Final[list[Any]] = []
"""Default of a list: Prefect's forms need a list, and no form changes the one that it gets."""


def _name_of(chosen: object) -> object:
    """The name of a block that was chosen in a form; a name is returned unchanged."""
    return chosen._block_document_name if isinstance(chosen, Block) else chosen  # noqa: SLF001 - has no public name


NodeName = TypeAliasType(
    "NodeName",
    Annotated[
        str,
        BeforeValidator(_name_of),
        WithJsonSchema(
            {"title": "NodeName", "type": "string", "block_type_slug": WorkmeshNode.get_block_type_slug()}
        ),
    ],
)
"""The name of a node. A form lists the blocks of all nodes, including nodes added after the deployment; the command
line, the API and prefect.yaml give the name. (With this schema, Prefect's server accepts a block or its name.)"""

Count: TypeAlias = Annotated[int, Field(ge=0)]
"""A maximum number; 0 means no limit."""
Seconds: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False)]
"""A duration; 0 means no limit."""
