"""Checks of the fields of a node's block that say how its requests travel: the path, the headers, the proxy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

OWN_HEADERS = frozenset({
    "accept", "accept-encoding", "connection", "content-length", "content-type", "expect", "host",
    "idempotency-key", "te", "transfer-encoding", "upgrade", "user-agent",
})  # fmt: skip
"""Headers that each request has already, or that HTTP itself uses, in lower case."""
OWN_PREFIX = "workmesh-"

_PATH = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@%-]+)+")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\x20-\x7e\t]+")
_PROXY_SCHEMES = ("http", "https")


def checked_path(text: str | None) -> str | None:
    """The path without a slash at its end, None if it is empty; raises ValueError."""
    path = (text or "").strip().rstrip("/")
    if not path:
        return None
    if _PATH.fullmatch(path) and not {".", ".."} & set(path.split("/")):
        return path
    message = "the path must start with / and contain neither spaces nor ?, # or .., as in /workmesh"
    raise ValueError(message)


def checked_headers(headers: Mapping[str, object]) -> dict[str, str]:
    """The headers with blanks at the ends of the values removed; raises ValueError, which quotes no value."""
    found: dict[str, str] = {}
    problems = []
    for name, value in headers.items():
        text = str(value).strip(" \t") if isinstance(value, str | int | float) else ""
        if problem := _problem(str(name), text, {other.lower() for other in found}):
            problems.append(problem)
        found[str(name)] = text
    if problems:
        raise ValueError("; ".join(problems))
    return found


def _problem(name: str, text: str, before: set[str]) -> str:
    if not _HEADER_NAME.fullmatch(name):
        return f"{name[:80]!r} is not the name of a header"
    lower = name.lower()
    if lower in OWN_HEADERS or lower.startswith((OWN_PREFIX, "proxy-")):
        return f"the header {name} is set by Workmesh, not by a node"
    if lower in before:
        return f"the header {name} is given twice"
    if not _HEADER_VALUE.fullmatch(text):
        return f"the value of the header {name} must be one line of ASCII characters, and not empty"
    return ""


def checked_proxy(text: str | None) -> str | None:
    """The address of a proxy, None if it is empty; raises ValueError, which does not quote it."""
    if not text or not text.strip():
        return None
    message = (
        "the proxy must be an address such as http://proxy.example:3128 or "
        "http://user:password@proxy.example:3128"
    )
    try:
        url = urlsplit(text.strip())
        host, _ = url.hostname, url.port
    except ValueError:
        raise ValueError(message) from None
    plain = text.strip().isprintable() and " " not in text.strip()
    if (
        url.scheme in _PROXY_SCHEMES
        and host
        and url.path in {"", "/"}
        and not (url.query or url.fragment)
        and plain
    ):
        return text.strip()
    raise ValueError(message)
