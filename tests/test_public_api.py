"""The public API of the package, its import time, and the tree of errors with its drawing."""

from __future__ import annotations

import inspect
import pickle
import re
import subprocess
import sys
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import pytest

import workmesh_flows
from workmesh_flows import errors
from workmesh_flows.domain.reports import PushReport

PACKAGE = Path(workmesh_flows.__file__).parent
HEAVY = {"httpx", "pandas", "paramiko", "prefect"}
MOMENT = datetime(2026, 3, 1, 12, tzinfo=UTC)
ERRORS = {cls for _, cls in inspect.getmembers(errors, inspect.isclass) if cls.__module__ == errors.__name__}


PUBLIC = {
    "workmesh_flows": [
        "DefinitionError",
        "EntityNumber",
        "EntityWeight",
        "Flags",
        "Mesh",
        "NodeClient",
        "Protocol",
        "Pull",
        "Push",
        "RecordRefused",
        "RoundRobin",
        "Service",
        "WorkmeshError",
        "get",
        "post",
    ],
    "workmesh_flows.assignment": [
        "AssignReport",
        "MoveReport",
        "assign_entity",
        "assign_where",
        "assigned_node",
        "reassign_entity",
        "repush_entity",
    ],
    "workmesh_flows.blocks": ["ServiceLimits", "WorkmeshNode"],
    "workmesh_flows.errors": None,
    "workmesh_flows.flows": ["MeshFlows", "ServiceFlows", "mesh_flows", "service_flows"],
    "workmesh_flows.microservice": [
        "Arrival",
        "DefinitionError",
        "MicroService",
        "NodeApp",
        "NodeProcess",
        "RecordRefused",
        "StartError",
        "arrivals",
        "serve",
    ],
    "workmesh_flows.settings": ["PREFIX", "WorkmeshSettings", "read_settings"],
    "workmesh_flows.status": [
        "correct_counts",
        "lane_status",
        "moves_made",
        "node_history",
        "node_status",
        "refused_records",
        "service_history",
        "service_status",
    ],
    "workmesh_flows.testing": None,
}
"""The public modules, each with its names; None: a tree of errors, or a kit whose list is long."""
PRIVATE_FILES = {"mesh_database", "references"}
PRIVATE_ROOMS = {
    "adapters",
    "cli",
    "demo",
    "domain",
    "inventory",
    "observability",
    "operations",
    "planning",
    "reporting",
    "runs",
    "scaffold",
    "tasks",
}
REFERENCE = Path(__file__).parents[1] / "docs" / "reference"


