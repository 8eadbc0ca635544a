"""The demo: the main job on real processes, with a line of output for each step."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr
from rich.console import Console
from sqlalchemy import Engine, event, inspect, make_url

from workmesh_flows.adapters.store.engine import make_engine, translated_errors
from workmesh_flows.adapters.store.schema import own
from workmesh_flows.demo.data import remove_sample, write_sample
from workmesh_flows.demo.mesh import SERVICE, mesh
from workmesh_flows.errors import RunFailed
from workmesh_flows.microservice import NodeProcess
from workmesh_flows.reporting.status_tables import NODE_COLUMNS, SERVICE_COLUMNS
from workmesh_flows.reporting.terminal import as_table, console
from workmesh_flows.settings import PREFIX, artifact_key

if TYPE_CHECKING:
    import pandas as pd

CONSOLE = "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"
"""The setting of Prefect's console log. Logs of a run are on its page; the demo prints its own lines instead."""
NODES = ("demo-1", "demo-2", "demo-3")
MAX_WEIGHT = 1_500
WHAT_NOW = """
Look at
  the code     {code}/mesh.py declares this mesh, models.py its tables, micro.py the micro-service
  the UI       {command} demo --serve keeps server, nodes and deployments up: run flows, read artifacts, edit blocks
  PostgreSQL   {command} demo --database postgresql+psycopg://user@host/an_empty_database
"""
PULLS, PAUSE = 30, 1.0
"""Maximum number of pulls until all records are processed, and the seconds between two pulls."""


def run_demo(*, database: str | None = None, serve: bool = False) -> None:
    """Write the sample, start nodes and server, run the flows, show both tables, clean up.

    Raises RunFailed if some records are still not processed after the last pull.
    """
    out = console()
    started = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # an exit that runs the clean-up

    def print_line(text: str) -> None:
        out.print(f"[dim]{time.monotonic() - started:5.1f} s[/dim]  {text}", soft_wrap=True, highlight=False)

    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="workmesh-demo-")))
        engine = stack.enter_context(_sample(database, home))
        print_line(
            f"wrote 200 accounts and 20,000 records into {make_url(engine.url).render_as_string(hide_password=True)}"
        )
        nodes = [stack.enter_context(_node(name, home)) for name in NODES]
        print_line("started three nodes: " + ", ".join(f"{node.name} at {node.url}" for node in nodes))
        stack.enter_context(_environment(home, engine))
        api = _server(stack, home)
        print_line(f"the Prefect server is at {api}")
        stack.enter_context(_registered(nodes))
        _run_flows(print_line)
        _show(out)
        out.print(_what_now(), soft_wrap=True, highlight=False, markup=False)
        if serve:
            _serve(out)
    print_line("cleaned up")


@contextmanager
def _sample(database: str | None, home: Path) -> Iterator[Engine]:
    """The sample's database; at the end, all tables that the demo created are dropped."""
    engine = make_engine(database or f"sqlite:///{home / 'saas.db'}")
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA journal_mode=WAL"))
    with translated_errors():
        had_own = bool(set(own.tables) & set(inspect(engine).get_table_names()))
        write_sample(engine)
    try:
        yield engine
    finally:
        remove_sample(engine)
        if not had_own:
            own.drop_all(engine)
        engine.dispose()


def _node(name: str, home: Path) -> NodeProcess:
    return NodeProcess("workmesh_flows.demo.micro:timeline", database=home / f"{name}.db")


@contextmanager
def _environment(home: Path, engine: Engine) -> Iterator[None]:
    """Set the environment of this process and of the flow runs that it starts, before Prefect is imported."""
    wanted = {
        f"{PREFIX}DATABASE_URL": engine.url.render_as_string(hide_password=False),
        f"{PREFIX}MESH": "workmesh_flows.demo.mesh:mesh",
        "PREFECT_LOCAL_STORAGE_PATH": str(home / "results"),
        CONSOLE: os.environ.get(CONSOLE, "WARNING"),
    }
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _server(stack: ExitStack, home: Path) -> str:
    from workmesh_flows.demo.server import prefect_server

    return stack.enter_context(prefect_server(home))


@contextmanager
def _registered(nodes: list[NodeProcess]) -> Iterator[None]:
    """Write the nodes' blocks, and delete them at the end."""
    from workmesh_flows.blocks import ServiceLimits, WorkmeshNode
    from workmesh_flows.inventory.bulk_write import writing_nodes

    with writing_nodes() as write:
        for node in nodes:
            block = WorkmeshNode(
                host="127.0.0.1",
                port=node.port,
                api_key=SecretStr(node.api_key),
                services=[SERVICE],
                limits=[ServiceLimits(service=SERVICE, max_weight=MAX_WEIGHT)],
                tags=["demo"],
            )
            write(node.name, block)
    try:
        yield
    finally:
        for node in nodes:
            WorkmeshNode.delete(node.name)


def _run_flows(print_line: Callable[[str], None]) -> None:
    from prefect import tags

    from workmesh_flows.demo import flows
    from workmesh_flows.observability.tags import service_tags

    with tags(*service_tags(SERVICE)):
        print_line(f"{SERVICE}.assign: " + flows.assign().message)
        print_line(f"{SERVICE}.push: " + flows.push().message)
        for _ in range(PULLS):
            print_line(f"{SERVICE}.pull: " + flows.pull().message)
            unfinished = _unfinished()
            if unfinished == 0:
                return
            time.sleep(PAUSE)
    raise RunFailed(f"{unfinished:,} records are still not processed")


def _unfinished() -> int:
    """The number of records that are not processed, plus that of accounts without a node."""
    table = _services()
    return int(table["pending"].sum() + table["in flight"].sum() + table["unassigned"].sum())


def _services() -> pd.DataFrame:
    from workmesh_flows.status import service_status

    return service_status(mesh)


def _show(out: Console) -> None:
    from workmesh_flows.status import node_status

    out.print(as_table("Nodes", node_status(mesh)[list(NODE_COLUMNS)]))
    out.print(as_table("Services", _services()[list(SERVICE_COLUMNS)]))


def _what_now() -> str:
    """What to look at next, with paths and commands as they can be typed here."""
    code = Path(__file__).parent
    here = code.relative_to(Path.cwd()) if code.is_relative_to(Path.cwd()) else code
    started = (
        sys.argv[0] if Path(sys.argv[0]).name == "workmesh" else f"{sys.executable} -m workmesh_flows.cli"
    )
    return WHAT_NOW.format(code=here, command="workmesh" if shutil.which("workmesh") else started)


def _serve(out: Console) -> None:
    """Serve the flows as deployments until Ctrl-C."""
    from prefect import serve

    from workmesh_flows.flows.serving import deployments
    from workmesh_flows.observability.links import ui_address
    from workmesh_flows.observability.pages import OVERVIEW

    page = f"{ui_address()}/artifacts/key/{artifact_key(OVERVIEW)}"
    out.print(f"The page of the mesh: {page}\nCtrl-C stops everything.", soft_wrap=True, highlight=False)
    serve(*deployments(mesh))
