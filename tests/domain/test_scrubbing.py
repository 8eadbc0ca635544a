"""A secret is masked in every text, in every encoding."""

from __future__ import annotations

import html
import json
from urllib.parse import quote, quote_plus

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workmesh_flows.domain.answers import scrubber

KEY = "{0A7E1C52-9C1B-4E7A-8D3F-5B6C7D8E9F01}"
BARE = KEY.strip("{}")


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        pytest.param("nothing in it", "nothing in it", id="no secret"),
        pytest.param("", "", id="empty"),
        pytest.param(f"key {KEY}!", "key ***!", id="plain"),
        pytest.param(f"key {KEY.lower()}!", "key ***!", id="in lower case"),
        pytest.param(f"key {KEY.swapcase()}!", "key ***!", id="in swapped case"),
        pytest.param(f"key {BARE}!", "key ***!", id="without braces"),
        pytest.param(f"key {{{{{BARE}}}}}!", "key {***}!", id="in more braces"),
        pytest.param(f"key {quote(KEY)}!", "key ***!", id="in an address"),
        pytest.param(f"key {quote(KEY).lower()}!", "key ***!", id="in an address, in lower case"),
        pytest.param(f"a{BARE}b", "a***b", id="between letters"),
        pytest.param(f"{KEY}{KEY}", "******", id="twice, adjacent"),
        pytest.param(f"{BARE}-{BARE}", "***-***", id="twice, with a dash between"),
        pytest.param(f"{BARE[:-1]}", f"{BARE[:-1]}", id="without its last character"),
        pytest.param(" two\r\n\n lines\t", "two lines", id="several lines"),
        pytest.param("a\0b\x1b[31mc\x7fd", "a b [31mc d", id="control characters"),
        pytest.param("half a \ud83d pair", "half a ? pair", id="a lone surrogate"),
        pytest.param("é\u2028ñ", "é ñ", id="a line separator"),
        pytest.param("x" * 2_001, "x" * 2_000, id="2,001 characters"),
        pytest.param("é" * 2_001, "é" * 2_000, id="2,001 characters of two bytes"),
        pytest.param("x" * 1_990 + KEY, "x" * 1_990 + "***", id="before the truncation"),
        pytest.param("x" * 1_999 + KEY, "x" * 1_999 + "*", id="across the truncation"),
    ],
)
@pytest.mark.parametrize(
    "secret", [KEY, BARE, BARE.lower(), f" {KEY}\n"], ids=["given", "bare", "lower", "padded"]
)
def test_a_text_is_scrubbed(secret: str, text: str, clean: str) -> None:
    assert scrubber(secret)(text) == clean


@pytest.mark.parametrize("secret", ["", " ", "{}", " {} "])
def test_an_empty_secret_masks_nothing(secret: str) -> None:
    assert scrubber(secret)("a text with {} braces") == "a text with {} braces"


def test_special_characters_of_a_regular_expression_are_literal() -> None:
    assert scrubber("a.c|x*")("abc xx a.c|x*") == "abc xx ***"


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(lambda secret: secret, id="text"),
        pytest.param(lambda secret: quote(secret, safe=""), id="address"),
        pytest.param(quote_plus, id="form"),
        pytest.param(html.escape, id="HTML"),
        pytest.param(json.dumps, id="JSON"),
        pytest.param(lambda secret: orjson.dumps(secret).decode(), id="JSON in UTF-8"),
    ],
)
@pytest.mark.parametrize("secret", ['qu"ote\\d & <more>', "pässwörd+1", "a/b%c=d", "{in braces}"])
def test_an_encoded_secret_is_masked(secret: str, write: object) -> None:
    assert callable(write)
    clean = scrubber(secret)(f"<<{write(secret)}>>")
    assert set(clean.strip("<>")) <= set('"*{}')


@given(before=st.text(), secret=st.uuids(), after=st.text(), upper=st.booleans(), braces=st.booleans())
def test_a_secret_is_masked_in_any_surrounding_text(
    before: str, secret: object, after: str, upper: bool, braces: bool
) -> None:
    key = str(secret).upper() if upper else str(secret)
    clean = scrubber(f"{{{str(secret).upper()}}}")(before + (f"{{{key}}}" if braces else key) + after)
    assert str(secret) not in clean.lower()
    assert "\n" not in clean
    assert len(clean) <= 2_000
    clean.encode()
