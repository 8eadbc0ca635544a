from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.scripted_node import API_KEY, Answer, Asked, scripted_node
from tests.support.secrecy import assert_secret, texts_of
from workmesh_flows.adapters.node_http.client import node_client
from workmesh_flows.domain.limits import Limits
from workmesh_flows.errors import WorkmeshError

Ask = Callable[..., Any]
QUICK = Limits(connect_timeout=0.5, read_timeout=0.5)


@pytest.fixture
def ask(caplog: pytest.LogCaptureFixture) -> Ask:
    """Send one request to a scripted node; returns the value or the error, and checks that the key stays secret."""
    caplog.set_level(logging.DEBUG)

    def ask_once(
        answer: Answer | Callable[[Asked], Answer],
        *,
        payload: Any = None,
        limits: Limits = QUICK,
        path: str = "/api/1.0/x.json",
        api_key: str = API_KEY,
    ) -> Any:
        script = (lambda asked: answer) if isinstance(answer, Answer) else answer
        result: Any
        with scripted_node(script) as node, node_client(node.node(api_key=api_key), limits) as client:
            try:
                result = client.post(path, {"a": 1} if payload is None else payload)
            except WorkmeshError as error:
                result = error
                assert_secret(api_key, *texts_of(error))
            assert len(node.asked) == 1, "a request is sent once, and no redirect is followed"
        assert_secret(api_key, caplog.text)
        assert "httpx" in caplog.text or isinstance(result, WorkmeshError), "the logs were captured"
        assert "httpcore" in caplog.text, "the logs were captured"
        return result

    return ask_once
