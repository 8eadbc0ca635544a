"""A caller of a node, as a master is: one request and its answer at a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from workmesh_flows.microservice import NodeProcess


@dataclass(frozen=True)
class Answer:
    http: int
    status: str
    value: Any
    text: str


class Caller:
    def __init__(self, url: str, api_key: str) -> None:
        self.api_key = api_key
        self._client = httpx.Client(base_url=url, timeout=20)

    @classmethod
    def of(cls, node: NodeProcess) -> Caller:
        return cls(node.url, node.api_key)

    def post(self, endpoint: str, headers: dict[str, str] | None = None, **payload: Any) -> Answer:
        """Call an endpoint by its short name: ``ping``, ``delivery/push``."""
        return read_answer(
            self._client.post(
                f"/api/1.0/{endpoint}.json", headers=headers, json={"api_key": self.api_key, **payload}
            )
        )

    def push(
        self, *records: Any, protocol: str = "delivery", headers: dict[str, str] | None = None
    ) -> Answer:
        return self.post(f"{protocol}/push", headers, records=list(records))

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self._client.request(method, path, **options)

    def settle(self) -> None:
        """Wait until every record is processed."""
        wait_for(lambda: self.post("workload").value == 0)

    def close(self) -> None:
        self._client.close()


def read_answer(response: httpx.Response) -> Answer:
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert set(body) == {"status", "value"}
    return Answer(response.status_code, body["status"], body["value"], response.text)


def wait_for(condition: Callable[[], object], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition is not met in time"
        time.sleep(0.01)
