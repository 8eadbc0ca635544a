"""``after`` is valid, or what is wrong with it is named in the user's words."""

from __future__ import annotations

from typing import Any

import pytest

from tests.operations.delivery.threads import COMMENT, Comment, Topic, comments, forum, sends, topics
from workmesh_flows import DefinitionError, Protocol


def told(*protocols: Protocol) -> list[str]:
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
def test_a_relationship_or_a_foreign_key_column_leads_to_what_is_followed(after: Any) -> None:
    first, second = topics(), comments(after=after)
    forum(first, second)
    assert second.follows is not None
    assert second.follows.protocol is first


@pytest.mark.parametrize("after", [Comment.parent, Comment.parent_id])
def test_a_protocol_may_follow_itself(after: Any) -> None:
    only = comments(after=after)
    forum(only)
    assert only.follows is not None
    assert only.follows.protocol is only


def test_what_is_followed_may_be_declared_later() -> None:
    first, second = comments(after=Comment.topic), topics()
    forum(first, second)
    assert first.follows is not None
    assert first.follows.protocol is second


@pytest.mark.parametrize(
    ("after", "said"),
    [
        pytest.param(
            "topic", "after must be a relationship or a foreign key column, not 'topic'", id="a text"
        ),
        pytest.param(
            Topic, "after must be a relationship or a foreign key column, not", id="the class itself"
        ),
        pytest.param(Comment.at, "Comment.at", id="a column that leads nowhere"),
        pytest.param(Topic.team_id, "after Topic.team_id does not start at Comment", id="another table's"),
        pytest.param(Comment.answers, "Comment.answers", id="a way to many rows"),
        pytest.param(
            Comment.team_id,
            "after Comment.team_id leads to team, which no protocol of the service pushes",
            id="a table that nobody pushes",
        ),
    ],
)
def test_a_wrong_after_is_told_in_a_sentence(after: Any, said: str) -> None:
    problems = told(topics(), comments(after=after))
    assert len(problems) == 1
    assert said in problems[0]
    assert problems[0].startswith("after ")


def test_a_table_that_two_protocols_push_is_not_clear() -> None:
    twice = topics()
    twice.name = "topic_again"
    problems = told(topics(), twice, comments(after=Comment.topic))
    clear = "it is not clear which to wait for"
    assert problems[0] == (
        f"after Comment.topic leads to topic, which both 'topic' and 'topic_again' push; {clear}"
    )


def test_after_is_for_what_is_pushed() -> None:
    problems = told(topics(), comments(after=Comment.topic, push=None))
    assert "after is given without push: what is not pushed waits for nothing" in problems


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"max_attempts": 0}, "max_attempts"),
        ({"max_attempts": True}, "max_attempts"),
        ({"max_attempts": 1.5}, "max_attempts"),
        ({"policy": "park"}, "policy"),
    ],
)
def test_a_wrong_number_of_attempts_or_policy_is_told(changes: dict[str, Any], said: str) -> None:
    problems = told(comments(push=sends(COMMENT, Comment, **changes)))
    assert len(problems) == 1
    assert said in problems[0]
