"""The pages about a mesh: for the artifacts of a run, and as one HTML file for people without access to Prefect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from workmesh_flows.adapters.store.conditions import all_conditions
from workmesh_flows.adapters.store.engine import utc_now
from workmesh_flows.domain.service import Mesh
from workmesh_flows.inventory.documents import load_inventory
from workmesh_flows.mesh_database import mesh_engine
from workmesh_flows.observability.history import is_complete, service_history
from workmesh_flows.operations.delivery.replay import list_refused
from workmesh_flows.operations.probe import probe_nodes
from workmesh_flows.operations.status import Status, read_status
from workmesh_flows.settings import artifact_key

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from workmesh_flows.adapters.store.refused_list import RefusedRecord
    from workmesh_flows.reporting.page_data import PageData

OVERVIEW = "overview"
"""Key of the page of the mesh; the key of a service's page is its name."""


def run_pages(
    engine: Engine, mesh: Mesh, status: Status, refused: Sequence[RefusedRecord], services: Sequence[str]
) -> dict[str, str]:
    """The pages that a run publishes, by key: of the mesh, and of the services that the run was about."""
    from workmesh_flows.observability.links import ROOT, read_links
    from workmesh_flows.reporting.pages import overview_page, service_page

    data = _page_data(engine, mesh, status, refused, ROOT)
    links = read_links([service.name for service in mesh.services], services)
    pages = {service: service_page(service, data, links) for service in services}
    return {OVERVIEW: overview_page(data, links), **pages}


def html_report(mesh: Mesh) -> str:
    """The mesh and all its services as one self-contained HTML page, with links to Prefect's UI."""
    from workmesh_flows.observability.links import read_links, ui_address
    from workmesh_flows.reporting.html import as_html
    from workmesh_flows.reporting.pages import overview_page, service_page

    names = [service.name for service in mesh.services]
    inventory = load_inventory()
    with mesh_engine(mesh) as engine:
        status = read_status(engine, mesh, inventory, probe_nodes(inventory.nodes.values()))
        data = _page_data(engine, mesh, status, list_refused(engine, mesh), ui_address())
    places = {name: artifact_key(name) for name in names}
    links = replace(
        read_links(names, names, root=ui_address()),
        pages={name: f"#{place}" for name, place in places.items()},
    )
    pages = {artifact_key(OVERVIEW): overview_page(data, links)}
    pages |= {place: service_page(name, data, links) for name, place in places.items()}
    return as_html("Workmesh", pages)


def _page_data(
    engine: Engine, mesh: Mesh, status: Status, refused: Sequence[RefusedRecord], root: str
) -> PageData:
    from workmesh_flows.observability.failed_runs import failed_runs
    from workmesh_flows.reporting.lane_table import lanes_table
    from workmesh_flows.reporting.page_data import PageData

    now, history = utc_now(), service_history()
    return PageData(
        now,
        status,
        all_conditions(engine),
        lanes_table(engine),
        refused,
        history,
        history_complete=is_complete(history),
        failed_runs=failed_runs([service.name for service in mesh.services], now, root=root),
    )