def test_the_root_holds_the_public_modules_two_private_ones_and_the_rooms() -> None:
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    modules |= {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    public = {name.partition(".")[2] for name in PUBLIC} - {""}
    assert modules == public | PRIVATE_FILES | PRIVATE_ROOMS


def test_the_docstring_of_the_package_names_the_public_modules() -> None:
    named = set(re.findall(r"`(\w+)`", workmesh_flows.__doc__ or ""))
    assert named == {name.partition(".")[2] for name in PUBLIC} - {""}


@pytest.mark.parametrize("name", sorted(PUBLIC.keys() - {"workmesh_flows.errors"}))
def test_a_public_module_lists_its_names_in_order(name: str) -> None:
    module = import_module(name)
    names = PUBLIC[name] or module.__all__
    assert module.__all__ == names
    assert names == sorted(set(names), key=lambda one: (not one.isupper(), one[0].islower(), one))
    assert [one for one in names if not hasattr(module, one)] == []


def test_the_reference_documents_the_public_modules_and_no_other() -> None:
    pages = "\n".join(path.read_text(encoding="utf-8") for path in REFERENCE.glob("*.md"))
    entries = re.findall(r"^::: (\S+)$", pages, re.MULTILINE)
    documented = {
        f"workmesh_flows.{name}" for name in re.findall(r"^<!-- generated: (\w+) -->$", pages, re.MULTILINE)
    }
    for entry in entries:
        module, _, name = (entry, "", "") if entry in PUBLIC else entry.rpartition(".")
        assert module in PUBLIC, f"{entry} is private"
        assert not name or name in import_module(module).__all__, f"{entry} is not in __all__"
        documented.add(module)
    assert documented - {"workmesh_flows.commands"} == PUBLIC.keys()


@pytest.mark.parametrize("name", sorted(PUBLIC.keys() - {"workmesh_flows.errors", "workmesh_flows.settings"}))
def test_the_reference_documents_every_public_name(name: str) -> None:
    pages = "\n".join(path.read_text(encoding="utf-8") for path in REFERENCE.glob("*.md"))
    own = set(re.findall(rf"^::: {re.escape(name)}\.(\w+)$", pages, re.MULTILINE))
    members = re.search(rf"^::: {re.escape(name)}$(?:\n    .*)*members: \[(.*)\]", pages, re.MULTILINE)
    own |= set(members[1].split(", ")) if members else set()
    errors_of_it = {one for one in import_module(name).__all__ if hasattr(errors, one)}
    assert set(import_module(name).__all__) - own <= errors_of_it


def test_the_package_exports_nothing_else() -> None:
    public = {name for name in vars(workmesh_flows) if not name.startswith("_")}
    modules = {path.stem for path in PACKAGE.iterdir()}
    assert public - modules == set(workmesh_flows.__all__)


def test_importing_the_package_is_quick_and_loads_nothing_heavy() -> None:
    script = (
        "import sqlalchemy.orm, sys, time; began = time.perf_counter(); import workmesh_flows; "
        "print(time.perf_counter() - began, *{name.partition('.')[0] for name in sys.modules})"
    )
    output = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    seconds, *loaded = output.split()
    assert "workmesh_flows" in loaded
    assert HEAVY.isdisjoint(loaded)
    assert float(seconds) < 0.2


def test_no_code_calls_the_function_inside_a_task() -> None:
    files = sorted(PACKAGE.rglob("*.py"))
    assert len(files) > 20
    assert [str(path) for path in files if ".fn(" in path.read_text(encoding="utf-8")] == []


def test_the_drawing_of_the_error_tree_matches_the_classes() -> None:
    drawn, above = {}, dict[int, str]()
    for indent, name in re.findall(r"^( *)[*x+] ([A-Z]\w+)", errors.__doc__ or "", re.MULTILINE):
        above[len(indent)] = name
        drawn[name] = above.get(len(indent) - 2, "Exception")
    assert drawn == {cls.__name__: cls.__bases__[0].__name__ for cls in ERRORS}


RAISED: list[tuple[errors.WorkmeshError, str]] = [
    (errors.WorkmeshError("all is lost"), "all is lost"),
    (
        errors.DefinitionError("service 's'", ["one thing", "another"]),
        "service 's' is not a valid definition:\n  - one thing\n  - another",
    ),
    (errors.UnknownName("the mesh", "node", "n9", ["n1", "n2"]), "the mesh has no node 'n9'; it has: n1, n2"),
    (errors.UnknownName("the mesh", "node", "n9", []), "the mesh has no node 'n9'; it has: none"),
    (errors.UnknownName("service s", "entity", "9"), "service s has no entity '9'"),
    (errors.ConfigurationError("no database is set"), "no database is set"),
    (errors.NotFlagged("2 of 3 were not found again"), "2 of 3 were not found again"),
    (errors.ServerUnreachable("nothing listens"), "nothing listens"),
    (errors.StartError("the port is taken"), "the port is taken"),
    (
        errors.NoCapacity("s", "7", "every node is at its max_entities"),
        "no node of s has free capacity for entity 7: every node is at its max_entities",
    ),
    (
        errors.StalePlan("drain-1a2b", ["node n1 held 3 entities, now 4", "entity 7 is at n2, not at n1"]),
        (
            "plan drain-1a2b is stale; plan again. Since it was made:\n"
            "  - node n1 held 3 entities, now 4\n  - entity 7 is at n2, not at n1"
        ),
    ),
    (errors.StoreError("no such table"), "no such table"),
    (errors.StoreUnavailable("database is locked"), "database is locked"),
    (errors.LaneError("closed"), "closed"),
    (errors.LaneBusy("held by run 7", lane="s/p/n"), "lane s/p/n: held by run 7"),
    (errors.LanePaused("not before noon", lane="s/p/n", until=MOMENT), "lane s/p/n: not before noon"),
    (errors.LaneLost("the lease ran out", lane="s/p/n"), "lane s/p/n: the lease ran out"),
    (
        errors.LaneStopped(
            "it is down", lane="s/p/n", report=PushReport("p", "n", selected=2), transient=True
        ),
        "lane s/p/n: it is down",
    ),
    (errors.NodeError("odd"), "odd"),
    (errors.NodeUnavailable("no answer", node="n1", retry_at=MOMENT), "node n1: no answer"),
    (errors.NodeMisconfigured("wrong key", node="n1"), "node n1: wrong key"),
    (
        errors.StaleEpoch("sent to under a later epoch, 7", node="n1", epoch=7),
        "node n1: sent to under a later epoch, 7",
    ),
    (errors.RequestCrashed("/push answers 500", node="n1"), "node n1: /push answers 500"),
    (errors.UnreadableAnswer("/push is not JSON", node="n1"), "node n1: /push is not JSON"),
    (errors.BatchTooLarge("/push answers 413", node="n1"), "node n1: /push answers 413"),
    (errors.RecordRefused("no e-mail"), "no e-mail"),
    (errors.ConservationError("5 is not 4"), "5 is not 4"),
    (errors.RunFailed("1 lane stopped"), "1 lane stopped"),
]


@pytest.mark.parametrize(("error", "text"), [pytest.param(*row, id=type(row[0]).__name__) for row in RAISED])
def test_an_error_is_pickled_without_loss(error: errors.WorkmeshError, text: str) -> None:
    assert str(error) == text
    arrived = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert type(arrived) is type(error)
    assert (str(arrived), arrived.args, vars(arrived)) == (text, error.args, vars(error))


def test_every_error_class_is_pickled_by_a_test() -> None:
    assert {type(error) for error, _ in RAISED} == ERRORS
