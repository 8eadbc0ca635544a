"""The SQL text of statements on a declaration with awkward names: joins, conditions and order."""

from __future__ import annotations

import re
from typing import Any

import pytest
from sqlalchemy import ClauseElement, Dialect, Float
from sqlalchemy.dialects import postgresql, sqlite

from tests.adapters.store.worlds import START, make_flat, make_world
from workmesh_flows.adapters.store.protocol_tables import pull_tables, push_tables
from workmesh_flows.adapters.store.statements import assignment, counts, flags, page_order
from workmesh_flows.adapters.store.statements import pending as pending_statements
from workmesh_flows.adapters.store.statements import pullable as pullable_statements
from workmesh_flows.domain.columns import column_of

WORLD = make_world()
SERVICE, PROTOCOL, DELIVERY = WORLD.service, WORLD.protocol, WORLD.delivery
TABLES = pull_tables(SERVICE, PROTOCOL)
AT, ID = column_of(DELIVERY.at), column_of(DELIVERY.id)
POSTGRESQL: Dialect = postgresql.psycopg.dialect()  # type: ignore[no-untyped-call]
SQLITE: Dialect = sqlite.dialect()


def sql(statement: ClauseElement, dialect: Dialect = POSTGRESQL) -> str:
    """A statement's text on one line, its values and their casts as ``?``."""
    text = " ".join(str(statement.compile(dialect=dialect)).split())
    return re.sub(r"%\(\w+\)s(::[A-Z]+( WITH TIME ZONE)?)?", "?", text)


@pytest.fixture(params=[POSTGRESQL, SQLITE], ids=["postgresql", "sqlite"])
def dialect(request: pytest.FixtureRequest) -> Dialect:
    chosen: Dialect = request.param
    return chosen


def hops(dialect: Dialect, join: str = "JOIN") -> str:
    user = "user" if dialect is SQLITE else '"user"'
    return (
        f'FROM "select" {join} {user} AS user_1 ON "select"."User" = user_1."table" '
        f'{join} "Account" AS "Account_1" ON user_1."Group" = "Account_1"."Key"'
    )


def pending(**more: Any) -> ClauseElement:
    return pending_statements.pending(TABLES, "n1", columns=[ID], limit=5, **more)


def test_pending_records_are_those_of_a_nodes_entities_that_were_not_pushed_in_order(
    dialect: Dialect,
) -> None:
    text = sql(pending(), dialect)
    success = "IS NOT true" if dialect is POSTGRESQL else "IS NOT 1"
    assert text.startswith('SELECT "select"."Id of it", "Account_1"."Key" AS workmesh_owner FROM')
    assert hops(dialect) in text
    assert f'WHERE "Account_1"."order" = ? AND "select"."push Success" {success} ORDER BY' in text
    assert 'ORDER BY "select"."where", "select"."Id of it" LIMIT ?' in text
    assert " OUTER " not in text


def test_a_page_begins_after_the_mark_of_the_page_before(dialect: Dialect) -> None:
    text = sql(pending(after=(START, 7)), dialect)
    assert '("select"."where", "select"."Id of it") > (?, ?) ORDER BY' in text


def test_the_count_of_pending_records_has_the_conditions_of_the_pages(dialect: Dialect) -> None:
    count, page = sql(pending_statements.count_pending(TABLES, "n1"), dialect), sql(pending(), dialect)
    assert count.startswith("SELECT count(*)")
    assert count.partition(" FROM ")[2] == page.partition(" FROM ")[2].partition(" ORDER BY ")[0]


def test_pullable_records_are_those_pushed_up_to_a_time_in_push_order(dialect: Dialect) -> None:
    statement = pullable_statements.pullable(
        TABLES, "n1", columns=[ID], upto=START, limit=5, after=(START, 7)
    )
    text = sql(statement, dialect).replace("IS NOT true", "IS NOT 1").replace("IS true", "IS 1")
    assert hops(dialect) in text
    assert '"select"."push Success" IS 1 AND "select"."pull Success" IS NOT 1' in text
    assert '"select"."push Time" <= ? AND ("select"."push Time", "select"."Id of it") > (?, ?)' in text
    assert 'ORDER BY "select"."push Time", "select"."Id of it" LIMIT ?' in text


