from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.operations.delivery.micro_orders import orders
from workmesh_flows.errors import ConfigurationError, NodeUnavailable, StartError
from workmesh_flows.microservice import MicroService
from workmesh_flows.testing import inventory_node, node_client, running_node


def test_a_node_can_be_killed_and_started_again(tmp_path: Path) -> None:
    with running_node(orders, name="n7", database=tmp_path / "kept.db") as process:
        node = inventory_node(process, "shop.orders", max_entities={"shop.orders": 5})
        assert (node.name, node.port, node.services) == ("n7", process.port, ("shop.orders",))
        with node_client(node) as client:
            assert client.post("/api/1.0/version.json", {}) == "1.2.3"
            client.post("/api/1.0/order/push.json", {"order": {"id": 1, "text": "an order"}})
            process.kill()
            with pytest.raises(NodeUnavailable):
                client.post("/api/1.0/ping.json", {})
            process.start()
            client.post("/api/1.0/ping.json", {})
    assert [arrival.id for arrival in process.arrivals()] == [1]


def test_the_temporary_database_of_a_node_is_deleted() -> None:
    with running_node("tests.operations.delivery.micro_orders:orders") as process:
        assert process.database.exists()
    assert not process.database.parent.exists()


def test_a_micro_service_that_no_other_process_can_import_is_an_error() -> None:
    with (
        pytest.raises(ConfigurationError, match="no attribute of an importable module"),
        running_node(MicroService("a")),
    ):
        pass


def test_a_node_that_cannot_start_is_an_error_with_the_reason() -> None:
    with pytest.raises(StartError, match="there is no module nowhere"), running_node("nowhere:app"):
        pass


def test_a_micro_service_that_a_script_imports_is_served_by_its_module_s_name(tmp_path: Path) -> None:
    (tmp_path / "my_micro.py").write_text(
        "from workmesh_flows.microservice import MicroService\n"
        "app = MicroService('leads.scoring', version='1')\n"
        "@app.protocol('lead')\n"
        "def score(lead):\n    return {'score': 1}\n"
    )
    (tmp_path / "script.py").write_text(
        "from my_micro import app\n"
        "from workmesh_flows.testing import running_node\n"
        "if __name__ == '__main__':\n"
        "    with running_node(app) as node:\n        print(node.microservice)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    ended = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stdout == "my_micro:app\n", ended.stderr
