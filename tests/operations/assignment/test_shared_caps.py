"""A cap that the services of a node share, and all services of a mesh assigned together."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from tests.operations.processes import go, started
from tests.support.accounts import CALLS, MAILS, Account, account_mesh, held, inventory, node, write_accounts
from workmesh_flows import EntityNumber, EntityWeight
from workmesh_flows.adapters.store.assignment import writing_assignments
from workmesh_flows.adapters.store.schema import services
from workmesh_flows.domain.node import Inventory, NodeState
from workmesh_flows.errors import StoreError
from workmesh_flows.operations.assignment.assign import assign, assign_all
from workmesh_flows.operations.status import read_status
from workmesh_flows.reporting.status_tables import nodes_table

SHARED = 'every node is at its max_entities, of this service or of all services ("*")'


def nodes(*shared: int) -> Inventory:
    """Nodes n1, n2, ... with these shared caps."""
    return inventory(*(node(f"n{at}", max_entities={"*": cap}) for at, cap in enumerate(shared, start=1)))


def test_entities_of_other_services_count_against_the_shared_cap(engine: Engine) -> None:
    write_accounts(engine, [{"call_node": "n1"}, {"call_node": "n1"}, {"call_node": "n2"}, {}, {}])
    report = assign(engine, account_mesh(), MAILS, nodes(3, 2))
    assert held(engine)[0] == {"n1": 1, "n2": 1, None: 3}
    assert report.reasons[0] == ("3", SHARED)


def test_the_smaller_of_two_caps_binds(engine: Engine) -> None:
    write_accounts(engine, [{}] * 9)
    caps = inventory(node("n1", max_entities={"*": 5, MAILS: 2}), node("n2", max_entities={"*": 3, MAILS: 8}))
    report = assign(engine, account_mesh(EntityNumber()), MAILS, caps)
    assert held(engine)[0] == {"n1": 2, "n2": 3, None: 4}
    assert report.unassigned == 4


def test_a_service_that_the_node_no_longer_runs_counts_as_well(engine: Engine) -> None:
    write_accounts(engine, [{"call_node": "n1"}, {"call_node": "n1"}, {}])
    mails_alone = inventory(node("n1", services=[MAILS], max_entities={"*": 3}))
    assert assign(engine, account_mesh(), MAILS, mails_alone).total == 1


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # a SQLite file has one writer
def test_without_a_shared_cap_services_do_not_wait_for_each_other(engine: Engine) -> None:
    write_accounts(engine, [{}])
    mesh = account_mesh()
    with writing_assignments(engine, mesh.service(CALLS)):
        assert assign(engine, mesh, MAILS, inventory(node("n1"), node("n2", services=[CALLS]))).total == 1


@pytest.mark.parametrize("together", ["apart", "together"])
def test_concurrent_runs_of_two_services_do_not_exceed_the_shared_cap(engine: Engine, together: str) -> None:
    """Each run would find free capacity for all its entities; a run waits for the other one, whichever services they assign."""
    write_accounts(engine, [{}] * 300)
    url = engine.url.render_as_string(hide_password=False)
    wanted = ([MAILS], [CALLS]) if together == "apart" else ([MAILS, CALLS], [CALLS, MAILS])
    runs = [started("assignment.account_assigner", url, "100", *names) for names in wanted]
    go(*runs)
    reports = [json.loads(process.communicate()[0]) for process in runs]
    assert [process.returncode for process in runs] == [0, 0]
    mails, calls = held(engine)
    assert {name: mails[name] + calls[name] for name in ("n1", "n2")} == {"n1": 100, "n2": 100}
    assert sum(reports) == 200


def test_all_services_are_assigned_in_one_transaction(engine: Engine) -> None:
    write_accounts(engine, [{}] * 3)

    def weigh(account: Account) -> int:
        if account.id == 3:
            raise OperationalError("SELECT 1", {}, Exception("down"))
        return 1

    with pytest.raises(StoreError):
        assign_all(engine, account_mesh(calls=EntityWeight(weigh)), nodes(9))
    assert held(engine) == ({None: 3}, {None: 3})
    reports = assign_all(engine, account_mesh(), nodes(9), limit=2)
    assert {name: report.total for name, report in reports.items()} == {MAILS: 2, CALLS: 2}
    assert held(engine) == ({"n1": 2, None: 1}, {"n1": 2, None: 1})


def test_services_planned_together_leave_each_other_room(engine: Engine) -> None:
    """Assigned one after the other, mails would take the capacity that calls need, which run on n1 only."""
    write_accounts(engine, [{}] * 4)
    caps = inventory(node("n1", max_entities={"*": 4}), node("n2", services=[MAILS], max_entities={"*": 4}))
    reports = assign_all(engine, account_mesh(), caps)
    assert held(engine) == ({"n2": 4}, {"n1": 4})
    assert [report.unassigned for report in reports.values()] == [0, 0]


def test_an_assigned_entity_never_moves(engine: Engine) -> None:
    """The new entity would fit if the assigned one moved."""
    write_accounts(engine, [{"mails": 4, "mail_node": "n2"}, {"mails": 6}])
    caps = inventory(node("n1", max_weight={MAILS: 5}), node("n2", max_weight={MAILS: 6}))
    report = assign_all(engine, account_mesh(EntityWeight(Account.mails)), caps)[MAILS]
    assert report.reasons == [("2", "its weight 6 is more than max_weight leaves free on any node (5)")]
    assert held(engine)[0] == {"n2": 1, None: 1}


def test_entities_of_one_run_are_exchanged_so_that_all_fit(engine: Engine) -> None:
    weights = [4, 4, 3, 3, 2]
    write_accounts(engine, [{"mails": weight} for weight in weights])
    caps = inventory(*(node(name, max_weight={MAILS: 8}) for name in ("n1", "n2")))
    assert assign(engine, account_mesh(EntityWeight(Account.mails)), MAILS, caps).unassigned == 0
    with Session(engine) as session:
        rows = session.execute(select(Account.mail_node, Account.mails)).all()
    total = Counter[str | None]()
    for name, weight in rows:
        total[name] += weight
    assert total == {"n1": 8, "n2": 8}


def test_the_revision_rises_only_where_an_entity_was_assigned(engine: Engine) -> None:
    write_accounts(engine, [{}, {"call_node": "n1"}])

    def revisions() -> dict[str, int]:
        with engine.connect() as connection:
            return dict(connection.execute(select(services.c.service, services.c.revision)).all())

    mesh = account_mesh()
    assign(engine, mesh, MAILS, nodes(0))
    assert revisions() == {MAILS: 0, CALLS: 0}
    assign_all(engine, mesh, inventory(node("n1", services=[MAILS])))
    assert revisions() == {MAILS: 1, CALLS: 0}
    assign_all(engine, mesh, nodes(9))
    assert revisions() == {MAILS: 1, CALLS: 1}
    assign_all(engine, mesh, nodes(9))
    assert revisions() == {MAILS: 1, CALLS: 1}


def test_the_nodes_table_shows_the_share_of_the_cap_that_binds_first(engine: Engine) -> None:
    write_accounts(engine, [{"mail_node": "n1", "call_node": "n1"}, {"mail_node": "n1"}])
    caps = inventory(
        node("n1", services=[MAILS], max_entities={"*": 4, MAILS: 10}),
        node("n2", state=NodeState.STANDBY, max_entities={"*": 4}),
        node("n3"),
    )
    table = nodes_table(read_status(engine, account_mesh(), caps)).set_index("node")
    assert table["used"].astype(object).where(table["used"].notna(), None).to_dict() == {
        "n1": 0.75,
        "n2": 0.0,
        "n3": None,
        "(other)": None,
    }
