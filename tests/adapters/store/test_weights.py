"""Weights of entities: by a column, an expression or a function; whole numbers from 0 up."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import (
    BigInteger,
    Column,
    Engine,
    Float,
    ForeignKey,
    Integer,
    Numeric,
    String,
    func,
    insert,
    select,
    text,
)
from sqlalchemy.orm import Session, object_session, registry, relationship
from sqlalchemy.types import TypeEngine

from tests.support.shop import Base, Shop, shop_service, write_shops
from workmesh_flows import EntityNumber, EntityWeight, RoundRobin, Service
from workmesh_flows.adapters.store import weights as adapter
from workmesh_flows.adapters.store.assignment import writing_assignments
from workmesh_flows.adapters.store.entities import totals_by_node, weights_by_node
from workmesh_flows.adapters.store.weights import read_entities
from workmesh_flows.domain.criteria import Criterion
from workmesh_flows.planning.moves import PlannerEntity


def nodes_of(engine: Engine) -> dict[int, str | None]:
    with Session(engine) as session:
        return {shop.id: shop.node for shop in session.scalars(select(Shop))}


WEIGHTS = [
    pytest.param(EntityWeight(Shop.size), id="a column"),
    pytest.param(EntityWeight(Shop.size * 1), id="an expression"),
    pytest.param(EntityWeight(func.abs(-Shop.size)), id="a function of the database"),
    pytest.param(EntityWeight(lambda shop: shop.size), id="a function of the entity"),
]


@pytest.mark.parametrize("criterion", WEIGHTS)
def test_entities_have_the_weight_of_the_criterion(engine: Engine, criterion: Criterion) -> None:
    write_shops(engine, ["a", None, "a", None, "b", None])
    service = shop_service(criterion=criterion)
    with writing_assignments(engine, service) as run:
        assert run.unassigned(None).entities == [(2, 2), (4, 4), (6, 6)]
        assert run.unassigned(2).entities == [(2, 2), (4, 4)]
        assert run.unassigned(0).entities == []
        assert run.node_totals() == {"a": (2, 4), "b": (1, 5), None: (3, 12)}
    assert totals_by_node(engine, service) == {"a": (2, 4), "b": (1, 5), None: (3, 12)}


@pytest.mark.parametrize("criterion", [RoundRobin(), EntityNumber()])
def test_without_weights_each_entity_counts_one(engine: Engine, criterion: Criterion) -> None:
    write_shops(engine, ["a", None, "a"])
    service = shop_service(criterion=criterion)
    assert totals_by_node(engine, service) == {"a": (2, 2), None: (1, 1)}
    with writing_assignments(engine, service) as run:
        assert run.unassigned(None).entities == [(2, 1)]


def test_without_entities_no_node_has_a_total(engine: Engine) -> None:
    Base.metadata.create_all(engine)
    for criterion in (RoundRobin(), EntityWeight(Shop.size), EntityWeight(lambda shop: shop.size)):
        assert totals_by_node(engine, shop_service(criterion=criterion)) == {}


def weighed(engine: Engine, kind: TypeEngine[Any], weights: list[Any], *, by_function: bool) -> Service:
    """A service whose entities have these weights."""
    base: Any = registry().generate_base()
    thing: Any = type(
        "Thing",
        (base,),
        {
            "__tablename__": "thing",
            "id": Column(Integer, primary_key=True),
            "node": Column(String(50)),
            "weight": Column(kind),
        },
    )
    base.metadata.create_all(engine)
    with Session(engine) as session:
        session.execute(insert(thing), [{"id": i, "weight": weight} for i, weight in enumerate(weights, 1)])
        session.commit()
    weight = (lambda entity: entity.weight) if by_function else thing.weight
    return Service("things", entity=thing, assigned_to=thing.node, criterion=EntityWeight(weight))


@pytest.mark.parametrize("by_function", [False, True], ids=["column", "function"])
@pytest.mark.parametrize(
    ("kind", "weights", "read"),
    [
        pytest.param(Integer(), [3, None, 0], [3, 0, 0], id="nothing weighs nothing"),
        pytest.param(Float(), [3.0, None, 0.0], [3, 0, 0], id="whole floats"),
        pytest.param(Numeric(10, 2), [Decimal("3.00"), None, Decimal(0)], [3, 0, 0], id="whole decimals"),
    ],
)
def test_a_weight_is_a_whole_number(
    engine: Engine, by_function: bool, kind: TypeEngine[Any], weights: list[Any], read: list[int]
) -> None:
    service = weighed(engine, kind, weights, by_function=by_function)
    with writing_assignments(engine, service) as run:
        assert [weight for _, weight in run.unassigned(None).entities] == read
        assert run.node_totals() == {None: (3, 3)}


@pytest.mark.parametrize("by_function", [False, True], ids=["column", "function"])
@pytest.mark.parametrize(
    ("kind", "bad", "shown"),
    [
        pytest.param(Integer(), -1, "-1", id="negative"),
        pytest.param(Float(), 1.5, "1.5", id="fractional"),
        pytest.param(Float(), -0.5, "-0.5", id="both"),
        pytest.param(Float(), float("inf"), "inf", id="infinite"),
        pytest.param(Numeric(10, 2), Decimal("0.50"), "0.5", id="fractional decimal"),
    ],
)
def test_an_unusable_weight_is_reported_and_counts_as_0(
    engine: Engine, by_function: bool, kind: TypeEngine[Any], bad: Any, shown: str
) -> None:
    service = weighed(engine, kind, [5, bad, 7], by_function=by_function)
    with writing_assignments(engine, service) as run:
        waiting = run.unassigned(None)
        assert waiting.entities == [(1, 5), (3, 7)]
        (unusable,) = waiting.unusable
        assert unusable[0] == 2
        assert unusable[1].startswith(f"its weight {shown}")
        assert unusable[1].endswith(" is not a whole number from 0 up")
        assert run.unassigned(2).entities == [(1, 5), (3, 7)], "it takes no other's place"
        assert run.weight_of(2) == 0
    found = weights_by_node(engine, service)
    assert found.totals == {None: (3, 12)}
    assert found.unusable == [unusable]


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("kind", [Float(), Numeric()], ids=["float", "numeric"])
def test_what_postgresql_takes_for_a_number_counts_as_0(
    postgresql: Engine, kind: TypeEngine[Any], value: str
) -> None:
    service = weighed(postgresql, kind, [5, 0], by_function=False)
    with postgresql.begin() as connection:
        write = text("UPDATE thing SET weight = CAST(:value AS double precision), node = 'a' WHERE id = 2")
        connection.execute(write, {"value": value})
    found = weights_by_node(postgresql, service)
    assert found.totals == {None: (1, 5), "a": (1, 0)}
    assert [key for key, _ in found.unusable] == [2]
    with postgresql.connect() as connection:
        assigned = read_entities(connection, service)
    assert assigned.entities == [PlannerEntity(2, "a", 0)]
    assert assigned.unusable == found.unusable


@pytest.mark.parametrize("kind", [Integer(), Float(), Numeric(10, 2)], ids=["integer", "float", "numeric"])
def test_a_text_in_a_number_column_of_sqlite_counts_as_0(sqlite: Engine, kind: TypeEngine[Any]) -> None:
    service = weighed(sqlite, kind, [5, 0], by_function=False)
    with sqlite.begin() as connection:
        connection.execute(text("UPDATE thing SET weight = 'heavy' WHERE id = 2"))
    found = weights_by_node(sqlite, service)
    assert found.totals == {None: (2, 5)}
    assert found.unusable == [(2, "its weight 'heavy' is not a whole number from 0 up")]
    with writing_assignments(sqlite, service) as run:
        assert run.unassigned(None).entities == [(1, 5)]


@pytest.mark.parametrize(
    ("kind", "large"),
    [
        pytest.param(BigInteger(), 2**63 - 1, id="integers of 64 bits"),
        pytest.param(Float(53), 2.0**70, id="floats"),
    ],
)
def test_weights_are_summed_beyond_64_bits(engine: Engine, kind: TypeEngine[Any], large: Any) -> None:
    service = weighed(engine, kind, [large, large, large, 1], by_function=False)
    assert totals_by_node(engine, service) == {None: (4, 3 * int(large) + 1)}
    with writing_assignments(engine, service) as run:
        assert run.unassigned(None).entities[0] == (1, int(large))


@pytest.mark.parametrize("bad", [-1, 1.5, "heavy", float("nan"), [1]])
def test_what_a_function_returns_is_checked(engine: Engine, bad: Any) -> None:
    write_shops(engine, ["a", None])
    service = shop_service(criterion=EntityWeight(lambda shop: bad if shop.id == 2 else 3))
    assert totals_by_node(engine, service) == {"a": (1, 3), None: (1, 0)}
    with writing_assignments(engine, service) as run:
        assert [key for key, _ in run.unassigned(None).unusable] == [2]


def test_an_entity_for_which_the_function_fails_is_reported_alone(engine: Engine) -> None:
    write_shops(engine, [None, None])
    service = shop_service(criterion=EntityWeight(lambda shop: 1 // (2 - shop.id)))
    with writing_assignments(engine, service) as run:
        found = run.unassigned(None)
    assert found.entities == [(1, 1)]
    reason = "its weight cannot be computed: ZeroDivisionError: integer division or modulo by zero"
    assert found.unusable == [(2, reason)]


@pytest.mark.parametrize("lazy", ["select", "joined", "subquery", "selectin"])
def test_a_function_weighs_by_relationships_page_by_page_and_saves_nothing(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, lazy: Any
) -> None:
    monkeypatch.setattr(adapter, "WEIGHED_AT_ONCE", 2)
    base: Any = registry().generate_base()
    farm: Any = type(
        "Farm",
        (base,),
        {
            "__tablename__": "farm",
            "id": Column(String(36), primary_key=True),
            "node": Column(String(50)),
            "animals": relationship("Animal", lazy=lazy),
        },
    )
    animal: Any = type(
        "Animal",
        (base,),
        {
            "__tablename__": "animal",
            "id": Column(Integer, primary_key=True),
            "legs": Column(Integer),
            "farm_id": Column(String(36), ForeignKey("farm.id")),
        },
    )
    base.metadata.create_all(engine)
    names = [str(UUID(int=number)) for number in range(5)]
    with Session(engine) as session:
        session.execute(
            insert(farm), [{"id": name, "node": "a" if i == 1 else None} for i, name in enumerate(names)]
        )
        rows = [{"legs": 4, "farm_id": name} for i, name in enumerate(names) for _ in range(i)]
        session.execute(insert(animal), rows)
        session.commit()

    def legs(entity: Any) -> int:
        entity.node = "changed"
        weight = sum(one.legs for one in entity.animals)
        session = object_session(entity)
        assert session is not None
        assert len(session.identity_map) <= 2 + 4 + 3, "of one page, not of all"
        return weight

    service = Service("farms", entity=farm, assigned_to=farm.node, criterion=EntityWeight(legs))
    with writing_assignments(engine, service) as run:
        assert run.unassigned(None).entities == [(names[0], 0), (names[2], 8), (names[3], 12), (names[4], 16)]
        assert run.unassigned(3).entities == [(names[0], 0), (names[2], 8), (names[3], 12)]
        assert run.node_totals() == {None: (4, 36), "a": (1, 4)}
        assert run.write([(names[0], "b")]) == 1
    with engine.connect() as connection:
        found = connection.execute(text("SELECT id, node FROM farm ORDER BY id")).all()
    assert found == [(name, {0: "b", 1: "a"}.get(i)) for i, name in enumerate(names)]
