"""Reading the HTTP answer of a node: it becomes a value or a WorkmeshError.

A micro-service answers 200 with ``{"status": "success", "value": ...}``, and also answers 200 for a failure.
Its content type may be wrong, it redirects unknown paths, and its error texts may echo the API key or the
whole request. Therefore the body is read as JSON whatever its content type, only ``status == "success"`` is a
success, and every text is scrubbed and truncated before it is logged, stored or shown.
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
from urllib.parse import parse_qs, quote, quote_plus, urlsplit

from workmesh_flows.domain.answer_json import read_json
from workmesh_flows.domain.calls import NO_REASON
from workmesh_flows.errors import (
    BatchTooLarge,
    NodeMisconfigured,
    NodeUnavailable,
    RecordRefused,
    RequestCrashed,
    StaleEpoch,
    UnreadableAnswer,
)

LONGEST_TEXT = 2_000
"""Length to which texts from a node are truncated, in characters."""
CRASH_PATH = "/500"
"""The path that a micro-service redirects to after it crashed on a request."""
LONGEST_PAUSE = timedelta(days=7)
"""Longest pause that a node may ask for; a longer one must be a mistake of the node or its clock."""
MASK = "***"

_OK, _REDIRECTS = range(200, 300), range(300, 400)
_MISCONFIGURED = {
    404: "it has no such endpoint",
    405: "it does not allow POST on this endpoint",
    407: "the proxy named in its block asks for a user name and a password",
}
_KEY_REJECTED = frozenset({401, 403})
_ABOUT_KEY = re.compile(
    r"api.?key|\bkey\b|token|auth|credential|denied|forbidden|permission|\*\*\*", re.IGNORECASE
)
"""Texts with which nodes reject an API key; ``***`` stands for the key itself."""
_BUSY = frozenset({425, 429})
"""Status codes that a node gives to any request, whatever is in it."""
_TIMEOUT = 408
"""The status code for a request that did not arrive in time, because of its size or because of the network."""
_STALE, _TOO_LARGE, _SERVER_ERRORS, _CRASH = 412, 413, 500, 500
_MOST_DIGITS = 9
_BLANKS = re.compile(r"[\s\x00-\x1f\x7f]+")

REJECTS_KEY = "the node rejects the API key"
KEY_ADVICE = "; write the node's key into its block (workmesh-node/{node})"
"""Follows `REJECTS_KEY` in the reason of an error."""

Scrub: TypeAlias = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """An answer as received: status code, headers by lower-case name, body; ``cut`` if it was truncated."""

    code: int
    headers: Mapping[str, str]
    body: bytes
    cut: bool = False


def scrubber(*secrets: str) -> Scrub:
    """Return a function that masks secrets in a text, in any letter case and encoded for URLs, JSON, HTML.

    The function also joins the text to one line of at most 2,000 characters that is valid UTF-8.
    """
    plain = {secret.strip(f"{whitespace}{{}}") for secret in secrets} - {""}
    forms = {form for bare in plain for key in (bare, f"{{{bare}}}") for form in _encodings(key)}
    pattern = re.compile(
        "|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True)), re.IGNORECASE
    )

    def scrub(text: str) -> str:
        clean = pattern.sub(MASK, text) if forms else text
        valid = clean.encode(errors="replace").decode()  # a lone surrogate cannot be encoded as UTF-8
        return _BLANKS.sub(" ", valid).strip()[:LONGEST_TEXT]

    return scrub


def _encodings(secret: str) -> Iterator[str]:
    """The secret as written in plain text, a URL, a form, HTML and JSON."""
    yield from (secret, quote(secret, safe=""), quote_plus(secret), html.escape(secret))
    yield from (json.dumps(secret, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False))


def read_answer(answer: RawAnswer, *, path: str, scrub: Scrub, now: datetime) -> Any:  # noqa: ANN401 - any JSON
    """Return the ``value`` of a successful answer.

    Raises RecordRefused, BatchTooLarge, StaleEpoch, RequestCrashed, UnreadableAnswer, NodeUnavailable or
    NodeMisconfigured.
    """
    code = answer.code
    if code in _OK:
        return _read_envelope(answer, path, scrub)
    if code in _REDIRECTS:
        raise _redirected(answer, path, scrub)
    if code in _KEY_REJECTED:
        raise NodeMisconfigured(f"{path} answers {code}", key=True)
    if code in _MISCONFIGURED:
        raise NodeMisconfigured(f"{path} answers {code}: {_MISCONFIGURED[code]}")
    if code == _TOO_LARGE:
        raise BatchTooLarge(f"{path} answers 413: the request is too large")
    if code == _STALE and (epoch := _epoch(answer)) is not None:
        raise StaleEpoch(f"{path} has already seen a sender with the later epoch {epoch}", epoch=epoch)
    if code == _CRASH:
        raise RequestCrashed(f"{path} answers 500")
    if code in _BUSY or code == _TIMEOUT or code > _SERVER_ERRORS:
        retry_at = _retry_at(answer.headers, now)
        # A gateway uses any code above 500 for a node that stopped answering; a pause is asked for by a full node.
        interrupted = code not in _BUSY and (retry_at is None or retry_at <= now)
        raise NodeUnavailable(f"{path} answers {code}", retry_at=retry_at, interrupted=interrupted)
    raise RecordRefused(f"{path} answers {code}: {_text(answer, scrub) or NO_REASON}")


def refused_without_record(path: str, reason: str, node: str) -> NodeMisconfigured:
    """The error for a refused request that has no record, such as a ping: the node rejects the API key, or the request."""
    if _ABOUT_KEY.search(reason):
        return NodeMisconfigured(rejected_key(node, f"{path} is refused: {reason}"), node=node, key=True)
    return NodeMisconfigured(f"{path} is refused: {reason}", node=node)


def rejected_key(node: str, why: str) -> str:
    """The reason of an error about a rejected API key: what to do, then ``why``, the answer."""
    return f"{REJECTS_KEY}{KEY_ADVICE.format(node=node)}: {why}"


def _read_envelope(answer: RawAnswer, path: str, scrub: Scrub) -> Any:  # noqa: ANN401 - any JSON
    if answer.cut:
        raise BatchTooLarge(
            f"the answer of {path} is longer than {len(answer.body):,} bytes; "
            "let the node answer less, or raise max_answer_bytes"
        )
    try:
        envelope = read_json(answer.body)
    except ValueError as error:
        kind = scrub(answer.headers.get("content-type", "")) or "no content type"
        raise UnreadableAnswer(
            f"the answer of {path} is not JSON ({kind}): {_text(answer, scrub)[:80]!r}"
        ) from error
    if not isinstance(envelope, dict) or not isinstance(envelope.get("status"), str):
        raise UnreadableAnswer(
            f"the answer of {path} is JSON without a status: {_text(answer, scrub)[:80]!r}"
        )
    if envelope["status"] != "success":
        raise RecordRefused(scrub(envelope["status"]) or NO_REASON)
    return envelope.get("value")


def _redirected(answer: RawAnswer, path: str, scrub: Scrub) -> RequestCrashed | NodeMisconfigured:
    try:
        url = urlsplit(answer.headers.get("location", ""))
        target, query = url.path, parse_qs(url.query)
    except ValueError:
        target, query = "", {}
    if target == CRASH_PATH:
        message = scrub(" ".join(query.get("message", [])))
        return RequestCrashed(f"{path} redirects to its error page" + (f": {message}" if message else ""))
    shown = scrub(target)[:80] or "an empty path"
    return NodeMisconfigured(f"{path} redirects to {shown}: the node has no such endpoint or has moved")


def _retry_at(headers: Mapping[str, str], now: datetime) -> datetime | None:
    """The time given by ``Retry-After``, in seconds or as a date (RFC 9110, section 10.2.3), or None."""
    value, latest = headers.get("retry-after", "").strip(), now + LONGEST_PAUSE
    if value.isdecimal():
        return min(now + timedelta(seconds=int(value[:_MOST_DIGITS])), latest)
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return min(date if date.tzinfo else date.replace(tzinfo=UTC), latest)


def _epoch(answer: RawAnswer) -> int | None:
    """The later epoch that a node returns when it refuses an earlier one."""
    try:
        epoch = read_json(answer.body)["value"]["epoch"]
    except (ValueError, KeyError, TypeError, IndexError):
        return None
    return epoch if type(epoch) is int else None


def _text(answer: RawAnswer, scrub: Scrub) -> str:
    """The body as scrubbed text, scrubbed before it is truncated so that no part of a secret remains."""
    return scrub(answer.body.decode(errors="replace"))
