"""Fields of the forms: the type of each, and the sentence that describes it."""

from __future__ import annotations

from typing import Annotated, TypeAlias, TypeVar

from pydantic import Field

from workmesh_flows.domain import option_texts as texts
from workmesh_flows.flows.form_types import Count, NodeName, Seconds
from workmesh_flows.planning.moves import Objective as PlanObjective

ProtocolName = TypeVar("ProtocolName")

DryAssign: TypeAlias = Annotated[bool, Field(description=texts.DRY_ASSIGN)]
AssignedEntities: TypeAlias = Annotated[
    list[str], Field(description=f"{texts.ASSIGNED_ENTITIES} One key per item.")
]
EntityLimit: TypeAlias = Annotated[Count, Field(description=texts.ENTITY_LIMIT)]
Reassign: TypeAlias = Annotated[bool, Field(description=texts.REASSIGN)]
RepushEntities: TypeAlias = Annotated[bool, Field(description=texts.REPUSH_ENTITIES)]

Force: TypeAlias = Annotated[bool, Field(description=texts.FORCE)]

Nodes: TypeAlias = Annotated[list[NodeName], Field(description=texts.NODES)]
Protocols: TypeAlias = Annotated[list[ProtocolName], Field(description=texts.PROTOCOLS)]
RecordLimit: TypeAlias = Annotated[Count, Field(description=texts.RECORD_LIMIT)]
PushSeconds: TypeAlias = Annotated[Seconds, Field(description=texts.SECONDS)]
Now: TypeAlias = Annotated[bool, Field(description=texts.NOW)]

Records: TypeAlias = Annotated[list[str], Field(description=f"{texts.RECORDS} One id per item.")]
RefusedEntities: TypeAlias = Annotated[
    list[str], Field(description=f"{texts.REFUSED_ENTITIES} One key per item.")
]
FailedRecords: TypeAlias = Annotated[bool, Field(description=texts.FAILED)]
Skip: TypeAlias = Annotated[bool, Field(description=texts.SKIP)]
PushAfterwards: TypeAlias = Annotated[bool, Field(description=texts.PUSH_AFTERWARDS)]

DryMoves: TypeAlias = Annotated[
    bool, Field(description="Only show and save the plan. Turn it off to move entities.")
]
PlanId: TypeAlias = Annotated[
    str, Field(description=f"{texts.PLAN} The artifact workmesh-plan shows the id. Empty: make a new plan.")
]
Tolerance: TypeAlias = Annotated[float, Field(ge=0, le=1, description=texts.TOLERANCE)]
Objective: TypeAlias = Annotated[PlanObjective, Field(description=texts.OBJECTIVE)]
Emergency: TypeAlias = Annotated[bool, Field(description=texts.EMERGENCY)]
Sources: TypeAlias = Annotated[list[NodeName], Field(description=texts.SOURCES)]
Pinned: TypeAlias = Annotated[list[str], Field(description=f"{texts.PINNED} One key per item.")]
MaxMoves: TypeAlias = Annotated[Count, Field(description=texts.MAX_MOVES)]
AtOnce: TypeAlias = Annotated[Count, Field(description=texts.AT_ONCE)]
RepushMoved: TypeAlias = Annotated[bool, Field(description=texts.REPUSH_MOVED)]

DrainedNodes: TypeAlias = Annotated[list[NodeName], Field(description=texts.DRAINED_NODES)]
OlderThan: TypeAlias = Annotated[str, Field(description=f"{texts.OLDER_THAN} Empty: the setting KEEP_DAYS.")]
DryPrune: TypeAlias = Annotated[bool, Field(description=texts.DRY_PRUNE)]

Revoke: TypeAlias = Annotated[bool, Field(description=f"{texts.REVOKE} The other fields are ignored.")]
