"""Logging and reporting of exceptions in a user's functions."""

from __future__ import annotations

import logging
import traceback

from workmesh_flows.microservice.envelope import printable

logger = logging.getLogger(__name__)


def log_crash(action: str, error: BaseException) -> None:
    """Log the type and traceback of an exception, without its text: that of a KeyError or int() quotes the record."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    logger.error("%s raised %s\n%s", action, type(error).__name__, frames)


def reason_of(error: BaseException, record: str) -> str:
    """The record, and the type and text of an exception, as a master shows them."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - the __str__ is the user's
        text = "(its text cannot be read)"
    name = type(error).__name__
    return printable(f"{record}: {name}: {text}" if text else f"{record}: {name}")
