"""Answers over a real socket: each row of the table in docs/wire.md, and odd answers that real nodes were seen to send."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import quote

import pytest

from tests.adapters.conftest import Ask
from tests.support.faulty_connections import flood
from tests.support.scripted_node import Answer, Asked, failure, success
from workmesh_flows.domain.limits import Limits
from workmesh_flows.errors import (
    BatchTooLarge,
    NodeError,
    NodeMisconfigured,
    NodeUnavailable,
    RecordRefused,
    RequestCrashed,
    UnreadableAnswer,
    WorkmeshError,
)

MEGABYTE = 1024 * 1024
HTML = Answer(b"<!DOCTYPE html><title>Welcome</title>")


def echo(code: int = 200, **headers: str) -> Callable[[Asked], Answer]:
    """Answer with the request's body."""
    return lambda asked: Answer(asked.raw, code, headers)


def redirect(code: int, to: str) -> Callable[[Asked], Answer]:
    """Answer with a redirect; {body} is replaced by the request's body, URL-encoded."""
    return lambda asked: Answer(b"", code, {"Location": to.replace("{body}", quote(asked.raw))})


CODES = [
    *((code, NodeUnavailable, f"answers {code}") for code in (408, 425, 429, 501, 502, 503, 504, 599)),
    (500, RequestCrashed, "answers 500"),
    (401, NodeMisconfigured, "rejects the API key"),
    (403, NodeMisconfigured, "rejects the API key"),
    (404, NodeMisconfigured, "no such endpoint"),
    (405, NodeMisconfigured, "does not allow POST"),
    (413, BatchTooLarge, "too large"),
    *(
        (code, RecordRefused, f"answers {code}")
        for code in (400, 402, 406, 409, 410, 411, 415, 418, 422, 451)
    ),
]


@pytest.mark.parametrize(("code", "kind", "text"), CODES)
def test_a_status_code_decides_the_kind_of_error(
    ask: Ask, code: int, kind: type[WorkmeshError], text: str
) -> None:
    error = ask(echo(code))
    assert type(error) is kind
    assert text in str(error)
    assert "/api/1.0/x.json" in str(error)
    if isinstance(error, NodeError):
        assert error.node == "n1"


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        pytest.param(failure("no good"), RecordRefused, "no good", id="a failure with 200"),
        pytest.param(failure(""), RecordRefused, "gives no reason", id="a failure without a reason"),
        pytest.param(failure("Success"), RecordRefused, "Success", id="success in another case"),
        pytest.param(failure("Wrong api_key"), RecordRefused, "Wrong api_key", id="a wrong key"),
        pytest.param(HTML, UnreadableAnswer, "not JSON (text/html;charset=utf-8)", id="HTML with 200"),
        pytest.param(Answer(b'{"status":"succ'), UnreadableAnswer, "not JSON", id="truncated JSON"),
        pytest.param(Answer(b""), UnreadableAnswer, "not JSON", id="an empty answer"),
        pytest.param(Answer(b"", 204), UnreadableAnswer, "not JSON", id="no content"),
        pytest.param(Answer(b"\xff\xfe{}"), UnreadableAnswer, "not JSON", id="not UTF-8"),
        pytest.param(Answer(b"null"), UnreadableAnswer, "without a status", id="JSON null"),
        pytest.param(Answer(b'["success"]'), UnreadableAnswer, "without a status", id="a JSON list"),
        pytest.param(
            Answer(b'{"status":true}'), UnreadableAnswer, "without a status", id="status is not a string"
        ),
        pytest.param(Answer(b'{"value":1}'), UnreadableAnswer, "without a status", id="no status"),
    ],
)
def test_an_answer_200_is_an_error_unless_its_status_is_success(
    ask: Ask, answer: Answer, kind: type[WorkmeshError], text: str
) -> None:
    error = ask(answer)
    assert type(error) is kind
    assert text in str(error)


@pytest.mark.parametrize("code", [200, 201, 202])
def test_a_success_returns_its_value_whatever_its_content_type(ask: Ask, code: int) -> None:
    body = json.dumps({"status": "success", "value": {"1": {"score": 7}}}).encode()
    assert ask(Answer(body, code, {"Content-Type": "image/png"})) == {"1": {"score": 7}}


def test_a_success_without_a_value_returns_none(ask: Ask) -> None:
    assert ask(Answer(b'{"status":"success"}')) is None


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        pytest.param(redirect(302, "/404"), NodeMisconfigured, "redirects to /404", id="302 to /404"),
        pytest.param(redirect(303, "/404"), NodeMisconfigured, "redirects to /404", id="303 to /404"),
        pytest.param(
            redirect(303, "/500?message={body}"),
            RequestCrashed,
            "its error page",
            id="303 to /500 with the body",
        ),
        pytest.param(
            redirect(303, "http://other.host:81/500?message={body}"),
            RequestCrashed,
            "its error page",
            id="the error page by its full address",
        ),
        pytest.param(
            redirect(307, "/login/{body}"), NodeMisconfigured, "redirects to /login/", id="elsewhere"
        ),
        pytest.param(
            redirect(301, "http://[::/x"), NodeMisconfigured, "an empty path", id="an invalid address"
        ),
        pytest.param(redirect(301, "/\x7f"), NodeMisconfigured, "redirects to", id="an invalid character"),
        pytest.param(Answer(b"", 304), NodeMisconfigured, "an empty path", id="no location"),
    ],
)
def test_a_redirect_is_an_error_and_not_followed(
    ask: Ask, answer: Answer, kind: type[WorkmeshError], text: str
) -> None:
    error = ask(answer)
    assert type(error) is kind
    assert text in str(error)


