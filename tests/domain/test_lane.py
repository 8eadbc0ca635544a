from __future__ import annotations

import pytest

from workmesh_flows.domain.lane import Direction, Lane

LANES = [
    Lane("micro.emails.timeline", "delivery", "n1", "push"),
    Lane("leads_scoring", "lead-2", "node-7", "pull"),
]


@pytest.mark.parametrize("lane", LANES, ids=str)
def test_a_lane_is_read_back_from_its_subject(lane: Lane) -> None:
    assert Lane.from_subject(lane.subject) == lane


@pytest.mark.parametrize("subject", ["", "s/p/n", "s/p/n/sideways", "s/p/n/push/x", "s//n/push", "s/p//pull"])
def test_a_text_that_names_no_lane_is_refused(subject: str) -> None:
    with pytest.raises(ValueError, match="names no lane"):
        Lane.from_subject(subject)


@pytest.mark.parametrize(
    ("direction", "text"), [("push", "delivery to n1"), ("pull", "delivery from n1")], ids=["push", "pull"]
)
def test_the_text_of_a_lane_shows_its_direction(direction: Direction, text: str) -> None:
    lane = Lane("emails", "delivery", "n1", direction)
    assert str(lane) == text
    assert lane.subject == f"emails/delivery/n1/{direction}"
    assert lane.header == "emails/delivery"
