"""Helpers for tests of refused records: services with few attempts, and the table of refused records."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Engine, select

from tests.operations.delivery.lane_runs import PUSH, refusing
from tests.support.scripted_node import Answer, Script, failure
from tests.support.shop import PUSH_FLAGS, shop_service
from workmesh_flows import Push, Service, post
from workmesh_flows.adapters.store.schema import parked
from workmesh_flows.domain.protocol import Policy


def few_attempts(
    *, attempts: int = 2, policy: Policy = "park_entity", batch_size: int | None = 10, name: str = "orders"
) -> Service:
    """The service over orders, which parks a record after ``attempts`` refusals."""
    send = post(PUSH, "order" if batch_size is None else name, batch_size=batch_size)
    return shop_service(push=Push(send, flags=PUSH_FLAGS, max_attempts=attempts, policy=policy))


def refused_records(engine: Engine) -> dict[str, tuple[str, int]]:
    """State and attempts of each refused record in the database."""
    query = select(parked.c.record, parked.c.state, parked.c.attempts)
    with engine.connect() as connection:
        return {record: (str(state), attempts) for record, state, attempts in connection.execute(query)}


def refusing_these(*ids: int, answer: Answer | None = None) -> Script:
    """A node that gives this answer to a push with one of these records."""
    bad: Callable[[int], bool] = set(ids).__contains__
    return refusing(bad, answer or failure("no good"))
