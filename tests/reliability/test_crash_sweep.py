"""A master is killed at every failpoint of push and pull, and started again: nothing is lost, out of order or doubled.

The processes, the kills (SIGKILL), the databases, the network and the node are real; see `failpoints` for what the
points are, `situation` for what is worked, and `aftermath` for what is checked.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tests.reliability.sweep_checks import check_at_its_death, check_in_the_end
from tests.reliability.sweep_points import POINTS, SHORT, cases
from tests.reliability.sweep_stage import Stage, set_stage
from tests.support.databases import KINDS

SEEDS = range(4)
KILLS = 6

pytestmark = pytest.mark.timeout(400)  # on a machine that is busy with other things
each_kind = pytest.mark.parametrize("stage", KINDS, indirect=True)


@pytest.fixture(scope="module")
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stage for each kind of database."""
    server = request.getfixturevalue("postgresql_server") if request.param == "postgresql" else None
    with set_stage(tmp_path_factory.mktemp("stage"), server) as made:
        yield made


SWEEP = [
    pytest.param(
        kind,
        point,
        which,
        id=f"{kind}: {which} {point}",
        marks=[] if (point, which) in SHORT[kind] else [pytest.mark.slow],
    )
    for kind in KINDS
    for point, which in cases(kind)
]


@pytest.mark.parametrize(("stage", "point", "which"), SWEEP, indirect=["stage"])
def test_a_master_that_is_killed_is_started_again_and_keeps_every_promise(
    stage: Stage, point: str, which: str
) -> None:
    times = stage.passed[point]
    passing = {"first": 1, "middle": (times + 1) // 2, "last": times}[which]
    with stage.play() as play:
        assert play.live((point, passing)) is None, "it was to be killed"
        check_at_its_death(play, point, which)
        assert play.live() is not None
        check_in_the_end(play, killed=1)


@each_kind
def test_a_master_that_is_not_killed_keeps_every_promise_and_comes_by_every_failpoint_of_the_sweep(
    stage: Stage,
) -> None:
    with stage.play() as play:
        passed = play.live()
        check_in_the_end(play, killed=0)
    assert passed is not None
    assert sorted(passed) == sorted(POINTS[stage.kind])


@pytest.mark.slow
@each_kind
@pytest.mark.parametrize("seed", SEEDS)
def test_a_master_that_is_killed_again_and_again_keeps_every_promise(stage: Stage, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - to be the same each time
    passed = sorted(stage.passed.items())  # which is a play of its own, at the same node
    with stage.play() as play:
        killed = sum(
            play.live((point, chance.randint(1, times))) is None
            for point, times in chance.choices(passed, k=KILLS)
        )
        assert play.live() is not None
        check_in_the_end(play, killed=killed)
