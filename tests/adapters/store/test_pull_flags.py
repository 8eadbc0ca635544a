"""Results and their flags: a result that does not fit stops no other."""

from __future__ import annotations

import sqlite3
from random import Random
from typing import Any

import pytest
from sqlalchemy import (
    Engine,
    create_engine,
    text,
    update,
)

from tests.adapters.store.letters import NOW, Letters
from workmesh_flows.adapters.store.own_tables import create_own_tables
from workmesh_flows.adapters.store.schema import lanes
from workmesh_flows.adapters.store.values import as_utc
from workmesh_flows.errors import LaneLost, StoreError, StoreUnavailable


def test_a_run_that_loses_its_lane_between_single_writes_flags_nothing_more(engine: Engine) -> None:
    letters = Letters(engine)
    with engine.begin() as connection:
        connection.execute(update(lanes).values(epoch=7))
    with pytest.raises(LaneLost):
        letters.pull({1: {"score": -1}})
    assert letters.rows()[1].back is None


def test_results_are_written_with_their_flags(engine: Engine) -> None:
    letters = Letters(engine)
    results = {
        1: {"score": 7, "word": "good"},
        2: "it failed",
        3: None,
        4: {"score": None},
        5: {},
        6: {"word": "w"},
    }
    assert letters.pull(results) == {}
    rows = letters.rows()
    assert [rows[number].back for number in range(1, 7)] == [True, False, True, True, True, True]
    assert [rows[number].back_error for number in range(1, 4)] == [None, "it failed", None]
    assert [(rows[number].score, rows[number].word) for number in (1, 2, 4, 6)] == [
        (7, "good"),
        (None, None),
        (None, None),
        (None, "w"),
    ]
    assert {as_utc(rows[number].back_at) for number in range(1, 7)} == {NOW}
    assert rows[-1].back is None


def test_results_may_come_in_any_order_of_columns(engine: Engine) -> None:
    letters = Letters(engine)
    letters.pull({1: {"score": 7, "word": "a"}, 2: {"word": "b", "score": 8}})
    assert [(letters.rows()[n].score, letters.rows()[n].word) for n in (1, 2)] == [(7, "a"), (8, "b")]


@pytest.mark.parametrize(
    "misfit",
    [
        pytest.param({"score": -1}, id="a check"),
        pytest.param({"word": "much too long"}, id="a text that is too long"),
        pytest.param({"score": 2**70}, id="a number of any size"),
        pytest.param({"key": "no key"}, id="no UUID"),
        pytest.param({"more": object()}, id="no JSON"),
        pytest.param({"raw": {"a": 1}}, id="no bytes"),
        pytest.param({"score": {"a": 1}}, id="an object for a number"),
        pytest.param({"word": "\ud800"}, id="half a character"),
    ],
)
def test_one_result_that_does_not_fit_is_flagged_and_the_others_are_written(
    engine: Engine, misfit: dict[str, Any]
) -> None:
    letters = Letters(engine)
    misfits = letters.pull({1: {"score": 1}, 2: misfit, 3: {"score": 3}, 4: "it failed"})
    assert set(misfits) == {2}
    assert misfits[2].startswith(f"the result does not fit {next(iter(misfit))}: ")
    rows = letters.rows()
    assert [rows[number].back for number in (1, 2, 3, 4)] == [True, False, True, False]
    assert [rows[number].score for number in (1, 2, 3)] == [1, None, 3]
    assert rows[2].back_error == misfits[2]
    assert "UPDATE" not in misfits[2]
    assert "\n" not in misfits[2]


def test_a_value_that_is_too_long_for_an_index_is_a_misfit(postgresql: Engine) -> None:
    letters = Letters(postgresql)
    with postgresql.begin() as connection:
        connection.execute(text("ALTER TABLE letter ALTER COLUMN word TYPE text"))
        connection.execute(text("ALTER TABLE letter DROP CONSTRAINT word_short"))
        connection.execute(text("CREATE INDEX ON letter (word)"))
    incompressible = "".join(Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=20_000))  # noqa: S311 - no secret
    misfits = letters.pull({1: {"word": incompressible}, 2: {"word": "x"}})
    assert set(misfits) == {1}
    assert letters.rows()[2].back is True


def test_nul_is_a_misfit_in_postgresql(postgresql: Engine) -> None:
    letters = Letters(postgresql)
    assert set(letters.pull({1: {"word": "a\0b"}, 2: {"word": "x"}})) == {1}


@pytest.mark.parametrize("column", ["score", "back_error"])
def test_a_missing_column_fails_no_result(engine: Engine, column: str) -> None:
    letters = Letters(engine)
    with engine.begin() as connection:
        connection.execute(text(f"ALTER TABLE letter RENAME COLUMN {column} TO elsewhere"))
    for results in ({1: {"score": 1}, 2: {"score": 2}}, {1: {"score": 1}}):
        with pytest.raises(StoreError, match=column) as raised:
            letters.pull(results)
        assert not isinstance(raised.value, StoreUnavailable)
    with engine.connect() as connection:
        assert connection.scalars(text("SELECT back FROM letter WHERE back IS NOT NULL")).all() == []


def test_a_missing_table_fails_no_result(engine: Engine) -> None:
    letters = Letters(engine)
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE letter"))
    with pytest.raises(StoreError, match="letter"):
        letters.pull({1: {"score": 1}, 2: {"score": 2}})


def test_a_locked_database_flags_no_record(tmp_path: Any) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'x.db'}", connect_args={"timeout": 0.05})
    create_own_tables(engine)
    letters = Letters(engine)
    with sqlite3.connect(tmp_path / "x.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable):
            letters.pull({1: {"score": 1}, 2: {"score": 2}})
        with pytest.raises(StoreUnavailable):
            letters.push([1])
        other.execute("ROLLBACK")
    other.close()
    assert letters.pull({1: {"score": 1}}) == {}
    engine.dispose()
