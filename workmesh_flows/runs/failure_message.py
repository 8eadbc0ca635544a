"""The message of a run in which lanes stopped: which, why, what is kept, and what to do."""

from __future__ import annotations

from collections.abc import Sequence

from workmesh_flows.domain.reports import counted
from workmesh_flows.runs.result import LaneResult, RunResult

KEPT = {
    "push": "records that were not sent stay pending",
    "pull": "results that were not pulled stay at the node",
}
"""What happens to the rest of a lane that stopped, by direction."""


def failure_message(result: RunResult) -> str:
    """Which lanes failed or were skipped and why, the total of the run, and what to do."""
    failed = [each for each in result.lanes if each.state == "stopped"]
    skipped = [each for each in result.lanes if each.state == "behind"]
    rest = f", {len(skipped):,} skipped" if skipped else ""
    reasons = "\n".join(
        f"  {each.lane.direction} of {each.lane.protocol}, node {each.lane.node}: {each.reason.rstrip('.')}."
        for each in [*failed, *skipped]
    )
    kept = ", ".join(KEPT[way] for way in KEPT if any(each.lane.direction == way for each in failed))
    return (
        f"{counted(len(failed), 'lane')} failed{rest}:\n{reasons}\n"
        f"Total: {result.message}. Nothing is lost: {kept}. {_remedy(failed, now=result.now)}."
    )


def _remedy(failed: Sequence[LaneResult], *, now: bool) -> str:
    """What to do. Nobody is advised to end a pause that a node asked for, nor to give ``--now`` if they gave it."""
    pauses = [each.until for each in failed if each.until is not None]
    asked = any(each.asked for each in failed)
    shorten = ", rerun with --now to skip the back-off" if pauses and not asked and not now else ""
    if len(pauses) < len(failed):
        return f"Fix the cause{shorten or ', then rerun'}"
    the_lanes = "The lane is" if len(failed) == 1 else "The lanes are"
    continues = (
        f"{the_lanes} paused until {max(pauses):%Y-%m-%d %H:%M:%S} UTC; a later run continues by itself"
    )
    return continues + (f". If you fix the cause before{shorten}" if shorten else "")
