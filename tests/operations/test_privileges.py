"""The privileges that the page on PostgreSQL grants are enough for every operation, and no more is used."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, inspect, select, update
from sqlalchemy.orm import Session

from tests.operations.delivery.lane_runs import QUICK
from tests.support.databases import empty_postgresql
from tests.support.schema_findings import run
from tests.support.scripted_node import Answer, Asked, failure, scripted_node, success
from workmesh_flows.adapters.store.engine import open_engine
from workmesh_flows.adapters.store.moves import read_moves
from workmesh_flows.adapters.store.schema import place_own_tables
from workmesh_flows.demo.data import write_sample
from workmesh_flows.demo.mesh import mesh
from workmesh_flows.demo.models import Account, Delivery
from workmesh_flows.domain.node import Inventory, Node
from workmesh_flows.operations.assignment.assign import assign_all
from workmesh_flows.operations.check import Level, check_mesh, missing_ddl
from workmesh_flows.operations.delivery.lane_context import LaneContext
from workmesh_flows.operations.delivery.pull import pull_lane
from workmesh_flows.operations.delivery.push import push_lane
from workmesh_flows.operations.delivery.replay import decide_refused
from workmesh_flows.operations.moves.move_context import MoveContext
from workmesh_flows.operations.moves.reassign import reassign, repush
from workmesh_flows.operations.status import read_status

PAGE = Path(__file__).parents[2] / "docs" / "postgresql.md"
SERVICE = mesh.services[0]
ONCE = replace(QUICK, max_attempts=1)

ROLE = "granted_role"


def grants(position: int = 0) -> list[str]:
    """The statements of one of the page's blocks of SQL, about a role that no other test creates."""
    block = re.findall(r"```sql\n(.*?)```", PAGE.read_text(), re.DOTALL)[position]
    return [re.sub(r"\bworkmesh\b", ROLE, statement.strip()) for statement in block.split(";")]


@pytest.fixture
def owner(postgresql_server: str) -> Iterator[Engine]:
    with empty_postgresql(postgresql_server) as url:
        engine = create_engine(url)
        write_sample(engine, accounts=6, records=60)
        try:
            run(engine, *grants())
            yield engine
        finally:
            run(engine, f"DROP OWNED BY {ROLE}", f"DROP ROLE {ROLE}")
            engine.dispose()


@pytest.fixture(params=[None, "mesh"], ids=["in the default schema", "in a schema of their own"])
def granted(owner: Engine, request: pytest.FixtureRequest) -> Iterator[Engine]:
    """The database as the granted role opens it, with the Workmesh tables in either schema."""
    if request.param is not None:
        run(owner, f"REVOKE CREATE ON SCHEMA public FROM {ROLE}", *grants(1))
    url = owner.url.set(username=ROLE, password="a-long-one")
    place_own_tables(request.param)
    try:
        engine = open_engine(url)
        yield engine
        own_tables = {name for name in inspect(owner).get_table_names() if name.startswith("workmesh_")}
        assert bool(own_tables) == (request.param is None)
        engine.dispose()
    finally:
        place_own_tables(None)


def pushes(engine: Engine, node: Node) -> list[int]:
    contexts = [
        LaneContext(engine, SERVICE, protocol, node, "a test", ONCE) for protocol in SERVICE.protocols
    ]
    return [push_lane(context).pushed for context in contexts]


def moving(engine: Engine, inventory: Inventory) -> MoveContext:
    """A context for moves that wait for nothing."""
    options: dict[str, Any] = {"settle_seconds": 0, "wait_seconds": 0, "limits": ONCE}
    return MoveContext(engine, mesh, SERVICE, holder="a test", inventory=lambda: inventory, **options)


def test_the_granted_privileges_are_enough_for_every_operation(owner: Engine, granted: Engine) -> None:
    with Session(owner) as session:
        keys = [*session.scalars(select(Delivery.id).order_by(Delivery.create_time, Delivery.id))]
    refused = {str(keys[0])}

    def script(asked: Asked) -> Answer:
        records = asked.body.get("records", [])
        if refused & {record["id"] for record in records}:
            return failure("no")
        if asked.path.endswith("delivery/status.json"):
            return success(str(keys[-1]))
        if asked.path.endswith("/pull.json"):
            return success({key: {"score": 1} for key in asked.body["ids"]})
        return success(None if asked.path.endswith("status.json") else "")

    with scripted_node(script) as one, scripted_node() as two:
        first = one.node("micro.emails.timeline")
        second = two.node("micro.emails.timeline", name="n2")
        inventory = Inventory({"n1": first})
        assert assign_all(granted, mesh, inventory)["micro.emails.timeline"].total == 6
        assert 0 < sum(pushes(granted, first)) < 60
        refused.clear()
        assert decide_refused(granted, SERVICE, "replay") == 1
        pushes(granted, first)
        context = LaneContext(granted, SERVICE, SERVICE.protocols[0], first, "a test", ONCE)
        assert pull_lane(context).pulled > 0
        assert {count.protocol for count in read_status(granted, mesh, inventory).counts} == {
            protocol.name for protocol in SERVICE.protocols
        }
        both = Inventory({"n1": first, "n2": second})
        with Session(granted) as session:
            account = session.scalars(select(Account.id)).first()
        repush(moving(granted, both), account)
        reassign(moving(granted, both), account)
    assert len(read_moves(granted, limit=10)) == 2
    findings = check_mesh(granted, mesh, nodes=["n1", "n2"])
    assert [finding for finding in findings if finding.level is Level.PROBLEM] == []


def test_the_granted_role_cannot_write_other_columns_of_the_entity(granted: Engine) -> None:
    with pytest.raises(Exception, match="permission denied"), granted.begin() as connection:
        connection.execute(update(Account).values(name="x"))


def test_a_role_that_may_create_no_tables_uses_those_that_check_prints(owner: Engine) -> None:
    run(owner, f"REVOKE CREATE ON SCHEMA public FROM {ROLE}")
    run(owner, *missing_ddl(check_mesh(owner, mesh)))
    tables = [name for name in inspect(owner).get_table_names() if name.startswith("workmesh_")]
    run(owner, f"GRANT ALL ON {', '.join(tables)} TO {ROLE}")
    granted = open_engine(owner.url.set(username=ROLE, password="a-long-one"))
    with scripted_node() as one, scripted_node() as two:
        nodes = [one.node("micro.emails.timeline"), two.node("micro.emails.timeline", name="n2")]
        assign_all(granted, mesh, Inventory({"n1": nodes[0]}))
        assert sum(pushes(granted, nodes[0])) == 60
        both = Inventory({node.name: node for node in nodes})
        with Session(granted) as session:
            account = session.scalars(select(Account.id)).first()
        reassign(moving(granted, both), account)
    assert len(read_moves(granted, limit=10)) == 1
    granted.dispose()
