"""A testing kit for a mesh and for the micro-services of its nodes: real sockets, processes and databases, no mocks.

* `running_node` starts a micro-service as a node in a separate process, `inventory_node` describes this node for a
  master, and `node_client` sends requests to it. `run_mesh` assigns, pushes and pulls a mesh with such nodes until
  all records are processed; `push_once` and `pull_once` run one lane once.
* `FaultyProxy` forwards requests from a master to a node; its *policy* returns a *fault* for each request, or None.
  `Chaos` is a policy that chooses faults at random, the same ones for the same seed.
* `History` is a file to which the proxy and the ``record_...`` functions write events; they are defined in
  `workmesh_flows.testing.history.events`.
* `check_history` reports every broken guarantee of delivery: ordering, loss, duplicates, single sender per lane,
  totals, push times. ``workmesh verify history.jsonl`` does the same in a terminal.
"""

from workmesh_flows.domain.limits import Limits
from workmesh_flows.testing.history.check import check_history
from workmesh_flows.testing.history.events import (
    ArrivalsRead,
    EntityMoved,
    Event,
    LaneReported,
    RecordAccepted,
    RecordDeleted,
    RecordExists,
    RecordReplayed,
    RecordState,
    RequestOutcome,
    RequestSent,
)
from workmesh_flows.testing.history.file import BrokenHistory, History, read_history
from workmesh_flows.testing.history.recording import (
    record_arrivals,
    record_records,
    record_report,
    record_state,
)
from workmesh_flows.testing.history.verdict import Guarantee, Verdict, Violation
from workmesh_flows.testing.lane_run import pull_once, push_once
from workmesh_flows.testing.mesh_run import MeshRun, run_mesh
from workmesh_flows.testing.node import inventory_node, node_client, running_node
from workmesh_flows.testing.proxy.faults import (
    TRANSIENT,
    BrokenJson,
    Chaos,
    DropAnswer,
    Fault,
    HalfClose,
    Html,
    Latency,
    Policy,
    Redirect,
    Reset,
    SlowBody,
    Unavailable,
)
from workmesh_flows.testing.proxy.proxy import FaultyProxy
from workmesh_flows.testing.proxy.requests import Request, RequestContent, RequestParser, parse_request

__all__ = [
    "TRANSIENT",
    "ArrivalsRead",
    "BrokenHistory",
    "BrokenJson",
    "Chaos",
    "DropAnswer",
    "EntityMoved",
    "Event",
    "Fault",
    "FaultyProxy",
    "Guarantee",
    "HalfClose",
    "History",
    "Html",
    "LaneReported",
    "Latency",
    "Limits",
    "MeshRun",
    "Policy",
    "RecordAccepted",
    "RecordDeleted",
    "RecordExists",
    "RecordReplayed",
    "RecordState",
    "Redirect",
    "Request",
    "RequestContent",
    "RequestOutcome",
    "RequestParser",
    "RequestSent",
    "Reset",
    "SlowBody",
    "Unavailable",
    "Verdict",
    "Violation",
    "check_history",
    "inventory_node",
    "node_client",
    "parse_request",
    "pull_once",
    "push_once",
    "read_history",
    "record_arrivals",
    "record_records",
    "record_report",
    "record_state",
    "run_mesh",
    "running_node",
]
