"""The shape of the package: what it shows, how light it is, and an error tree that is what its drawing says."""

from __future__ import annotations

import inspect
import pickle
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

import workmesh_flows
from workmesh_flows import errors
from workmesh_flows.domain.reports import PushReport

PACKAGE = Path(workmesh_flows.__file__).parent
HEAVY = {"httpx", "pandas", "paramiko", "prefect"}
MOMENT = datetime(2026, 3, 1, 12, tzinfo=UTC)
ERRORS = {cls for _, cls in inspect.getmembers(errors, inspect.isclass) if cls.__module__ == errors.__name__}


def test_the_face_shows_these_names_in_order() -> None:
    assert workmesh_flows.__all__ == [
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
    ]
    assert workmesh_flows.__all__ == sorted(workmesh_flows.__all__)


def test_the_face_shows_nothing_else() -> None:
    public = {name for name in vars(workmesh_flows) if not name.startswith("_")}
    modules = {path.stem for path in PACKAGE.iterdir()}
    assert public - modules == set(workmesh_flows.__all__)


def test_importing_the_face_is_quick_and_loads_nothing_heavy() -> None:
    script = (
        "import sqlalchemy.orm, sys, time; began = time.perf_counter(); import workmesh_flows; "
        "print(time.perf_counter() - began, *{name.partition('.')[0] for name in sys.modules})"
    )
    said = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    seconds, *loaded = said.split()
    assert "workmesh_flows" in loaded
    assert HEAVY.isdisjoint(loaded)
    assert float(seconds) < 0.2


def test_no_logic_is_dug_out_of_a_task() -> None:
    files = sorted(PACKAGE.rglob("*.py"))
    assert len(files) > 20
    assert [str(path) for path in files if ".fn(" in path.read_text(encoding="utf-8")] == []


def test_the_drawing_of_the_error_tree_is_the_tree() -> None:
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
    (errors.UnknownName("node", "n9", ["n1", "n2"]), "there is no node 'n9'; known: n1, n2"),
    (errors.UnknownName("node", "n9", []), "there is no node 'n9'; known: none"),
    (errors.UnknownName("entity of s", "9"), "there is no entity of s '9'"),
    (errors.ConfigurationError("no database is set"), "no database is set"),
    (errors.NotFlagged("2 of 3 were not found again"), "2 of 3 were not found again"),
    (errors.ServerUnreachable("nothing listens"), "nothing listens"),
    (errors.StartError("the port is taken"), "the port is taken"),
    (
        errors.NoCapacity("s", "7", "every node is at its max_entities"),
        "no node of s has room for entity 7: every node is at its max_entities",
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
    (errors.BatchTooLarge("/push answers 413", node="n1"), "node n1: /push answers 413"),
    (errors.RecordRefused("no e-mail"), "no e-mail"),
    (errors.ConservationError("5 is not 4"), "5 is not 4"),
    (errors.RunFailed("1 lane stopped"), "1 lane stopped"),
]


@pytest.mark.parametrize(("error", "text"), [pytest.param(*row, id=type(row[0]).__name__) for row in RAISED])
def test_an_error_crosses_processes_whole(error: errors.WorkmeshError, text: str) -> None:
    assert str(error) == text
    arrived = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert type(arrived) is type(error)
    assert (str(arrived), arrived.args, vars(arrived)) == (text, error.args, vars(error))


def test_every_error_was_sent_across() -> None:
    assert {type(error) for error, _ in RAISED} == ERRORS
