"""An upgrade of the Workmesh tables: what runs say before it, and what happens to runs during it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, insert, inspect, select, text, update

from tests.operations.delivery.lane_runs import push
from tests.support.own_tables import NEXT, create_release_0_1_0, described, next_release, rows_of
from tests.support.schema_findings import create_shop, problems, run
from tests.support.scripted_node import Answer, Asked, scripted_node, success
from tests.support.shop import shop_mesh, shop_service, with_push_success, write_orders, write_shops
from workmesh_flows.adapters.store.engine import open_engine
from workmesh_flows.adapters.store.own_tables import CURRENT
from workmesh_flows.adapters.store.schema import lanes, own, versions
from workmesh_flows.errors import ConfigurationError, StoreError, StoreUnavailable
from workmesh_flows.operations.check import check_mesh
from workmesh_flows.operations.health.database_diagnoses import database_diagnoses
from workmesh_flows.operations.upgrade import plan_upgrade, upgrade, upgrade_as_sql


@contextmanager
def opened(url: str) -> Iterator[Engine]:
    engine = open_engine(url)
    yield engine
    engine.dispose()


@pytest.fixture
def plain(database_url: str) -> Iterator[Engine]:
    """An empty database."""
    engine = create_engine(database_url)
    yield engine
    engine.dispose()


def url_of(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=False)


def refusal(engine: Engine) -> str:
    """The sentence of a run on this database."""
    with pytest.raises(ConfigurationError) as caught:
        open_engine(url_of(engine))
    return str(caught.value)


def hold_lane(engine: Engine, until: datetime) -> None:
    with engine.begin() as connection:
        key = {"service": "shop.orders", "protocol": "select", "node": "n9", "direction": "push"}
        connection.execute(insert(lanes).values(**key, holder="nightly push on w1:7", lease_until=until))


def version_of(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.scalars(select(versions.c.version_num)))


def test_a_first_run_creates_the_tables_in_the_version_of_its_release(plain: Engine) -> None:
    open_engine(url_of(plain)).dispose()
    assert version_of(plain) == [CURRENT]
    assert plan_upgrade(plain).steps == []
    assert upgrade_as_sql(plain) == ""


def test_opening_tables_of_the_version_costs_one_query(plain: Engine) -> None:
    open_engine(lambda: plain)
    statements = list[str]()
    event.listen(plain, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
    open_engine(lambda: plain)
    assert [" ".join(statement.split()) for statement in statements] == [
        "SELECT workmesh_schema.version_num FROM workmesh_schema"
    ]


def test_a_run_on_older_tables_names_the_command_and_changes_nothing(plain: Engine, tmp_path: Path) -> None:
    create_release_0_1_0(plain)
    made, rows = described(plain), rows_of(plain)
    with next_release(tmp_path):
        assert refusal(plain) == (
            f"the Workmesh tables have version 0001, and this release needs {NEXT}; run workmesh upgrade"
        )
    assert (described(plain), rows_of(plain)) == (made, rows)


@pytest.mark.parametrize("version", ["9999", "of mine"])
def test_tables_of_an_unknown_version_are_refused_by_runs_and_upgrades(engine: Engine, version: str) -> None:
    with engine.begin() as connection:
        connection.execute(update(versions).values(version_num=version))
    expected = (
        f"the Workmesh tables have version {version}, which this release does not know: it needs {CURRENT}"
    )
    assert refusal(engine) == f"{expected}; install the release that upgraded them"
    assert problems(engine) != []
    with pytest.raises(ConfigurationError, match=expected):
        plan_upgrade(engine)
    with pytest.raises(ConfigurationError, match=expected):
        upgrade(engine)
    assert version_of(engine) == [version]


def test_an_upgrade_of_release_0_1_0_keeps_its_rows(plain: Engine, tmp_path: Path) -> None:
    create_release_0_1_0(plain)
    before = rows_of(plain)
    with next_release(tmp_path):
        plan = plan_upgrade(plain)
        assert (plan.found, plan.stored, plan.steps[-1]) == ("0001", None, (NEXT, "Lanes have a colour"))
        assert upgrade(plain) == "0001"
        assert version_of(plain) == [NEXT]
        after = rows_of(plain)
        assert [row.pop("colour") for row in after["workmesh_lanes"]] == ["blue", "red"]
        for name, rows in before.items():
            assert [{column: row[column] for column in rows[0]} for row in after[name]] == rows
        open_engine(url_of(plain)).dispose()
        made = described(plain)
        assert upgrade(plain) == NEXT
        assert described(plain) == made
    assert "run workmesh upgrade" not in refusal(plain)


def test_an_upgrade_of_an_empty_database_creates_the_tables(plain: Engine) -> None:
    assert upgrade(plain) is None
    assert version_of(plain) == [CURRENT]
    open_engine(url_of(plain)).dispose()


def test_an_upgrade_that_fails_changes_nothing(plain: Engine, tmp_path: Path) -> None:
    create_release_0_1_0(plain)
    made = described(plain)
    with next_release(tmp_path):
        for script in tmp_path.rglob("revision_*.py"):
            script.write_text(script.read_text() + '    op.drop_table("nowhere")\n')
        with pytest.raises(StoreError, match="nowhere"):
            upgrade(plain)
        assert described(plain) == made
        assert "run workmesh upgrade" in refusal(plain)


def test_two_upgrades_at_once_do_it_once(database_url: str, plain: Engine, tmp_path: Path) -> None:
    create_release_0_1_0(plain)
    barrier = Barrier(2)

    def one(_: int) -> str | None:
        engine = create_engine(database_url)
        barrier.wait(10)
        found = upgrade(engine)
        engine.dispose()
        return found

    with next_release(tmp_path), ThreadPoolExecutor(2) as pool:
        assert sorted(map(str, pool.map(one, range(2)))) == ["0001", NEXT]
    assert version_of(plain) == [NEXT]


def test_an_upgrade_waits_for_runs_that_hold_lanes(plain: Engine, tmp_path: Path) -> None:
    create_release_0_1_0(plain)
    hold_lane(plain, datetime.now(UTC) + timedelta(minutes=1))
    made, rows = described(plain), rows_of(plain)
    with next_release(tmp_path):
        with pytest.raises(ConfigurationError) as caught:
            upgrade(plain)
        assert str(caught.value) == (
            "nothing was changed, because runs hold 1 lane (select to n9 of shop.orders, held by nightly push on w1:7): wait "
            "until these runs have ended, or give --force"
        )
        assert (described(plain), rows_of(plain)) == (made, rows)
        assert upgrade(plain, force=True) == "0001"


def test_an_upgrade_waits_for_a_transaction_on_the_lanes_and_then_gives_up(
    postgresql: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workmesh_flows.adapters.store.lanes.LOCK_MILLISECONDS", 50)
    with next_release(tmp_path):
        with postgresql.begin() as connection:
            connection.execute(text("UPDATE workmesh_lanes SET epoch = 1"))
            with pytest.raises(StoreUnavailable, match="lock timeout"):
                upgrade(postgresql)
        assert version_of(postgresql) == [CURRENT]
        assert upgrade(postgresql) == CURRENT


def test_a_lease_that_has_expired_does_not_stop_an_upgrade(plain: Engine, tmp_path: Path) -> None:
    create_release_0_1_0(plain)
    hold_lane(plain, datetime.now(UTC) - timedelta(minutes=1))
    with next_release(tmp_path):
        assert upgrade(plain) == "0001"


def test_a_run_of_the_old_release_that_holds_a_lane_survives_a_forced_upgrade(
    database_url: str, engine: Engine, tmp_path: Path
) -> None:
    """It ends its lane, and its release opens the database no more."""
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 6)
    found = list[Any]()

    def upgrade_meanwhile(asked: Asked) -> Answer:
        if asked.path.endswith("push.json") and not found:
            with next_release(tmp_path):
                other = create_engine(database_url)
                with pytest.raises(ConfigurationError, match=r"order to n1 of .*, held by test"):
                    upgrade(other)
                found.append(upgrade(other, force=True))
                other.dispose()
        return success("")

    with scripted_node(upgrade_meanwhile) as node:
        report = push(engine, shop_service(), node.node())
    assert (found, report.pushed) == ([CURRENT], 6)
    assert with_push_success(engine, True) == [1, 2, 3, 4, 5, 6]
    with engine.connect() as connection:
        row = connection.execute(text("SELECT done, holder, colour FROM workmesh_lanes")).one()
    assert tuple(row) == (6, None, "blue")
    assert "which this release does not know" in refusal(engine)


def test_check_and_doctor_report_older_tables_with_the_command(plain: Engine, tmp_path: Path) -> None:
    create_release_0_1_0(plain)
    create_shop(plain)
    with next_release(tmp_path):
        first = check_mesh(plain, shop_mesh())[0]
        assert str(first) == (
            "problem: workmesh_schema: the Workmesh tables have version 0001, and this release needs "
            f"{NEXT}; run workmesh upgrade"
        )
        own = next(
            one for one in database_diagnoses(plain, shop_mesh(), None) if one.check == "Workmesh tables"
        )
        assert (str(own.result), own.to_do) == ("problem", "run workmesh upgrade")


def test_a_dropped_table_is_a_problem_that_check_fixes(engine: Engine) -> None:
    create_shop(engine)
    run(engine, "DROP TABLE workmesh_moves")
    assert problems(engine) == ["workmesh_moves: Workmesh table missing: it was dropped"]
    run(engine, *(statement for finding in check_mesh(engine, shop_mesh()) for statement in finding.ddl))
    assert problems(engine) == []
    assert inspect(engine).has_table("workmesh_moves")


def test_tables_that_a_first_run_of_release_0_1_0_did_not_finish_creating_are_created(plain: Engine) -> None:
    """It created them one by one, and stored no version."""
    create_release_0_1_0(plain)
    with plain.begin() as connection:
        connection.execute(text("DROP TABLE workmesh_services"))
    assert "run workmesh upgrade" in refusal(plain)
    assert upgrade(plain) == "0001"
    with opened(url_of(plain)) as engine:
        assert set(own.tables) == {
            name for name in inspect(engine).get_table_names() if name.startswith("workmesh_")
        }
