"""What needs somebody, as the first lines of a page: the most urgent kind first, what is alike told once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from workmesh_flows.adapters.store.conditions import Condition
from workmesh_flows.domain.node import likely_misspelling
from workmesh_flows.reporting.markdown import brief, escaped, linked, moment
from workmesh_flows.reporting.page_data import Links, PageData

SHOWN = 10
"""Things of a kind that need somebody, of which a page tells."""
OTHERS = {"lane stopped": "of its node", "record parked": "of its protocol"}
HELP = {
    "node unreachable": "Its lanes wait: start it, or mend or disable its {}",
    "lane stopped": "Nothing is lost: mend the cause, the next run goes on",
    "record parked": "Mend it and run replay, or skip it",
    "entities unassigned": "Add a node, or raise a cap",
}


def head(facts: PageData, conditions: Sequence[Condition], links: Links, services: Collection[str]) -> str:
    """Since when it is true, and whether anything of these services needs somebody; a node left out may be of any.

    Lanes of a node that is not reached stand for nothing of their own.
    """
    at = f"As of {moment(facts.now)} UTC."
    away = {condition.subject for condition in conditions if condition.kind == "node unreachable"}
    told = {
        kind: [
            _lines(alike, links)
            for alike in _alike(condition for condition in conditions if condition.kind == kind)
            if kind != "lane stopped" or _node_of_lane(alike[0].subject) not in away
        ]
        for kind in HELP
    }
    blocks = [
        f"- node left out: **{escaped(name)}**, its {_block(name, links)} does not validate: {brief(problem)}. Mend it."
        for name, problem in sorted(facts.status.inventory.problems.items())
    ]
    blocks += [
        f"- node **{escaped(name)}**: {escaped(doubt)} Mend its {_block(name, links)}."
        for name, node in sorted(facts.status.inventory.nodes.items())
        if (doubt := likely_misspelling(node.services, facts.status.held))
    ]
    groups = [told["node unreachable"], told["lane stopped"], blocks]
    groups += [told["entities unassigned"], told["record parked"], _unprocessed(facts, links, services)]
    if not (number := sum(len(lines) for lines in groups)):
        return f"**Nothing needs you.** {at}"
    need = f"{number:,} things need you." if number > 1 else "One thing needs you."
    return f"**{need}** {at}\n\n" + "\n".join(line for lines in groups for line in _first(lines))


def _unprocessed(facts: PageData, links: Links, services: Collection[str]) -> list[str]:
    """Records that a node took, and then could not process: no run heals them."""
    return [
        f"- results missing: **{linked(f'{count.service}/{count.protocol}/{count.node}', links.service(count.service))}**, "
        f"the node could not process {count.unprocessed:,} of its records; the table of the pull says why. "
        "Mend the micro-service or the records, then reassign their entities."
        for count in facts.status.counts
        if count.service in services and count.node is not None and count.unprocessed
    ]


def _first(lines: Sequence[str]) -> list[str]:
    """Of each kind the first ones, so that none hides another."""
    more = [f"- and {len(lines) - SHOWN:,} more like these"] if len(lines) > SHOWN else []
    return [*lines[:SHOWN], *more]


def _alike(conditions: Iterable[Condition]) -> list[list[Condition]]:
    """What is told in one line: records of a protocol, and lanes of a node that stopped for the same reason."""
    found: dict[tuple[str, ...], list[Condition]] = {}
    for condition in conditions:
        subject = condition.subject.split("/")
        match condition.kind:
            case "record parked":
                key: tuple[str, ...] = tuple(subject[:2])
            case "lane stopped":
                key = (subject[0], _node_of_lane(condition.subject), condition.detail)
            case _:
                key = (condition.subject,)
        found.setdefault(key, []).append(condition)
    return list(found.values())


def _lines(alike: Sequence[Condition], links: Links) -> str:
    """One line: what, since when, why, and what to do. Of several alike the first, and how many there are."""
    first = alike[0]
    others = f" and {len(alike) - 1:,} more {OTHERS[first.kind]}" if len(alike) > 1 else ""
    if first.kind == "node unreachable":
        subject, remedy = (
            f"**{escaped(first.subject)}**",
            HELP[first.kind].format(_block(first.subject, links)),
        )
    else:
        page = links.service(first.subject.partition("/")[0])
        subject, remedy = f"**{linked(first.subject, page)}**", HELP[first.kind]
    return f"- {first.kind}: {subject}{others} since {moment(first.since)}, {brief(first.detail)}. {remedy}."


def _block(node: str, links: Links) -> str:
    """The word, with a link to where a node is mended."""
    return linked("block", links.block(node))


def _node_of_lane(subject: str) -> str:
    return subject.split("/")[-2]
