"""An answer of a node becomes a value or a WorkmeshError whose text is safe to show."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workmesh_flows.domain.answer_json import read_json
from workmesh_flows.domain.answers import LONGEST_TEXT, RawAnswer, read_answer, scrubber
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

KEY = "{0A7E1C52-9C1B-4E7A-8D3F-5B6C7D8E9F01}"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HTML = {"content-type": "text/html;charset=utf-8"}
UNREADABLE = "\N{REPLACEMENT CHARACTER}"
PAGE = b"<!DOCTYPE html><html><body><h1>Not here</h1></body></html>"


def read(
    code: int = 200, body: bytes = b"", headers: dict[str, str] | None = None, *, cut: bool = False
) -> Any:
    answer = RawAnswer(code, headers or {}, body, cut)
    return read_answer(answer, path="/push.json", scrub=scrubber(KEY), now=NOW)


def refusal(status: str) -> bytes:
    return json.dumps({"status": status, "value": ""}).encode()


@pytest.mark.parametrize(
    ("body", "value"),
    [
        pytest.param(b'{"status":"success","value":""}', "", id="ping"),
        pytest.param(b'{"status":"success","value":"1.0.1"}', "1.0.1", id="version"),
        pytest.param(b'{"status":"success","value":7}', 7, id="workload"),
        pytest.param(b'{"status":"success"}', None, id="no value"),
        pytest.param(b'{"status":"success","value":null}', None, id="null"),
        pytest.param(b' {"value": {"1": {"score": 2}}, "status": "success", "more": 1}\n', {"1": {"score": 2}}, id="results"),
        pytest.param('{"status":"success","value":"é"}'.encode(), "é", id="UTF-8"),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "headers", [HTML, {"content-type": "application/json"}, {}], ids=["HTML", "JSON", "none"]
)
def test_a_success_gives_the_value_with_any_content_type(
    body: bytes, value: Any, headers: dict[str, str]
) -> None:
    assert read(200, body, headers) == value


@pytest.mark.parametrize("code", [200, 201, 202, 299])
def test_every_2xx_is_a_success(code: int) -> None:
    assert read(code, b'{"status":"success","value":1}') == 1


NO_REASON = "the node gives no reason"
ELSEWHERE = "the node has no such endpoint or has moved"


@pytest.mark.parametrize(
    ("code", "headers", "body", "error", "text"),
    [
        pytest.param(200, HTML, refusal("Wrong api_key"), RecordRefused, "Wrong api_key", id="wrong key"),
        pytest.param(
            200, HTML, refusal(f"Invalid api_key ({KEY}))"), RecordRefused, "Invalid api_key (***))", id="echoes the key"
        ),
        pytest.param(
            200,
            HTML,
            refusal(f'api_key is required on {{"api_key"=>"{KEY.lower()}", "order"=>{{"id"=>1}}}}'),
            RecordRefused,
            'api_key is required on {"api_key"=>"***", "order"=>{"id"=>1}}',
            id="echoes the body",
        ),
        pytest.param(200, HTML, refusal("Success"), RecordRefused, "Success", id="success in another case"),
        pytest.param(200, HTML, refusal(""), RecordRefused, NO_REASON, id="empty status"),
        pytest.param(200, HTML, refusal(" \n\0"), RecordRefused, NO_REASON, id="blank status"),
        pytest.param(200, HTML, refusal("no\r\nsuch\tthing\0"), RecordRefused, "no such thing", id="status of two lines"),
        pytest.param(
            200,
            HTML,
            PAGE,
            UnreadableAnswer,
            "the answer of /push.json is not JSON (text/html;charset=utf-8): "
            "'<!DOCTYPE html><html><body><h1>Not here</h1></body></html>'",
            id="HTML",
        ),
        pytest.param(
            200,
            {},
            b'{"status":"succ',
            UnreadableAnswer,
            "the answer of /push.json is not JSON (no content type): '{\"status\":\"succ'",
            id="incomplete JSON",
        ),
        pytest.param(
            204, {}, b"", UnreadableAnswer, "the answer of /push.json is not JSON (no content type): ''", id="empty"
        ),
        pytest.param(
            200,
            {"content-type": f"text/{KEY}"},
            b"\xff\xfe",
            UnreadableAnswer,
            "the answer of /push.json is not JSON (text/***): '\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}'",
            id="bytes, and the key in the content type",
        ),
        pytest.param(200, {}, b'["success"]', UnreadableAnswer, "the answer of /push.json is JSON without a status: '[\"success\"]'", id="a list"),
        pytest.param(200, {}, b'"success"', UnreadableAnswer, "the answer of /push.json is JSON without a status: '\"success\"'", id="a text"),
        pytest.param(200, {}, b"null", UnreadableAnswer, "the answer of /push.json is JSON without a status: 'null'", id="null"),
        pytest.param(200, {}, b'{"value":1}', UnreadableAnswer, "the answer of /push.json is JSON without a status: '{\"value\":1}'", id="no status"),
        pytest.param(200, {}, b'{"status":200}', UnreadableAnswer, "the answer of /push.json is JSON without a status: '{\"status\":200}'", id="status a number"),
        pytest.param(200, {}, b'{"status":true}', UnreadableAnswer, "the answer of /push.json is JSON without a status: '{\"status\":true}'", id="status true"),
        pytest.param(303, {"location": "/500?message=no+such+thing"}, b"", RequestCrashed, "/push.json redirects to its error page: no such thing", id="to its error page"),
        pytest.param(303, {"location": "/500"}, b"", RequestCrashed, "/push.json redirects to its error page", id="to its error page, without a message"),
        pytest.param(303, {"location": "/500?message=&message=%0A"}, b"", RequestCrashed, "/push.json redirects to its error page", id="to its error page, with a blank message"),
        pytest.param(303, {"location": f"/500?message=caf%E9+%ED%A0%BD%00{quote(KEY)}+%22x%22&other=1"}, b"", RequestCrashed, f'/push.json redirects to its error page: caf{UNREADABLE} {UNREADABLE * 3} *** "x"', id="to its error page, with odd bytes and the key"),
        pytest.param(
            303, {"location": f"http://10.0.0.1:4567/500?message={KEY}{'x' * 60_000}"}, b"",
            RequestCrashed, "/push.json redirects to its error page: ***" + "x" * (LONGEST_TEXT - 3), id="to its error page, as a long absolute URL",
        ),
        pytest.param(302, {"location": "/404"}, b"", NodeMisconfigured, f"/push.json redirects to /404: {ELSEWHERE}", id="to 404"),
        pytest.param(301, {"location": "https://other/push.json?x"}, b"", NodeMisconfigured, f"/push.json redirects to /push.json: {ELSEWHERE}", id="to another host"),
        pytest.param(303, {"location": "/500/more"}, b"", NodeMisconfigured, f"/push.json redirects to /500/more: {ELSEWHERE}", id="to below the error page"),
        pytest.param(302, {"location": f"/{KEY.lower()}"}, b"", NodeMisconfigured, f"/push.json redirects to /***: {ELSEWHERE}", id="to the key"),
        pytest.param(302, {"location": "http://[half"}, b"", NodeMisconfigured, f"/push.json redirects to an empty path: {ELSEWHERE}", id="to an invalid URL"),
        pytest.param(300, {}, b"", NodeMisconfigured, f"/push.json redirects to an empty path: {ELSEWHERE}", id="300"),
        pytest.param(302, {}, b"", NodeMisconfigured, f"/push.json redirects to an empty path: {ELSEWHERE}", id="without a location"),
        pytest.param(304, {}, b"", NodeMisconfigured, f"/push.json redirects to an empty path: {ELSEWHERE}", id="304"),
        pytest.param(400, {}, b"", RecordRefused, f"/push.json answers 400: {NO_REASON}", id="400 without a text"),
        pytest.param(400, {}, f"bad {KEY}".encode(), RecordRefused, "/push.json answers 400: bad ***", id="400"),
        pytest.param(401, {}, b"", NodeMisconfigured, "/push.json answers 401", id="401"),
        pytest.param(403, {}, b"", NodeMisconfigured, "/push.json answers 403", id="403"),
        pytest.param(404, HTML, PAGE, NodeMisconfigured, "/push.json answers 404: it has no such endpoint", id="404"),
        pytest.param(405, {}, b"", NodeMisconfigured, "/push.json answers 405: it does not allow POST on this endpoint", id="405"),
        pytest.param(408, {}, b"", NodeUnavailable, "/push.json answers 408", id="408"),
        pytest.param(409, {}, b"twice", RecordRefused, "/push.json answers 409: twice", id="409"),
        pytest.param(413, {}, b"", BatchTooLarge, "/push.json answers 413: the request is too large", id="413"),
        pytest.param(422, {}, b'{"status":"success"}', RecordRefused, '/push.json answers 422: {"status":"success"}', id="422 with a success in its body"),
        pytest.param(425, {}, b"", NodeUnavailable, "/push.json answers 425", id="425"),
        pytest.param(429, {}, b"", NodeUnavailable, "/push.json answers 429", id="429"),
        pytest.param(499, {}, b"", RecordRefused, f"/push.json answers 499: {NO_REASON}", id="499"),
        pytest.param(500, HTML, PAGE, RequestCrashed, "/push.json answers 500", id="500"),
        pytest.param(501, {}, b"", NodeUnavailable, "/push.json answers 501", id="501"),
        pytest.param(502, {}, KEY.encode(), NodeUnavailable, "/push.json answers 502", id="502"),
        pytest.param(503, {}, b"", NodeUnavailable, "/push.json answers 503", id="503"),
        pytest.param(504, {}, b'{"status":"success"}', NodeUnavailable, "/push.json answers 504", id="504"),
        pytest.param(599, {}, b"", NodeUnavailable, "/push.json answers 599", id="599"),
    ],
)  # fmt: skip
def test_an_answer_that_is_not_a_success_raises_a_workmesh_error(
    code: int, headers: dict[str, str], body: bytes, error: type[WorkmeshError], text: str
) -> None:
    with pytest.raises(error) as caught:
        read(code, body, headers)
    assert type(caught.value) is error
    assert str(caught.value) == text


def test_the_error_of_a_truncated_answer_names_the_settings_to_change() -> None:
    with pytest.raises(BatchTooLarge) as caught:
        read(200, b'{"status":"success","value":1}', cut=True)
    assert str(caught.value) == (
        "the answer of /push.json is longer than 30 bytes; let the node answer less, or raise max_answer_bytes"
    )
    assert not caught.value.unsent


@pytest.mark.parametrize(
    ("code", "retry_after", "interrupted"),
    [
        *((code, None, True) for code in (408, 501, 502, 503, 504, 505, 507, 520, 524, 527, 529, 530, 598, 599, 999)),
        *((code, None, False) for code in (425, 429)),
        *((code, "30", False) for code in (408, 425, 429, 502, 503, 529)),
        (503, "0", True),
        (503, "soon", True),
        (503, "Sun, 01 Mar 2026 11:00:00 GMT", True),
        (503, "Sun, 01 Mar 2026 13:00:00 GMT", False),
    ],
)  # fmt: skip
def test_a_code_tells_whether_the_node_may_have_failed_because_of_the_request(
    code: int, retry_after: str | None, interrupted: bool
) -> None:
    with pytest.raises(NodeUnavailable) as caught:
        read(code, headers={} if retry_after is None else {"retry-after": retry_after})
    assert caught.value.interrupted is interrupted


@pytest.mark.parametrize("code", [408, 425, 429, 503])
@pytest.mark.parametrize(
    ("retry_after", "until"),
    [
        pytest.param("0", NOW, id="now"),
        pytest.param("120", NOW + timedelta(seconds=120), id="seconds"),
        pytest.param(" 120 ", NOW + timedelta(seconds=120), id="seconds between blanks"),
        pytest.param("604801", NOW + timedelta(days=7), id="over a week"),
        pytest.param("9" * 5_000, NOW + timedelta(days=7), id="a number of 5,000 digits"),
        pytest.param("Sun, 01 Mar 2026 12:30:00 GMT", NOW + timedelta(minutes=30), id="date"),
        pytest.param(
            "Sun, 01 Mar 2026 14:30:00 +0200", NOW + timedelta(minutes=30), id="date of another zone"
        ),
        pytest.param(
            "Sun, 01 Mar 2026 12:30:00 -0000", NOW + timedelta(minutes=30), id="date without a zone"
        ),
        pytest.param("Sun, 01 Mar 2026 11:00:00 GMT", NOW - timedelta(hours=1), id="date in the past"),
        pytest.param("Fri, 31 Dec 9999 23:59:59 -2359", NOW + timedelta(days=7), id="the last possible date"),
        pytest.param("Sun, 01 Mar 2026 12:30:00 +99999999999999", None, id="a zone with too many digits"),
        pytest.param("Sun, 99 Mar 2026 12:30:00 GMT", None, id="an invalid date"),
        pytest.param("soon", None, id="nonsense"),
        pytest.param("-5", None, id="a negative number"),
        pytest.param("1.5", None, id="a fraction"),
        pytest.param("²", None, id="a digit that is not decimal"),
        pytest.param("", None, id="empty"),
    ],
)
def test_retry_after_gives_the_time_of_the_next_request(
    code: int, retry_after: str, until: datetime | None
) -> None:
    with pytest.raises(NodeUnavailable) as caught:
        read(code, headers={"retry-after": retry_after})
    assert caught.value.retry_at == until


def test_without_retry_after_there_is_no_time_of_the_next_request() -> None:
    with pytest.raises(NodeUnavailable) as caught:
        read(503)
    assert caught.value.retry_at is None


@given(
    code=st.integers(200, 599), body=st.binary(), location=st.text(), retry_after=st.text(), cut=st.booleans()
)
def test_any_answer_is_a_value_or_a_workmesh_error(
    code: int, body: bytes, location: str, retry_after: str, cut: bool
) -> None:
    headers = {"location": location, "retry-after": retry_after, "content-type": location}
    try:
        value = read(code, body, headers, cut=cut)
    except (NodeError, RecordRefused):
        return
    assert read_json(body).get("value") == value


def test_a_long_text_of_a_node_is_truncated() -> None:
    with pytest.raises(RecordRefused) as caught:
        read(200, refusal("x" * 5_000_000))
    assert str(caught.value) == "x" * LONGEST_TEXT
    with pytest.raises(RecordRefused) as caught:
        read(400, b"x" * 5_000_000)
    assert str(caught.value) == "/push.json answers 400: " + "x" * LONGEST_TEXT


def test_a_key_after_thousands_of_blanks_is_masked() -> None:
    for blanks in range(7_950, 8_010):
        with pytest.raises(RecordRefused) as caught:
            read(400, b" " * blanks + KEY.encode())
        assert str(caught.value) == "/push.json answers 400: ***"
