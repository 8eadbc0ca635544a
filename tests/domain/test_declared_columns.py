"""DefinitionError reports every unsuitable column of a protocol with the reason."""

from __future__ import annotations

from typing import Any

import pytest

from tests.domain.declarations import parcel, parcel_flags, problems, protocol, protocol_problems, pull, push
from tests.domain.odd_columns import Parcel
from tests.support.shop import PUSH_FLAGS, Order, Shop
from workmesh_flows import Flags, post

NO_FLAG = "null means that the record is pending"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        pytest.param({"record": 5}, "record must be a mapped class, not 5", id="record a number"),
        pytest.param(
            {"record": int}, "record int is not a class mapped by SQLAlchemy", id="record not mapped"
        ),
        pytest.param({"id": None}, "id must be a column of Order, not None", id="no id"),
        pytest.param({"id": "id"}, "id must be a column of Order, not 'id'", id="id a string"),
        pytest.param(
            {"id": Order.shop}, "id must be a column of Order, not Order.shop", id="id a relationship"
        ),
        pytest.param(
            {"id": Order.__table__.c.id},
            "id must be a column of Order, not Column('id', Integer(), table=<select>, primary_key=True, nullable=False)",
            id="id a column of the bare table",
        ),
        pytest.param(
            {"id": Shop.id},
            "id is Shop.id, which is not a column of Order",
            id="id a column of another class",
        ),
        pytest.param(
            {"sort": Shop.size},
            "sort is Shop.size, which is not a column of Order",
            id="sort a column of another class",
        ),
        pytest.param({"sort": None}, "sort must be a column of Order, not None", id="no sort"),
        pytest.param(
            {"sort": Order.score, "pull": None},
            "sort Order.score must not be nullable: it orders the records, and null has no order",
            id="sort nullable",
        ),
        pytest.param(
            {"push": None, "pull": None},
            "neither push nor pull is given; the protocol would do nothing",
            id="no direction",
        ),
        pytest.param(
            {"push": None},
            "pull is given without push, but only pushed records have results",
            id="pull without push",
        ),
        pytest.param(
            {"push": PUSH_FLAGS.time}, "push must be Push(...), not Order.push_time", id="push a column"
        ),
        pytest.param({"pull": "/pull"}, "pull must be Pull(...), not '/pull'", id="pull a string"),
    ],
)
def test_a_single_problem_of_a_protocol_is_reported(changes: dict[str, Any], problem: str) -> None:
    assert protocol_problems(**changes) == [problem]


def test_a_post_that_is_not_in_a_push_is_reported() -> None:
    (problem,) = protocol_problems(push=post("/p"), pull=None)
    assert problem.startswith("push must be Push(...), not Post(path='/p'")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        pytest.param(
            {"id": Parcel.number},
            "id Parcel.number must not be nullable: it identifies a record, and null cannot",
            id="id nullable",
        ),
        pytest.param(
            {"id": Parcel.unique_or_null},
            "id Parcel.unique_or_null must not be nullable: it identifies a record, and null cannot",
            id="id unique but nullable",
        ),
        pytest.param(
            {"id": Parcel.shop_id},
            "id Parcel.shop_id is neither the primary key nor declared unique",
            id="id not unique",
        ),
        pytest.param(
            {"id": Parcel.pair_one},
            "id Parcel.pair_one is neither the primary key nor declared unique",
            id="id unique only with another column",
        ),
        pytest.param(
            {"id": Parcel.partly_unique},
            "id Parcel.partly_unique is neither the primary key nor declared unique",
            id="id unique among some rows",
        ),
        pytest.param(
            {"sort": Parcel.doubled},
            "sort must be a column of Parcel, not Parcel.doubled",
            id="sort a SQL expression",
        ),
        pytest.param(
            {"push": parcel_flags(time=None)},
            "push flags time must be a column of Parcel, not None",
            id="a flag None",
        ),
        pytest.param(
            {"push": parcel_flags(success=Parcel.shop)},
            "push flags success must be a column of Parcel, not Parcel.shop",
            id="a flag that is a relationship",
        ),
        pytest.param(
            {"push": parcel_flags(error=Order.push_error)},
            "push flags error is Order.push_error, which is not a column of Parcel",
            id="a flag that is a column of another class",
        ),
        pytest.param(
            {"push": parcel_flags(time=Parcel.number)},
            "push flags time Parcel.number has the type int; it must be datetime",
            id="time a number",
        ),
        pytest.param(
            {"push": parcel_flags(success=Parcel.number)},
            "push flags success Parcel.number has the type int; it must be bool",
            id="success a number",
        ),
        pytest.param(
            {"push": parcel_flags(error=Parcel.number)},
            "push flags error Parcel.number has the type int; it must be str",
            id="error a number",
        ),
        pytest.param(
            {"push": parcel_flags(time=Parcel.filled_time)},
            f"push flags time Parcel.filled_time must be nullable: {NO_FLAG}",
            id="time not nullable",
        ),
        pytest.param(
            {"push": parcel_flags(success=Parcel.filled_success)},
            f"push flags success Parcel.filled_success must be nullable: {NO_FLAG}",
            id="success not nullable",
        ),
        pytest.param(
            {"push": parcel_flags(error=Parcel.filled_error)},
            f"push flags error Parcel.filled_error must be nullable: {NO_FLAG}",
            id="error not nullable",
        ),
        pytest.param(
            {"push": parcel_flags(time=Parcel.coarse_time)},
            "push flags time Parcel.coarse_time must store microseconds, which the order of records needs",
            id="time in milliseconds",
        ),
        pytest.param(
            {"push": push(flags=Parcel.time)},
            "push flags must be Flags(time, success, error), not Parcel.time",
            id="flags not given as Flags",
        ),
    ],
)
def test_an_unsuitable_column_is_reported_with_the_reason(changes: dict[str, Any], problem: str) -> None:
    assert problems(protocols=[parcel(**changes)]) == [f"protocol 'parcel': {problem}"]


def test_a_synonym_is_not_a_column() -> None:
    (problem,) = problems(protocols=[parcel(id=Parcel.nickname)])
    assert problem.startswith("protocol 'parcel': id must be a column of Parcel, not ")


def test_one_column_must_not_be_two_flags() -> None:
    mixed = pull(flags=Flags(Order.push_time, Order.pull_success, Order.push_error))
    assert protocol_problems(pull=mixed) == [
        f"Order.push_{part} is both protocol 'order' push flag {part} and protocol 'order' pull flag {part}; "
        "each flag needs its own column"
        for part in ("time", "error")
    ]


def test_two_protocols_must_not_share_flags() -> None:
    found = problems(protocols=[protocol("a", pull=None), protocol("b", pull=None)])
    assert found == [
        f"Order.push_{part} is both protocol 'a' push flag {part} and protocol 'b' push flag {part}; "
        "each flag needs its own column"
        for part in ("time", "success", "error")
    ]
