"""Prepares what a page requires: a database, nodes, a project. Each function prepares one page."""

from __future__ import annotations

import importlib
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pydantic import SecretStr
from sqlalchemy import create_engine, make_url

from tests.docs.running import Reader
from tests.docs.shell import wait_for_nodes
from tests.support.own_tables import create_release_0_1_0
from tests.support.prefect_api import api_client, post
from tests.support.schema_findings import run
from tests.testing.history.event_makers import accepted, record, state
from workmesh_flows.adapters.store.engine import open_engine
from workmesh_flows.blocks import WorkmeshNode
from workmesh_flows.demo.models import Base
from workmesh_flows.domain.limits import Limits
from workmesh_flows.inventory.documents import load_inventory
from workmesh_flows.operations.check import check_mesh, missing_ddl
from workmesh_flows.operations.delivery.lane_context import LaneContext
from workmesh_flows.operations.delivery.pull import pull_lane
from workmesh_flows.operations.delivery.push import push_lane
from workmesh_flows.scaffold import write_project
from workmesh_flows.testing import History, running_node

SERVER = "http://127.0.0.1:4200"
"""Address of the Prefect server on the pages."""
POSTGRESQL = "postgresql+psycopg://user:password@host/name"
"""Address of a database on the pages."""


def fresh(api: str) -> None:
    """Delete what pages and other tests leave on the Prefect server: deployments, automations, the work pool."""
    for kind in ("deployments", "automations"):
        for found in post(api, f"/{kind}/filter"):
            api_client.delete(f"{api}/{kind}/{found['id']}").raise_for_status()
    api_client.delete(f"{api}/work_pools/workmesh")


def nothing(reader: Reader) -> None:
    """Prepare nothing: the page itself creates what it needs."""


def readme(reader: Reader) -> None:
    """Prepare a project with three nodes, whose accounts are assigned to one of them."""
    project(reader)
    for name in ("n1", "n3", "n4"):
        running(reader, name)
    engine = create_engine(reader.database)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE account SET scoring_node = 'n1'")
    engine.dispose()


def tutorial(reader: Reader) -> None:
    reader.database = f"sqlite:///{reader.folder / 'saas.db'}"
    reader.replaced |= {"8081": free_port(), "8082": free_port()}


def a_port(reader: Reader) -> None:
    reader.replaced["8080"] = free_port()


def deploying(reader: Reader) -> None:
    """Write the project; the page overwrites some of its files."""
    write_project(reader.folder, "my_saas")
    reader.replaced[POSTGRESQL] = f"sqlite:///{reader.folder / 'saas.db'}"


def served(reader: Reader) -> None:
    """Deploy the project's push."""
    from prefect.deployments.runner import RunnerDeployment

    deploying(reader)
    RunnerDeployment.from_entrypoint("my_saas.deployments.leads_scoring:push", name="scoring-push").apply()


def operated(reader: Reader, limits: Limits = Limits()) -> None:  # noqa: B008 - Limits is immutable
    """Prepare a project with one node that refused two records; it processed all records that do not wait behind these."""
    (reader.folder / "strict.py").write_text(STRICT)
    project(reader)
    running(reader, "n1", "strict:app")
    engine = open_engine(reader.database)
    with imported("my_saas.mesh") as module, engine.begin() as connection:
        connection.exec_driver_sql("UPDATE account SET scoring_node = 'n1'")
    (service,) = module.mesh.services
    node = load_inventory().node("n1")
    context = LaneContext(engine, service, service.protocols[0], node, "a run before", limits)
    push_lane(context)
    wait_for_nodes()
    pull_lane(context)
    engine.dispose()


def monitored(reader: Reader) -> None:
    """Prepare the same; the metrics are served on a free port."""
    operated(reader)
    reader.replaced["9469"] = free_port()


def has_parked(reader: Reader) -> None:
    """Prepare the same; the first refusal parks a record."""
    reader.shell.environment["PREFECT_INTEGRATIONS_WORKMESH_MAX_ATTEMPTS"] = "1"
    operated(reader, Limits(max_attempts=1))


def on_postgresql(reader: Reader) -> None:
    """Create the demo's tables on PostgreSQL; the page's address uses the role that the page creates."""
    url = reader.postgresql()
    reader.database = url
    role = make_url(url).set(username="workmesh", password="a-long-one")
    shown = POSTGRESQL.replace("user:password", "workmesh:a-long-one")
    reader.replaced[shown] = role.render_as_string(hide_password=False)
    engine = create_engine(url)
    Base.metadata.create_all(engine)
    engine.dispose()
    reader.shell.environment["PREFECT_INTEGRATIONS_WORKMESH_MESH"] = "workmesh_flows.demo.mesh:mesh"


