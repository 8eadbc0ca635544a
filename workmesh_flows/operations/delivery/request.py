"""Sending one part of a batch, and reading what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from workmesh_flows.adapters.node_http.client import HttpNodeClient
from workmesh_flows.domain.protocol import Protocol, Push
from workmesh_flows.errors import BatchTooLarge, DefinitionError, NodeMisconfigured, RecordRefused
from workmesh_flows.operations.delivery.user_functions import call, matched
from workmesh_flows.planning.batching import Sendable


@dataclass(frozen=True, slots=True)
class Accepted:
    """The node took the part, but for the refused ids, each with its reason."""

    refused: Mapping[Any, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refused:
    """The node refused the part as a whole."""

    reason: str


@dataclass(frozen=True, slots=True)
class TooLarge:
    """The part is larger than the node takes; ``unsent`` where it is larger than we send at once."""

    reason: str
    unsent: bool = False


SendResult: TypeAlias = Accepted | Refused | TooLarge


def send(  # noqa: PLR0913 - each is one fact of the request
    push: Push,
    part: Sequence[Sendable],
    client: HttpNodeClient,
    protocol: Protocol,
    *,
    doubted: bool,
    at_most: int | None = None,
) -> SendResult:
    """Send a part with the user's function; ``doubted`` as in :func:`call`.

    A part of several records whose payload has more than ``at_most`` bytes is not sent, and is too large. Raises NodeError, StoreUnavailable or DefinitionError, after which nothing may be flagged.
    """
    records = [item.record for item in part] if push.size else part[0].record
    client.at_most = at_most if len(part) > 1 else None
    try:
        said = call(push.send, records, client, doubted=doubted)
    except RecordRefused as refusal:
        return Refused(refusal.reason)
    except BatchTooLarge as refusal:
        return TooLarge(refusal.reason, unsent=refusal.unsent)
    return Accepted(_refusals(said, part, client, protocol) if push.size else {})


def _refusals(
    said: Any,  # noqa: ANN401 - a user's
    part: Sequence[Sendable],
    client: HttpNodeClient,
    protocol: Protocol,
) -> dict[Any, str]:
    if said is None:
        return {}
    if not isinstance(said, Mapping):
        problem = f"it returned a {type(said).__name__}; it must return None, or the refused ids with reasons"
        raise DefinitionError("the push function", [problem])
    refused, strangers = matched(said, part, protocol)
    if strangers:  # some record was refused, and it cannot be said which
        reason = (
            f"it refuses {client.scrub(strangers[0])[:80]!r}, which is no id of a record that was sent to it"
        )
        raise NodeMisconfigured(reason, node=client.name)
    return {record_id: client.scrub(str(reason)) for record_id, reason in refused.items()}
