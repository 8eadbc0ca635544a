"""The shape of every answer: ``{"status": "success", "value": ...}``, or what is wrong as the status."""

from __future__ import annotations

from http import HTTPStatus

import orjson
from starlette.responses import Response

SUCCESS = "success"
TEXT_LIMIT = 2000
"""Characters kept of a text that explains something; masters keep no more either."""


class RequestDenied(Exception):
    """A request that gets an answer other than success; carries what to say, and with which HTTP status."""

    def __init__(self, status: str, http: HTTPStatus = HTTPStatus.OK, *, value: object = "") -> None:
        super().__init__(status)
        self.status = status
        self.http = http
        self.value = value


def success(value: object) -> Response:
    """The answer to a request that was understood and done."""
    return _answer(SUCCESS, value, HTTPStatus.OK)


def failure(status: str, http: HTTPStatus = HTTPStatus.OK, value: object = "") -> Response:
    """The answer to a request that was not; HTTP 200 unless the request never got as far as a protocol."""
    return _answer(printable(status), value, http)


def printable(text: str) -> str:
    """A text cut to the limit, and fit for JSON and SQLite: both refuse half a surrogate pair."""
    return text[:TEXT_LIMIT].encode(errors="backslashreplace").decode()


def _answer(status: str, value: object, http: HTTPStatus) -> Response:
    return Response(
        orjson.dumps({"status": status, "value": value}), status_code=http, media_type="application/json"
    )
