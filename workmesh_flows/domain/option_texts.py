"""What each option of a run means, in one sentence for both the flows' forms and the command line."""

from __future__ import annotations

DRY_ASSIGN = (
    "Only show how many entities each node would get; the artifact workmesh-plan names them. Not for named "
    "entities."
)
ASSIGNED_ENTITIES = "Assign only these entities, given by key. Default: all that have no node."
ENTITY_LIMIT = "Assign at most this many entities. 0: all that have no node."
REASSIGN = (
    "Move the named entities to other nodes. An entity keeps its node if no other node has free capacity."
)
REPUSH_ENTITIES = "Send all data of the named entities again, from the beginning."

FORCE = (
    "Also use nodes that do not work: unreachable, with a wrong API key, or without the service. Default: they "
    "get no entities."
)

NODES = "Only lanes of these nodes. Default: all nodes that hold entities."
PROTOCOLS = "Only these protocols. Default: all, in declared order."
RECORD_LIMIT = (
    "Push at most this many records per lane (one protocol to one node). 0: all pending at the start."
)
SECONDS = "Start no batch in a lane after this many seconds of pushing. 0: no limit."
NOW = "Skip back-off: also run lanes that are paused by a circuit breaker or at the request of their node."

RECORDS = (
    "Only these records, given by id. Default, if no entities are named either: all parked and blocking records, "
    "or all failed ones."
)
REFUSED_ENTITIES = "Only the refused records (with failed: the failed ones) of these entities, given by key."
FAILED = (
    "Send failed records again, all or the named ones: their nodes accepted them and could not process them. "
    "A node processes a record once for each replay."
)
SKIP = "Skip the named records: they are never sent again, and records waiting behind them are released."
PUSH_AFTERWARDS = "Push all lanes of these protocols afterwards."

PLAN = "Apply the plan with this id, made by an earlier dry run; refused if the plan is stale."
TOLERANCE = "How far above its even share a node may stay, from 0 to 1; 0.01 is 1 %."
OBJECTIVE = "weight: move the least weight. moves: make the fewest moves."
EMERGENCY = "Only relieve nodes that exceed a cap."
SOURCES = "Only move entities away from these nodes. Default: from any node."
PINNED = "Entities that stay on their nodes, given by key."
MAX_MOVES = "Make at most this many moves per service. 0: as many as needed."
AT_ONCE = "At most this many moves out of a node, and into a node, at a time. 0: as the caps allow."
REPUSH_MOVED = "Send all data of the moved entities again, from the beginning, not only what was not pulled."

DRAINED_NODES = "The nodes to empty, at least one."
REVOKE = "Undo a drain: the nodes take entities again, and a running drain stops. Finished moves stay."

OLDER_THAN = "Delete what is older than this: hours, days or weeks, such as 12h, 30d or 8w."
DRY_PRUNE = "Only count what would be deleted."
