"""Whether a record that a node lists as failed is a failed one for its master."""

from __future__ import annotations

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
