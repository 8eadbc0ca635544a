"""What the doctor says about the Prefect server and the block type of nodes."""

from __future__ import annotations

from collections.abc import Iterator

from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from prefect.settings import get_current_settings

from workmesh_flows.errors import ServerUnreachable
from workmesh_flows.inventory.documents import SLUG, outdated_nodes, wait_for_server
from workmesh_flows.operations.health.diagnosis import Diagnosis, Result

SUBJECT = "Prefect server"
START = "prefect server start, or set PREFECT_API_URL (in prefect.toml: url under [api])"


def server_diagnosis() -> Diagnosis:
    """Whether the Prefect server answers, and its version; all other checks of the server need that it does."""
    address = get_current_settings().api.url
    if address is None:
        return Diagnosis(SUBJECT, "connection", Result.PROBLEM, "no Prefect server is set", START)
    try:
        wait_for_server(0)
    except ServerUnreachable as error:
        return Diagnosis(SUBJECT, "connection", Result.PROBLEM, str(error).partition("; start it")[0], START)
    with get_client(sync_client=True) as client:
        answer = client.request("GET", "/admin/version")  # Prefect Cloud has no such endpoint
        server, own = str(answer.json()) if answer.is_success else "unknown", client.client_version()
    detail = f"{address} answers, version {server}"
    major = server.partition(".")[0]
    if major.isdecimal() and major != own.partition(".")[0]:
        to_do = (
            f"install the same version in both: pip install 'prefect=={server}' here, or update the server"
        )
        return Diagnosis(SUBJECT, "version", Result.PROBLEM, f"{detail}; this machine has {own}", to_do)
    return Diagnosis(SUBJECT, "connection", Result.OK, detail)


def block_type_diagnoses() -> Iterator[Diagnosis]:
    """Whether the block type of nodes is registered, and blocks that an earlier version wrote."""
    subject, check = "block type", "Workmesh Node"
    with get_client(sync_client=True) as client:
        try:
            client.read_block_type_by_slug(SLUG)
        except ObjectNotFound:
            yield Diagnosis(subject, check, Result.PROBLEM, "it is not registered", "workmesh setup")
            return
    if old := outdated_nodes():
        detail = f"blocks of an earlier version, whose forms lack new fields: {', '.join(old[:5])}"
        yield Diagnosis(subject, check, Result.WARNING, detail, "workmesh nodes upgrade")
        return
    yield Diagnosis(subject, check, Result.OK, "registered")
