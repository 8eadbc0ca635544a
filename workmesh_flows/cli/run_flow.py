"""Running flows from the command line, and showing what they did."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from workmesh_flows.errors import ConfigurationError, ServerUnreachable, WorkmeshError

if TYPE_CHECKING:
    import pandas as pd

    from workmesh_flows.domain.service import Mesh
    from workmesh_flows.flows.factory import ServiceFlow
    from workmesh_flows.runs.result import RunResult

WENT_AWAY = (
    "the Prefect server went away and was not told how this run ended ({}). What was done is in your database, and "
    "nothing is lost: run again, or look at workmesh services"
)


def mesh_of(reference: str | None) -> Mesh:
    """The mesh that is named, here or in the settings."""
    from workmesh_flows.domain.service import Mesh
    from workmesh_flows.references import load_reference
    from workmesh_flows.settings import PREFIX, read_settings

    name = reference or read_settings().mesh
    if name is None:
        raise ConfigurationError(f"no mesh is named: give --mesh module:attribute, or set {PREFIX}MESH")
    return load_reference(name, Mesh)


def run(action: str, service: str | None, reference: str | None, **parameters: Any) -> RunResult:  # noqa: ANN401
    """Run a service's flow here, as a run that the Prefect server sees."""
    _quiet()
    from workmesh_flows.flows import service_flows
    from workmesh_flows.observability.tags import service_tags

    mesh = mesh_of(reference)
    names = [known.name for known in mesh.services]
    if service is None and len(names) != 1:
        raise ConfigurationError(f"name one of the mesh's services: {', '.join(names)}")
    name = service or names[0]
    for protocol in parameters.get("protocols", ()):
        mesh.service(name).protocol(protocol)  # says which there are; Prefect's own message is long
    return _outcome(
        getattr(service_flows(mesh, name, module=__name__), action), parameters, service_tags(name)
    )


def run_of_mesh(action: str, reference: str | None, **parameters: Any) -> RunResult:  # noqa: ANN401
    """The same for a flow of the whole mesh."""
    _quiet()
    from workmesh_flows.flows import mesh_flows
    from workmesh_flows.observability.tags import mesh_tags

    return _outcome(getattr(mesh_flows(mesh_of(reference), module=__name__), action), parameters, mesh_tags())


def require_server() -> None:
    """Raise ServerUnreachable, and soon, where the Prefect server does not answer; its client tries for minutes."""
    from workmesh_flows.inventory.documents import wait_for_server

    wait_for_server(0)


def _quiet() -> None:
    # Before Prefect is imported; the bars say the rest.
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "WARNING")


def _outcome(flow: ServiceFlow, parameters: dict[str, Any], own: Sequence[str]) -> RunResult:
    import httpx
    from prefect import tags
    from rich.console import Console

    from workmesh_flows.cli.progress_bars import progress_shown

    require_server()
    with tags(*own), progress_shown(Console(stderr=True)):
        try:
            outcome: RunResult = flow(**parameters)
        except httpx.TransportError as error:  # nothing but Prefect's own client lets it out
            raise ServerUnreachable("\n".join([WENT_AWAY.format(error), *_reasons(error)])) from error
    typer.echo(outcome.message)
    return outcome


def _reasons(error: BaseException | None) -> list[str]:
    """The run's own error, while which was being told to the server another one came."""
    while error is not None and not isinstance(error, WorkmeshError):
        error = error.__context__
    return [] if error is None else [str(error)]


def show_plans(outcome: RunResult) -> None:
    """Every move of the plans, the nodes before and then, and what cannot move."""
    from workmesh_flows.reporting.plan_tables import balance_table, moves_table

    for plan in outcome.plans:
        if plan.plan.moves:
            show(f"Plan {plan.id} of {plan.service}", moves_table([plan]).drop(columns="service"), None)
            show("Nodes, before and after", balance_table(plan), None)
        for entity, reason in plan.plan.stuck:
            typer.echo(f"{entity} cannot move: {reason}")


def show(title: str, frame: pd.DataFrame, columns: Sequence[str] | None) -> None:
    """Print a frame, or some columns of it."""
    from workmesh_flows.reporting.terminal import as_table, console

    console().print(as_table(title, frame if columns is None else frame[list(columns)]))
