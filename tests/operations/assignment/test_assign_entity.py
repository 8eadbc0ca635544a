"""The node of one entity: looked up, or assigned at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from tests.support.accounts import CALLS, MAILS, Account, account_mesh, held, inventory, node, write_accounts
from workmesh_flows import EntityWeight
from workmesh_flows.adapters.store.assignment import writing_assignments
from workmesh_flows.adapters.store.schema import services
from workmesh_flows.domain.criteria import Weight
from workmesh_flows.domain.node import NodeState
from workmesh_flows.errors import NoCapacity, UnknownName
from workmesh_flows.operations.assignment.assign import assign, assign_entity, assigned_node


def test_an_entity_gets_a_node_and_keeps_it(engine: Engine) -> None:
    write_accounts(engine, [{}] * 3)
    mesh, nodes = account_mesh(), inventory(node("n1"), node("n2"))
    assert [assign_entity(engine, mesh, MAILS, nodes, key) for key in (2, 3, 2, 1, 3)] == [
        "n1",
        "n2",
        "n1",
        "n1",
        "n2",
    ]
    assert [assigned_node(engine, mesh.service(MAILS), key) for key in (1, 2, 3)] == ["n1", "n1", "n2"]
    assert assigned_node(engine, mesh.service(CALLS), 1) is None
    assert held(engine)[1] == {None: 3}


def test_round_robin_continues_between_single_entities_and_runs(engine: Engine) -> None:
    write_accounts(engine, [{}] * 5)
    mesh, nodes = account_mesh(), inventory(node("n1"), node("n2"), node("n3"))
    assert assign_entity(engine, mesh, MAILS, nodes, 5) == "n1"
    assert dict(assign(engine, mesh, MAILS, nodes, limit=3).assigned) == {"n2": 1, "n3": 1, "n1": 1}
    assert assign_entity(engine, mesh, MAILS, nodes, 4) == "n2"


@pytest.mark.parametrize("weight", [Account.mails, lambda account: account.mails], ids=["column", "function"])
def test_an_entity_goes_where_its_weight_fits(engine: Engine, weight: Weight) -> None:
    write_accounts(engine, [{"mails": 5, "mail_node": "n1"}, {"mails": 4}, {"mails": 9}])
    mesh = account_mesh(EntityWeight(weight))
    nodes = inventory(node("n1", max_weight={MAILS: 100}), node("n2", max_weight={MAILS: 8}))
    assert assign_entity(engine, mesh, MAILS, nodes, 2) == "n2"
    assert assign_entity(engine, mesh, MAILS, nodes, 3) == "n1"


def test_an_entity_keeps_a_node_that_takes_no_new_entities_or_is_unknown(engine: Engine) -> None:
    write_accounts(engine, [{"mail_node": "n1"}, {"mail_node": "gone"}])
    mesh, nodes = account_mesh(), inventory(node("n1", state=NodeState.DRAINING), node("n2"))
    assert assign_entity(engine, mesh, MAILS, nodes, 1) == "n1"
    assert assign_entity(engine, mesh, MAILS, nodes, 2) == "gone"


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_an_entity_with_a_node_does_not_wait_for_a_run(engine: Engine) -> None:
    write_accounts(engine, [{"mail_node": "n1"}])
    mesh = account_mesh()
    with writing_assignments(engine, mesh.service(MAILS)):
        assert assign_entity(engine, mesh, MAILS, inventory(node("n1")), 1) == "n1"


@pytest.mark.parametrize(
    ("caps", "reason"),
    [
        pytest.param({"max_entities": {MAILS: 0}}, "every node is at its max_entities", id="entities"),
        pytest.param(
            {"max_entities": {"*": 1}},
            'every node is at its max_entities, of this service or of all services ("*")',
            id="entities of all services",
        ),
        pytest.param(
            {"max_weight": {MAILS: 6}},
            "its weight 7 exceeds every max_weight (largest 6, on n1)",
            id="weight",
        ),
        pytest.param(
            {"max_weight": {MAILS: 8}},
            "its weight 7 is more than max_weight leaves free on any node (5)",
            id="weight that is taken",
        ),
        pytest.param({"services": [CALLS]}, "no active node runs the service", id="no node"),
    ],
)
def test_without_room_the_error_names_the_cap_that_binds_and_nothing_is_written(
    engine: Engine, caps: dict, reason: str
) -> None:
    write_accounts(engine, [{"mails": 7, "call_node": "n1"}, {"mails": 3, "mail_node": "n1"}])
    mesh = account_mesh(EntityWeight(Account.mails))
    with pytest.raises(NoCapacity) as raised:
        assign_entity(engine, mesh, MAILS, inventory(node("n1", **caps)), 1)
    assert (raised.value.service, raised.value.entity, raised.value.reason) == (MAILS, "1", reason)
    assert held(engine)[0] == {None: 1, "n1": 1}
    with engine.connect() as connection:
        assert set(connection.scalars(select(services.c.revision))) == {0}


def test_an_unknown_key_or_service_is_named(engine: Engine) -> None:
    write_accounts(engine, [{}])
    mesh, nodes = account_mesh(), inventory(node("n1"))
    with pytest.raises(UnknownName, match=r"service micro\.mails has no entity '7'"):
        assign_entity(engine, mesh, MAILS, nodes, 7)
    with pytest.raises(UnknownName, match=r"service micro\.mails has no entity '7'"):
        assigned_node(engine, mesh.service(MAILS), 7)
    with pytest.raises(UnknownName, match=r"no service 'micro\.faxes'"):
        assign_entity(engine, mesh, "micro.faxes", nodes, 1)


def test_concurrent_calls_give_each_entity_one_node_and_exceed_no_cap(engine: Engine) -> None:
    write_accounts(engine, [{}] * 12)
    mesh = account_mesh()
    nodes = inventory(*(node(name, max_entities={"*": 4}) for name in ("n1", "n2")))

    def ask(key: int) -> str | None:
        try:
            return assign_entity(engine, mesh, MAILS, nodes, key)
        except NoCapacity:
            return None

    with ThreadPoolExecutor(6) as pool:
        first = list(pool.map(ask, [*range(1, 13), *range(1, 13)]))
    assert held(engine)[0] == {"n1": 4, "n2": 4, None: 4}
    assert (
        first[:12] == first[12:] == [assigned_node(engine, mesh.service(MAILS), key) for key in range(1, 13)]
    )


def test_an_entity_whose_node_was_cleared_gets_another(engine: Engine) -> None:
    write_accounts(engine, [{}])
    mesh = account_mesh()
    assert assign_entity(engine, mesh, MAILS, inventory(node("n1")), 1) == "n1"
    with Session(engine) as session:
        session.execute(update(Account).values(mail_node=None))
        session.commit()
    assert assign_entity(engine, mesh, MAILS, inventory(node("n2")), 1) == "n2"