def test_pushed_at_selects_only_records_of_the_lane(dialect: Dialect) -> None:
    text = sql(pullable_statements.pushed_at(TABLES, "n1", 5), dialect)
    assert text.startswith('SELECT "select"."push Time", "select"."push Success" FROM')
    assert hops(dialect) in text
    assert text.endswith('WHERE "select"."Id of it" = ? AND "Account_1"."order" = ?')


def test_flags_and_values_are_written_by_id(dialect: Dialect) -> None:
    statement = flags.write_flags(TABLES, TABLES.pull_flags, [column_of(DELIVERY.score)])
    text = sql(statement, dialect)
    for column in (
        "pull Time",
        "pull Success",
        "pull Error",
        "Score%%" if dialect is POSTGRESQL else "Score%",
    ):
        assert f'"{column}"=?' in text
    assert text.startswith('UPDATE "select" AS workmesh_written SET ')
    assert text.endswith(' WHERE workmesh_written."Id of it" = ?')


def test_a_node_is_written_only_where_there_is_none(dialect: Dialect) -> None:
    text = sql(assignment.write_assignment(SERVICE), dialect)
    assert text.startswith(
        'UPDATE "Account" AS workmesh_written SET "order"=? WHERE workmesh_written."Key" IN ('
    )
    assert text.endswith(' AND workmesh_written."order" IS NULL')


def test_nodes_of_many_entities_are_written_by_one_statement_and_never_cut() -> None:
    text = " ".join(str(assignment.write_assignments(SERVICE).compile(dialect=POSTGRESQL)).split())
    assert text.startswith(
        'UPDATE "Account" AS workmesh_written SET "order"=((%(workmesh_nodes)s::VARCHAR[])['
    )
    assert " FROM unnest(%(workmesh_keys)s::" in text
    assert text.endswith(' AND workmesh_written."order" IS NULL')


def test_counts_include_records_without_an_owner(dialect: Dialect) -> None:
    for statement in (counts.pending_counts(TABLES), counts.in_flight_counts(TABLES)):
        text = sql(statement, dialect)
        assert hops(dialect, "LEFT OUTER JOIN") in text
        assert text.endswith('GROUP BY "Account_1"."order", "Account_1"."Key" IS NOT NULL')


def test_counts_of_open_records_have_the_conditions_of_the_indexes(dialect: Dialect) -> None:
    pending, in_flight = (
        sql(one(TABLES), dialect) for one in (counts.pending_counts, counts.in_flight_counts)
    )
    true = "true" if dialect is POSTGRESQL else "1"
    assert f' WHERE "select"."push Success" IS NOT {true} GROUP BY ' in pending
    assert (
        f' WHERE "select"."push Success" IS {true} AND "select"."pull Success" IS NOT {true} GROUP BY '
        in in_flight
    )


def test_entities_are_counted_by_node(dialect: Dialect) -> None:
    text = sql(counts.entity_counts(SERVICE), dialect)
    assert '"Account"."order" AS node, count(*) AS entities FROM "Account"' in text
    assert text.endswith('GROUP BY "Account"."order"')


def test_each_table_is_qualified_by_its_schema() -> None:
    world = make_world(schema="Its Own")
    text = sql(pending_statements.count_pending(push_tables(world.service, world.protocol), "n1"))
    assert 'FROM "Its Own"."select" JOIN "Its Own"."user" AS user_1' in text
    assert 'JOIN "Its Own"."Account" AS "Account_1"' in text


def test_a_number_of_single_precision_is_read_in_double() -> None:
    order = make_flat(Float(24)).order
    assert sql(page_order.mark(column_of(order.at))) == 'CAST("order".at AS DOUBLE PRECISION)'
    assert sql(page_order.mark(AT)) == '"select"."where"'
