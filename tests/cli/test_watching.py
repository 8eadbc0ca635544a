"""--watch: tables again and again, in a terminal in place, in a pipe one after the other, until Ctrl-C."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from tests.cli.programs import ROOT
from tests.support.shop import write_orders, write_shops
from workmesh_flows.adapters.store.own_tables import create_own_tables
from workmesh_flows.cli.output import Output, forget_request
from workmesh_flows.cli.watching import emit_again
from workmesh_flows.errors import StoreUnavailable
from workmesh_flows.settings import PREFIX

HEADING = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"


@pytest.fixture
def environment(folder: Path) -> dict[str, str]:
    """The environment of a command without a Prefect server, with two shops that have orders."""
    url = f"sqlite:///{folder / 'shop.db'}"
    engine = create_engine(url)
    write_shops(engine, ["n1", "n1"])
    write_orders(engine, [1, 2])
    create_own_tables(engine)
    engine.dispose()
    known = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    return {
        **known,
        "PYTHONPATH": str(ROOT),
        "PREFECT_HOME": str(folder / "home"),
        f"{PREFIX}MESH": "shop_mesh:mesh",
        f"{PREFIX}DATABASE_URL": url,
    }


@contextmanager
def running(
    folder: Path, environment: dict[str, str], output: int, *arguments: str
) -> Iterator[subprocess.Popen[str]]:
    """Run the command in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "workmesh_flows.cli", *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_pipe_gets_one_table_after_the_other_until_ctrl_c(
    folder: Path, environment: dict[str, str]
) -> None:
    with running(folder, environment, subprocess.PIPE, "services", "--watch", "0.1") as process:
        assert process.stdout is not None
        lines = [process.stdout.readline().rstrip() for _ in range(12)]
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert [bool(re.fullmatch(HEADING, line)) for line in lines].count(True) >= 2
    assert len({line for line in lines if line.startswith("shop.orders")}) == 1


def test_with_json_each_line_is_a_document(folder: Path, environment: dict[str, str]) -> None:
    with running(folder, environment, subprocess.PIPE, "lanes", "--watch", "0.1", "--json") as process:
        assert process.stdout is not None
        documents = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 0
    assert documents[0]["at"] < documents[1]["at"]
    assert documents[0]["tables"] == {"lanes": []}


def test_a_terminal_shows_the_latest_table_in_place(folder: Path, environment: dict[str, str]) -> None:
    ours, theirs = pty.openpty()
    environment |= {"TERM": "xterm", "COLUMNS": "100", "LINES": "20"}
    with running(folder, environment, theirs, "services", "--watch", "0.1") as process:
        shown = ""
        while shown.count("shop.orders") < 3:
            shown += os.read(ours, 4096).decode()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    os.close(theirs)
    os.close(ours)
    assert "every 0.1 s; Ctrl-C ends it" in shown
    assert "\x1b[1A" in shown  # the cursor goes up, to draw over the table before


def test_a_later_error_is_shown_and_the_first_one_ends_the_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    readings: list[Output | BaseException] = [
        Output(["a table"]),
        StoreUnavailable("the database is down"),
        Output(["another table"]),
        KeyboardInterrupt(),
        StoreUnavailable("the database is down"),
    ]

    def read() -> Output:
        match readings.pop(0):
            case Output() as output:
                return output
            case error:
                raise error

    forget_request()
    emit_again(read, 0.001)
    shown = [line for line in capsys.readouterr().out.splitlines() if not re.fullmatch(HEADING, line)]
    assert shown == ["a table", "workmesh: the database is down", "another table"]
    with pytest.raises(StoreUnavailable):
        emit_again(read, 0.001)
