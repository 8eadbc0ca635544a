"""The HTTP side of the endpoints: POST only, every answer an envelope, none quotes the request."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.routing import Route

from workmesh_flows.microservice.admission import admit
from workmesh_flows.microservice.endpoints import Handler
from workmesh_flows.microservice.envelope import RequestDenied, failure, success
from workmesh_flows.microservice.exceptions import log_crash
from workmesh_flows.microservice.settings import Settings

if TYPE_CHECKING:
    from starlette.responses import Response


def web(handlers: Mapping[str, Handler], settings: Settings) -> Starlette:
    """The HTTP application of a node, without its lifespan."""
    app = Starlette(
        routes=[_route(path, handler, settings) for path, handler in handlers.items()],
        exception_handlers={HTTPException: _no_endpoint},
    )
    app.router.redirect_slashes = False
    return app


def _route(path: str, handler: Handler, settings: Settings) -> Route:
    async def respond(request: Request) -> Response:
        try:
            call = await admit(request, settings)
            return success(await run_in_threadpool(handler, call))
        except RequestDenied as denied:
            answer = failure(denied.status, denied.http, denied.value)
            if denied.http is HTTPStatus.REQUEST_TIMEOUT:
                answer.headers["Connection"] = "close"  # the rest of the body may never come
            return answer
        except ClientDisconnect:
            return failure("the caller closed the connection", HTTPStatus.BAD_REQUEST)
        except sqlite3.Error as error:
            # The node is at fault: 503 makes a master retry later, 500 would make it search for a record at fault.
            log_crash(path, error)
            return failure("the database of the node fails", HTTPStatus.SERVICE_UNAVAILABLE)
        except Exception as error:  # noqa: BLE001 - usually a bug in the user's check
            log_crash(path, error)
            return failure(f"the node crashed: {type(error).__name__}", HTTPStatus.INTERNAL_SERVER_ERROR)

    return Route(path, respond, methods=["POST"])


async def _no_endpoint(_: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException) and error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return failure("only POST is answered", HTTPStatus.METHOD_NOT_ALLOWED)
    return failure("there is no such endpoint", HTTPStatus.NOT_FOUND)
