"""A log filter that keeps the answers of nodes out of the logs of httpx and httpcore."""

from __future__ import annotations

import logging

import httpx

LOGGERS = ("httpx", "httpcore.http11", "httpcore.http2", "httpcore.proxy")
"""The loggers that write parts of an answer: httpx its reason phrase, httpcore its headers."""


def keep_answers_out_of_logs() -> None:
    """Install the filter in this process; more calls change nothing.

    A node may echo a request's body, and with it the API key, in any part of its answer. Loggers belong to the process,
    and a process that makes no client needs no filter: so each new client calls this function.
    """
    for name in LOGGERS:
        logging.getLogger(name).addFilter(_without_answer)


def _without_answer(record: logging.LogRecord) -> bool:
    """Replace the reason phrase in a record of httpx by the standard one; drop what httpcore logs of an answer."""
    match record.args:
        case (method, url, version, int() as code, str()) if record.name == "httpx":
            record.args = (method, url, version, code, httpx.codes.get_reason_phrase(code))
    return "receive_response" not in record.getMessage()
