"""The micro-service for mails: it refuses some records, fails to process others until it is fixed, and scores the rest."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from workmesh_flows.microservice import MicroService, RecordRefused

TOO_LARGE = 2**63
"""A score that is too large for an integer column."""

FOLDER = "MAILS_FOLDER"
"""The environment variable that names the folder of these two files."""
FIXED, PROCESSED = "fixed", "processed.log"
"""A file that exists once the bugs of the service are fixed, and the list of all records that it has processed."""

mails = MicroService("micro.mails", version="1.0.0")


def check_delivery(delivery: dict[str, Any]) -> None:
    if "@" not in delivery["email"]:
        raise RecordRefused("the address has no @")


def check_open(opened: dict[str, Any]) -> None:
    if not opened["client"]:
        raise RecordRefused("an open needs a client")


@mails.protocol("delivery", check=check_delivery)
def score_delivery(delivery: dict[str, Any]) -> dict[str, Any]:
    _list_processed("delivery", delivery)
    if delivery["subject"] == "impossible" and not _is_fixed():
        raise ValueError("no score for this one")
    return {"score": TOO_LARGE if delivery["subject"] == "too much" else 10 * delivery["id"]}


@mails.protocol("open", check=check_open)
def accept_open(opened: dict[str, Any]) -> None:
    _list_processed("open", opened)
    if opened["client"] == "unknown" and not _is_fixed():
        raise ValueError("this client is unknown")


def _is_fixed() -> bool:
    return (Path(os.environ[FOLDER]) / FIXED).exists()


def _list_processed(protocol: str, record: dict[str, Any]) -> None:
    with (Path(os.environ[FOLDER]) / PROCESSED).open("a") as log:
        log.write(f"{protocol} {record['id']}\n")
