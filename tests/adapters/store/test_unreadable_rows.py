"""Rows that cannot be read: each is known by its key, and the other rows of its page are read."""

from __future__ import annotations

from enum import Enum
from typing import Any

import pytest
from sqlalchemy import (
    JSON,
    Column,
    Date,
    DateTime,
    Dialect,
    Engine,
    ForeignKey,
    Integer,
    Numeric,
    String,
    Text,
    TypeDecorator,
    Uuid,
    event,
)
from sqlalchemy import Enum as EnumType
from sqlalchemy.orm import configure_mappers, registry, relationship

from tests.adapters.store.paging import ids, pages, reader_of
from tests.adapters.store.worlds import at, fill, flag_columns, made_of, service_of
from tests.support.schema_findings import run
from workmesh_flows import Service
from workmesh_flows.errors import StoreError, StoreUnavailable
from workmesh_flows.planning.bisection import Sendable, Unreadable


class Size(Enum):
    small = "small"


class Fussy(TypeDecorator[str]):
    """A user's own type, which takes no empty text."""

    impl = String(50)
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        del dialect
        if value == "":
            raise RuntimeError("a text is empty")
        return value


ANYWHERE = {
    "an unknown enum label": (EnumType(Size, native_enum=False, length=20), "'huge'", "'huge' is not among"),
    "an error of a user-defined type": (Fussy(), "''", "RuntimeError: a text is empty"),
}
SQLITE = {
    "a broken time": (DateTime(), "'0000-00-00 00:00:00'", "ValueError: "),
    "a broken JSON": (JSON(), "'{half'", "JSONDecodeError: "),
    "a broken UUID": (Uuid(), "'no-uuid'", "ValueError: badly formed"),
    "a broken number": (Numeric(10, 2), "'1,50'", "TypeError: "),
    "bytes in a column of texts": (Text(), "X'ff'", "the column holds bytes, which its type does not have"),
    "bytes in a column of short texts": (String(50), "X'61'", "the column holds bytes"),
    "bytes in a column of numbers": (Integer(), "X'ff'", "the column holds bytes"),
    "bytes that are no UTF-8": (Text(), "CAST(X'e9' AS TEXT)", "Could not decode to UTF-8"),
}
POSTGRESQL = {
    "infinity": (DateTime(timezone=True), "'infinity'", "timestamp too large"),
    "minus infinity": (DateTime(), "'-infinity'", "timestamp too small"),
    "a date after year 9999": (Date(), "'12000-01-01'", "date too large"),
    "a date before Christ": (DateTime(timezone=True), "'0044-03-15 BC'", "timestamp too small"),
}


def blog(odd: Any, send: Any = None) -> tuple[Service, Any, Any]:
    base = registry().generate_base()
    author = made_of(base, "Author", id=Column(Integer, primary_key=True), node=Column(String(50)))
    post = made_of(
        base,
        "Post",
        id=Column(Integer, primary_key=True, autoincrement=False),
        author_id=Column(Integer, ForeignKey("author.id")),
        author=relationship("Author"),
        at=Column(DateTime(timezone=True), nullable=False),
        odd=Column(odd),
        **flag_columns("push"),
    )
    return service_of(author, post, send=send), author, post


def write(engine: Engine, author: Any, post: Any, number: int = 9) -> None:
    posts = [{"id": i, "author_id": 1 + i % 3, "at": at(i)} for i in range(1, number + 1)]
    fill(engine, (author, [{"id": i, "node": "n1"} for i in (1, 2, 3)]), (post, posts))


def send_object(record: Any, node: Any) -> None:
    raise NotImplementedError


def bad(read: list[list[Sendable]]) -> dict[Any, str]:
    return {
        item.id: item.record.reason for page in read for item in page if isinstance(item.record, Unreadable)
    }


def check_kind(engine: Engine, kind: tuple[Any, str, str], send: Any) -> None:
    type_, value, reason = kind
    service, author, post = blog(type_, send)
    write(engine, author, post)
    run(engine, f"UPDATE post SET odd = {value} WHERE id IN (3, 4)")  # noqa: S608 - constants of this file
    read = pages(engine, service, 4)
    assert ids(read) == list(range(1, 10)), "each record is on one page, in order"
    assert [item.owner for page in read for item in page] == [2, 3, 1] * 3
    reasons = bad(read)
    assert set(reasons) == {3, 4}
    assert reasons[3].startswith("post.odd of record 3 cannot be read: ")
    assert reason in reasons[3]
    good = [item.record for page in read for item in page if item.id not in reasons]
    assert [record.id if send else record["id"] for record in good] == [1, 2, 5, 6, 7, 8, 9]


@pytest.mark.parametrize("send", [None, send_object], ids=["rows", "objects"])
@pytest.mark.parametrize("kind", ANYWHERE.values(), ids=ANYWHERE)
def test_a_row_that_a_type_cannot_read(engine: Engine, kind: Any, send: Any) -> None:
    check_kind(engine, kind, send)


@pytest.mark.parametrize("send", [None, send_object], ids=["rows", "objects"])
@pytest.mark.parametrize("kind", SQLITE.values(), ids=SQLITE)
def test_a_row_that_cannot_be_read_from_sqlite(sqlite: Engine, kind: Any, send: Any) -> None:
    check_kind(sqlite, kind, send)


