"""The form of every answer: ``{"status": "success", "value": ...}``, or the problem as the status."""

from __future__ import annotations

from http import HTTPStatus

import orjson
from starlette.responses import Response

SUCCESS = "success"
FAILURE = "failure"
"""How metrics name every other status."""

TEXT_LIMIT = 2000
"""Characters kept of a reason; masters keep as many."""


class RequestDenied(Exception):
    """A request is not answered with success; carries the status text, the HTTP status and the value."""

    def __init__(self, status: str, http: HTTPStatus = HTTPStatus.OK, *, value: object = "") -> None:
        super().__init__(status)
        self.status = status
        self.http = http
        self.value = value


def success(value: object) -> Response:
    """The answer to a successful request."""
    return _answer(SUCCESS, value, HTTPStatus.OK)


def failure(status: str, http: HTTPStatus = HTTPStatus.OK, value: object = "") -> Response:
    """The answer to a failed request; HTTP 200 unless the request did not reach a protocol."""
    return _answer(printable(status), value, http)


def printable(text: str) -> str:
    """Cut a text to the limit, and escape half surrogate pairs, which neither JSON nor SQLite accepts."""
    return text[:TEXT_LIMIT].encode(errors="backslashreplace").decode()


def _answer(status: str, value: object, http: HTTPStatus) -> Response:
    return Response(
        orjson.dumps({"status": status, "value": value}), status_code=http, media_type="application/json"
    )
