"""Records as mapped objects: their relationships work, their changes are not saved, no transaction stays open."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import (
    Column,
    Engine,
    ForeignKey,
    Integer,
    String,
    create_engine,
    event,
    select,
    text,
    update,
)
from sqlalchemy.orm import Session, object_session, registry, relationship

from tests.adapters.store.paging import pending, reader_of
from tests.adapters.store.worlds import fill, flag_columns, made_of, make_flat, service_of
from workmesh_flows.planning.bisection import Sendable


class Blog:
    """A master whose models load collections in every way that SQLAlchemy knows."""

    def __init__(self, lazy: Any = "select") -> None:
        base = registry().generate_base()
        self.author: Any = made_of(
            base,
            "Author",
            id=Column(Integer, primary_key=True),
            node=Column(String(50)),
            name=Column(String(50)),
            posts=relationship("Post", lazy=lazy, viewonly=True),
        )
        self.post: Any = made_of(
            base,
            "Post",
            id=Column(Integer, primary_key=True),
            at=Column(Integer, nullable=False),
            title=Column(String(50)),
            author_id=Column(Integer, ForeignKey("author.id")),
            **flag_columns("push"),
            author=relationship(self.author, lazy=lazy),
            comments=relationship("Comment", lazy=lazy),
        )
        self.comment: Any = made_of(
            base,
            "Comment",
            id=Column(Integer, primary_key=True),
            post_id=Column(Integer, ForeignKey("post.id")),
            words=Column(String(50)),
        )
        self.service = service_of(self.author, self.post, send=lambda record, node: None)

    def fill(self, engine: Engine, posts: int = 5) -> None:
        fill(
            engine,
            (self.author, [{"id": 1, "node": "n1", "name": "Ann"}]),
            (
                self.post,
                [{"id": n, "at": n // 2, "author_id": 1, "title": f"post {n}"} for n in range(posts)],
            ),
            (self.comment, [{"id": n, "post_id": n // 3, "words": f"comment {n}"} for n in range(posts * 3)]),
        )

    def read(self, engine: Engine, size: int) -> Iterator[Sendable]:
        for page in pending(reader_of(engine, self.service), size):
            yield from page


@pytest.mark.parametrize("lazy", ["select", "joined", "subquery", "selectin"])
def test_a_function_gets_objects_and_may_follow_their_relationships(engine: Engine, lazy: str) -> None:
    blog = Blog(lazy)
    blog.fill(engine)
    for size in (1, 2, 5, 6):
        read = [
            (
                item.id,
                item.owner,
                item.record.author.name,
                len(item.record.comments),
                len(item.record.author.posts),
            )
            for item in blog.read(engine, size)
        ]
        assert read == [(number, 1, "Ann", 3, 5) for number in range(5)]


def test_what_a_function_changes_on_an_object_is_not_saved(engine: Engine) -> None:
    blog = Blog()
    blog.fill(engine)
    for item in blog.read(engine, 2):
        record = item.record
        record.title = "changed"
        record.author.name = "changed"
        record.comments.append(blog.comment(id=1_000 + item.id, words="added"))
        session = object_session(record)
        assert session is not None
        if item.id % 2:
            session.flush()  # even what it sends to the database itself
        else:
            session.delete(record.comments[0])
    with Session(engine) as session:
        assert {post.title for post in session.scalars(select(blog.post))} == {f"post {n}" for n in range(5)}
        assert session.scalars(select(blog.author.name)).all() == ["Ann"]
        assert len(session.scalars(select(blog.comment.id)).all()) == 15


def test_no_transaction_is_open_between_two_pages(engine: Engine) -> None:
    """While a page is sent, another connection can write and, in PostgreSQL, the reader has no open transaction."""
    blog = Blog()
    blog.fill(engine)
    for item in blog.read(engine, 1):
        with engine.begin() as connection:
            connection.execute(update(blog.post).where(blog.post.id == item.id).values(push_success=True))
        if engine.dialect.name == "postgresql":
            with engine.connect() as connection:
                others = (
                    "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
                assert connection.scalar(text(f"SELECT count(*) {others} AND state <> 'idle'")) == 0
                connection.execute(text("SET lock_timeout = '1s'"))
                connection.execute(text(f"ALTER TABLE post ADD COLUMN extra_{item.id} integer"))


def test_a_transaction_that_a_relationship_opened_ends_with_its_page(engine: Engine) -> None:
    blog = Blog()
    blog.fill(engine)
    began: list[str] = []
    event.listen(engine, "begin", lambda connection: began.append("begin"))
    for how in ("commit", "rollback"):
        event.listen(engine, how, lambda connection, how=how: began.append("end"))
    for item in blog.read(engine, 2):
        assert len(item.record.comments) == 3
    assert began.count("begin") == began.count("end")
    assert "begin begin" not in " ".join(began)


@pytest.mark.parametrize("form", ["rows", "objects"])
def test_memory_holds_one_page_and_not_the_whole_lane(tmp_path: Any, form: str) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'x.db'}")
    world = make_flat(Integer())
    service = (
        world.service
        if form == "rows"
        else service_of(world.shop, world.order, send=lambda record, node: None)
    )
    world.fill(engine, range(50_000))
    peaks: list[int] = []
    read = 0
    tracemalloc.start()
    for page in pending(reader_of(engine, service), 2_000):
        read += len(page)
        peaks.append(tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
    engine.dispose()
    assert read == 50_000
    assert peaks[-1] < 1.2 * peaks[4]
    assert peaks[-1] < 20 * 1024 * 1024
