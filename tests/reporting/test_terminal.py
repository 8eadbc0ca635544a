"""Tables in the terminal: as wide as allowed, and in blocks where the columns do not fit side by side."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import pytest
from rich.console import Console

from workmesh_flows.reporting.terminal import as_table, console, print_whole

KEY = "0b7f3a52-6f0c-4a7e-9d3c-111122223333"
FRAME = pd.DataFrame(
    [
        ["lead", 7, datetime(2026, 6, 1, 12, tzinfo=UTC), KEY, "the node did not answer in time, and so on"],
        ["order", 1_000, None, KEY, "[/] is no markup"],
    ],
    columns=["protocol", "failures in a row", "since", "record", "reason"],
    dtype=object,
)


def shown(frame: pd.DataFrame, width: int) -> list[str]:
    terminal = Console(width=width, force_terminal=False)
    with terminal.capture() as captured:
        print_whole(terminal, as_table("Things", frame))
    return [line.rstrip() for line in captured.get().splitlines()]


def test_a_table_that_fits_has_one_line_a_row() -> None:
    title, names, _, first, second = shown(FRAME, 130)
    assert title == "Things"
    assert names.split("  ")[0] == "protocol failures in a row since"
    assert first.endswith(f"7 2026-06-01 12:00:00 {KEY} the node did not answer in time, and so on")
    assert second.startswith("order                1,000 ")
    assert second.endswith("[/] is no markup")


@pytest.mark.parametrize(("width", "below"), [(130, "protocol failures"), (20, "(no rows)")])
def test_a_table_without_rows_is_shown(width: int, below: str) -> None:
    title, first, *_ = shown(FRAME.head(0), width)
    assert (title, first[: len(below)]) == ("Things", below)


def test_texts_wrap_at_words_and_no_word_is_cut() -> None:
    for width in range(86, 130):
        lines = shown(FRAME, width)
        assert all(len(line) <= width for line in lines)
        assert sum(KEY in line for line in lines) == 2, lines
        assert any("1,000" in line for line in lines)
        assert {"time,", "answer", "protocol"} <= set(" ".join(lines).split())
        assert lines[1].startswith("protocol") or lines[2].startswith("protocol")


@pytest.mark.parametrize("width", [60, 84])
def test_rows_whose_columns_do_not_fit_are_blocks_without_empty_cells(width: int) -> None:
    assert shown(FRAME, width) == [
        "Things",
        "protocol           lead",
        "failures in a row  7",
        "since              2026-06-01 12:00:00",
        f"record             {KEY}",
        *(
            ["reason             the node did not answer in time, and so on"]
            if width > 61
            else ["reason             the node did not answer in time, and so", "on"]
        ),
        "",
        "protocol           order",
        "failures in a row  1,000",
        f"record             {KEY}",
        "reason             [/] is no markup",
    ]


@pytest.mark.parametrize("width", [20, 60, 84, 200])
@pytest.mark.parametrize(
    "key", ["k" * 150, "0b7f-" * 30, "界" * 70], ids=["letters", "hyphens", "wide letters"]
)
def test_an_id_is_never_broken_over_lines(key: str, width: int) -> None:
    frame = pd.DataFrame([[key, "a longer text about it"], ["2", "short"]], columns=["record", "reason"])
    assert sum(key in line for line in shown(frame, width)) == 1


def test_a_pipe_gets_one_line_a_row_whatever_its_length(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    reason = "its address is not one\nand " + "so on " * 300
    frame = pd.DataFrame([["1", reason]], columns=["record", "reason"])
    print_whole(console(), as_table("Things", frame))
    assert capsys.readouterr().out.splitlines()[3].split() == ["1", *reason.split()]


def test_the_console_is_as_wide_as_columns_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "77")
    assert console().width == 77
