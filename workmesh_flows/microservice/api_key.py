"""The API key that a caller must present."""

from __future__ import annotations

import hmac
from hashlib import sha256


class ApiKey:
    """An API key that is never shown; letter case and surrounding braces are ignored, as by existing nodes."""

    __slots__ = ("_digest",)

    def __init__(self, text: str) -> None:
        self._digest = _digest(text)

    def __repr__(self) -> str:
        return "ApiKey('***')"

    def matches(self, presented: str) -> bool:
        """Compare in constant time; digests of equal length also hide the length of the key."""
        return hmac.compare_digest(self._digest, _digest(presented))


def is_blank(text: str | None) -> bool:
    """Whether a key is empty without its braces and blanks."""
    return text is None or not _canonical(text)


def _canonical(text: str) -> str:
    text = text.strip()
    if text.startswith("{") and text.endswith("}"):
        text = text[1:-1].strip()
    return text.lower()


def _digest(text: str) -> bytes:
    return sha256(_canonical(text).encode("utf-8", "backslashreplace")).digest()
