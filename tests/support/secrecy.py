"""Checks that a secret is in no error, in none of its causes, and in no log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import quote


def texts_of(error: BaseException | None) -> Iterator[str]:
    """Yield every text that a traceback of the error can show."""
    while error is not None:
        yield from (str(error), repr(error), *getattr(error, "__notes__", ()))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def forms_of(secret: str) -> set[str]:
    """The forms of a secret in a text, a URL, JSON, and their reprs; in lower case, without braces."""
    bare = secret.strip().strip("{}")
    plain = {bare, quote(bare), quote(bare, safe=""), json.dumps(bare)[1:-1]}
    plain.add(json.dumps(bare, ensure_ascii=False)[1:-1])
    written = {form for text in plain for form in (text, repr(text)[1:-1], repr(text.encode())[2:-1])}
    return {form.lower() for form in written}


def assert_secret(secret: str, *texts: str) -> None:
    """Check that no text contains the secret, in any letter case, with or without braces."""
    for text in texts:
        shown = text.lower()
        found = [form for form in forms_of(secret) if form in shown]
        assert not found, f"the secret is in {text[:500]!r}"
