"""Prefect with one mapped task for each record: the task posts its record and flags it."""

from __future__ import annotations

from typing import Any

import httpx
from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.futures import wait
from prefect.task_runners import ThreadPoolTaskRunner
from sqlalchemy import text

from benchmarks.push_by_hand import JSON
from workmesh_flows.adapters.node_http.encoding import encode
from workmesh_flows.adapters.store.engine import make_engine

MAX_WORKERS = 16
"""Number of concurrent tasks; Prefect's default, a thread for each task, is no faster."""

PENDING = text("SELECT id, account_id, at, body FROM record WHERE push_success IS NOT TRUE ORDER BY at, id")
FLAG = text("UPDATE record SET push_time = now(), push_success = TRUE, push_error = NULL WHERE id = :id")


@flow(task_runner=ThreadPoolTaskRunner(max_workers=MAX_WORKERS))  # type: ignore[arg-type]
def push_each(database: str, port: int) -> None:
    """Run one task for each pending record."""
    engine = make_engine(database)
    with engine.connect() as connection:
        records = [dict(row) for row in connection.execute(PENDING).mappings()]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as http:

        @task(cache_policy=NO_CACHE)
        def push_one(record: dict[str, Any]) -> None:
            content = encode({"api_key": "a-key", "record": record})
            answer = http.post("/push.json", content=content, headers=JSON)
            assert answer.json()["status"] == "success"
            with engine.begin() as connection:
                connection.execute(FLAG, {"id": record["id"]})

        done, _ = wait(push_one.map(records))
    engine.dispose()
    assert all(future.state.is_completed() for future in done)
