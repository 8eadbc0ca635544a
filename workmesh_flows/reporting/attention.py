"""The first lines of a page: the problems that need attention, by urgency; similar problems share a line."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from workmesh_flows.adapters.store.conditions import Condition
from workmesh_flows.domain.lane import Lane
from workmesh_flows.domain.node import likely_misspelling
from workmesh_flows.domain.record_key import RecordKey
from workmesh_flows.operations.counts import Count
from workmesh_flows.operations.status import Status
from workmesh_flows.reporting.markdown import brief, escaped, link, linked, moment
from workmesh_flows.reporting.page_data import FailedRun, Links, PageData
from workmesh_flows.reporting.unassigned import unassigned_remedy
from workmesh_flows.reporting.uneven_load import uneven_load

SHOWN = 10
"""Number of lines shown of each kind of problem."""
OTHERS = {"lane stopped": "of its node", "record parked": "of its protocol"}
REMEDIES = {
    "node unreachable": "Its records stay pending: start the node, or fix or disable its {}",
    "lane stopped": "Nothing is lost: fix the cause, the next run continues",
    "record parked": "Fix it and run replay, or skip it",
    "entities unassigned": "add a node, or raise a cap",
}

REJECTS = "It answers, but rejects the requests. Its records stay pending: correct the API key, or host, port and path, in its {}"
"""The remedy for a reachable node that does not work."""


def attention_list(
    data: PageData, conditions: Sequence[Condition], links: Links, services: Collection[str]
) -> str:
    """The page's time, and a list of the problems of these services with what to do about each.

    Nodes with an invalid block are listed for every service. Lanes of an unreachable node are not listed.
    """
    at = f"As of {moment(data.now)} UTC."
    unreachable = {condition.subject for condition in conditions if condition.kind == "node unreachable"}
    lines = {
        kind: [
            _line(similar, links, data.status)
            for similar in _similar(condition for condition in conditions if condition.kind == kind)
            if kind != "lane stopped" or Lane.from_subject(similar[0].subject).node not in unreachable
        ]
        for kind in REMEDIES
    }
    groups = [
        lines["node unreachable"],
        lines["lane stopped"],
        _block_errors(data, links),
        lines["entities unassigned"],
        _unusable_weights(data, links, services),
        lines["record parked"],
        _failed_records(data, links, services),
        _missing_records(data, links, services),
        _uneven_loads(data, links, services),
        _failed_runs(data, services),
    ]
    number = sum(len(group) for group in groups)
    if not number:
        return f"**Nothing needs attention.** {at}"
    need = f"{number:,} problems need attention." if number > 1 else "One problem needs attention."
    return f"**{need}** {at}\n\n" + "\n".join(line for group in groups for line in _first(group))


def service_of(condition: Condition) -> str | None:
    """The service that a condition concerns; None for a node's."""
    match condition.kind:
        case "node unreachable":
            return None
        case "lane stopped":
            return Lane.from_subject(condition.subject).service
        case "record parked" | "record failed":
            return RecordKey.from_subject(condition.subject).service
        case "entities unassigned":
            return condition.subject


def _block_errors(data: PageData, links: Links) -> list[str]:
    """Nodes whose block is invalid, or names a service that looks misspelt."""
    lines = [
        f"- node left out: **{escaped(name)}**, its {_block(name, links)} does not validate: {brief(problem)}. Fix it."
        for name, problem in sorted(data.status.inventory.problems.items())
    ]
    lines += [
        f"- node **{escaped(name)}**: {escaped(doubt)} Fix its {_block(name, links)}."
        for name, node in sorted(data.status.inventory.nodes.items())
        if (doubt := likely_misspelling(node.services, data.status.held))
    ]
    return lines


def _unusable_weights(data: PageData, links: Links, services: Collection[str]) -> list[str]:
    """Entities whose weight is not a whole number from 0 up."""
    return [
        f"- weights: **{linked(service, links.service(service))}**, {len(found):,} "
        f"{'entity has a weight' if len(found) == 1 else 'entities have weights'} that cannot be used: "
        f"{brief(f'{found[0][0]}: {found[0][1]}')}. It counts as 0, and an entity without a node is not assigned: correct it."
        for service, found in sorted(data.status.unusable.items())
        if service in services
    ]


def _failed_records(data: PageData, links: Links, services: Collection[str]) -> list[str]:
    """Records that a node accepted and could not process: no later run repairs these by itself."""
    return [
        f"- records failed: **{_linked_lane(count, links)}**, the node could not process {count.unprocessed:,} of its "
        "records: the reasons are under *Refused and failed records* on the page of the service, and in "
        f"`workmesh failed`. Fix the micro-service or the records, then run {_replay(count.service, links)} with "
        "`failed`."
        for count in _counts_at_nodes(data, services)
        if count.unprocessed
    ]


