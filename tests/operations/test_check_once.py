"""A check says each thing once, although a column or a table may have several roles in several protocols."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import (
    Column,
    DateTime,
    Engine,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
)
from sqlalchemy.orm import registry, relationship
from sqlalchemy.types import TypeEngine

from tests.adapters.store.worlds import flag_columns, made_of
from tests.support.schema_findings import fixed
from workmesh_flows import Flags, Mesh, Protocol, Push, Service, post
from workmesh_flows.errors import StoreError, StoreUnavailable
from workmesh_flows.operations.check import check_mesh, missing_ddl


class Blog:
    """Authors with posts, and comments on these posts: posts are records, and on the way from comments to authors."""

    def __init__(self) -> None:
        base: Any = registry().generate_base()
        self.metadata: MetaData = base.metadata
        author = made_of(base, "Author", id=Column(Integer, primary_key=True), node=Column(String(50)))
        one = made_of(
            base,
            "Post",
            id=Column(Integer, primary_key=True),
            author_id=Column(Integer, ForeignKey("author.id")),
            author=relationship("Author"),
            at=Column(DateTime(timezone=True), nullable=False),
            **flag_columns("push"),
        )
        two = made_of(
            base,
            "Comment",
            id=Column(Integer, primary_key=True),
            post_id=Column(Integer, ForeignKey("post.id")),
            post=relationship("Post"),
            at=Column(DateTime(timezone=True), nullable=False),
            **flag_columns("push"),
        )
        self.mesh = Mesh(
            [
                Service(
                    "blog",
                    entity=author,
                    assigned_to=author.node,
                    protocols=[self.protocol("post", one), self.protocol("comment", two)],
                )
            ]
        )

    @staticmethod
    def protocol(name: str, record: Any) -> Protocol:
        flags = Flags(record.push_time, record.push_success, record.push_error)
        return Protocol(
            name,
            record=record,
            id=record.id,
            sort=record.at,
            push=Push(post("/push.json", batch_size=9), flags),
        )


def test_an_index_is_not_proposed_beside_one_that_covers_it(engine: Engine) -> None:
    """Moving an account searches posts by their author, and so does the status, by an index with one more column."""
    blog = Blog()
    blog.metadata.create_all(engine)
    proposed = [text for text in missing_ddl(check_mesh(engine, blog.mesh)) if " ON post (author_id" in text]
    assert len(proposed) == 1
    assert '(author_id, "push Success")' in proposed[0]
    assert fixed(engine, blog.mesh) == []


def create_bare(engine: Engine, blog: Blog, key: TypeEngine[Any]) -> None:
    """Create the tables without keys; ids and foreign keys are of this type."""
    bare = MetaData()
    for table in blog.metadata.sorted_tables:
        columns = (
            Column(column.name, key if column.name.endswith("id") else column.type)
            for column in table.columns
        )
        Table(table.name, bare, *columns)
    bare.create_all(engine)


def test_a_column_of_a_wrong_type_with_several_roles_is_one_problem(engine: Engine) -> None:
    blog = Blog()
    create_bare(engine, blog, Text())
    found = [finding.where for finding in check_mesh(engine, blog.mesh) if "declared as" in finding.what]
    assert sorted(found) == ["author.id", "comment.id", "comment.post_id", "post.author_id", "post.id"]


def test_a_key_that_is_not_unique_is_one_problem(engine: Engine) -> None:
    blog = Blog()
    create_bare(engine, blog, Integer())
    places = [
        f.where for f in check_mesh(engine, blog.mesh) if "neither the primary key nor unique" in f.what
    ]
    assert sorted(places) == ["author.id", "comment.id", "post.id"]


def test_an_unreachable_database_is_named_without_its_password() -> None:
    with pytest.raises(StoreUnavailable) as caught:
        check_mesh(
            create_engine("postgresql+psycopg://me:pa55@127.0.0.1:1/saas?connect_timeout=2"), Blog().mesh
        )
    assert str(caught.value).startswith("database 127.0.0.1:1/saas: ")
    assert "pa55" not in str(caught.value)


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Any) -> None:
    path = tmp_path / "none" / "saas.db"
    with pytest.raises(StoreError, match=f"database {path}: unable to open database file"):
        check_mesh(create_engine(f"sqlite:///{path}"), Blog().mesh)
