"""Applying a plan: its waves one after another, and none behind a wave that is not complete."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from workmesh_flows.domain.reports import MoveReport
from workmesh_flows.operations.moves.apply import MovesMade, apply_plan
from workmesh_flows.planning.moves import Move, MovePlan
from workmesh_flows.planning.stored_plan import StoredPlan

MOVES = [("n1", 0), ("n2", 0), ("n1", 0), ("n1", 1), ("n3", 2)]
DONE = MoveReport("s", "n1", selected=1, moved=1)
SKIPPED = MoveReport("s", "n1", selected=1, skipped=1)
NOT_ALL = MoveReport("s", "n1", selected=2, moved=1, not_moved=1)


@dataclass(slots=True)
class Calls:
    """What a plan's application calls, in order; waves end as given, or all with a moved entity."""

    waves: Sequence[MovesMade] = ()
    calls: list[object] = field(default_factory=list)

    def run_wave(self, wave: int, sources: Sequence[str]) -> MovesMade:
        self.calls.append((wave, *sources))
        return self.waves[wave] if self.waves else MovesMade([DONE])

    def apply(self) -> MovesMade:
        return apply_plan(
            plan(),
            self.run_wave,
            start=lambda: self.calls.append("start"),
            finish=lambda made: self.calls.append(("finish", made.moved)),
            on_step=self.calls.append,
        )


def plan() -> StoredPlan:
    moves = [Move(number, source, "n9", 1, "drain", wave=wave) for number, (source, wave) in enumerate(MOVES)]
    return StoredPlan("s", "drain", MovePlan(moves), [], {})


def test_a_plan_is_started_applied_wave_by_wave_and_finished() -> None:
    calls = Calls()
    assert calls.apply() == MovesMade([DONE] * 3)
    waves = [(0, "n1", "n2"), (1, "n1"), (2, "n3")]
    assert calls.calls == ["start", "plan started", *waves, ("finish", 3), "plan finished"]


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(MovesMade([DONE, NOT_ALL]), id="entities are not moved"),
        pytest.param(MovesMade([DONE], ["s, node n2: its lanes are held"]), id="a node failed"),
    ],
)
def test_no_wave_starts_behind_one_that_is_not_complete(broken: MovesMade) -> None:
    calls = Calls([MovesMade([DONE]), broken])
    made = calls.apply()
    assert calls.calls == ["start", "plan started", (0, "n1", "n2"), (1, "n1")]
    assert made.reports == [DONE, *broken.reports]
    assert made.problems == broken.problems


def test_a_plan_whose_entities_were_skipped_is_finished() -> None:
    calls = Calls([MovesMade([SKIPPED])] * 3)
    assert calls.apply().complete
    assert calls.calls[-2:] == [("finish", 0), "plan finished"]
