"""Every error that this package raises on purpose, as one tree.

* WorkmeshError
  x DefinitionError        a declaration is wrong; raised at import, never retried; carries .problems
  x UnknownName            no service, protocol, node or entity has this name; carries .known, the known names
  x ConfigurationError     a setting is missing or wrong: no database is set, or a mesh cannot be loaded
    + ServerUnreachable    the Prefect server does not answer
  x StartError             a micro-service cannot start: no API key, its database is in use, its port is taken
  x NoCapacity             no node has free capacity for an entity; carries .reason, the cap that prevents it
  x StalePlan              the facts a plan was made from have changed; carries .changes
  x StoreError             the database refused a statement: a missing column, a value that does not fit
    + StoreUnavailable     transient: the database is unreachable or locked
    + NotFlagged           transient: records were not found again by their ids; nothing was written
  x LaneError              a lane cannot run now; carries .lane
    + LaneBusy             another run holds the lease of the lane and processes it
    + LanePaused           the node asked for a pause or its circuit breaker is open; carries .until
    + LaneLost             another run acquired the lease of the lane; this run wrote nothing afterwards
    + LaneStopped          the node or the database stopped the lane; carries .report and .transient
  x NodeError              a request to a node failed; carries .node
    + NodeUnavailable      transient: the node is down, busy or unreachable; carries .retry_at, if known
    + NodeMisconfigured    manual action is required: a wrong key, a wrong address, an unknown endpoint
    + StaleEpoch           the node has already seen a later sender of the lane; carries .epoch
    + RequestCrashed       the node crashed on this request; a ping shows whether the node still works
    + UnreadableAnswer     the answer is no JSON with a status; a ping shows whether the node still works
    + BatchTooLarge        the request, or the answer to it, is too large; smaller requests may succeed
  x RecordRefused          a record is at fault, the node works; carries .reason
  x ConservationError      the numbers of a report do not add up: something was lost
  x RunFailed              a run ended with a problem that requires manual action or a rerun

No error text contains an API key or the body of a request.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


class WorkmeshError(Exception):
    """Root of all errors that this package raises on purpose.

    `report`: the partial report of the lane that this error stopped; of RunFailed, the result of the run.
    """

    report: object | None = None

    def __repr__(self) -> str:
        """Class name and text on one line, because Prefect logs the repr of an error."""
        return f"{type(self).__name__}: {' '.join(str(self).split())}"


class DefinitionError(WorkmeshError):
    """A declaration is wrong; the message lists every problem."""

    def __init__(self, subject: str, problems: Sequence[str]) -> None:
        super().__init__(subject, tuple(problems))
        self.subject = subject
        self.problems = tuple(problems)

    def __str__(self) -> str:
        lines = "".join(f"\n  - {problem}" for problem in self.problems)
        return f"{self.subject} is not a valid definition:{lines}"


class UnknownName(WorkmeshError):
    """Nothing has this name: ``owner`` ("service leads.scoring") has no ``kind`` ("protocol") of this ``name``.

    ``known`` are the names that exist; None if there are too many to list. ``hint`` says where to find them.
    """

    def __init__(
        self, owner: str, kind: str, name: str, known: Sequence[str] | None = None, hint: str = ""
    ) -> None:
        super().__init__(owner, kind, name, None if known is None else tuple(known), hint)
        self.owner, self.kind, self.name, self.hint = owner, kind, name, hint
        self.known = None if known is None else tuple(known)

    def __str__(self) -> str:
        has = "" if self.known is None else f"; it has: {similar_first(self.name, self.known) or 'none'}"
        hint = f"; {self.hint}" if self.hint else ""
        return f"{self.owner} has no {self.kind} {self.name!r}{has}{hint}"


LISTED = 20
"""Number of names that an error lists."""


def similar_first(name: str, known: Sequence[str]) -> str:
    """Known names as a list in text, those that resemble ``name`` first."""
    similar = get_close_matches(name, known)
    names = [*similar, *(other for other in known if other not in similar)]
    more = f" and {len(names) - LISTED:,} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more


class ConfigurationError(WorkmeshError):
    """A setting is missing or wrong; the message names the setting and a valid value."""


class ServerUnreachable(ConfigurationError):
    """The Prefect server does not answer, or nothing listens at its configured address."""


class StartError(WorkmeshError):
    """A micro-service cannot start; the message says why and what to do."""


class NoCapacity(WorkmeshError):
    """No node has free capacity for an entity; ``reason`` is the cap that prevents it. The assignment is unchanged."""

    def __init__(self, service: str, entity: str, reason: str) -> None:
        super().__init__(service, entity, reason)
        self.service, self.entity, self.reason = service, entity, reason

    def __str__(self) -> str:
        return f"no node of {self.service} has free capacity for entity {self.entity}: {self.reason}"


class StalePlan(WorkmeshError):
    """Nodes or entities have changed since the plan was made; nothing was moved. Make a new plan."""

    def __init__(self, plan: str, changes: Sequence[str]) -> None:
        super().__init__(plan, tuple(changes))
        self.plan, self.changes = plan, tuple(changes)

    def __str__(self) -> str:
        changes = "".join(f"\n  - {change}" for change in self.changes)
        return f"plan {self.plan} is stale; plan again. Since it was made:{changes}"


class StoreError(WorkmeshError):
    """The database refused a statement; the text is the first line of the database's message, without values."""


