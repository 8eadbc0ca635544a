"""The file of a history: several writers at a time, exact reading, and errors that name the line."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.testing.history.event_makers import (
    accepted,
    deleted,
    moved,
    pending,
    ping,
    record,
    replayed,
    report,
    sent,
    state,
)
from workmesh_flows.testing import ArrivalsRead, BrokenHistory, Event, History, RecordExists, read_history

ALL: list[Event] = [
    record(1, written=1.5),
    RecordExists(service="leads", protocol="ü", id="é-2", owner="x", sort="2026-03-01T12:00:00.000000+00:00"),
    deleted(2),
    ping(1, 0.5),
    sent(2, [1, 2], 1.25, 2.5, refused=("2",), code=200, fault="SlowBody"),
    accepted(1, 1, epoch=None),
    ArrivalsRead(service="leads", node="n1", records=1),
    moved(3.0),
    replayed(1, 4.0),
    report(selected=1, pushed=1),
    state(1, pulls=True, pull_success=False),
    pending(2, parked="skipped"),
]
WRITER = """
import sys
from tests.testing.history.event_makers import sent
from workmesh_flows.testing import History
with History(sys.argv[1]) as history:
    for number in range(200):
        history.write(sent(number, range(int(sys.argv[2]), int(sys.argv[2]) + 500), 1, 2))
"""


def test_every_kind_of_event_is_read_back_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    with History(path) as history:
        for event in ALL[:5]:
            history.write(event)
    with History(path) as history:
        for event in ALL[5:]:
            history.write(event)
        assert list(read_history(path)) == ALL, "an event is in the file when write returns"
    assert len(path.read_text().splitlines()) == len(ALL)
    assert repr(history) == f"History({str(path)!r})"


def test_lines_of_several_processes_and_threads_do_not_mix_in_one_file(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    root = Path(__file__).parents[3]
    processes = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(1000 * n)], cwd=root) for n in range(2)
    ]
    with History(path) as history, ThreadPoolExecutor(4) as pool:
        for number in range(400):
            pool.submit(history.write, sent(number, range(9000, 9500), 1, 2))
    assert [process.wait(60) for process in processes] == [0, 0]
    events = list(read_history(path))
    assert Counter(event.ids[0] for event in events if event.event == "sent") == {
        0: 200,
        1000: 200,
        9000: 400,
    }


@pytest.mark.parametrize(
    ("line", "words"),
    [
        pytest.param("no JSON", "the line is not JSON; was it cut off?", id="not JSON"),
        pytest.param("[1]", "the line is JSON, but not an object", id="not an object"),
        pytest.param("{}", 'the object has no "event" that names its kind', id="no event"),
        pytest.param(
            '{"event":"x"}',
            "an event 'x' is not known; known are record, deleted, sent, accepted, arrivals, moved, resumed, report, state",
            id="an unknown event",
        ),
        pytest.param('{"event":["x"]}', "an event ['x'] is not known; known are record", id="an odd event"),
        pytest.param('{"event":null}', "an event None is not known; known are record", id="an event of null"),
        pytest.param(
            '{"event":"accepted","service":"s"}',
            "the event 'accepted' has no 'protocol' (and 4 more)",
            id="missing fields",
        ),
        pytest.param(
            '{"event":"moved","service":"s","owner":1',
            "the line is not JSON; was it cut off?",
            id="a truncated line",
        ),
        pytest.param("\udcff", "the line is not JSON; was it cut off?", id="bytes that are no text"),
        pytest.param(
            '{"event":"arrivals","service":"s","node":"n","records":"3"}',
            "records of the event 'arrivals' is wrong: Input should be a valid integer",
            id="a field of another type",
        ),
    ],
)
def test_a_line_that_is_not_an_event_raises_an_error_with_its_number(
    tmp_path: Path, line: str, words: str
) -> None:
    path = tmp_path / "history.jsonl"
    with History(path) as history:
        history.write(record(1))
    with path.open("ab") as file:
        file.write(f"\n{line}\n".encode(errors="surrogateescape"))
    with pytest.raises(BrokenHistory, match=r"history\.jsonl, line 3: ") as caught:
        list(read_history(path))
    assert words in str(caught.value)
    assert caught.value.line == 3


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_a_file_without_events_raises_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "history.jsonl").write_text(text)
    with pytest.raises(BrokenHistory, match=r"history\.jsonl: the file has no events$"):
        list(read_history(tmp_path / "history.jsonl"))


def test_a_missing_file_raises_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(BrokenHistory, match=r"none\.jsonl: No such file"):
        list(read_history(tmp_path / "none.jsonl"))
