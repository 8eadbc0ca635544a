"""Automations: a notification arrives when a lane stops; a run whose process was killed is marked as crashed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from sqlalchemy import create_engine

from tests.support.fleet import Fleet
from tests.support.prefect_api import latest_run, wait_for_event
from tests.support.scripted_node import API_KEY, Answer, Asked, scripted_node, success
from tests.support.serving_process import ROOT, ended
from tests.support.shop import write_orders, write_shops
from tests.support.shop_mesh import mesh
from workmesh_flows.errors import RunFailed
from workmesh_flows.flows import service_flows
from workmesh_flows.observability.automations import ALIVE, install

PATIENCE = 30.0
HEARTBEAT, DEAD_AFTER = 30, 45
"""Seconds; 30 is the shortest interval of heartbeats that Prefect accepts."""


@pytest.fixture
def inbox() -> Iterator[tuple[str, Queue[Any]]]:
    """The address of a webhook, and the queue of what was posted to it."""
    received: Queue[Any] = Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/", received
    server.shutdown()
    server.server_close()


@pytest.mark.filterwarnings(
    "ignore:'imghdr' is deprecated"
)  # by the library with which Prefect sends notifications
def test_a_stopped_lane_sends_a_notification_with_the_reason_and_the_remedy(
    fleet: Fleet, inbox: tuple[str, Queue[Any]]
) -> None:
    from prefect.blocks.notifications import CustomWebhookNotificationBlock

    address, received = inbox
    CustomWebhookNotificationBlock(
        name="ops", url=address, json_data={"title": "{{subject}}", "text": "{{body}}"}
    ).save("inbox", overwrite=True)
    install(notify="custom-webhook/inbox")
    write_shops(fleet.engine, ["n1"])
    write_orders(fleet.engine, [1] * 3)
    with scripted_node(lambda _: Answer(b"", 403)) as node:
        fleet.register("n1", node.port, API_KEY)
        with pytest.raises(RunFailed):
            service_flows(fleet.mesh, "shop.orders", module=__name__).push()
    message = received.get(timeout=PATIENCE)
    assert message["title"] == "Workmesh: lane stopped"
    assert message["text"] == (
        "Lane shop.orders/order/n1/push stopped: the node rejects the API key; write the node's key into its block "
        "(workmesh-node/n1): /api/1.0/ping.json answers 403\n"
        "Nothing is lost. Fix the cause; the next run continues."
    )


@pytest.mark.slow  # heartbeats come every 30 seconds: takes about 90 seconds
@pytest.mark.timeout(300)
def test_a_run_whose_process_was_killed_is_marked_as_crashed(prefect: str, tmp_path: Path) -> None:
    install(dead_after=DEAD_AFTER)
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    engine = create_engine(url)
    write_shops(engine, ["n1"])
    write_orders(engine, [1])
    release = threading.Event()

    def hanging(asked: Asked) -> Answer:
        if "push" in asked.path:
            release.wait(120)
        return success()

    with scripted_node(hanging) as node:
        Fleet(mesh, engine).register("n1", node.port, API_KEY)
        process = subprocess.Popen(
            [sys.executable, "-m", "workmesh_flows.cli", "push"],
            cwd=ROOT,
            env={
                **os.environ,
                "PREFECT_API_URL": prefect,
                "PREFECT_HOME": str(tmp_path / "home"),
                "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT),
                "PREFECT_INTEGRATIONS_WORKMESH_MESH": "tests.support.shop_mesh:mesh",
                "PREFECT_INTEGRATIONS_WORKMESH_DATABASE_URL": url,
            },
        )
        try:
            while not any("push" in path for path in node.paths()):
                assert process.poll() is None
                release.wait(0.2)
            run = latest_run(prefect)
            wait_for_event(prefect, ALIVE, run["id"], 60)
        finally:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        state = ended(prefect, run["id"], 3 * DEAD_AFTER)
        release.set()
    engine.dispose()
    assert state["type"] == "CRASHED"
    assert f"No heartbeat for {DEAD_AFTER} seconds: its process died" in state["message"]
