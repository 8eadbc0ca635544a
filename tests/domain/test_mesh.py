"""A mesh: its services do not conflict, it is pickled by reference, and it never shows its database URL."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import String, create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.orm import mapped_column

from tests.domain.declarations import protocol, pull, push, service
from tests.domain.schemas import entity, new_base
from tests.support.shop import PULL_FLAGS, Shop
from workmesh_flows import DefinitionError, Mesh, Service
from workmesh_flows.errors import UnknownName

ADDRESS = "postgresql+psycopg://boss:s3cret@db.internal/shop"
MESH = Mesh([service()], database=ADDRESS)


def two_services(second: Any = None) -> list[Service]:
    shop = entity(new_base(), backup_node=mapped_column(String(50)))
    one = Service("one", entity=shop, assigned_to=shop.node)
    return [one, second or Service("two", entity=shop, assigned_to=shop.backup_node)]


def problems(*arguments: Any, **more: Any) -> tuple[str, ...]:
    with pytest.raises(DefinitionError) as caught:
        Mesh(*arguments, **more)
    assert str(caught.value).startswith("the mesh is not a valid definition:\n  - ")
    return caught.value.problems


def test_a_mesh_finds_its_services_by_name() -> None:
    one, two = two_services()
    mesh = Mesh([one, two])
    assert mesh.services == (one, two)
    assert mesh.service("two") is two
    with pytest.raises(UnknownName, match="the mesh has no service 'three'; it has: one, two"):
        mesh.service("three")
    with pytest.raises(UnknownName, match=r"service shop\.orders has no protocol 'x'; it has: order"):
        service().protocol("x")


def test_all_conflicts_of_two_services_are_reported() -> None:
    first = service("a", protocols=[protocol(pull=None)])
    second = service("a", protocols=[protocol("other", push=push(), pull=None)])
    assert problems([first, second]) == (
        "two services have the name 'a'",
        (
            "Order.push_time is both a 'order' push flag time and a 'other' push flag time; "
            "each flag needs its own column"
        ),
        (
            "Order.push_success is both a 'order' push flag success and a 'other' push flag success; "
            "each flag needs its own column"
        ),
        (
            "Order.push_error is both a 'order' push flag error and a 'other' push flag error; "
            "each flag needs its own column"
        ),
        "services 'a' and 'a' have the same assigned_to column Shop.node",
    )


def test_services_with_different_flags_and_columns_do_not_conflict() -> None:
    one, two = two_services()
    Mesh([one, two, service()])


def test_two_services_must_not_share_an_assigned_to_column() -> None:
    first = service("a", protocols=[])
    second = service("b", protocols=[protocol(push=push(flags=PULL_FLAGS), pull=None)])
    assert problems([first, second]) == ("services 'a' and 'b' have the same assigned_to column Shop.node",)


@pytest.mark.parametrize(
    ("services", "problem"),
    [
        pytest.param(None, "services must be a list of Service, not a NoneType", id="None"),
        pytest.param(service(), "services must be a list of Service, not a Service", id="a single service"),
        pytest.param([Shop], "services contains a DeclarativeAttributeIntercept, which is not a Service", id="a class"),
        pytest.param([protocol()], "services contains a Protocol, which is not a Service", id="a protocol"),
        pytest.param(ADDRESS, "services must be a list of Service, not a str", id="the URL"),
        pytest.param([ADDRESS], "services contains a str, which is not a Service", id="the URL in a list"),
    ],
)  # fmt: skip
def test_a_member_that_is_not_a_service_is_reported_without_its_value(services: Any, problem: str) -> None:
    assert problems(services) == (problem,)


@pytest.mark.parametrize(
    "database",
    [None, ADDRESS, make_url(ADDRESS), lambda: create_engine("sqlite://")],
    ids=["none", "string", "URL", "function"],
)
def test_a_database_of_this_kind_is_valid(database: Any) -> None:
    assert Mesh([service()], database=database).database is database


async def engine_later() -> None: ...


@pytest.mark.parametrize(
    ("database", "why"),
    [
        pytest.param(
            create_engine("sqlite://"),
            ", not an object of the class Engine; write database=lambda: engine",
            id="an engine",
        ),
        pytest.param(5, ", not an object of the class int", id="a number"),
        pytest.param(ADDRESS.encode(), ", not an object of the class bytes", id="bytes"),
        pytest.param(
            create_engine,
            ": create_engine cannot be called with (): missing a required argument: 'url'",
            id="a function with a required parameter",
        ),
        pytest.param(
            engine_later,
            ": engine_later must be a plain function: calling an async function or a generator runs nothing",
            id="an async function",
        ),
    ],
)
def test_a_database_of_this_kind_is_refused(database: Any, why: str) -> None:
    assert problems([service()], database=database) == (
        f"database must be a URL or a function () that returns an engine{why}",
    )


def test_a_mesh_never_shows_the_url_of_its_database() -> None:
    assert repr(MESH) == str(MESH) == f"{MESH}" == "Mesh(shop.orders)"
    assert "s3cret" not in repr(Mesh([service()], database=make_url(ADDRESS)))


def test_a_mesh_is_pickled_by_reference() -> None:
    sent = pickle.dumps(MESH)
    assert pickle.loads(sent) is MESH  # noqa: S301 - pickled by this test
    assert b"s3cret" not in sent
    assert len(sent) < 200


def test_a_mesh_that_is_not_an_attribute_of_a_module_cannot_be_pickled() -> None:
    with pytest.raises(TypeError, match="only if it is an attribute of an importable module"):
        pickle.dumps(Mesh([service()]))


def test_a_mesh_is_pickled_by_the_module_that_made_it_not_by_a_script_that_imports_it(tmp_path: Path) -> None:
    (tmp_path / "declared.py").write_text("from workmesh_flows import Mesh\nmesh = Mesh([])\n")
    (tmp_path / "script.py").write_text("from declared import mesh\n")
    (tmp_path / "main.py").write_text(
        """
import importlib.util, pickle, sys
from workmesh_flows import Mesh
own = Mesh([])
spec = importlib.util.spec_from_file_location("loaded_script", "script.py")
script = sys.modules["loaded_script"] = importlib.util.module_from_spec(spec)  # as Prefect loads a flow's file
spec.loader.exec_module(script)
assert list(sys.modules).index("loaded_script") < list(sys.modules).index("declared")
print(pickle.dumps(script.mesh, protocol=0).decode())
try:
    pickle.dumps(own)
except TypeError:
    print("a mesh of __main__ cannot be pickled")
"""
    )
    output = subprocess.run(
        [sys.executable, "main.py"], cwd=tmp_path, check=True, capture_output=True, text=True
    ).stdout
    assert "declared" in output
    assert "loaded_script" not in output
    assert "a mesh of __main__ cannot be pickled" in output


def test_a_protocol_has_the_flags_of_its_directions() -> None:
    both = protocol()
    assert [flags.columns[0].key for flags in both.flags] == ["push_time", "pull_time"]
    assert [flags.columns[0].key for flags in protocol(pull=None).flags] == ["push_time"]
    assert pull().flags is PULL_FLAGS
