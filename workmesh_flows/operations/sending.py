"""Sending one part of a batch, and reading what became of it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from workmesh_flows.adapters.node_client import HttpNodeClient, translated_errors
from workmesh_flows.domain.protocol import Push
from workmesh_flows.errors import BatchTooLarge, DefinitionError, RecordRefused, RequestCrashed, WorkmeshError
from workmesh_flows.planning.delivery import Sendable

logger = logging.getLogger(__name__)


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
    """The part is larger than the node takes."""

    reason: str


Outcome: TypeAlias = Accepted | Refused | TooLarge


def send(push: Push, part: Sequence[Sendable], client: HttpNodeClient, *, doubted: bool) -> Outcome:
    """Send a part with the user's function.

    A refusal that is ``doubted`` is followed by a ping: a node refuses a wrong key in the same words as a bad
    record, and then nothing may be flagged. A crash is always followed by one: if the node is well again at
    once, the part is at fault. Raises NodeUnavailable or NodeMisconfigured, after which nothing may be flagged.
    """
    try:
        with translated_errors():
            said = push.send([item.record for item in part] if push.size else part[0].record, client)
    except RecordRefused as refusal:
        if doubted:
            client.ping()
        return Refused(client.scrub(refusal.reason))
    except RequestCrashed as crash:
        client.ping()
        return Refused(f"the node crashes on it: {crash.reason}")
    except BatchTooLarge as refusal:
        return TooLarge(refusal.reason)
    except WorkmeshError:
        raise
    except Exception as error:  # noqa: BLE001 - a user's function may raise anything; its records are at fault
        return Refused(client.scrub(f"the push function raised {type(error).__name__}: {error}"))
    return Accepted(_refusals(said, part, client) if push.size else {})


def _refusals(said: Any, part: Sequence[Sendable], client: HttpNodeClient) -> dict[Any, str]:  # noqa: ANN401 - a user's
    if said is None:
        return {}
    if not isinstance(said, Mapping):
        problem = f"it returned a {type(said).__name__}; it must return None, or the refused ids with reasons"
        raise DefinitionError("the push function", [problem])
    ids = {str(item.id): item.id for item in part}
    strangers = [key for key in said if str(key) not in ids]
    if strangers:
        logger.warning("node %s refuses %d records that were not sent to it", client.name, len(strangers))
    return {ids[str(key)]: client.scrub(str(reason)) for key, reason in said.items() if str(key) in ids}
