"""Whether a record that a node lists as failed is a failed one for its master."""

from __future__ import annotations

from datetime import datetime, timedelta

from workmesh_flows.planning.refusals import RefusalState


def after_listed(before: RefusalState | None, *, has_pull: bool, pushed: bool, pulled: bool) -> bool:
    """Whether a record of the node is failed after the node has listed it; ``before`` is its state in the list, if any.

    A node may list a record before the push that sent it, for the first time or as a replay, has flagged it. Where results
    are pulled, the pull reports such a record later; otherwise the node's list is the only report, and the record counts
    as failed as soon as it is flagged. A refused record was sent in another form than the one that failed.
    """
    if has_pull:
        return pushed and not pulled and before in {None, RefusalState.FAILED}
    return before in {None, RefusalState.FAILED, RefusalState.REPLAYED}


QUIET = timedelta(days=1)
"""How long after the last push a node that does not report its queue may still list new failures."""
MARGIN = timedelta(seconds=1)
"""By how much the clocks of two runs may differ."""


def is_settled(
    last_push: datetime, began: datetime, *, workload: int | None, seen_at: datetime | None
) -> bool:
    """Whether a reading of a lane's failures that began at a time has all that its node will ever list.

    It has if the node was seen with an empty queue before, after the last push; ``workload`` is the length of the queue at
    ``seen_at``. Of a node that does not report its queue it is assumed one day after the last push.
    """
    if workload is None or seen_at is None:
        return began >= last_push + QUIET
    return workload == 0 and last_push + MARGIN <= seen_at <= began + MARGIN
