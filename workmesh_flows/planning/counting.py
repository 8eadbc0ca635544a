"""What a flag adds to the counter of its lane, and to the correction of its protocol."""

from __future__ import annotations

from typing import NamedTuple

from workmesh_flows.domain.lane import Direction


class Counted(NamedTuple):
    """What is added to the lane's counter, and to the correction."""

    done: int
    correction: int


def count_flag(
    direction: Direction, counted: Direction, *, pushed: bool, pulled: bool, success: bool
) -> Counted:
    """Count the flag that a lane of this direction writes on a record that had these flags until now.

    ``counted`` is the direction whose lanes count processed records; ``pulled`` is true where no results are pulled. A
    record that got its flag before, from another lane or run, is not counted again.
    """
    before = pushed and pulled
    after = success and (pulled if direction == "push" else pushed)
    done = int(after and not before) if direction == counted else int(success and not pushed)
    return Counted(done, after - before - (done if direction == counted else 0))
