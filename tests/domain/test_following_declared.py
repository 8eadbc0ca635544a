"""``after`` is valid, or DefinitionError says in the user's words what is wrong with it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.operations.delivery.forum import COMMENT, Comment, Topic, comments, forum, sends, topics
from workmesh_flows import DefinitionError, Protocol


def problems_of(*protocols: Protocol) -> list[str]:
    with pytest.raises(DefinitionError) as wrong:
        forum(*protocols)
    return [problem.removeprefix("protocol 'comment': ") for problem in wrong.value.problems]


@pytest.mark.parametrize(
    "after",
    [
        pytest.param(Comment.topic, id="a relationship"),
        pytest.param(Comment.topic_id, id="a foreign key column"),
    ],
)
def test_after_is_a_relationship_or_a_foreign_key_column(after: Any) -> None:
    first, second = topics(), comments(after=after)
    forum(first, second)
    assert second.follows is not None
    assert second.follows.protocol is first


@pytest.mark.parametrize("after", [Comment.parent, Comment.parent_id])
def test_records_may_depend_on_records_of_the_same_protocol(after: Any) -> None:
    only = comments(after=after)
    forum(only)
    assert only.follows is not None
    assert only.follows.protocol is only


def test_the_other_protocol_may_be_declared_later() -> None:
    first, second = comments(after=Comment.topic), topics()
    forum(first, second)
    assert first.follows is not None
    assert first.follows.protocol is second


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        pytest.param(
            "topic", "after must be a relationship or a foreign key column, not 'topic'", id="a string"
        ),
        pytest.param(
            Topic, "after must be a relationship or a foreign key column, not", id="the class itself"
        ),
        pytest.param(Comment.at, "Comment.at", id="a column without a foreign key"),
        pytest.param(
            Topic.team_id, "after Topic.team_id does not start at Comment", id="a column of another table"
        ),
        pytest.param(Comment.answers, "Comment.answers", id="a relationship to many rows"),
        pytest.param(
            Comment.team_id,
            "after Comment.team_id leads to team, which no protocol of the service pushes",
            id="a table that no protocol pushes",
        ),
    ],
)
def test_a_wrong_after_is_reported(after: Any, expected: str) -> None:
    problems = problems_of(topics(), comments(after=after))
    assert len(problems) == 1
    assert expected in problems[0]
    assert problems[0].startswith("after ")


def test_after_must_not_lead_to_a_table_that_two_protocols_push() -> None:
    twice = topics()
    twice.name = "topic_again"
    problems = problems_of(topics(), twice, comments(after=Comment.topic))
    assert problems[0] == (
        "after Comment.topic leads to topic, which 'topic' and 'topic_again' push; exactly one protocol must push it"
    )


def test_after_needs_push() -> None:
    problems = problems_of(topics(), comments(after=Comment.topic, push=None))
    assert "after is given without push, but only pushed records can depend on others" in problems


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"max_attempts": 0}, "max_attempts"),
        ({"max_attempts": True}, "max_attempts"),
        ({"max_attempts": 1.5}, "max_attempts"),
        ({"policy": "park"}, "policy"),
    ],
)
def test_a_wrong_max_attempts_or_policy_is_reported(changes: dict[str, Any], expected: str) -> None:
    problems = problems_of(comments(push=sends(COMMENT, Comment, **changes)))
    assert len(problems) == 1
    assert expected in problems[0]
