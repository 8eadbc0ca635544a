"""Reading back what a run left on the server."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx

TRIES = 40


class _Patient(httpx.HTTPTransport):
    """Asks again where a server on SQLite says 503: another one wrote at that moment. So do Prefect's own clients."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        for _ in range(TRIES):
            answer = super().handle_request(request)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
            answer.close()
            time.sleep(0.25)
        return answer


api_client = httpx.Client(
    timeout=30, transport=_Patient()
)  # one for all: making one takes longer than most answers


def post(api: str, path: str, body: dict[str, Any] | None = None) -> Any:
    return api_client.post(f"{api}{path}", json=body or {}).raise_for_status().json()


def latest_table(api: str, key: str) -> list[dict[str, Any]]:
    """The rows of the latest table artifact under a key."""
    latest = post(api, "/artifacts/latest/filter", {"artifacts": {"key": {"any_": [key]}}})
    rows: list[dict[str, Any]] = json.loads(latest[0]["data"])
    return rows


def latest_run(api: str) -> dict[str, Any]:
    """The run that began last; what a schedule has planned did not."""
    began = {"flow_runs": {"start_time": {"is_null_": False}}, "sort": "START_TIME_DESC", "limit": 1}
    run: dict[str, Any] = post(api, "/flow_runs/filter", began)[0]
    return run


def task_runs(api: str, flow_run_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = post(
        api, "/task_runs/filter", {"flow_runs": {"id": {"any_": [flow_run_id]}}, "limit": 200}
    )
    return found


def everything(api: str) -> str:
    """All that the server shows of runs, tasks, logs, artifacts, events and blocks, as one text."""
    paths = ("/flow_runs", "/task_runs", "/logs", "/artifacts", "/block_documents", "/deployments")
    found = [post(api, f"{path}/filter", {"limit": 200}) for path in paths]
    found.append(post(api, "/events/filter", {"limit": 50}))
    return json.dumps(found)


def wait_for_log(api: str, run: str, wanted: str, seconds: float = 20) -> str:
    """The log of a run, once it says something: what is logged reaches the server a little later."""
    asked = {"logs": {"flow_run_id": {"any_": [run]}}, "limit": 200}
    end = time.monotonic() + seconds
    while wanted not in (said := "\n".join(entry["message"] for entry in post(api, "/logs/filter", asked))):
        assert time.monotonic() < end, said
        time.sleep(0.2)
    return said


def wait_for_event(api: str, name: str, run: str, seconds: float = 30) -> dict[str, Any]:
    """The event of this name that a run sent, once the server has it."""
    about = {"id": [f"prefect.flow-run.{run}"]}
    asked = {"filter": {"event": {"name": [name]}, "any_resource": about}, "limit": 1}
    end = time.monotonic() + seconds
    while not (found := post(api, "/events/filter", asked)["events"]):
        assert time.monotonic() < end, f"no {name} of run {run} in {seconds:g} s"
        time.sleep(0.2)
    event: dict[str, Any] = found[0]
    return event
