from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.testing.history.event_makers import accepted, pending, record, state
from workmesh_flows.testing import Event, History

ROOT = Path(__file__).parents[2]
CLEAN: list[Event] = [record(1), accepted(1, 1), state(1)]


def verify(folder: Path, events: Sequence[Event], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does, on a history of these events."""
    with History(folder / "history.jsonl") as history:
        for event in events:
            history.write(event)
    return subprocess.run(
        [sys.executable, "-m", "workmesh_flows.cli", "verify", "history.jsonl", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_clean_history_shows_a_table_of_zeros(tmp_path: Path) -> None:
    ended = verify(tmp_path, [*CLEAN, pending(2)])
    assert (ended.returncode, ended.stderr) == (0, "")
    title, names, _, figures = (line.strip() for line in ended.stdout.strip().splitlines())
    assert title == "History"
    assert names == "events records ordering loss duplicates single sender per lane totals push times"
    assert figures.split() == ["4", "2", "0", "0", "0", "0", "0", "0"]


def test_each_violation_of_a_history_is_reported_in_a_sentence(tmp_path: Path) -> None:
    ended = verify(tmp_path, [*CLEAN, state(2), pending(3)], "--settled")
    assert (ended.returncode, ended.stderr) == (1, "")
    assert ended.stdout.splitlines()[-2:] == [
        "loss: leads/lead/n1: record 2 is flagged as pushed, but no node accepted it",
        "loss: leads/lead/n1: record 3 is still pending: it should have been pushed by now",
    ]


def test_an_empty_file_is_an_error(tmp_path: Path) -> None:
    ended = verify(tmp_path, [])
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "workmesh: history.jsonl: the file has no events\n"


def test_an_unreadable_file_is_reported_in_one_line_with_the_line_number(tmp_path: Path) -> None:
    (tmp_path / "history.jsonl").write_text('{"event":"lost"}\n')
    ended = verify(tmp_path, CLEAN)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(
        "workmesh: history.jsonl, line 1: an event 'lost' is not known; known are record,"
    )
    assert len(ended.stderr.splitlines()) == 1
