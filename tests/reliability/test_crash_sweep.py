"""A master is killed at every failpoint of push, pull and replay and restarted: no loss, no disorder, no duplicates.

The processes, the kills (SIGKILL), the databases, the network and the node are real. `failpoints` defines the points,
`sweep_situation` the records, and `sweep_checks` the checks.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tests.reliability.sweep_checks import check_after_kill, check_at_end
from tests.reliability.sweep_points import POINTS, SHORT, cases
from tests.reliability.sweep_stage import Stage, open_stage
from tests.support.databases import KINDS

SEEDS = range(4)
KILLS = 6

pytestmark = pytest.mark.timeout(400)  # on a busy machine
each_kind = pytest.mark.parametrize("stage", KINDS, indirect=True)


@pytest.fixture(scope="module")
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stage for each kind of database."""
    server = request.getfixturevalue("postgresql_server") if request.param == "postgresql" else None
    with open_stage(tmp_path_factory.mktemp("stage"), server) as made:
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


@pytest.mark.parametrize(("stage", "point", "which"), SWEEP, indirect=["stage"], scope="module")
def test_a_killed_and_restarted_master_breaks_no_guarantee(stage: Stage, point: str, which: str) -> None:
    times = stage.passed[point]
    pass_number = {"first": 1, "middle": (times + 1) // 2, "last": times}[which]
    with stage.play() as play:
        assert play.run_master((point, pass_number)) is None, "the master was not killed"
        check_after_kill(play, point, which)
        assert play.run_master() is not None
        check_at_end(play, killed=1)


@each_kind
def test_an_undisturbed_master_passes_every_failpoint_of_the_sweep(
    stage: Stage,
) -> None:
    with stage.play() as play:
        passed = play.run_master()
        check_at_end(play, killed=0)
    assert passed is not None
    assert sorted(passed) == sorted(POINTS[stage.kind])


@pytest.mark.slow
@each_kind
@pytest.mark.parametrize("seed", SEEDS)
def test_a_repeatedly_killed_master_breaks_no_guarantee(stage: Stage, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - reproducible, not secret
    passed = sorted(stage.passed.items())  # this runs a play of its own, with the same node
    with stage.play() as play:
        killed = sum(
            play.run_master((point, chance.randint(1, times))) is None
            for point, times in chance.choices(passed, k=KILLS)
        )
        assert play.run_master() is not None
        check_at_end(play, killed=killed)
