"""`workmesh services --exact` and the flow `status`: sums that another program made wrong are corrected, in words."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine, update
from sqlalchemy.orm import Session
from typer.testing import CliRunner

from tests.flows.shop_flows import flows_of
from tests.support.fleet import Fleet
from tests.support.shop import Order, write_orders, write_shops
from workmesh_flows.adapters.store.engine import open_engine
from workmesh_flows.cli import app
from workmesh_flows.settings import PREFIX

CORRECTED = "corrected the processed records of shop.orders.order by +2"


def process_by_hand(engine: Engine, *ids: int) -> None:
    """Write the flags of processed orders, as another program might."""
    with Session(engine) as session, session.begin():
        written = update(Order).where(Order.id.in_(ids))
        session.execute(written.values(push_success=True, pull_success=True))


def test_an_exact_count_of_all_services_says_what_it_corrected(
    prefect: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del prefect
    url = f"sqlite:///{tmp_path / 'saas.db'}"
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv(f"{PREFIX}DATABASE_URL", url)
    monkeypatch.setenv(f"{PREFIX}MESH", "tests.support.shop_mesh:mesh")
    engine = open_engine(url)
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 5)

    def shown(*options: str) -> str:
        result = CliRunner().invoke(app, ["services", *options])
        assert result.exit_code == 0, result.output
        return result.output

    assert "corrected" not in shown("--exact"), "the first count starts the counting"
    process_by_hand(engine, 1, 2)
    row = [line for line in shown().splitlines() if line.startswith("shop.orders")]
    assert row[0].split()[-1] == "0", "it is added up, not counted"
    corrected, *table = shown("--exact").splitlines()
    assert corrected == CORRECTED
    assert table[-1].split()[-1] == "2"
    assert "corrected" not in shown("--exact")
    engine.dispose()


def test_a_status_run_counts_exactly_and_its_message_says_what_it_corrected(fleet: Fleet) -> None:
    write_shops(fleet.engine, ["n1"])
    write_orders(fleet.engine, [1] * 5)
    flows = flows_of(fleet)
    assert flows.status().message == "counted"
    process_by_hand(fleet.engine, 1, 2)
    assert flows.status().message == f"counted; {CORRECTED}"
    assert flows.status().message == "counted"
