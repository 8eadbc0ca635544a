"""Requests for the results of one run, in parts where a record is at fault, or where all together are too much."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from workmesh_flows.adapters.node_http.client import HttpNodeClient
from workmesh_flows.adapters.store.engine import Clock
from workmesh_flows.adapters.store.lanes import LaneLease
from workmesh_flows.adapters.store.protocol_tables import PullTables
from workmesh_flows.adapters.store.pull_flags import failed_results
from workmesh_flows.adapters.store.record_pages import Page
from workmesh_flows.domain.calls import Get, UnreadableResult
from workmesh_flows.errors import BatchTooLarge, DefinitionError, NodeError, NodeUnavailable, RecordRefused
from workmesh_flows.operations.delivery.lane_context import LaneContext
from workmesh_flows.operations.delivery.user_functions import call, matched
from workmesh_flows.planning.bisection import Bisection, Sendable
from workmesh_flows.planning.refusals import SUSPICIOUS

SHRINK = 4
"""Where a request is not answered, its records are asked for again in this many parts."""


@dataclass(slots=True)
class _PageState:
    """The requests for one page of records: what was ``found``, and how many records one request may have."""

    bisection: Bisection
    usual: int | None
    fits: int | None
    found: dict[Any, Any] = field(default_factory=dict)
    answered: list[int] = field(default_factory=list)
    """The sizes of the parts that were answered."""
    slow: bool = False
    failed: set[Any] = field(default_factory=set)
    """Those of the records that were not answered whose last pull failed as well."""
    _alone: set[Any] = field(default_factory=set)

    def refused(self, part: Page, refusal: RecordRefused | BatchTooLarge) -> None:
        """Keep the reason for one record; halve a part of several."""
        too_large = isinstance(refusal, BatchTooLarge)
        if len(part) == 1:
            self.found[part[0].id] = UnreadableResult(refusal.reason)
            self.fits = self.usual if too_large else self.fits  # this result was too large, not the parts
            return
        self.bisection.split(part)
        if too_large:
            self.fits = min(self.fits or len(part), (len(part) + 1) // 2)

    def repeat(self, part: Page) -> bool:
        """Ask again, in smaller parts, or once more for a record alone; False where that was done already.

        Records that have failed before are asked for alone, after the others, and once.
        """
        failed = [item for item in part if item.id in self.failed]
        if failed and len(part) > 1:
            others = [item for item in part if item.id not in self.failed]
            self.bisection.repeat(failed, at_most=1)
            self.bisection.repeat(others, at_most=max(len(others), 1))
            return True
        if len(part) == 1 and (failed or part[0].id in self._alone):
            return False
        if len(part) == 1:
            self._alone.add(part[0].id)  # it may have been an accident
        else:
            self.slow = True
        self.bisection.repeat(part, at_most=max(len(part) // SHRINK, 1))
        return True


@dataclass(slots=True)
class ResultRequests:
    """The requests of one run over one lane.

    A record whose requests are not answered, although the node answers a ping, has failed; but only if the node answers
    requests for other records of the run. Until then it is ``withheld``, with the reason.
    """

    context: LaneContext
    tables: PullTables
    lease: LaneLease
    clock: Clock
    client: HttpNodeClient
    withheld: dict[Any, str] = field(default_factory=dict)
    _answered: bool = False
    _error: NodeUnavailable | None = None
    _in_row: list[Any] = field(default_factory=list)
    """Records that were not answered since the last answer, without those that failed before."""
    _failed_in_row: int = 0

    def fetch(self, page: Page, *, certain: bool) -> dict[Any, Any]:
        """The results of a page by id, and of records that were withheld before; a text is the reason of a failure.

        A record is left out where it is not ready, or is withheld; also where the node does not answer for it, unless
        it is ``certain`` that the node has processed it. Raises NodeError where the node is at fault.
        """
        single = self.tables.pull.size is None
        usual = 1 if single else self.lease.batch_limit
        state = _PageState(Bisection(page, set(), at_most=usual), usual, usual)
        if self._failed_in_row >= SUSPICIOUS:
            state.failed = self._failed_before(page)
        for part in state.bisection.parts():
            if part[0].id in state.failed and len(part) == 1 and self._failed_in_row >= SUSPICIOUS:
                continue  # the node answers for none of these
            try:
                state.found |= self._ask(part)
                state.answered.append(len(part))
            except (RecordRefused, BatchTooLarge) as refusal:
                state.refused(part, refusal)
            except NodeUnavailable as error:
                self._check(error)
                state.failed |= self._failed_before(part)
                if not state.repeat(part):
                    self._not_answered(part[0], error, state, page, certain=certain)
                continue
            self._has_answered()
            if certain:
                state.found |= self._release()
        if not single:
            # For the rest of this run: the results of the next one may be shorter.
            self.lease.batch_limit = max(state.answered, default=state.fits) if state.slow else state.fits
        return state.found

    def finish(self) -> dict[Any, str]:
        """The records that are still withheld have failed; raises NodeUnavailable where the node answered for none.

        Those that failed before stay as they are then, and stop no lane.
        """
        if self._error is not None and not self._answered:
            raise self._error
        return self._release() if self._answered else {}

    def _ask(self, part: Page) -> dict[Any, Any]:
        pull, by_id = self.tables.pull, isinstance(self.tables.pull.fetch, Get)
        if pull.size is None:
            return {part[0].id: call(pull.fetch, part[0].record, self.client)}
        result = call(pull.fetch, [item.id if by_id else item.record for item in part], self.client)
        if result is None:
            return {item.id: None for item in part}
        if not isinstance(result, Mapping):
            problem = f"it returned a {type(result).__name__}; it must return None, or values by id"
            raise DefinitionError("the pull function", [problem])
        return matched(result, part, self.tables.id)[0]

    def _check(self, error: NodeUnavailable) -> None:
        """Raise the error unless the request was interrupted and the node answers a ping; raise LaneLost if it was."""
        if not error.interrupted:
            raise error
        try:
            self.client.ping()
        except NodeError:
            raise error from None
        self.lease.check(self.context.engine, self.clock, self.context.limits.lease_seconds)

    def _failed_before(self, part: Page) -> set[Any]:
        return failed_results(self.context.engine, self.tables, [item.id for item in part])

    def _not_answered(
        self, item: Sendable, error: NodeUnavailable, state: _PageState, page: Page, *, certain: bool
    ) -> None:
        """Withhold a record; after several in a row, the last one of the page shows whether the node is at fault."""
        if certain:
            self.withheld[item.id] = (
                f"the node stops answering when it is asked for the result: {error.reason}"
            )
        if item.id in state.failed:
            self._failed_in_row += 1
            return
        self._error = error if certain else self._error
        self._in_row.append(item.id)
        if len(self._in_row) < SUSPICIOUS:
            return
        last = next(one for one in reversed(page) if one.id not in state.failed)
        if last.id in self._in_row:
            raise error
        with suppress(RecordRefused, BatchTooLarge):  # it is asked for again in its turn
            state.found |= self._ask([last])
        self._has_answered()

    def _has_answered(self) -> None:
        self._answered, self._in_row, self._failed_in_row = True, [], 0

    def _release(self) -> dict[Any, str]:
        released, self.withheld = self.withheld, {}
        return released
