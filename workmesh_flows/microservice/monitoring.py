"""The endpoints without a key, for monitoring: GET /health and GET /metrics."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING

import orjson
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from workmesh_flows.microservice.envelope import failure
from workmesh_flows.microservice.exceptions import log_crash
from workmesh_flows.microservice.worker import WorkerState

if TYPE_CHECKING:
    from starlette.requests import Request

HEALTH = "/health"
METRICS = "/metrics"


def monitoring_routes(worker_state: Callable[[], WorkerState], metrics: CollectorRegistry) -> list[Route]:
    """The two routes; neither needs a key, and neither answer contains anything of a record or of the key."""

    async def health(_: Request) -> Response:  # async: it answers also while all threads are busy
        state = worker_state()
        code = HTTPStatus.OK if state is WorkerState.RUNNING else HTTPStatus.SERVICE_UNAVAILABLE
        body = orjson.dumps({"alive": True, "worker": state.value})
        return Response(body, status_code=code, media_type="application/json")

    async def scrape(request: Request) -> Response:
        encode, media_type = choose_encoder(request.headers.get("Accept", ""))
        try:
            text = await run_in_threadpool(encode, metrics)
        except Exception as error:  # noqa: BLE001 - a metric that the micro-service defines itself may raise anything
            log_crash(METRICS, error)
            return failure("the metrics cannot be read", HTTPStatus.INTERNAL_SERVER_ERROR)
        return Response(text, headers={"Content-Type": media_type})

    return [Route(HEALTH, health, methods=["GET"]), Route(METRICS, scrape, methods=["GET"])]