@pytest.mark.parametrize("send", [None, send_object], ids=["rows", "objects"])
@pytest.mark.parametrize("kind", POSTGRESQL.values(), ids=POSTGRESQL)
def test_a_row_that_cannot_be_read_from_postgresql(postgresql: Engine, kind: Any, send: Any) -> None:
    check_kind(postgresql, kind, send)


def test_an_object_with_an_unknown_polymorphic_identity(engine: Engine) -> None:
    base = registry().generate_base()
    author = made_of(base, "Author", id=Column(Integer, primary_key=True), node=Column(String(50)))
    post = made_of(
        base,
        "Post",
        id=Column(Integer, primary_key=True),
        author_id=Column(Integer, ForeignKey("author.id")),
        at=Column(DateTime(timezone=True), nullable=False),
        kind=Column(String(20)),
        **flag_columns("push"),
        __mapper_args__={"polymorphic_on": "kind", "polymorphic_identity": "post"},
    )
    configure_mappers()
    service = service_of(author, post, send=send_object)
    write(engine, author, post)
    run(engine, "UPDATE post SET kind = 'post'", "UPDATE post SET kind = 'poem' WHERE id = 3")
    read = pages(engine, service, 100)
    assert ids(read) == list(range(1, 10))
    assert list(bad(read)) == [3]
    assert "record 3 of post cannot be loaded" in bad(read)[3]
    assert "poem" in bad(read)[3]


def test_an_object_that_comes_after_an_unreadable_one_still_follows_its_relationships(engine: Engine) -> None:
    service, author, post = blog(Fussy(), send_object)
    write(engine, author, post)
    run(engine, "UPDATE post SET odd = '' WHERE id = 3")
    with reader_of(engine, service).page(size=9) as page:
        assert [item.record.author.id for item in page.items if item.id != 3] == [2, 3, 2, 3, 1, 2, 3, 1]


def test_one_unreadable_row_costs_few_statements(sqlite: Engine) -> None:
    service, author, post = blog(Fussy())
    write(sqlite, author, post, number=2_000)
    run(sqlite, "UPDATE post SET odd = '' WHERE id = 1234")
    statements: list[str] = []
    event.listen(sqlite, "before_cursor_execute", lambda *given: statements.append(given[2]))
    assert list(bad(pages(sqlite, service, 2_000))) == [1234]
    assert len(statements) < 50


def test_a_page_without_unreadable_rows_is_one_statement(sqlite: Engine) -> None:
    service, author, post = blog(Fussy())
    write(sqlite, author, post)
    statements: list[str] = []
    event.listen(sqlite, "before_cursor_execute", lambda *given: statements.append(given[2]))
    assert len(pages(sqlite, service, 100)) == 1
    assert len(statements) == 1


def test_a_missing_column_is_an_error_of_the_lane_and_not_of_each_record(engine: Engine) -> None:
    service, author, post = blog(Fussy())
    write(engine, author, post)
    run(engine, "ALTER TABLE post DROP COLUMN odd")
    with pytest.raises(StoreError, match="odd"):
        pages(engine, service, 4)


def test_records_are_sorted_by_a_column_that_python_cannot_read(postgresql: Engine) -> None:
    service, author, post = blog(Integer())
    write(postgresql, author, post)
    run(
        postgresql,
        "UPDATE post SET at = 'infinity' WHERE id IN (2, 5)",
        "UPDATE post SET at = '-infinity' WHERE id = 7",
    )
    read = pages(postgresql, service, 2)
    assert ids(read) == [7, 1, 3, 4, 6, 8, 9, 2, 5]
    assert set(bad(read)) == {2, 5, 7}


def test_a_key_that_cannot_be_read_is_named_once_for_the_lane(sqlite: Engine) -> None:
    service, author, post = blog(Integer())
    service.protocols[0].record.__table__.c.id.type = Fussy()
    write(sqlite, author, post)
    run(sqlite, "PRAGMA foreign_keys=off", "UPDATE post SET id = '' WHERE id = 3")
    with pytest.raises(
        StoreError, match=r"post\.id of at least one record cannot be read.*a text is empty"
    ) as caught:
        pages(sqlite, service, 4)
    assert not isinstance(caught.value, StoreUnavailable)


def test_records_that_are_stored_under_another_form_of_their_key_are_named(sqlite: Engine) -> None:
    """They are read, but not found again by the value read."""
    base = registry().generate_base()
    author = made_of(base, "Author", id=Column(Integer, primary_key=True), node=Column(String(50)))
    post = made_of(
        base,
        "Post",
        id=Column(Uuid(), primary_key=True),
        author_id=Column(Integer, ForeignKey("author.id")),
        at=Column(DateTime(timezone=True), nullable=False),
        odd=Column(Fussy()),
        **flag_columns("push"),
    )
    fill(sqlite, (author, [{"id": 1, "node": "n1"}]))
    run(
        sqlite,
        "INSERT INTO post (id, author_id, at, odd)"
        " VALUES ('0c7f1f6e-5a0c-4c25-a1a6-0d9d1c1f3b5e', 1, '2026-01-01 00:00:00.000000', '')",
    )
    with pytest.raises(StoreUnavailable, match="not found again under their ids"):
        pages(sqlite, service_of(author, post), 4)
