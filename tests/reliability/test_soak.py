"""A mesh at work while masters are killed and paused, nodes restarted, requests broken: no promise is broken."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.reliability.soak.run import soak
from tests.reliability.soak.settings import brief
from tests.reliability.soak.summary import Outcome
from tests.support.databases import empty_postgresql

SEED = 2026


def say(line: str) -> None:
    """Shown where the test fails."""
    sys.stdout.write(line + "\n")


def check(outcome: Outcome, *, kills: int, hand_overs: int) -> None:
    say(str(outcome))
    assert outcome.clean, outcome
    assert outcome.strikes["kills"] >= kills
    assert outcome.strikes["told to hand over"] >= hand_overs
    assert outcome.verdict.records > 0


@pytest.mark.timeout(240)
def test_a_short_soak_breaks_no_promise(postgresql_server: str, tmp_path: Path) -> None:
    with empty_postgresql(postgresql_server) as url:
        outcome = soak(brief(5, nodes=3, entities=20, seed=SEED), url, tmp_path, say)
    check(outcome, kills=2, hand_overs=2)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_soak_of_a_minute_breaks_no_promise(database_url: str, tmp_path: Path) -> None:
    outcome = soak(brief(60, nodes=6, entities=60, seed=SEED), database_url, tmp_path, say)
    check(outcome, kills=15, hand_overs=30)
