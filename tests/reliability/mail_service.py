"""The micro-service for mails: it refuses some records, fails to process others, and scores the rest."""

from __future__ import annotations

from typing import Any

from workmesh_flows.microservice import MicroService, RecordRefused

TOO_LARGE = 2**63
"""A score that is too large for an integer column."""

mails = MicroService("micro.mails", version="1.0.0")


def check_delivery(delivery: dict[str, Any]) -> None:
    if "@" not in delivery["email"]:
        raise RecordRefused("the address has no @")


def check_open(opened: dict[str, Any]) -> None:
    if not opened["client"]:
        raise RecordRefused("an open needs a client")


@mails.protocol("delivery", check=check_delivery)
def score_delivery(delivery: dict[str, Any]) -> dict[str, Any]:
    if delivery["subject"] == "impossible":
        raise ValueError("no score for this one")
    return {"score": TOO_LARGE if delivery["subject"] == "too much" else 10 * delivery["id"]}


@mails.protocol("open", check=check_open)
def accept_open(opened: dict[str, Any]) -> None:
    return None
