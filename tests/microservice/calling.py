"""A master's view of a node: one request, and what came back."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from workmesh_flows.microservice import NodeProcess


@dataclass(frozen=True)
class Said:
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

    def post(self, point: str, headers: dict[str, str] | None = None, **payload: Any) -> Said:
        """Call an access point by its short name: ``ping``, ``delivery/push``."""
        return said(
            self._client.post(
                f"/api/1.0/{point}.json", headers=headers, json={"api_key": self.api_key, **payload}
            )
        )

    def push(self, *records: Any, protocol: str = "delivery", headers: dict[str, str] | None = None) -> Said:
        return self.post(f"{protocol}/push", headers, records=list(records))

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self._client.request(method, path, **options)

    def settle(self) -> None:
        """Wait until nothing is left to process."""
        wait_for(lambda: self.post("workload").value == 0)

    def close(self) -> None:
        self._client.close()


def said(response: httpx.Response) -> Said:
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert set(body) == {"status", "value"}
    return Said(response.status_code, body["status"], body["value"], response.text)


def wait_for(happened: Callable[[], object], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)
