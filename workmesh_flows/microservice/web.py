"""The HTTP side of the endpoints: POST only but for monitoring, every answer an envelope, none quotes the request."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.routing import Route

from workmesh_flows.microservice.admission import admit
from workmesh_flows.microservice.counts import OTHER, Counts
from workmesh_flows.microservice.endpoints import Handler
from workmesh_flows.microservice.envelope import FAILURE, SUCCESS, RequestDenied, failure, success
from workmesh_flows.microservice.exceptions import log_crash
from workmesh_flows.microservice.settings import Settings

if TYPE_CHECKING:
    from starlette.responses import Response


def web(
    handlers: Mapping[str, Handler], settings: Settings, counts: Counts, monitoring: Sequence[Route]
) -> Starlette:
    """The HTTP application of a node, without its lifespan; requests to ``monitoring`` are not counted."""

    async def no_endpoint(request: Request, error: Exception) -> Response:
        known = isinstance(error, HTTPException) and error.status_code == HTTPStatus.METHOD_NOT_ALLOWED
        method = "POST" if request.url.path in handlers else "GET"
        answer = (
            failure(f"only {method} is answered", HTTPStatus.METHOD_NOT_ALLOWED)
            if known
            else failure("there is no such endpoint", HTTPStatus.NOT_FOUND)
        )
        endpoint = request.url.path if request.url.path in handlers else OTHER
        counts.add_request(endpoint, answer.status_code, FAILURE)
        return answer

    app = Starlette(
        routes=[
            *(_route(path, handler, settings, counts) for path, handler in handlers.items()),
            *monitoring,
        ],
        exception_handlers={HTTPException: no_endpoint},
    )
    app.router.redirect_slashes = False
    return app


def _route(path: str, handler: Handler, settings: Settings, counts: Counts) -> Route:
    async def respond(request: Request) -> Response:
        try:
            call = await admit(request, settings)
            answer, status = success(await run_in_threadpool(handler, call)), SUCCESS
        except Exception as error:  # noqa: BLE001 - usually a bug in the user's check
            answer, status = _failure_of(path, error), FAILURE
        counts.add_request(path, answer.status_code, status)
        return answer

    return Route(path, respond, methods=["POST"])


def _failure_of(path: str, error: Exception) -> Response:
    match error:
        case RequestDenied():
            answer = failure(error.status, error.http, error.value)
            if error.http is HTTPStatus.REQUEST_TIMEOUT:
                answer.headers["Connection"] = "close"  # the rest of the body may never come
            return answer
        case ClientDisconnect():
            return failure("the caller closed the connection", HTTPStatus.BAD_REQUEST)
        case sqlite3.Error():
            # The node is at fault: 503 makes a master retry later, 500 would make it search for a record at fault.
            log_crash(path, error)
            return failure("the database of the node fails", HTTPStatus.SERVICE_UNAVAILABLE)
        case _:
            log_crash(path, error)
            return failure(f"the node crashed: {type(error).__name__}", HTTPStatus.INTERNAL_SERVER_ERROR)
