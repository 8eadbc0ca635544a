"""What is kept of an exception in a user's function."""

from __future__ import annotations

import logging
import traceback

from workmesh_flows.microservice.envelope import printable

logger = logging.getLogger(__name__)


def log_crash(doing: str, error: BaseException) -> None:
    """Log the type and place of an exception, not its text: a KeyError or an int() quotes the record."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    logger.error("%s raised %s\n%s", doing, type(error).__name__, frames)


def reason_of(error: BaseException) -> str:
    """Type and text of an exception, as a master will show them."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - the user's own __str__
        text = "(its text cannot be read)"
    name = type(error).__name__
    return printable(f"{name}: {text}" if text else name)
