"""Types of the flows' parameters, made for the forms of Prefect's UIs.

A type with None in it makes a form ask for the type first ("int" or "None"): so a bound that is not set is 0, and a
text that is not given is empty.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from prefect.blocks.core import Block
from pydantic import BeforeValidator, Field, WithJsonSchema
from typing_extensions import TypeAliasType

from workmesh_flows.blocks.node import WorkmeshNode


def _name_of(chosen: object) -> object:
    """Of a block that was chosen in a form, its name; a name stays what it is."""
    return chosen._block_document_name if isinstance(chosen, Block) else chosen  # noqa: SLF001 - it has no other


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
"""The name of a node. A form shows the blocks of all nodes to choose from, those made since the deployment too; the
command line, the API and prefect.yaml give the name. (Prefect's server takes either for a definition of this form.)"""

Bound: TypeAlias = Annotated[int, Field(ge=0)]
"""At most so many; 0 is without end."""
Seconds: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False)]
"""For so long; 0 is without end."""