def test_a_redirect_may_have_a_very_long_address(ask: Ask) -> None:
    """Real nodes put the request's body into the address: 60 kB, and more where it is not URL-encoded."""
    as_it_is = lambda asked: Answer(b"", 303, {"Location": "/500?message=" + asked.raw.decode()})  # noqa: E731
    error = ask(as_it_is, payload={"text": '"<>' * 15_000})
    assert type(error) is RequestCrashed


def test_an_error_text_that_echoes_the_body_is_scrubbed(ask: Ask) -> None:
    error = ask(lambda asked: failure(f"api_key is required on {asked.raw.decode()}"))
    assert type(error) is RecordRefused
    assert error.reason.startswith('api_key is required on {"a":1,"api_key":"***"}')


@pytest.mark.parametrize("api_key", ["{0A7E1C52-9C1B-4E7A-8D3F-5B6C7D8E9F01}", 'p"ä\\ss </%+ wörd'])
@pytest.mark.parametrize(
    "write",
    [
        pytest.param(lambda text: text, id="as it is"),
        pytest.param(lambda text: text.upper(), id="in capitals"),
        pytest.param(lambda text: text.lower(), id="in small letters"),
        pytest.param(lambda text: text.replace("{", "").replace("}", ""), id="without braces"),
        pytest.param(lambda text: quote(text, safe=""), id="as in an address"),
    ],
)
@pytest.mark.parametrize("code", [200, 400, 502])
def test_the_key_is_removed_from_every_echo(
    ask: Ask, api_key: str, write: Callable[[str], str], code: int
) -> None:
    def script(asked: Asked) -> Answer:
        echoed = write(asked.body["api_key"])
        return Answer(failure(f"Invalid api_key ({echoed}))").body if code == 200 else echoed.encode(), code)

    error = ask(script, api_key=api_key)
    if code != 502:
        assert "***" in str(error)


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(lambda asked: Answer(asked.raw), id="with 200"),
        pytest.param(lambda asked: failure(asked.raw.decode()), id="as the status"),
        pytest.param(lambda asked: Answer(asked.raw, 400), id="with 400"),
        pytest.param(lambda asked: Answer(asked.raw, 500), id="with 500"),
        pytest.param(lambda asked: Answer(b"<p>" + asked.raw), id="as HTML"),
        pytest.param(
            lambda asked: failure("x" * 1_990 + asked.body["api_key"]), id="across the end of the text"
        ),
        pytest.param(lambda asked: Answer(b"x" * 7_990 + asked.raw, 422), id="after long text"),
        pytest.param(lambda asked: Answer((" " * 7_990).encode() + asked.raw, 422), id="after blanks"),
    ],
)
@pytest.mark.parametrize("size", [10, 5 * MEGABYTE], ids=["small", "5 MB"])
def test_an_echo_of_any_size_does_not_reveal_the_key(
    ask: Ask, write: Callable[[Asked], Answer], size: int
) -> None:
    error = ask(write, payload={"text": "y" * size}, limits=Limits(read_timeout=10))
    assert isinstance(error, WorkmeshError)
    assert len(str(error)) < 2_200


@pytest.mark.parametrize("name", ["Content-Type", "Set-Cookie", "Retry-After", "WWW-Authenticate"])
@pytest.mark.parametrize("code", [200, 401, 429, 503])
def test_an_echo_in_a_header_does_not_reveal_the_key(ask: Ask, name: str, code: int) -> None:
    error = ask(lambda asked: Answer(b"", code, {name: asked.raw.decode()}), payload={"text": "y" * 10_000})
    assert isinstance(error, NodeError)
    assert len(str(error)) < 2_200


def test_an_answer_over_the_limit_is_not_read_to_its_end(ask: Ask) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n"
    answer = Answer(behaviour=flood(head, b"z" * 65_536, 1_024))
    tracemalloc.start()
    try:
        error = ask(answer, limits=Limits(read_timeout=10, max_answer_bytes=MEGABYTE))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert type(error) is BatchTooLarge
    assert "longer than 1,048,576 bytes" in str(error)
    assert "max_answer_bytes" in str(error)
    assert peak < 6 * MEGABYTE


def test_five_megabytes_of_results_are_read_if_allowed(ask: Ask) -> None:
    value = "z" * (5 * MEGABYTE)
    assert ask(success(value), limits=Limits(read_timeout=10, max_answer_bytes=6 * MEGABYTE)) == value


@pytest.mark.parametrize("code", [429, 503])
def test_retry_after_in_seconds_sets_retry_at(ask: Ask, code: int) -> None:
    error = ask(Answer(b"", code, {"Retry-After": "120"}))
    assert error.retry_at - datetime.now(UTC) == pytest.approx(
        timedelta(seconds=120), abs=timedelta(seconds=5)
    )


def test_retry_after_as_a_date_sets_retry_at(ask: Ask) -> None:
    date = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=7)
    error = ask(Answer(b"", 503, {"Retry-After": format_datetime(date, usegmt=True)}))
    assert error.retry_at == date


def test_without_retry_after_there_is_no_retry_at(ask: Ask) -> None:
    assert ask(Answer(b"", 503)).retry_at is None