def _missing_records(data: PageData, links: Links, services: Collection[str]) -> list[str]:
    """Records that were pushed, but that their node does not have: pulls repair these, unless a node cannot be asked."""
    return [
        f"- records missing: **{_linked_lane(count, links)}**, the node does not have {count.missing:,} of the "
        "records that were pushed to it, or to a former node of their entities. Pull from all nodes; workmesh "
        "check lists what is left, with the command that sends it again."
        for count in _counts_at_nodes(data, services)
        if count.missing
    ]


def _counts_at_nodes(data: PageData, services: Collection[str]) -> list[Count]:
    return [count for count in data.status.counts if count.service in services and count.node is not None]


def _uneven_loads(data: PageData, links: Links, services: Collection[str]) -> list[str]:
    """Services of which one node is much fuller than another."""
    found = [uneven_load(data.status, service) for service in sorted(services)]
    return [
        f"- uneven load: **{linked(each.service, links.service(each.service))}**, {escaped(each.fullest)} holds "
        f"{each.most:,} {each.unit}, {escaped(each.emptiest)} {each.least:,}. Run rebalance."
        for each in found
        if each is not None
    ]


def _failed_runs(data: PageData, services: Collection[str]) -> list[str]:
    """Runs of these services and of the mesh that failed in the last hour; runs of the same flow share a line."""
    by_flow: dict[str, list[FailedRun]] = {}
    for run in data.failed_runs:
        if run.service is None or run.service in services:
            by_flow.setdefault(run.flow, []).append(run)
    lines = []
    for last, *earlier in by_flow.values():
        others = f", and {len(earlier):,} more of this flow in the last hour" if earlier else ""
        why = brief(last.message)
        stop = "" if why.endswith("…") else "."
        lines.append(
            f"- run failed: **{link(last.name, last.address)}** at {moment(last.ended)}{others}: {why}{stop}"
        )
    return lines


def _linked_lane(count: Count, links: Links) -> str:
    """The pull lane of a count, linked to the page of its service."""
    lane = Lane(count.service, count.protocol, count.node or "", "pull")
    return linked(lane.subject, links.service(count.service))


def _first(lines: Sequence[str]) -> list[str]:
    """The first lines of one kind of problem, so that it does not hide the other kinds."""
    more = [f"- and {len(lines) - SHOWN:,} more like these"] if len(lines) > SHOWN else []
    return [*lines[:SHOWN], *more]


def _similar(conditions: Iterable[Condition]) -> list[list[Condition]]:
    """Conditions grouped by line: parked records of one protocol; lanes of one node that stopped for one reason."""
    found: dict[tuple[str, ...], list[Condition]] = {}
    for condition in conditions:
        match condition.kind:
            case "record parked":
                record = RecordKey.from_subject(condition.subject)
                key: tuple[str, ...] = (record.service, record.protocol)
            case "lane stopped":
                lane = Lane.from_subject(condition.subject)
                key = (lane.service, lane.node, condition.detail)
            case _:
                key = (condition.subject,)
        found.setdefault(key, []).append(condition)
    return list(found.values())


def _line(similar: Sequence[Condition], links: Links, status: Status) -> str:
    """One line for similar conditions: the first of them, their number, since when, why, and what to do."""
    first = similar[0]
    others = f" and {len(similar) - 1:,} more {OTHERS[first.kind]}" if len(similar) > 1 else ""
    remedy = REMEDIES[first.kind]
    service = service_of(first)
    kind: str = first.kind
    if service is None:
        probe = status.probes.get(first.subject)
        if probe is not None and probe.reachable:
            kind, remedy = "node does not work", REJECTS
        subject, remedy = escaped(first.subject), remedy.format(_block(first.subject, links))
    else:
        subject = linked(first.subject, links.service(service))
    if first.kind == "entities unassigned":
        remedy = unassigned_remedy(status, first.subject, remedy)
        remedy = remedy[0].upper() + remedy[1:]
    return f"- {kind}: **{subject}**{others} since {moment(first.since)}, {brief(first.detail)}. {remedy}."


def _replay(service: str, links: Links) -> str:
    """The word "replay", linked to the form of the service; its deployment may be called "leads-replay"."""
    forms = (address for name, address in links.actions(service) if name.endswith("replay"))
    return linked("replay", next(forms, ""))


def _block(node: str, links: Links) -> str:
    """The word "block", linked to the block of the node."""
    return linked("block", links.block(node))
