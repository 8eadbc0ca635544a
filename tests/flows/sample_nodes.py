"""The demo's mesh for tests whose runs spread lanes over processes: its data, three nodes, and the checks after a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from pydantic import SecretStr
from sqlalchemy import Engine, create_engine, func, select, update

from workmesh_flows.blocks import WorkmeshNode
from workmesh_flows.demo.data import write_sample
from workmesh_flows.demo.mesh import SERVICE, timeline
from workmesh_flows.demo.models import Account, Click, Delivery, Open, Unsubscribe, User
from workmesh_flows.inventory.bulk_write import writing_nodes
from workmesh_flows.microservice import NodeProcess

MODELS: dict[str, Any] = {"delivery": Delivery, "open": Open, "click": Click, "unsubscribe": Unsubscribe}
NODES = ("n1", "n2", "n3")


def write_assigned(url: str, *, accounts: int = 12, records: int = 1200) -> None:
    """Write the sample's data, and assign the accounts to the nodes in turn."""
    engine = create_engine(url)
    write_sample(engine, accounts=accounts, records=records)
    column = Account.node_for_micro_emails_timeline
    with engine.begin() as connection:
        for number, key in enumerate(connection.scalars(select(Account.id).order_by(Account.name)).all()):
            node = NODES[number % len(NODES)]
            connection.execute(update(Account).where(Account.id == key).values({column: node}))
    engine.dispose()


@contextmanager
def sample_nodes(
    folder: Path, microservice: str = "workmesh_flows.demo.micro:timeline", **more: Any
) -> Iterator[dict[str, NodeProcess]]:
    """Start the nodes and register them."""
    with ExitStack() as running, writing_nodes() as write:
        nodes = {}
        for name in NODES:
            node = NodeProcess(microservice, database=folder / f"{name}.db", **more)
            nodes[name] = running.enter_context(node)
            block = WorkmeshNode(
                host="127.0.0.1", port=node.port, api_key=SecretStr(node.api_key), services=[SERVICE]
            )
            write(name, block)
        yield nodes


def counted(url: str, name: str) -> dict[str, int]:
    """The number of records of each protocol whose flag of this name is true."""
    engine = create_engine(url)
    with engine.connect() as connection:
        found = {
            protocol: connection.scalar(
                select(func.count()).select_from(model).where(getattr(model, name).is_(True))
            )
            or 0
            for protocol, model in MODELS.items()
        }
    engine.dispose()
    return found


def expected_arrivals(engine: Engine, node: str) -> dict[str, list[str]]:
    """The ids of a node's records by protocol, in the order in which they must be sent."""
    found = {}
    with engine.connect() as connection:
        for protocol, model in MODELS.items():
            chosen = select(model.id).select_from(model)
            if model is not Delivery:
                chosen = chosen.join(Delivery, model.delivery_id == Delivery.id)
            chosen = (
                chosen.join(User, Delivery.user_id == User.id)
                .join(Account, User.account_id == Account.id)
                .where(Account.node_for_micro_emails_timeline == node)
                .order_by(model.create_time, model.id)
            )
            found[protocol] = [str(key) for key in connection.scalars(chosen)]
    return found


def check_all_in_order(url: str, nodes: dict[str, NodeProcess]) -> None:
    """Check that each node received exactly its records, protocol after protocol, each in order."""
    engine = create_engine(url)
    for name, node in nodes.items():
        arrived = [(arrival.protocol, str(arrival.id)) for arrival in node.arrivals()]
        expected = expected_arrivals(engine, name)
        declared = [protocol.name for protocol in timeline.protocols]
        assert arrived == [(protocol, key) for protocol in declared for key in expected[protocol]]
    engine.dispose()


def wait_until_processed(nodes: dict[str, NodeProcess], seconds: float = 20) -> None:
    """Wait until the nodes have processed all records that they accepted."""
    end = monotonic() + seconds
    while any(arrival.processed_at is None for node in nodes.values() for arrival in node.arrivals()):
        assert monotonic() < end, "the nodes did not process all accepted records in time"
        sleep(0.1)
