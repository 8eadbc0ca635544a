"""What a node may say, read once, at the door.

A micro-service answers 200 with ``{"status": "success", "value": ...}``, and answers 200 for a failure too. The
content type may be wrong, an unknown path is a redirect, and an error text may echo the api key or the whole
body. So the body is read as JSON whatever its type, only ``status == "success"`` is success, and every text is
scrubbed and cut before it goes anywhere.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from string import whitespace
from typing import Any, TypeAlias
from urllib.parse import quote, quote_plus, urlsplit

import orjson

from workmesh_flows.domain.calls import NO_REASON
from workmesh_flows.errors import (
    BatchTooLarge,
    NodeMisconfigured,
    NodeUnavailable,
    RecordRefused,
    RequestCrashed,
    StaleEpoch,
)

LONGEST_TEXT = 2_000
"""Characters of a node's text that are kept."""
CRASH_PATH = "/500"
"""Where a crashed micro-service redirects to."""
LONGEST_PAUSE = timedelta(days=7)
"""A node that asks for a longer one is mistaken, or its clock is."""
MASK = "***"

_OK, _REDIRECTS = range(200, 300), range(300, 400)
_MISCONFIGURED = {
    401: "it refuses the api key",
    403: "it forbids the request",
    404: "it has no such access point",
    405: "it does not allow POST on this access point",
}
_UNAVAILABLE = frozenset({408, 425, 429})
_GATEWAYS = frozenset({502, 504})
"""What a proxy says when the node behind it went away with the request."""
_STALE, _TOO_LARGE, _SERVER_ERRORS, _CRASH = 412, 413, 500, 500
_MOST_DIGITS = 9
_BLANKS = re.compile(r"[\s\x00-\x1f\x7f]+")

Scrub: TypeAlias = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """An answer as it came: status code, headers by lower-case name, body; ``cut`` where it was too long."""

    code: int
    headers: Mapping[str, str]
    body: bytes
    cut: bool = False


def scrubber(secret: str) -> Scrub:
    """A function that takes a secret out of a text, in any letter case and as it looks in an address, JSON or HTML.

    It also cuts the text to 2,000 characters on one line that any log and any database can keep.
    """
    bare = secret.strip(f"{whitespace}{{}}")
    forms = {form for key in (bare, f"{{{bare}}}") for form in _written(key)} if bare else set()
    pattern = re.compile(
        "|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True)), re.IGNORECASE
    )

    def scrub(text: str) -> str:
        clean = pattern.sub(MASK, text) if forms else text
        plain = clean.encode(errors="replace").decode()  # half a surrogate pair has no place in UTF-8
        return _BLANKS.sub(" ", plain).strip()[:LONGEST_TEXT]

    return scrub


def _written(secret: str) -> Iterator[str]:
    """A text as it looks in a text, an address, a form, JSON and HTML."""
    yield from (secret, quote(secret, safe=""), quote_plus(secret), html.escape(secret))
    yield from (json.dumps(secret, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False))


def read_answer(answer: RawAnswer, *, path: str, scrub: Scrub, now: datetime) -> Any:  # noqa: ANN401 - any JSON
    """The ``value`` of a success.

    Raises RecordRefused, BatchTooLarge, StaleEpoch, RequestCrashed, NodeUnavailable or NodeMisconfigured.
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
    if code == _STALE and (epoch := _epoch(answer)) is not None:
        raise StaleEpoch(f"{path} has been sent to under a later epoch, {epoch}", epoch=epoch)
    if code == _CRASH:
        raise RequestCrashed(f"{path} answers 500")
    if code in _UNAVAILABLE or code > _SERVER_ERRORS:
        retry_at, interrupted = _retry_at(answer.headers, now), code in _GATEWAYS
        raise NodeUnavailable(f"{path} answers {code}", retry_at=retry_at, interrupted=interrupted)
    raise RecordRefused(f"{path} answers {code}: {_text(answer, scrub) or NO_REASON}")


def _read_envelope(answer: RawAnswer, path: str, scrub: Scrub) -> Any:  # noqa: ANN401 - any JSON
    if answer.cut:
        raise NodeUnavailable(
            f"the answer of {path} is longer than {len(answer.body):,} bytes; lower batch_size, "
            "or raise max_answer_bytes if results are that large"
        )
    try:
        envelope = orjson.loads(answer.body)
    except orjson.JSONDecodeError as error:
        kind = scrub(answer.headers.get("content-type", "")) or "no content type"
        raise NodeUnavailable(
            f"{path} answers something that is not JSON ({kind}): {_text(answer, scrub)[:80]!r}"
        ) from error
    if not isinstance(envelope, dict) or not isinstance(envelope.get("status"), str):
        raise NodeUnavailable(f"{path} answers JSON without a status: {_text(answer, scrub)[:80]!r}")
    if envelope["status"] != "success":
        raise RecordRefused(scrub(envelope["status"]) or NO_REASON)
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
    said, latest = headers.get("retry-after", "").strip(), now + LONGEST_PAUSE
    if said.isdecimal():
        return min(now + timedelta(seconds=int(said[:_MOST_DIGITS])), latest)
    try:
        date = parsedate_to_datetime(said)
    except (ValueError, OverflowError):
        return None
    return min(date if date.tzinfo else date.replace(tzinfo=UTC), latest)


def _epoch(answer: RawAnswer) -> int | None:
    """The epoch that a node names which refuses an earlier one."""
    try:
        epoch = orjson.loads(answer.body)["value"]["epoch"]
    except (orjson.JSONDecodeError, KeyError, TypeError, IndexError):
        return None
    return epoch if type(epoch) is int else None


def _text(answer: RawAnswer, scrub: Scrub) -> str:
    """The body as text. It is scrubbed whole: a cut could leave half a secret."""
    return scrub(answer.body.decode(errors="replace"))
