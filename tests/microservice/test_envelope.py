"""Properties of every endpoint: the API key, the envelope, and answers that quote nothing of the request."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.microservice.caller import Caller, read_answer
from tests.microservice.conftest import SHARED_BODY_LIMIT, Arrived, NewId
from workmesh_flows.microservice.api_key import ApiKey

PING = "/api/1.0/ping.json"
SECRET = "do-not-repeat-me"


def test_a_ping_is_answered_with_an_empty_value(shared: Caller) -> None:
    answer = shared.post("ping")
    assert (answer.http, answer.status, answer.value) == (200, "success", "")


def test_the_version_is_the_declared_one(shared: Caller) -> None:
    assert shared.post("version").value == "2.3.4"


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(str.upper, id="upper case"),
        pytest.param(str.lower, id="lower case"),
        pytest.param(str.swapcase, id="swapped case"),
        pytest.param(lambda key: key.strip("{}"), id="no braces"),
        pytest.param(lambda key: key.strip("{}").lower(), id="no braces, lower case"),
    ],
)
def test_the_key_is_accepted_in_any_letter_case_with_or_without_braces(
    shared: Caller, write: Callable[[str], str]
) -> None:
    shared.api_key = write(shared.api_key)
    assert shared.post("ping").status == "success"


def test_a_key_set_without_braces_matches_one_with_braces() -> None:
    assert ApiKey("abc-DEF").matches("{ABC-def}")
    assert ApiKey(" {abc-DEF} ").matches("abc-def")
    assert not ApiKey("abc-DEF").matches("{abc-DEF")
    assert not ApiKey("abc-DEF").matches("")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param({"api_key": SECRET}, "Wrong api_key", id="wrong"),
        pytest.param({"api_key": ""}, "Wrong api_key", id="empty"),
        pytest.param({"api_key": "{}"}, "Wrong api_key", id="only braces"),
        pytest.param({"api_key": 7}, "Wrong api_key", id="a number"),
        pytest.param({"api_key": [SECRET]}, "Wrong api_key", id="a list"),
        pytest.param({"api_key": None}, "api_key is required", id="null"),
        pytest.param({"records": [SECRET]}, "api_key is required", id="missing"),
    ],
)
@pytest.mark.parametrize(
    "endpoint", ["ping", "version", "workload", "delivery/push", "delivery/status", "odd/pull"]
)
def test_no_endpoint_answers_without_the_key(shared: Caller, body: dict, status: str, endpoint: str) -> None:
    answer = read_answer(shared.send("POST", f"/api/1.0/{endpoint}.json", json=body))
    assert (answer.http, answer.status, answer.value) == (200, status, "")


@pytest.mark.parametrize(
    "content_type", ["text/html;charset=utf-8", "application/x-www-form-urlencoded", None]
)
def test_the_content_type_does_not_matter(shared: Caller, content_type: str | None) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    response = shared.send("POST", PING, content=json.dumps({"api_key": shared.api_key}), headers=headers)
    assert read_answer(response).status == "success"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(b"", "the body is not JSON", id="empty"),
        pytest.param(b'{"api_key": "' + SECRET.encode(), "the body is not JSON", id="truncated"),
        pytest.param(b'{"api_key": "\xff"}', "the body is not JSON", id="not UTF-8"),
        pytest.param(b"[" * 100_000, "the body is not JSON", id="nested too deeply"),
        pytest.param(b'"' + SECRET.encode() + b'"', "the body is not a JSON object", id="a text"),
        pytest.param(b'[{"api_key": 1}]', "the body is not a JSON object", id="a list"),
        pytest.param(b"null", "the body is not a JSON object", id="null"),
    ],
)
def test_a_body_that_is_not_a_json_object_is_a_bad_request(shared: Caller, body: bytes, status: str) -> None:
    answer = read_answer(shared.send("POST", PING, content=body))
    assert (answer.http, answer.status) == (400, status)


@pytest.mark.parametrize("path", ["/", "/api/1.0/nothing.json", "/api/1.0/delivery/push", f"{PING}/", "/404"])
def test_an_unknown_path_is_not_found_and_not_redirected(shared: Caller, path: str) -> None:
    assert read_answer(shared.send("POST", path, json={"api_key": shared.api_key})).http == 404


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_only_post_is_answered(shared: Caller, method: str) -> None:
    assert read_answer(shared.send(method, PING)).http == 405


def _in_pieces(body: bytes) -> Iterator[bytes]:
    for at in range(0, len(body), 50_000):
        yield body[at : at + 50_000]


@pytest.mark.parametrize("in_pieces", [False, True], ids=["with Content-Length", "chunked"])
def test_a_body_over_the_limit_is_too_large_and_the_connection_stays_open(
    shared: Caller, in_pieces: bool
) -> None:
    body = json.dumps({"api_key": shared.api_key, "filler": "x" * 4 * SHARED_BODY_LIMIT}).encode()
    answer = read_answer(shared.send("POST", PING, content=_in_pieces(body) if in_pieces else body))
    assert (answer.http, answer.status) == (413, f"the body has more than {SHARED_BODY_LIMIT} bytes")
    assert shared.post("ping").status == "success"


def test_a_body_of_exactly_the_limit_is_accepted(shared: Caller) -> None:
    body = json.dumps({"api_key": shared.api_key, "filler": ""}).encode()
    body = body[:-2] + b"x" * (SHARED_BODY_LIMIT - len(body)) + body[-2:]
    assert len(body) == SHARED_BODY_LIMIT
    assert read_answer(shared.send("POST", PING, content=body)).status == "success"
    assert read_answer(shared.send("POST", PING, content=body + b" ")).http == 413


def test_a_bug_in_a_check_is_a_crash_that_is_logged_without_the_record(
    shared: Caller, new_id: NewId, arrived: Arrived, logged: Callable[[], str]
) -> None:
    answer = shared.push({"id": new_id(), "bug_on": SECRET})
    assert (answer.http, answer.status) == (500, "the node crashed: ValueError")
    assert "scripted_service.py" in logged()
    assert "ValueError" in logged()
    assert SECRET not in logged() + answer.text
    assert arrived() == []


def test_neither_key_nor_body_is_in_any_answer_or_log(
    shared: Caller, new_id: NewId, logged: Callable[[], str]
) -> None:
    key = shared.api_key
    bodies: list[Any] = [
        {"api_key": key, "a": SECRET, "b": SECRET},
        {"api_key": key, "records": SECRET},
        {"api_key": key, "records": [{"id": new_id()}, SECRET]},
        {"api_key": key, "records": [{"id": [SECRET], "text": SECRET}]},
        {"api_key": key, "records": {"id": new_id(), "text": SECRET, "bug_on": SECRET}},
        {"api_key": key, "records": {"id": SECRET * 100}},
        {"api_key": key, "records": [{"id": new_id(), "text": SECRET, "sleep": SECRET}]},
        {"api_key": key, "ids": [[SECRET]]},
        {"api_key": key + SECRET, "records": SECRET},
        {"records": SECRET, SECRET: key},
        [key, SECRET],
    ]
    endpoints = ("ping", "delivery/push", "delivery/status", "delivery/pull", SECRET, f"delivery/{SECRET}")
    answers = [
        shared.send("POST", f"/api/1.0/{endpoint}.json", json=body).text
        for body in bodies
        for endpoint in endpoints
    ]
    answers.append(shared.send("GET", f"/{SECRET}").text)
    shared.settle()
    assert "ValueError" in logged()
    assert "TypeError" in logged()
    everything = "".join(answers).lower() + logged().lower()
    assert SECRET not in everything
    assert key.strip("{}").lower() not in everything
