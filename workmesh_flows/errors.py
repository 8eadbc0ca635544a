"""Everything that can go wrong, as one tree.

* WorkmeshError
  x DefinitionError        a declaration is wrong: raised at import, never retried; carries .problems
  x UnknownName            no service, protocol or node of that name; the message lists the known ones
  x ConfigurationError     a setting is missing or wrong: no database, a mesh that cannot be loaded
    + ServerUnreachable           the Prefect server does not answer
  x StartError             a micro-service cannot start here: no api key, a database in use, a port taken
  x NoCapacity             no node has room for an entity; carries the cap that binds
  x StalePlan              what a plan was made from has changed; carries .changes
  x StoreError             the database refused: a missing table or column, a value that does not fit
    + StoreUnavailable     transient: the database is away or locked
    + NotFlagged           transient: records were not found again under their ids; nothing was written
  x LaneError              a lane cannot be worked now; carries .lane
    + LaneBusy             another run holds the lane: it does the work
    + LanePaused          the node asked for a pause that is not over; carries .until
    + LaneLost             this run lost its lane to another one and wrote nothing more
    + LaneStopped          the node or the database stopped the work; carries .report and .transient
  x NodeError              one node misbehaved; carries .node
    + NodeUnavailable      transient: try later; carries .retry_at where the node named a time
    + NodeMisconfigured    a person must act
    + StaleEpoch           the node has seen a later sender of the lane; carries .epoch
    + RequestCrashed       this request made the node crash; a ping decides whose fault it is
    + BatchTooLarge        the node wants fewer records a request
  x RecordRefused          this record is at fault, the node is well; carries .reason
  x ConservationError      a report does not add up: something was lost on the way
  x RunFailed              a run ended and something in it needs a person or another try

Texts never contain an api key or the body of a request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


class WorkmeshError(Exception):
    """Root of all errors raised on purpose by this package; ``report`` is what a lane did that this one ended."""

    report: object | None = None

    def __repr__(self) -> str:
        """Its text on one line: Prefect logs errors by this."""
        return f"{type(self).__name__}: {' '.join(str(self).split())}"


class DefinitionError(WorkmeshError):
    """A declaration is wrong; every problem is listed at once."""

    def __init__(self, subject: str, problems: Sequence[str]) -> None:
        super().__init__(subject, tuple(problems))
        self.subject = subject
        self.problems = tuple(problems)

    def __str__(self) -> str:
        lines = "".join(f"\n  - {problem}" for problem in self.problems)
        return f"{self.subject} is not a valid definition:{lines}"


class UnknownName(WorkmeshError):
    """A name that nothing known carries; where there are too many to list, ``known`` is None, ``hint`` says where they are."""

    def __init__(self, kind: str, name: str, known: Sequence[str] | None = None, hint: str = "") -> None:
        super().__init__(kind, name, None if known is None else tuple(known), hint)
        self.kind, self.name, self.hint = kind, name, hint
        self.known = None if known is None else tuple(known)

    def __str__(self) -> str:
        listed = "" if self.known is None else f"; known: {', '.join(self.known) or 'none'}"
        hint = f"; {self.hint}" if self.hint else ""
        return f"there is no {self.kind} {self.name!r}{listed}{hint}"


class ConfigurationError(WorkmeshError):
    """A setting is missing or wrong; the message says which one and what to set."""


class ServerUnreachable(ConfigurationError):
    """The Prefect server does not answer, or nothing listens at the address that is set for it."""


class StartError(WorkmeshError):
    """A micro-service cannot start here; the message says why and what to do."""


class NoCapacity(WorkmeshError):
    """No node has room for an entity; ``reason`` is the cap that binds. Its assignation is as it was."""

    def __init__(self, service: str, entity: str, reason: str) -> None:
        super().__init__(service, entity, reason)
        self.service, self.entity, self.reason = service, entity, reason

    def __str__(self) -> str:
        return f"no node of {self.service} has room for entity {self.entity}: {self.reason}"


class StalePlan(WorkmeshError):
    """What a plan was made from is no more as it was; nothing was moved. Plan again."""

    def __init__(self, plan: str, changes: Sequence[str]) -> None:
        super().__init__(plan, tuple(changes))
        self.plan, self.changes = plan, tuple(changes)

    def __str__(self) -> str:
        changes = "".join(f"\n  - {change}" for change in self.changes)
        return f"plan {self.plan} is stale; plan again. Since it was made:{changes}"


class StoreError(WorkmeshError):
    """The database refused a statement; the message is the database's own first line, without values."""


