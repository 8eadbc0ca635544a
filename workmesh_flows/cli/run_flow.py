"""Running flows from the command line, and showing their results."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workmesh_flows.cli.output import json_request
from workmesh_flows.errors import ConfigurationError, ServerUnreachable, WorkmeshError

if TYPE_CHECKING:
    from rich.console import Console

    from workmesh_flows.domain.service import Mesh
    from workmesh_flows.flows.factory import ServiceFlow
    from workmesh_flows.runs.result import RunResult

CONNECTION_LOST = (
    "the connection to the Prefect server was lost, so it does not know how this run ended ({}). The work done so far "
    "is recorded in your database and nothing is lost: run the command again, or check workmesh services"
)


def mesh_of(reference: str | None) -> Mesh:
    """The mesh that the option or the setting names; raises ConfigurationError if neither does."""
    from workmesh_flows.settings import PREFIX

    if (mesh := mesh_if_named(reference)) is None:
        raise ConfigurationError(
            f"no mesh is named: give --mesh module:attribute, set {PREFIX}MESH, or run workmesh in the folder of the "
            "prefect.toml that names it (mesh under [integrations.workmesh])"
        )
    return mesh


def mesh_if_named(reference: str | None) -> Mesh | None:
    """The mesh that the option or the setting names; None if neither does."""
    from workmesh_flows.domain.service import Mesh
    from workmesh_flows.references import load_reference
    from workmesh_flows.settings import read_settings

    name = reference or read_settings().mesh
    return load_reference(name, Mesh) if name else None


def run(action: str, service: str | None, reference: str | None, **parameters: Any) -> RunResult:  # noqa: ANN401 - each flow has its own
    """Run a flow of a service in this process; the Prefect server sees the run."""
    _quiet()
    from workmesh_flows.flows import service_flows
    from workmesh_flows.observability.tags import service_tags

    mesh = mesh_of(reference)
    names = [known.name for known in mesh.services]
    if service is None and len(names) != 1:
        raise ConfigurationError(f"name one of the mesh's services: {', '.join(names)}")
    name = service or names[0]
    for protocol in parameters.get("protocols", ()):
        mesh.service(name).protocol(protocol)  # its error lists the known protocols; Prefect's own is long
    flow = getattr(service_flows(mesh, name, module=__name__), action)
    return _result(flow, parameters, service_tags(name))


def run_of_mesh(action: str, reference: str | None, **parameters: Any) -> RunResult:  # noqa: ANN401 - each flow has its own
    """Run a flow of the whole mesh in this process; the Prefect server sees the run."""
    _quiet()
    from workmesh_flows.flows import mesh_flows
    from workmesh_flows.observability.tags import mesh_tags

    flow = getattr(mesh_flows(mesh_of(reference), module=__name__), action)
    return _result(flow, parameters, mesh_tags())


def require_server() -> None:
    """Raise ServerUnreachable at once if the Prefect server does not answer; its own client retries for minutes."""
    from workmesh_flows.inventory.documents import wait_for_server

    wait_for_server(0)


def _quiet() -> None:
    """Show only warnings of Prefect, which reads this when it is imported; progress bars show the rest."""
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "WARNING")


def _result(flow: ServiceFlow, parameters: dict[str, Any], run_tags: Sequence[str]) -> RunResult:
    import httpx
    from prefect import tags

    from workmesh_flows.cli.console_log import errors_logged_once
    from workmesh_flows.cli.progress_bars import progress_shown

    require_server()
    with tags(*run_tags), progress_shown(_bars_console(), flow.name), errors_logged_once():
        try:
            result: RunResult = flow(**parameters)
        except httpx.TransportError as error:  # only Prefect's own client lets it through
            raise ServerUnreachable("\n".join([CONNECTION_LOST.format(error), *_reasons(error)])) from error
    return result


def _bars_console() -> Console:
    """Where progress bars are shown: on standard error, if both outputs are a terminal and no JSON is asked for."""
    from rich.console import Console

    shown = json_request() is None and sys.stdout.isatty()
    return Console(stderr=True) if shown else Console(stderr=True, force_terminal=False)


def _reasons(error: BaseException | None) -> list[str]:
    """The error of the run itself, if the connection was lost while it was reported to the server."""
    while error is not None and not isinstance(error, WorkmeshError):
        error = error.__context__
    return [] if error is None else [str(error)]
