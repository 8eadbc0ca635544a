"""What a node may say, read once, at the door.

A micro-service answers 200 with ``{"status": "success", "value": ...}``, and answers 200 for a failure too. The
content type may be wrong, an unknown path is a redirect, and an error text may echo the api key or the whole
body. So the body is read as JSON whatever its type, only ``status == "success"`` is success, and every text is
scrubbed and cut before it goes anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, TypeAlias
from urllib.parse import quote, urlsplit

import orjson

from workmesh_flows.errors import (
    BatchTooLarge,
    NodeMisconfigured,
    NodeUnavailable,
    RecordRefused,
    RequestCrashed,
)

LONGEST_TEXT = 2_000
"""Characters of a node's text that are kept."""
CRASH_PATH = "/500"
"""Where a crashed micro-service redirects to."""
MASK = "***"

_OK, _REDIRECTS = range(200, 300), range(300, 400)
_MISCONFIGURED = {
    401: "it refuses the api key",
    403: "it forbids the request",
    404: "it has no such access point",
    405: "it does not allow POST on this access point",
}
_UNAVAILABLE = frozenset({408, 425, 429})
_TOO_LARGE, _SERVER_ERRORS, _CRASH = 413, 500, 500

Scrub: TypeAlias = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """An answer as it came: status code, headers by lower-case name, body; ``cut`` where it was too long."""

    code: int
    headers: Mapping[str, str]
    body: bytes
    cut: bool = False


def scrubber(secret: str) -> Scrub:
    """A function that takes a secret out of a text, in any letter case and as it looks inside an address.

    It also cuts the text to 2,000 characters on one line.
    """
    bare = secret.strip().strip("{}")
    forms = {secret, bare, quote(secret, safe=""), quote(bare, safe="")} - {""}
    pattern = re.compile(
        "|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True)), re.IGNORECASE
    )

    def scrub(text: str) -> str:
        clean = pattern.sub(MASK, text) if forms else text
        return " ".join(clean.split())[:LONGEST_TEXT]

    return scrub


def read_answer(answer: RawAnswer, *, path: str, scrub: Scrub, now: datetime) -> Any:  # noqa: ANN401 - any JSON
    """The ``value`` of a success.

    Raises RecordRefused, BatchTooLarge, RequestCrashed, NodeUnavailable or NodeMisconfigured.
    """
    code = answer.code
    if code in _OK:
        return _read_envelope(answer, path, scrub)
    if code in _REDIRECTS:
        raise _redirected(answer, path, scrub)
    if code in _MISCONFIGURED:
        raise NodeMisconfigured(f"{path} answers {code}: {_MISCONFIGURED[code]}")
    if code == _TOO_LARGE:
        raise BatchTooLarge(f"{path} answers 413: the request is too large")
    if code == _CRASH:
        raise RequestCrashed(f"{path} answers 500")
    if code in _UNAVAILABLE or code > _SERVER_ERRORS:
        raise NodeUnavailable(f"{path} answers {code}", retry_at=_retry_at(answer.headers, now))
    raise RecordRefused(f"{path} answers {code}: {_text(answer, scrub)}")


def _read_envelope(answer: RawAnswer, path: str, scrub: Scrub) -> Any:  # noqa: ANN401 - any JSON
    if answer.cut:
        raise NodeUnavailable(
            f"the answer of {path} is longer than {len(answer.body):,} bytes; lower batch_size, "
            "or raise max_answer_bytes if results are that large"
        )
    try:
        envelope = orjson.loads(answer.body)
    except orjson.JSONDecodeError as error:
        kind = answer.headers.get("content-type", "no content type")
        raise NodeUnavailable(
            f"{path} answers something that is not JSON ({kind}): {_text(answer, scrub)[:80]!r}"
        ) from error
    if not isinstance(envelope, dict) or not isinstance(envelope.get("status"), str):
        raise NodeUnavailable(f"{path} answers JSON without a status: {_text(answer, scrub)[:80]!r}")
    if envelope["status"] != "success":
        raise RecordRefused(scrub(envelope["status"]) or "the node gives no reason")
    return envelope.get("value")


def _redirected(answer: RawAnswer, path: str, scrub: Scrub) -> RequestCrashed | NodeMisconfigured:
    try:
        target = urlsplit(answer.headers.get("location", "")).path
    except ValueError:
        target = ""
    if target == CRASH_PATH:
        return RequestCrashed(f"{path} redirects to its error page")
    shown = scrub(target)[:80] or "nowhere"
    return NodeMisconfigured(f"{path} redirects to {shown}: it has no such access point, or another address")


def _retry_at(headers: Mapping[str, str], now: datetime) -> datetime | None:
    """The time that ``Retry-After`` names, in seconds or as a date (RFC 9110, section 10.2.3)."""
    said = headers.get("retry-after", "").strip()
    if said.isdecimal():
        return now + timedelta(seconds=min(int(said), 7 * 24 * 3600))
    try:
        date = parsedate_to_datetime(said)
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _text(answer: RawAnswer, scrub: Scrub) -> str:
    return scrub(answer.body[: 4 * LONGEST_TEXT].decode(errors="replace"))
