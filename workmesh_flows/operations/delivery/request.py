"""Sending one part of a batch, and reading the result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from sqlalchemy import JSON, Enum, PickleType, String
from sqlalchemy.types import TypeEngine

from workmesh_flows.adapters.node_http.client import HttpNodeClient
from workmesh_flows.adapters.node_http.encoding import NO_JSON, has_json_form
from workmesh_flows.adapters.store.protocol_tables import PushTables
from workmesh_flows.domain.checks.payload import NO_JSON_FORM
from workmesh_flows.domain.payload import payload_columns
from workmesh_flows.errors import BatchTooLarge, DefinitionError, NodeMisconfigured, RecordRefused
from workmesh_flows.operations.delivery.user_functions import call, matched
from workmesh_flows.planning.bisection import Sendable, Unreadable


@dataclass(frozen=True, slots=True)
class Accepted:
    """The node accepted the part, except the refused ids, each with its reason."""

    refused: Mapping[Any, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refused:
    """The node refused the part as a whole, or a record in it cannot be read and nothing was sent."""

    reason: str


@dataclass(frozen=True, slots=True)
class TooLarge:
    """The part is larger than the node accepts or, with ``unsent``, than the settings allow to be sent."""

    reason: str
    unsent: bool = False


@dataclass(frozen=True, slots=True)
class Unanswered:
    """The node did not answer the part, but answers a ping: smaller parts show which record is at fault, if one is."""


SendResult: TypeAlias = Accepted | Refused | TooLarge | Unanswered


def send(
    tables: PushTables,
    part: Sequence[Sendable],
    client: HttpNodeClient,
    *,
    doubted: bool,
    at_most: int | None = None,
) -> Accepted | Refused | TooLarge:
    """Send a part with the user's push function; ``doubted`` as in :func:`call`.

    A record that cannot be read is refused and not sent; the others are, unless a later one is of the same owner.
    A part of several records whose payload has more than ``at_most`` bytes is not sent, and is too large. Raises
    NodeError, StoreUnavailable or DefinitionError, after which nothing may be flagged.
    """
    unreadable = {item.id: item.record.reason for item in part if type(item.record) is Unreadable}
    if unreadable:
        return _send_readable(tables, part, unreadable, client, doubted=doubted, at_most=at_most)
    push = tables.push
    records = [item.record for item in part] if push.size else part[0].record
    client.at_most = at_most if len(part) > 1 else None
    try:
        result = call(push.send, records, client, doubted=doubted)
    except RecordRefused as refusal:
        if push.wants_rows and refusal.reason.startswith(NO_JSON):
            _check_columns(tables, part)
        return Refused(refusal.reason)
    except BatchTooLarge as refusal:
        return TooLarge(refusal.reason, unsent=refusal.unsent)
    return Accepted(_refusals(result, part, client, tables) if push.size else {})


def _check_columns(tables: PushTables, part: Sequence[Sendable]) -> None:
    """Raise DefinitionError where a column's type has no JSON form: no record is at fault."""
    columns = payload_columns(tables.protocol)
    problems = {
        NO_JSON_FORM.format(name=f"{tables.protocol.record.__name__}.{name}", kind=type(value).__name__)
        for item in part
        for name, value in item.record.items()
        if not _holds_any_object(columns[name].type) and not has_json_form(value)
    }
    if problems:
        raise DefinitionError("the push", sorted(problems))


def _holds_any_object(kind: TypeEngine[Any]) -> bool:
    """Whether one value may have no JSON form although others have one: then its record is at fault."""
    return isinstance(kind, JSON | PickleType | String) and not isinstance(kind, Enum)


def _send_readable(  # noqa: PLR0913 - as send has them
    tables: PushTables,
    part: Sequence[Sendable],
    unreadable: Mapping[Any, str],
    client: HttpNodeClient,
    *,
    doubted: bool,
    at_most: int | None,
) -> Accepted | Refused | TooLarge:
    """Send the records of a part that can be read; nothing where one of them must wait behind one that cannot."""
    reasons = {record_id: client.scrub(reason) for record_id, reason in unreadable.items()}
    readable, owners = list[Sendable](), set[Any]()
    for item in part:
        if item.owner in owners:
            return Refused(next(iter(reasons.values())))
        if item.id in reasons:
            owners.add(item.owner)
        else:
            readable.append(item)
    if not readable:
        return Refused(reasons[part[0].id]) if len(part) == 1 else Accepted(reasons)
    result = send(tables, readable, client, doubted=doubted, at_most=at_most)
    return Accepted({**reasons, **result.refused}) if isinstance(result, Accepted) else result


def _refusals(
    result: Any,  # noqa: ANN401 - what a user's function returned
    part: Sequence[Sendable],
    client: HttpNodeClient,
    tables: PushTables,
) -> dict[Any, str]:
    if result is None:
        return {}
    if not isinstance(result, Mapping):
        problem = (
            f"it returned a {type(result).__name__}; it must return None, or the refused ids with reasons"
        )
        raise DefinitionError("the push function", [problem])
    refused, unknown = matched(result, part, tables.id)
    if unknown:  # some record was refused, and it is unknown which one
        reason = (
            f"it refuses {client.scrub(unknown[0])[:80]!r}, which is no id of a record that was sent to it"
        )
        raise NodeMisconfigured(reason, node=client.name)
    return {record_id: client.scrub(str(reason)) for record_id, reason in refused.items()}
