"""Queries of the Prefect server about runs, logs, artifacts and events."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx

ATTEMPTS = 40


class _RetryingTransport(httpx.HTTPTransport):
    """Retries after a 503 of a server on SQLite that has a concurrent writer, as Prefect's own clients do."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        for _ in range(ATTEMPTS):
            answer = super().handle_request(request)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
            answer.close()
            time.sleep(0.25)
        return answer


api_client = httpx.Client(
    timeout=30, transport=_RetryingTransport()
)  # shared: creating a client takes longer than most answers


def post(api: str, path: str, body: dict[str, Any] | None = None) -> Any:
    return api_client.post(f"{api}{path}", json=body or {}).raise_for_status().json()


def latest_table(api: str, key: str) -> list[dict[str, Any]]:
    """The rows of the latest table artifact under a key."""
    latest = post(api, "/artifacts/latest/filter", {"artifacts": {"key": {"any_": [key]}}})
    rows: list[dict[str, Any]] = json.loads(latest[0]["data"])
    return rows


def latest_run(api: str) -> dict[str, Any]:
    """The run that started last; scheduled runs that have not started are left out."""
    began = {"flow_runs": {"start_time": {"is_null_": False}}, "sort": "START_TIME_DESC", "limit": 1}
    run: dict[str, Any] = post(api, "/flow_runs/filter", began)[0]
    return run


def task_runs(api: str, flow_run_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = post(
        api, "/task_runs/filter", {"flow_runs": {"id": {"any_": [flow_run_id]}}, "limit": 200}
    )
    return found


def everything(api: str) -> str:
    """All runs, tasks, logs, artifacts, events and blocks of the server, as one text."""
    paths = ("/flow_runs", "/task_runs", "/logs", "/artifacts", "/block_documents", "/deployments")
    found = [post(api, f"{path}/filter", {"limit": 200}) for path in paths]
    found.append(post(api, "/events/filter", {"limit": 50}))
    return json.dumps(found)


def wait_for_log(api: str, run: str, wanted: str, seconds: float = 20) -> str:
    """The log of a run; waits until the server has lines of it."""
    asked = {"logs": {"flow_run_id": {"any_": [run]}}, "limit": 200}
    end = time.monotonic() + seconds
    while wanted not in (text := "\n".join(entry["message"] for entry in post(api, "/logs/filter", asked))):
        assert time.monotonic() < end, text
        time.sleep(0.2)
    return text


def wait_for_event(api: str, name: str, run: str, seconds: float = 30) -> dict[str, Any]:
    """The event of this name that a run emitted; waits until the server has it."""
    about = {"id": [f"prefect.flow-run.{run}"]}
    asked = {"filter": {"event": {"name": [name]}, "any_resource": about}, "limit": 1}
    end = time.monotonic() + seconds
    while not (found := post(api, "/events/filter", asked)["events"]):
        assert time.monotonic() < end, f"no {name} of run {run} in {seconds:g} s"
        time.sleep(0.2)
    event: dict[str, Any] = found[0]
    return event
