"""Results that cannot be read: the fault of their records, or of the node where it has no readable result for any."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from workmesh_flows.adapters.store.protocol_tables import PullTables
from workmesh_flows.adapters.store.pull_flags import failed_results
from workmesh_flows.adapters.store.record_pages import Page
from workmesh_flows.domain.calls import UnreadableResult
from workmesh_flows.errors import NodeUnavailable
from workmesh_flows.operations.delivery.lane_context import LaneContext
from workmesh_flows.operations.delivery.results import Result
from workmesh_flows.planning.refusals import is_fault_of_node

MOST_WITHHELD = 50
"""Withheld results from which on a node at fault is asked for no more; fewer may all be faults of their records."""


@dataclass(slots=True)
class UnreadableResults:
    """The results of one run that cannot be read.

    They are withheld until the node has a readable result of another record: values, or a failure that it states. Then
    each is a failure of its record. Where there is none, and records of several entities were asked for, the node is at
    fault. Records that failed before show nothing about the node: they are asked for by each pull.
    """

    context: LaneContext
    tables: PullTables
    withheld: dict[Any, str] = field(default_factory=dict)
    _readable: bool = False
    _owners: set[Any] = field(default_factory=set)
    _new: int = 0

    def judge(self, page: Page, results: Mapping[Any, Result], *, certain: bool) -> dict[Any, Result]:
        """The results to write: without those withheld, and with those withheld before that are failures now.

        None is withheld where it is not ``certain`` that the node has processed the records. Raises NodeUnavailable
        where the node is at fault: it has no readable result of several entities, and many were asked for or none is
        withheld.
        """
        unreadable = {key: one for key, one in results.items() if type(one) is UnreadableResult}
        self._readable = self._readable or len(unreadable) < len(results)
        if self._readable:
            return {**self.release(), **results, **{key: str(one) for key, one in unreadable.items()}}
        if unreadable:
            before = failed_results(self.context.engine, self.tables, list(unreadable))
            new = [item for item in page if item.id in unreadable and item.id not in before]
            self._owners.update(item.owner for item in new)
            self._new += len(new)
            self.withheld |= {key: str(one) for key, one in unreadable.items()}
            if self._new >= MOST_WITHHELD or not certain:
                self.require_readable()
        return {} if certain else {**self.release()}

    def require_readable(self) -> None:
        """Raise NodeUnavailable where records of several entities were asked for, and no result can be read."""
        if not self._readable and is_fault_of_node(self._owners, accepted_before=False):
            record_id, reason = next(iter(self.withheld.items()))
            raise NodeUnavailable(
                f"it has no readable result: records of {len(self._owners)} entities were asked for; the first one, "
                f"{record_id}: {reason}. The node is probably at fault, so no record is flagged",
                node=self.context.node.name,
            )

    def release(self) -> dict[Any, str]:
        """The results that were withheld: from now on failures of their records."""
        released, self.withheld = self.withheld, {}
        return released
