"""The sample's micro-service: it scores deliveries and what readers do with them. Start: ``workmesh microservice``."""

from __future__ import annotations

from typing import Any

from workmesh_flows.microservice import MicroService, RecordRefused

timeline = MicroService("micro.emails.timeline", version="1.0.0")


def check_delivery(delivery: dict[str, Any]) -> None:
    """Refuse a delivery whose e-mail address is not valid: it can never be processed."""
    if "@" not in delivery["email"]:
        raise RecordRefused("the e-mail address has no @")


@timeline.protocol("delivery", check=check_delivery)
def score_delivery(delivery: dict[str, Any]) -> dict[str, Any]:
    """The shorter the subject, the higher the score."""
    return {"score": 100 - len(delivery["subject"])}


@timeline.protocol("open")
def score_open(_: dict[str, Any]) -> dict[str, Any]:
    """An open scores 5."""
    return {"score": 5}


@timeline.protocol("click")
def score_click(click: dict[str, Any]) -> dict[str, Any]:
    """A click on a secure link scores twice as much."""
    return {"score": 20 if click["url"].startswith("https://") else 10}


@timeline.protocol("unsubscribe")
def score_unsubscribe(_: dict[str, Any]) -> dict[str, Any]:
    """An unsubscribe scores negative."""
    return {"score": -50}
