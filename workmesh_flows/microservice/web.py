"""HTTP around the access points: POST only, always an envelope, never a word of what was sent."""

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
from workmesh_flows.microservice.endpoints import Answer
from workmesh_flows.microservice.envelope import RequestDenied, failure, success
from workmesh_flows.microservice.exceptions import log_crash
from workmesh_flows.microservice.settings import Settings

if TYPE_CHECKING:
    from starlette.responses import Response


def web(points: Mapping[str, Answer], settings: Settings) -> Starlette:
    """The HTTP side of a node, without its lifespan."""
    app = Starlette(
        routes=[_route(path, answer, settings) for path, answer in points.items()],
        exception_handlers={HTTPException: _not_an_access_point},
    )
    app.router.redirect_slashes = False
    return app


def _route(path: str, answer: Answer, settings: Settings) -> Route:
    async def respond(request: Request) -> Response:
        try:
            call = await admit(request, settings.api_key, settings.body_limit)
            return success(await run_in_threadpool(answer, call))
        except RequestDenied as denied:
            return failure(denied.status, denied.http, denied.value)
        except ClientDisconnect:
            return failure("the caller hung up", HTTPStatus.BAD_REQUEST)
        except sqlite3.Error as error:
            # The node is at fault: 503 makes a master wait, 500 would make it look for a culprit.
            log_crash(path, error)
            return failure("the database of the node fails", HTTPStatus.SERVICE_UNAVAILABLE)
        except Exception as error:  # noqa: BLE001 - above all a bug in a user's check
            log_crash(path, error)
            return failure(f"the node crashed: {type(error).__name__}", HTTPStatus.INTERNAL_SERVER_ERROR)

    return Route(path, respond, methods=["POST"])


async def _not_an_access_point(_: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException) and error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return failure("only POST is answered", HTTPStatus.METHOD_NOT_ALLOWED)
    return failure("there is no such access point", HTTPStatus.NOT_FOUND)
