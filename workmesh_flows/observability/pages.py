"""The pages about a mesh: for the artifacts of a run, and as one HTML file for people without access to Prefect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from workmesh_flows.adapters.store.conditions import all_conditions
from workmesh_flows.adapters.store.engine import utc_now
from workmesh_flows.adapters.store.lane_totals import lane_totals
from workmesh_flows.domain.service import Mesh
from workmesh_flows.inventory.documents import load_inventory
from workmesh_flows.mesh_database import mesh_engine
from workmesh_flows.observability.failed_runs import failed_runs
from workmesh_flows.observability.history import is_complete, service_history
from workmesh_flows.observability.links import UiLinks, read_links, ui_address
from workmesh_flows.operations.delivery.replay import list_refused
from workmesh_flows.operations.probe import probe_and_save
from workmesh_flows.operations.status import Status, read_status
from workmesh_flows.settings import artifact_key

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from workmesh_flows.adapters.store.refused_list import RefusedRecord
    from workmesh_flows.reporting.content_digest import StatusContent
    from workmesh_flows.reporting.page_data import FailedRun, PageData

OVERVIEW = "overview"
"""Key of the page of the mesh; the key of a service's page is its name."""


class RunPages:
    """The pages that a run publishes: of the mesh, and of the services that the run was about.

    What a page shows apart from times, links and the list of the last runs is known without rendering it.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - each is a part of the pages
        self,
        engine: Engine,
        mesh: Mesh,
        status: Status,
        refused: Sequence[RefusedRecord],
        services: Sequence[str],
        content: StatusContent,
    ) -> None:
        self._engine, self._status, self._refused, self._content = engine, status, refused, content
        self._names, self._services = [service.name for service in mesh.services], services
        self._failed_runs = failed_runs(self._names, utc_now())

    def contents(self) -> dict[str, object]:
        """The content of each page, by its key."""
        content, totals, conditions = self._content, lane_totals(self._engine), all_conditions(self._engine)
        shared = (content.nodes, conditions, [run.address for run in self._failed_runs])
        pages: dict[str, object] = {OVERVIEW: (shared, content.services)}
        for name in self._services:
            refused = [record for record in self._refused if record.service == name]
            pages[name] = (shared, content.services.get(name), refused, totals.get(name))
        return pages

    def render(self, key: str) -> str:
        """A page as Markdown."""
        from workmesh_flows.reporting.pages import overview_page, service_page

        data, links = self._data, self._links
        return overview_page(data, links) if key == OVERVIEW else service_page(key, data, links)

    @cached_property
    def _data(self) -> PageData:
        return _page_data(self._engine, self._status, self._refused, self._failed_runs)

    @cached_property
    def _links(self) -> UiLinks:
        return read_links(self._names, self._services)


def html_report(mesh: Mesh) -> str:
    """The mesh and all its services as one self-contained HTML page, with links to Prefect's UI."""
    from workmesh_flows.reporting.html import as_html
    from workmesh_flows.reporting.pages import overview_page, service_page

    names = [service.name for service in mesh.services]
    inventory = load_inventory()
    with mesh_engine(mesh) as engine:
        status = read_status(engine, mesh, inventory, probe_and_save(engine, inventory.nodes.values()))
        failed = failed_runs(names, utc_now(), root=ui_address())
        data = _page_data(engine, status, list_refused(engine, mesh), failed)
    places = {name: artifact_key(name) for name in names}
    links = replace(
        read_links(names, names, root=ui_address()),
        pages={name: f"#{place}" for name, place in places.items()},
    )
    pages = {artifact_key(OVERVIEW): overview_page(data, links)}
    pages |= {place: service_page(name, data, links) for name, place in places.items()}
    return as_html("Workmesh", pages)


def _page_data(
    engine: Engine, status: Status, refused: Sequence[RefusedRecord], failed: Sequence[FailedRun]
) -> PageData:
    from workmesh_flows.reporting.lane_table import lanes_table
    from workmesh_flows.reporting.page_data import PageData

    history = service_history()
    return PageData(
        utc_now(),
        status,
        all_conditions(engine),
        lanes_table(engine),
        refused,
        history,
        history_complete=is_complete(history),
        failed_runs=failed,
    )
