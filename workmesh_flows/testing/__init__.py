"""A testing kit for those who run a mesh, or write a micro-service for one: real sockets, processes and databases.

* `running_node` starts the reference micro-service as a node in a process of its own, `inventory_node` is how a
  master knows it. `work_through` assigns, pushes and pulls a mesh with such nodes until all is done.
* `FaultyProxy` stands between master and node, and breaks what passes: a *policy* gives each request a *fault*, or
  none. `Chaos` is a policy that does so at random, the same each time.
* `History` is a file in which everything that happened is written down by the proxy and the ``record_...``
  functions; what events it holds is in `workmesh_flows.testing.history.events`.
* `check_history` says which promises of delivery were broken: order, loss, doubles, a single sender for each lane,
  reports that add up, push times that increase. ``workmesh verify history.jsonl`` does the same in a terminal.
"""

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
from workmesh_flows.testing.history.verdict import Promise, Verdict, Violation
from workmesh_flows.testing.node import inventory_node, running_node
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
from workmesh_flows.testing.proxy.requests import Carried, Reading, Request, carried_by
from workmesh_flows.testing.work_through import MeshRun, work_through

__all__ = [
    "TRANSIENT",
    "ArrivalsRead",
    "BrokenHistory",
    "BrokenJson",
    "Carried",
    "Chaos",
    "DropAnswer",
    "EntityMoved",
    "Event",
    "Fault",
    "FaultyProxy",
    "HalfClose",
    "History",
    "Html",
    "LaneReported",
    "Latency",
    "MeshRun",
    "Policy",
    "Promise",
    "Reading",
    "RecordAccepted",
    "RecordDeleted",
    "RecordExists",
    "RecordReplayed",
    "RecordState",
    "Redirect",
    "Request",
    "RequestOutcome",
    "RequestSent",
    "Reset",
    "SlowBody",
    "Unavailable",
    "Verdict",
    "Violation",
    "carried_by",
    "check_history",
    "inventory_node",
    "read_history",
    "record_arrivals",
    "record_records",
    "record_report",
    "record_state",
    "running_node",
    "work_through",
]