class StoreUnavailable(StoreError):
    """Transient: the database is away or locked. What was committed stays; try later."""


class NotFlagged(StoreError):
    """Records were not found again under their ids, so that none of their batch was flagged.

    They were deleted meanwhile, which another try settles, or their ids are stored in a form that the column's type
    does not write, which takes a person.
    """


class LaneError(WorkmeshError):
    """A lane cannot be worked now."""

    def __init__(self, reason: str, *, lane: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.lane = lane

    def __str__(self) -> str:
        return f"lane {self.lane}: {self.reason}" if self.lane else self.reason


class LaneBusy(LaneError):
    """Another run holds the lane and does the work; nothing is wrong."""


class LanePaused(LaneError):
    """The node asked to be left alone until a time that has not come, or was away too often; see `Work.now`."""

    def __init__(self, reason: str, *, lane: str = "", until: datetime | None = None) -> None:
        super().__init__(reason, lane=lane)
        self.until = until


class LaneLost(LaneError):
    """The lease ran out and another run took the lane; nothing was written after that."""


class LaneStopped(LaneError):
    """The work stopped before its end; what was done is flagged, the rest stays pending.

    ``report`` says how far it came, ``transient`` whether trying again may help, ``until`` when the lane's pause is
    over where it has one.
    """

    def __init__(
        self,
        reason: str,
        *,
        lane: str = "",
        report: object | None = None,
        transient: bool = False,
        until: datetime | None = None,
    ) -> None:
        super().__init__(reason, lane=lane)
        self.report = report
        self.transient = transient
        self.until = until


class NodeError(WorkmeshError):
    """One node misbehaved."""

    def __init__(self, reason: str, *, node: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.node = node

    def __str__(self) -> str:
        return f"node {self.node}: {self.reason}" if self.node else self.reason


class NodeUnavailable(NodeError):
    """Transient: the node is down, busy or unreachable. Nothing was flagged; try later.

    ``interrupted`` says that the request was on its way when the node did: it may be what drove it away.
    """

    def __init__(
        self, reason: str, *, node: str = "", retry_at: datetime | None = None, interrupted: bool = False
    ) -> None:
        super().__init__(reason, node=node)
        self.retry_at = retry_at
        self.interrupted = interrupted


class NodeMisconfigured(NodeError):
    """A person must act: wrong key, wrong address, no such access point."""


class StaleEpoch(NodeError):
    """The node has seen a later sender of the lane, of this ``epoch``, and took nothing."""

    def __init__(self, reason: str, *, node: str = "", epoch: int = 0) -> None:
        super().__init__(reason, node=node)
        self.epoch = epoch


class RequestCrashed(NodeError):
    """The node crashed on this request (500, or a redirect to its error page)."""


class BatchTooLarge(NodeError):
    """The node refused the size of a request (413), or it was not sent because of it: ``unsent``."""

    def __init__(self, reason: str, *, node: str = "", unsent: bool = False) -> None:
        super().__init__(reason, node=node)
        self.unsent = unsent


class RecordRefused(WorkmeshError):
    """This record is at fault and the node is well. Raise it in a push function: ``RecordRefused("why")``."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ConservationError(WorkmeshError):
    """A report does not add up: selected is not pushed + refused + left."""


class RunFailed(WorkmeshError):
    """A run ended, and something in it needs a person or another try; the message says what, lane by lane."""
