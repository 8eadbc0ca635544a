"""DefinitionError reports a column that cannot be sent as JSON."""

from __future__ import annotations

from enum import Enum as PythonEnum
from typing import Any

import pytest
from sqlalchemy import Enum, ForeignKey, Integer, Interval, String, TypeDecorator
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import DeclarativeBase, mapped_column
from sqlalchemy.types import TypeEngine

from tests.domain.test_payload import Firm, Flagged, declared
from workmesh_flows import post
from workmesh_flows.domain.payload import payload_columns
from workmesh_flows.errors import DefinitionError


class Money:
    pass


class MoneyType(TypeDecorator[Money]):
    impl = Integer
    cache_ok = True

    @property
    def python_type(self) -> type:
        return Money


class Size(PythonEnum):
    S = "s"


def record_with(kind: TypeEngine[Any]) -> Any:
    base: Any = type("Other", (DeclarativeBase,), {})
    columns = {
        "__tablename__": "thing",
        "id": mapped_column(Integer, primary_key=True),
        "firm_id": mapped_column(ForeignKey(Firm.__table__.c.FIRM_ID)),
        "odd": mapped_column("ODD", kind),
    }
    return type("Thing", (Flagged, base), columns)


def test_a_column_whose_type_declares_values_without_a_json_form_is_a_problem() -> None:
    record = record_with(MoneyType())
    with pytest.raises(DefinitionError) as raised:
        declared(record, record.id)
    (problem,) = raised.value.problems
    assert problem.startswith(
        "protocol 'p': push sends Thing.odd, whose values are Money, which has no JSON form; "
    )
    declared(record, record.id, post("/push.json", payload=lambda thing: {"id": thing.id}))
    declared(record, record.id, lambda thing, node: None)


@pytest.mark.parametrize(
    "kind", [Interval(), Enum(Size), String(3), postgresql.INET(), postgresql.DATERANGE()]
)
def test_a_column_of_a_type_with_a_json_form_is_none(kind: TypeEngine[Any]) -> None:
    record = record_with(kind)
    assert "odd" in payload_columns(declared(record, record.id))
