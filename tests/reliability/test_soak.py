"""A soak: masters are killed and paused, nodes restarted, requests disturbed, and no guarantee is broken."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.reliability.soak.run import soak
from tests.reliability.soak.settings import brief
from tests.reliability.soak.summary import SoakResult
from tests.support.databases import empty_postgresql

SEED = 2026


def print_line(line: str) -> None:
    """Print a line, which pytest shows if the test fails."""
    sys.stdout.write(line + "\n")


def check(result: SoakResult, *, kills: int, moves: int) -> None:
    print_line(str(result))
    assert result.clean, result
    assert result.disruptions["kills"] >= kills
    assert result.disruptions["moves requested"] >= moves
    assert result.verdict.records > 0


@pytest.mark.timeout(240)
def test_a_short_soak_breaks_no_guarantee(postgresql_server: str, tmp_path: Path) -> None:
    with empty_postgresql(postgresql_server) as url:
        result = soak(brief(5, nodes=3, entities=20, seed=SEED), url, tmp_path, print_line)
    check(result, kills=2, moves=2)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_soak_of_a_minute_breaks_no_guarantee(database_url: str, tmp_path: Path) -> None:
    result = soak(brief(60, nodes=6, entities=60, seed=SEED), database_url, tmp_path, print_line)
    check(result, kills=15, moves=30)
