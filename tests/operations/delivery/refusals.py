"""What tests of refused records share: services that give up soon, and what stands in our table of refused records."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Engine, select

from tests.operations.delivery.lane_runs import PUSH, refusing
from tests.support.scripted_node import Answer, Script, failure
from tests.support.shop import PUSH_FLAGS, shop_service
from workmesh_flows import Push, Service, post
from workmesh_flows.adapters.store.schema import parked
from workmesh_flows.domain.protocol import Policy


def impatient(
    *, attempts: int = 2, policy: Policy = "park_entity", batch_size: int | None = 10, name: str = "orders"
) -> Service:
    """The service over orders, which sets a record aside after so many refusals."""
    send = post(PUSH, "order" if batch_size is None else name, batch_size=batch_size)
    return shop_service(push=Push(send, flags=PUSH_FLAGS, max_attempts=attempts, policy=policy))


def kept(engine: Engine) -> dict[str, tuple[str, int]]:
    """The refused records: state and attempts of each, as they stand in the database now."""
    query = select(parked.c.record, parked.c.state, parked.c.attempts)
    with engine.connect() as connection:
        return {record: (str(state), attempts) for record, state, attempts in connection.execute(query)}


def refusing_these(*ids: int, answer: Answer | None = None) -> Script:
    """A node that gives this answer to a push with one of these records."""
    bad: Callable[[int], bool] = set(ids).__contains__
    return refusing(bad, answer or failure("no good"))
