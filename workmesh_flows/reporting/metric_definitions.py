"""The metrics of a mesh: the name, the type, the labels and the help text of each."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Definition(NamedTuple):
    """A metric: its name as Prometheus stores it, its type, its labels, and its help text."""

    name: str
    type: Literal["gauge", "counter"]
    labels: tuple[str, ...]
    help: str


STREAM = ("service", "protocol", "node")
LANE = (*STREAM, "direction")

UP = Definition(
    "workmesh_up",
    "gauge",
    (),
    "Whether the database of the mesh could be read; if not, most metrics are missing.",
)
INVENTORY_UP = Definition(
    "workmesh_inventory_up",
    "gauge",
    (),
    "Whether the nodes' blocks could be read from the Prefect server; if not, the last known ones are used.",
)
READ_AT = Definition(
    "workmesh_last_read_timestamp_seconds", "gauge", (), "When the values of this answer were read."
)
READ_SECONDS = Definition(
    "workmesh_last_read_duration_seconds", "gauge", (), "Time that it took to read the values of this answer."
)
PENDING = Definition(
    "workmesh_pending_records",
    "gauge",
    STREAM,
    "Records to be pushed, including refused ones; the node is empty where their entity has none.",
)
OLDEST = Definition(
    "workmesh_oldest_pending_record_timestamp_seconds",
    "gauge",
    STREAM,
    "Sort column of the oldest record that a push would send; missing if there is none or the column is not a time.",
)
IN_FLIGHT = Definition(
    "workmesh_in_flight_records",
    "gauge",
    STREAM,
    "Records that were pushed and whose results are not pulled yet.",
)
FAILED = Definition(
    "workmesh_failed_records",
    "gauge",
    STREAM,
    "Records that their node refused or could not process; they are pending or in flight, too.",
)
PARKED = Definition(
    "workmesh_parked_records",
    "gauge",
    STREAM,
    "Parked records: later records of their entities wait behind them.",
)
BLOCKING = Definition(
    "workmesh_blocking_records",
    "gauge",
    STREAM,
    "Blocking records: all records of their lane wait behind them.",
)
MISSING = Definition(
    "workmesh_missing_records", "gauge", STREAM, "Records in flight that their node does not have."
)
PUSHED = Definition(
    "workmesh_pushed_records_total",
    "counter",
    STREAM,
    "Records that the node accepted since the lane's first run.",
)
PROCESSED = Definition(
    "workmesh_processed_records_total",
    "counter",
    STREAM,
    "Records whose results were pulled from the node since the lane's first run; pushed ones if it has no pull.",
)
FAILED_ANSWERS = Definition(
    "workmesh_failed_answers_total",
    "counter",
    LANE,
    "Refusals and reports of failed records by the node since the lane's first run.",
)
ENTITIES = Definition(
    "workmesh_assigned_entities", "gauge", ("service", "node"), "Entities that are assigned to the node."
)
WEIGHT = Definition(
    "workmesh_assigned_weight",
    "gauge",
    ("service", "node"),
    "Weight of the node's entities by the service's criterion; their number if it weighs none.",
)
UNASSIGNED = Definition("workmesh_unassigned_entities", "gauge", ("service",), "Entities without a node.")
BREAKER = Definition(
    "workmesh_lane_breaker_state",
    "gauge",
    LANE,
    "State of the lane's circuit breaker: 0 closed, 1 half-open (the next batch decides), 2 open (a pause).",
)
LEASE = Definition(
    "workmesh_lane_lease_expiry_timestamp_seconds",
    "gauge",
    LANE,
    "When the lease of a held lane expires if its run does not renew it; missing if no run holds the lane.",
)
NODE = ("node",)
REACHABLE = Definition(
    "workmesh_node_reachable",
    "gauge",
    NODE,
    "Whether the node answered its last probe and accepted the API key.",
)
PROBED = Definition("workmesh_node_probe_timestamp_seconds", "gauge", NODE, "When the node was probed last.")
WORKLOAD = Definition(
    "workmesh_node_queue_records",
    "gauge",
    NODE,
    "Workload: length of the node's queue at its last probe; missing if the node did not report it.",
)
METRICS = (
    UP,
    INVENTORY_UP,
    READ_AT,
    READ_SECONDS,
    PENDING,
    OLDEST,
    IN_FLIGHT,
    FAILED,
    PARKED,
    BLOCKING,
    MISSING,
    PUSHED,
    PROCESSED,
    FAILED_ANSWERS,
    ENTITIES,
    WEIGHT,
    UNASSIGNED,
    BREAKER,
    LEASE,
    REACHABLE,
    PROBED,
    WORKLOAD,
)
"""All metrics of a mesh, in the order of an answer."""
