"""The metrics of a mesh as text: read from the database, and kept for the seconds that the caller chose."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from threading import Lock
from time import monotonic, time
from typing import Any

from prometheus_client import CollectorRegistry, exposition
from prometheus_client.core import Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from workmesh_flows.domain.node import Inventory
from workmesh_flows.domain.service import Mesh
from workmesh_flows.errors import WorkmeshError
from workmesh_flows.mesh_database import mesh_engine
from workmesh_flows.observability.inventory_reader import InventoryReader
from workmesh_flows.operations.monitoring import Monitored, read_monitored
from workmesh_flows.reporting import metric_definitions as metrics
from workmesh_flows.reporting.metrics import family, mesh_metrics

logger = logging.getLogger(__name__)


class MeshCollector(Collector):
    """Families that were read last; `refresh` reads them anew, where an error is a metric and a line of the log."""

    def __init__(self, mesh: Mesh) -> None:
        self.succeeded = False
        self._mesh = mesh
        self._inventory = InventoryReader()
        self._families: list[Metric] = []
        self._problem = ""

    def describe(self) -> Iterator[Metric]:
        """Nothing: the registry need not collect to learn the names."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        return iter(self._families)

    def refresh(self) -> None:
        """Read all families; after an error of the database, only those that need none."""
        start, now = monotonic(), time()
        inventory, has_inventory = self._inventory.read()
        facts = self._read(inventory)
        self.succeeded = facts is not None
        self._families = [] if facts is None else list(mesh_metrics(facts))
        self._families[:0] = [
            family(metrics.UP, {(): self.succeeded}),
            family(metrics.INVENTORY_UP, {(): has_inventory}),
            family(metrics.READ_AT, {(): now}),
            family(metrics.READ_SECONDS, {(): monotonic() - start}),
        ]

    def _read(self, inventory: Inventory) -> Monitored | None:
        try:
            with mesh_engine(self._mesh) as engine:
                facts = read_monitored(engine, self._mesh, inventory)
        except WorkmeshError as error:
            problem = str(error)
        except Exception as error:  # noqa: BLE001 - such as one of a user's own type; its text may quote a record
            problem = type(error).__name__
        else:
            self._problem = ""
            return facts
        if problem != self._problem:
            logger.warning("the metrics cannot be read: %s", problem)
            self._problem = problem
        return None


class MetricsAnswer:
    """The text of all metrics; whoever asks within ``seconds`` after they were read gets the same text."""

    def __init__(self, mesh: Mesh, seconds: float) -> None:
        self._seconds = seconds
        self._collector = MeshCollector(mesh)
        self._registry = CollectorRegistry()
        self._registry.register(self._collector)
        self._lock = Lock()
        self._texts: dict[bool, bytes] = {}
        self._read_at = float("-inf")

    @property
    def succeeded(self) -> bool:
        """Whether the database could be read for the last text."""
        return self._collector.succeeded

    def text(self, *, as_openmetrics: bool) -> bytes:
        """The metrics in OpenMetrics, or in the text format of Prometheus; several threads may call it."""
        with self._lock:
            if monotonic() - self._read_at >= self._seconds:
                self._collector.refresh()
                self._texts.clear()
                self._read_at = monotonic()
            if as_openmetrics not in self._texts:
                self._texts[as_openmetrics] = _ENCODERS[as_openmetrics](self._registry)
            return self._texts[as_openmetrics]


_ENCODERS: dict[bool, Callable[[Any], bytes]] = {
    True: openmetrics.generate_latest,
    False: exposition.generate_latest,
}
