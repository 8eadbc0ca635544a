"""The forms of the flows: their names, fields, descriptions and choices, as Prefect gets them."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Annotated, Any, Literal

import pytest
from prefect.flows import load_flow_from_entrypoint
from pydantic import Field

from tests.flows.shop_flows import flows_of
from tests.support.fleet import Fleet
from workmesh_flows.demo import flows
from workmesh_flows.demo.mesh import SERVICE, mesh
from workmesh_flows.errors import UnknownName
from workmesh_flows.flows import (
    MeshFlows,
    ServiceFlows,
    mesh_flows,
    mesh_forms,
    service_flows,
    service_forms,
)
from workmesh_flows.flows.binding import bind_form
from workmesh_flows.observability import flow_names
from workmesh_flows.runs.result import RunResult

SERVICE_ACTIONS = tuple(field.name for field in dataclasses.fields(ServiceFlows))
MESH_ACTIONS = tuple(field.name for field in dataclasses.fields(MeshFlows))
FORMS = [
    *(pytest.param("service", action, id=f"{action} of a service") for action in SERVICE_ACTIONS),
    *(pytest.param("mesh", action, id=f"{action} of the mesh") for action in MESH_ACTIONS),
]


def made(kind: str, action: str) -> tuple[Any, Callable[..., RunResult], int]:
    """The flow, its form, and how many parameters of the form are not fields."""
    if kind == "mesh":
        return getattr(mesh_flows(mesh, module=__name__), action), getattr(mesh_forms, action), 1
    found = service_flows(mesh, SERVICE, module=__name__)
    return getattr(found, action), getattr(service_forms, action), 2


def test_flows_are_named_after_service_and_action(fleet: Fleet) -> None:
    found = flows_of(fleet)
    assert [getattr(found, action).name for action in SERVICE_ACTIONS] == [
        f"shop.orders.{action}" for action in SERVICE_ACTIONS
    ]


def test_runs_and_deployments_of_all_flows_are_looked_for() -> None:
    assert flow_names.SERVICE_ACTIONS == SERVICE_ACTIONS
    assert flow_names.MESH_ACTIONS == MESH_ACTIONS


def test_an_unknown_service_is_refused_with_the_known_ones(fleet: Fleet) -> None:
    with pytest.raises(UnknownName, match=r"no service 'shop.order'; it has: shop\.orders"):
        service_flows(fleet.mesh, "shop.order", module=__name__)


@pytest.mark.parametrize(("kind", "action"), FORMS)
def test_each_field_of_a_form_has_the_default_of_the_function_and_a_description(
    kind: str, action: str
) -> None:
    flow, form, bound = made(kind, action)
    parameters = list(inspect.signature(form).parameters.values())[bound:]
    fields = flow.parameters.properties
    assert list(fields) == [parameter.name for parameter in parameters]
    for parameter in parameters:
        shown = fields[parameter.name]
        assert shown["description"].endswith("."), parameter.name
        if parameter.default is parameter.empty:
            assert parameter.name in flow.parameters.required
        else:
            assert shown["default"] == parameter.default
    assert flow.description == (form.__doc__ or "").partition("\n")[0]


@pytest.mark.parametrize("action", ["push", "pull", "sync", "replay"])
def test_a_form_offers_the_protocols_of_its_service(action: str) -> None:
    flow, _, _ = made("service", action)
    assert flow.parameters.properties["protocols"]["items"]["enum"] == [
        "delivery",
        "open",
        "click",
        "unsubscribe",
    ]
    assert flow.parameters.required == []


def test_prefect_loads_a_flow_by_module_and_name() -> None:
    found: Any = load_flow_from_entrypoint("workmesh_flows.demo.flows:pull")
    assert found.name == "micro.emails.timeline.pull"
    assert found is flows.pull


def test_a_bound_form_has_the_fields_alone_and_calls_the_form_with_the_bound_arguments() -> None:
    def form(
        subject: str,
        names: Annotated[list[str], Field(description="Only these.")],
        depth: Annotated[int, Field(ge=0), Field(description="How deep.")] = 3,
        plain: bool = False,
    ) -> RunResult:
        """Do it.

        In detail.
        """
        return RunResult(f"{subject} {names} {depth} {plain}")

    bound = bind_form(form, ["s"], {"names": Annotated[list[Literal["a"]], Field(description="A.")]}, "m")
    assert list(inspect.signature(bound).parameters) == ["names", "depth", "plain"]
    assert inspect.getdoc(bound) == ("Do it.\n\nIn detail.\n\nArgs:\n    names: A.\n    depth: How deep.")
    assert (bound.__module__, bound.__qualname__) == ("m", "form")
    assert bound(["a"], plain=True).message == "s ['a'] 3 True"
    assert inspect.getdoc(form) == "Do it.\n\nIn detail.", "the form itself does not change"