def recorded(reader: Reader) -> None:
    """Write a short history, and create the demo's tables."""
    with History(reader.folder / "history.jsonl") as history:
        for event in (record(1), accepted(1, 1), state(1)):
            history.write(event)
    on_sqlite(reader)


def on_sqlite(reader: Reader) -> None:
    """Create the demo's tables on SQLite; the pages call its module `my_saas.mesh`."""
    url = f"sqlite:///{reader.folder / 'demo.db'}"
    engine = create_engine(url)
    Base.metadata.create_all(engine)
    engine.dispose()
    reader.replaced["my_saas.mesh:mesh"] = "workmesh_flows.demo.mesh:mesh"
    reader.shell.environment |= {
        "PREFECT_INTEGRATIONS_WORKMESH_MESH": "workmesh_flows.demo.mesh:mesh",
        "PREFECT_INTEGRATIONS_WORKMESH_DATABASE_URL": url,
    }


def contract(reader: Reader) -> None:
    """Start the node that receives the page's requests."""
    (reader.folder / "scores.py").write_text(SCORES)
    key = "0f8fad5b-d9cb-469f-a165-70867728950e"
    process = running_node("scores:app", import_from=[reader.folder], api_key=key)
    reader.node = reader.stage.enter_context(process).url


def upgraded(reader: Reader) -> None:
    """Prepare a project with a node, whose database has the Workmesh tables of release 0.1.0 and the recommended indexes."""
    project(reader)
    running(reader, "n1")
    engine = create_engine(reader.database)
    create_release_0_1_0(engine)
    with imported("my_saas.mesh") as module:
        run(engine, *missing_ddl(check_mesh(engine, module.mesh)))
    reader.module.__dict__["engine"] = engine


STRICT = """
from workmesh_flows.microservice import MicroService, RecordRefused

app = MicroService("leads.scoring", version="0.1.0")


def check(lead):
    if lead["id"] in (471, 472):
        raise RecordRefused("its address is not one")


@app.protocol("lead", check=check)
def score(lead):
    return {"score": len(lead["email"])}
"""
"""A micro-service that refuses two records."""

SCORES = """
from workmesh_flows.microservice import MicroService, RecordRefused

app = MicroService("leads.scoring", version="1.0.0")


def check(lead):
    if "@" not in lead["email"]:
        raise RecordRefused("email has no @")


@app.protocol("lead", check=check)
def score(lead):
    if lead["email"].startswith("cem"):
        raise ValueError("cem has no score")
    return {"score": len(lead["email"])}
"""

STAGES: dict[str, Callable[[Reader], None]] = {
    "README.md": readme,
    "docs/database.md": on_sqlite,
    "docs/delivery.md": has_parked,
    "docs/deploying.md": deploying,
    "docs/events.md": served,
    "docs/metrics.md": monitored,
    "docs/microservice.md": a_port,
    "docs/operating.md": operated,
    "docs/postgresql.md": on_postgresql,
    "docs/scripting.md": operated,
    "docs/testing.md": recorded,
    "docs/tutorial.md": tutorial,
    "docs/upgrading.md": upgraded,
    "docs/wire.md": contract,
}


def project(reader: Reader) -> None:
    """Write the project of `workmesh init my_saas`, with its sample data."""
    write_project(reader.folder, "my_saas")
    with imported("my_saas.sample") as sample:
        sample.write_sample()
    reader.database = f"sqlite:///{reader.folder / 'saas.db'}"
    reader.shell.environment["PREFECT_INTEGRATIONS_WORKMESH_MESH"] = "my_saas.mesh:mesh"


def running(reader: Reader, name: str, microservice: str = "my_saas.micro:app") -> None:
    """Start a node and register its block."""
    process = reader.stage.enter_context(running_node(microservice, import_from=[reader.folder]))
    WorkmeshNode(
        host="127.0.0.1",
        port=process.port,
        api_key=SecretStr(process.api_key),
        services=["leads.scoring"],
    ).save(name, overwrite=True)


@contextmanager
def imported(name: str) -> Iterator[Any]:
    """Import a module of the page's folder, and unload its package afterwards: the page imports it again."""
    known = set(sys.modules)
    yield importlib.import_module(name)
    package = name.partition(".")[0]
    for module in set(sys.modules) - known:
        if module.partition(".")[0] == package:
            del sys.modules[module]


def free_port() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])