class StoreUnavailable(StoreError):
    """Transient: the database is unreachable or locked. Committed changes persist; retry later."""


class NotFlagged(StoreError):
    """Records were not found again by their ids, so no record of their batch was flagged.

    If they were deleted meanwhile, a retry succeeds. If their ids are stored in a format that the declared type of
    the column does not write, manual action is required.
    """


class LaneError(WorkmeshError):
    """A lane cannot run now."""

    def __init__(self, reason: str, *, lane: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.lane = lane

    def __str__(self) -> str:
        return f"lane {self.lane}: {self.reason}" if self.lane else self.reason


class LaneBusy(LaneError):
    """Another run holds the lease of the lane and processes it; nothing is wrong."""


class LanePaused(LaneError):
    """The node ``asked`` for a pause, or its circuit breaker is open; ``until`` is when the pause ends."""

    def __init__(
        self, reason: str, *, lane: str = "", until: datetime | None = None, asked: bool = False
    ) -> None:
        super().__init__(reason, lane=lane)
        self.until = until
        self.asked = asked


class LaneLost(LaneError):
    """The lease expired and another run acquired the lane; this run wrote nothing after that."""


class LaneStopped(LaneError):
    """The lane stopped early: records processed so far are flagged, the rest stays pending.

    ``report`` is the lane's partial report. ``transient`` is true if a retry may succeed. ``until`` is when
    the pause of the lane ends; None if it has none. ``asked`` is set where the node asked for this pause.
    """

    def __init__(  # noqa: PLR0913 - each is one fact of the stop
        self,
        reason: str,
        *,
        lane: str = "",
        report: object | None = None,
        transient: bool = False,
        until: datetime | None = None,
        asked: bool = False,
    ) -> None:
        super().__init__(reason, lane=lane)
        self.report = report
        self.transient = transient
        self.until = until
        self.asked = asked


class NodeError(WorkmeshError):
    """A request to a node failed."""

    def __init__(self, reason: str, *, node: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.node = node

    def __str__(self) -> str:
        return f"node {self.node}: {self.reason}" if self.node else self.reason


class NodeUnavailable(NodeError):
    """Transient: the node is down, busy or unreachable. Nothing was flagged; retry later.

    ``retry_at`` is the end of the pause that the node asked for, None if it asked for none. ``interrupted`` is true if
    the request was sent and its answer did not arrive: the connection was lost, the answer was late or incomplete, or
    the code was 408 or above 500 without a pause, as of a gateway whose node stopped answering. The node may have
    failed because of this request, so the next batch is smaller; if this happens with a request that contains only
    one record, it counts as a refusal of the record.
    """

    def __init__(
        self, reason: str, *, node: str = "", retry_at: datetime | None = None, interrupted: bool = False
    ) -> None:
        super().__init__(reason, node=node)
        self.retry_at = retry_at
        self.interrupted = interrupted


class NodeMisconfigured(NodeError):
    """Manual action is required: a wrong key (``key`` is true), a wrong address, an unknown endpoint."""

    def __init__(self, reason: str, *, node: str = "", key: bool = False) -> None:
        super().__init__(reason, node=node)
        self.key = key


class StaleEpoch(NodeError):
    """The node has already seen a later sender of the lane, with this ``epoch``, and accepted nothing."""

    def __init__(self, reason: str, *, node: str = "", epoch: int = 0) -> None:
        super().__init__(reason, node=node)
        self.epoch = epoch


class RequestCrashed(NodeError):
    """The node crashed on this request (500, or a redirect to its error page)."""


class UnreadableAnswer(NodeError):
    """The code of the answer is that of a success, but its body is not JSON, or JSON without a status.

    It may be about one record only, such as one whose result the node cannot write as JSON.
    """


class BatchTooLarge(NodeError):
    """The node answered 413, its answer is too long, or (``unsent``) the request is larger than a limit.

    With several records, the request is sent again in halves; with one, the record is refused.
    """

    def __init__(self, reason: str, *, node: str = "", unsent: bool = False) -> None:
        super().__init__(reason, node=node)
        self.unsent = unsent


class RecordRefused(WorkmeshError):
    """A record is at fault and the node works. Raise it in a push function: ``RecordRefused("why")``."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ConservationError(WorkmeshError):
    """The numbers of a report do not add up: selected must equal pushed + refused + parked + waiting."""


class RunFailed(WorkmeshError):
    """A run ended with a problem that requires manual action or a rerun; the message lists the problems."""
