"""``after``: a record is sent only after the one that it depends on was pushed."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, update
from sqlalchemy.orm import Session

from tests.operations.delivery.forum import (
    COMMENT,
    TOPIC,
    Comment,
    Topic,
    comments,
    forum,
    pushed,
    sends,
    topics,
    write,
    write_teams,
)
from tests.operations.delivery.lane_runs import QUICK
from tests.operations.delivery.refusals import refused_records
from tests.support.counts import Counts, counts
from tests.support.scripted_node import Answer, Asked, ScriptedNode, failure, scripted_node, success
from workmesh_flows import Protocol, Service
from workmesh_flows.domain.node import Node
from workmesh_flows.domain.reports import PushReport
from workmesh_flows.operations.delivery.lane_context import LaneContext
from workmesh_flows.operations.delivery.push import push_lane
from workmesh_flows.operations.delivery.replay import decide_refused


def push(engine: Engine, service: Service, protocol: str, node: Node) -> PushReport:
    return push_lane(
        LaneContext(engine, service, service.protocol(protocol), node, holder="test", limits=QUICK)
    )


def ids(asked: Asked) -> list[int]:
    return [record["id"] for record in asked.body["records"]]


def sent(node: ScriptedNode, path: str = COMMENT) -> list[list[int]]:
    return [ids(asked) for asked in node.asked if asked.path == path]


def comment(
    number: int, *, topic: int | None = None, parent: int | None = None, team: int = 1
) -> dict[str, object]:
    return {"id": number, "topic_id": topic, "parent_id": parent, "team_id": team}


@pytest.mark.parametrize(
    "protocol",
    [
        pytest.param(lambda: comments(after=Comment.topic), id="a relationship"),
        pytest.param(lambda: comments(after=Comment.topic_id), id="a foreign key column"),
        pytest.param(
            lambda: comments(
                after=Comment.topic, push=sends(COMMENT, Comment, send=_as_objects, batch_size=10)
            ),
            id="records as mapped objects",
        ),
    ],
)
def test_a_record_is_sent_after_the_one_that_it_depends_on(engine: Engine, protocol: object) -> None:
    assert callable(protocol)
    service = forum(topics(), protocol())
    write_teams(engine, "n1", "n1")
    write(engine, Topic, {"id": 1}, {"id": 2, "team_id": 2})
    write(engine, Comment, comment(1), comment(2, topic=1), comment(3), comment(4, topic=2, team=2))
    with scripted_node() as node:
        assert counts(push(engine, service, "comment", node.node())) == Counts(pushed=1, waiting=3)
        assert sent(node) == [[1]], (
            "what points to nothing waits for nothing; what follows a waiting one waits"
        )
        assert counts(push(engine, service, "comment", node.node())) == Counts(waiting=3)
        assert len(sent(node)) == 1
        push(engine, service, "topic", node.node())
        assert counts(push(engine, service, "comment", node.node())) == Counts(pushed=3)
        assert sent(node) == [[1], [2, 3, 4]]


def _as_objects(batch: list[Comment], client: object) -> None:
    client.post(COMMENT, {"records": [{"id": record.id} for record in batch]})  # type: ignore[attr-defined]


def test_a_record_waits_behind_one_that_is_refused_or_parked(engine: Engine) -> None:
    bad = topics(push=sends(TOPIC, Topic, max_attempts=2))
    service = forum(bad, comments(after=Comment.topic))
    write_teams(engine, "n1", "n1")
    write(engine, Topic, {"id": 1}, {"id": 2, "team_id": 2})
    write(engine, Comment, comment(1, topic=1), comment(2, topic=2, team=2), comment(3, topic=1, team=2))

    def script(asked: Asked) -> Answer:
        return failure("no") if asked.path == TOPIC and 1 in ids(asked) else success()

    with scripted_node(script) as node:
        for state in ("trying", "parked"):
            push(engine, service, "topic", node.node())
            assert refused_records(engine)["1"][0] == state
            push(engine, service, "comment", node.node())
            assert pushed(engine, Comment) == [2]
        node.script = lambda asked: success()
        decide_refused(engine, service, "replay")
        push(engine, service, "topic", node.node())
        assert counts(push(engine, service, "comment", node.node())) == Counts(pushed=2)
    assert pushed(engine, Comment) == [1, 2, 3]


def test_records_before_a_waiting_one_and_those_of_other_owners_are_sent(engine: Engine) -> None:
    service = forum(topics(), comments(after=Comment.topic))
    write_teams(engine, "n1", "n1")
    write(engine, Topic, {"id": 1})
    rows = [comment(number, team=1 + number % 2) for number in range(1, 31)]
    rows[14]["topic_id"] = 1  # comment 15, of team 2
    write(engine, Comment, *rows)
    with scripted_node() as node:
        report = push(engine, service, "comment", node.node())
    assert counts(report) == Counts(pushed=22, waiting=8)
    assert pushed(engine, Comment) == [n for n in range(1, 31) if n % 2 == 0 or n < 15]


def test_an_answer_goes_in_a_later_request_of_the_same_run_than_its_parent(engine: Engine) -> None:
    service = forum(comments(after=Comment.parent))
    write_teams(engine, "n1", "n1")
    write(engine, Comment, comment(1), comment(2, team=2), comment(3, parent=1), comment(4, parent=3))
    write(engine, Comment, comment(5, team=2), comment(6, parent=2, team=1))
    with scripted_node() as node:
        assert counts(push(engine, service, "comment", node.node())) == Counts(pushed=6)
    assert sent(node) == [[1, 2], [3], [4, 5, 6]]


def test_an_answer_to_a_refused_comment_is_not_sent(engine: Engine) -> None:
    service = forum(comments(after=Comment.parent, push=sends(COMMENT, Comment, max_attempts=1)))
    write_teams(engine, "n1", "n1", "n1")
    write(engine, Comment, comment(1), comment(2, parent=1, team=2), comment(3, team=2), comment(4, team=3))

    def script(asked: Asked) -> Answer:
        return failure("no") if asked.path == COMMENT and 1 in ids(asked) else success()

    with scripted_node(script) as node:
        assert counts(push(engine, service, "comment", node.node())) == Counts(pushed=1, parked=1, waiting=2)
        assert 2 not in [number for batch in sent(node) for number in batch]
        assert counts(push(engine, service, "comment", node.node())) == Counts(waiting=2)
        node.script = lambda asked: success()
        node.asked.clear()
        decide_refused(engine, service, "replay")
        assert counts(push(engine, service, "comment", node.node())) == Counts(pushed=3)
    assert sent(node) == [[1], [2, 3]]


def test_an_answer_that_was_read_before_its_parent_goes_in_the_next_run(engine: Engine) -> None:
    service = forum(comments(after=Comment.parent))
    write_teams(engine, "n1", "n1")
    write(engine, Comment, comment(2, team=2))
    write(engine, Comment, comment(1, parent=2))
    with scripted_node() as node:
        assert counts(push(engine, service, "comment", node.node())) == Counts(pushed=1, waiting=1)
        assert counts(push(engine, service, "comment", node.node())) == Counts(pushed=1)
    assert sent(node) == [[2], [1]]


def test_waiting_records_do_not_let_the_next_batch_grow(engine: Engine) -> None:
    """The node stops answering at comment 9; the comments before it wait for a topic, in every run."""
    push_one = sends(COMMENT, Comment, max_attempts=1)
    service = forum(topics(), comments(after=Comment.topic, push=push_one))
    write_teams(engine, "n1", "n1", "n1")
    write(engine, Topic, {"id": 1})
    write(engine, Comment, *(comment(number, topic=1) for number in range(1, 9)))
    write(engine, Comment, comment(9, team=2), comment(10, team=3))

    def script(asked: Asked) -> Answer:
        return Answer(raw=b"") if asked.path == COMMENT and 9 in ids(asked) else success()

    with scripted_node(script) as node:
        for _ in range(4):
            try:
                push(engine, service, "comment", node.node())
            except Exception:  # noqa: BLE001, S112 - it stops until the culprit is found
                continue
    assert refused_records(engine) == {"9": ("parked", 1)}
    assert pushed(engine, Comment) == [10]


def test_a_waiting_record_is_sent_once_it_points_elsewhere(engine: Engine) -> None:
    service = forum(topics(), comments(after=Comment.topic))
    write_teams(engine, "n1")
    write(engine, Topic, {"id": 1})
    write(engine, Comment, comment(1, topic=1))
    with scripted_node() as node:
        assert push(engine, service, "comment", node.node()).waiting == 1
        with Session(engine) as session, session.begin():
            session.execute(update(Comment).values(topic_id=None))
        assert push(engine, service, "comment", node.node()).pushed == 1


def test_a_protocol_names_the_one_that_it_follows() -> None:
    first, second = topics(), comments(after=Comment.topic)
    forum(first, second)
    assert second.follows is not None
    assert isinstance(second.follows.protocol, Protocol)
    assert second.follows.protocol is first
    assert first.follows is None
