"""A miniature forum: teams are assigned; comments depend on topics and on other comments."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import DateTime, Engine, ForeignKey, String, insert, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

from tests.support.flag_columns import Pushed, push_flags_of
from tests.support.shop import START
from workmesh_flows import Protocol, Push, Service, post

TOPIC = "/api/1.0/topic/push.json"
COMMENT = "/api/1.0/comment/push.json"


class Base(DeclarativeBase):
    pass


class Flagged(Pushed):
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Team(Base):
    __tablename__ = "team"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    node: Mapped[str | None] = mapped_column(String(50))


class Topic(Flagged, Base):
    __tablename__ = "topic"
    team_id: Mapped[int] = mapped_column(ForeignKey("team.id"))


class Comment(Flagged, Base):
    __tablename__ = "comment"
    team_id: Mapped[int] = mapped_column(ForeignKey("team.id"))
    topic_id: Mapped[int | None] = mapped_column(ForeignKey("topic.id"))
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("comment.id"))
    topic: Mapped[Topic | None] = relationship()
    parent: Mapped[Comment | None] = relationship(remote_side="Comment.id")
    answers: Mapped[list[Comment]] = relationship(viewonly=True)


def sends(path: str, record: type[Any], **more: Any) -> Push:
    sending = {"send": post(path, "records", batch_size=10), "flags": push_flags_of(record)}
    return Push(**{**sending, **more})


def topics(**more: Any) -> Protocol:
    parts: dict[str, Any] = {"owner": Topic.team_id, "push": sends(TOPIC, Topic)}
    return Protocol("topic", record=Topic, id=Topic.id, sort=Topic.at, **{**parts, **more})


def comments(name: str = "comment", **more: Any) -> Protocol:
    parts: dict[str, Any] = {"owner": Comment.team_id, "push": sends(COMMENT, Comment)}
    return Protocol(name, record=Comment, id=Comment.id, sort=Comment.at, **{**parts, **more})


def forum(*protocols: Protocol) -> Service:
    return Service("forum", entity=Team, assigned_to=Team.node, protocols=protocols)


def write_teams(engine: Engine, *nodes: str) -> None:
    """Write teams 1, 2, 3, ... with their nodes."""
    Base.metadata.create_all(engine)
    rows = [{"id": number, "node": node} for number, node in enumerate(nodes, start=1)]
    with Session(engine) as session, session.begin():
        session.execute(insert(Team), rows)


def write(engine: Engine, record: type[Base], *rows: dict[str, Any]) -> None:
    """Write records, one second apart in the order of their ids, of team 1 by default."""
    full = [{"team_id": 1, "at": START + timedelta(seconds=row["id"]), **row} for row in rows]
    with Session(engine) as session, session.begin():
        for row in full:
            session.execute(insert(record), row)


def pushed(engine: Engine, record: type[Any]) -> list[int]:
    """The ids of records that are flagged as pushed."""
    with Session(engine) as session:
        return list(
            session.scalars(select(record.id).where(record.push_success.is_(True)).order_by(record.id))
        )
