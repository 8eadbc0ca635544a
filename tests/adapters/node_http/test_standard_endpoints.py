"""Ping, version and workload."""

from __future__ import annotations

import pytest

from tests.adapters.conftest import QUICK
from tests.support.scripted_node import API_KEY, Answer, Asked, failure, scripted_node, success
from tests.support.secrecy import assert_secret, texts_of
from workmesh_flows.adapters.node_http.client import PING, VERSION, WORKLOAD, node_client
from workmesh_flows.errors import NodeError, NodeMisconfigured, NodeUnavailable

WRONG_KEY = (
    "n1: the node rejects the API key; write the node's key into its block (workmesh-node/n1): /api/1.0/"
)


def test_a_healthy_node_answers_ping_version_and_workload() -> None:
    values = {PING: "", VERSION: "1.0.1", WORKLOAD: 7}
    with (
        scripted_node(lambda asked: success(values[asked.path])) as node,
        node_client(node.node(), QUICK) as client,
    ):
        client.ping()
        assert client.version() == "1.0.1"
        assert client.workload() == 7
        assert client.name == "n1"
    assert [asked.body for asked in node.asked] == [{"api_key": API_KEY}] * 3


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        pytest.param(failure("Wrong api_key"), NodeMisconfigured, WRONG_KEY, id="a wrong key"),
        pytest.param(failure(API_KEY), NodeMisconfigured, WRONG_KEY, id="a refusal that repeats the key"),
        pytest.param(Answer(b"", 401), NodeMisconfigured, WRONG_KEY, id="401"),
        pytest.param(Answer(b"", 403), NodeMisconfigured, WRONG_KEY, id="403"),
        pytest.param(Answer(b"no", 400), NodeMisconfigured, "json is refused: /api/1.0/", id="400"),
        pytest.param(Answer(b"", 302, {"Location": "/404"}), NodeMisconfigured, "/404", id="a redirect"),
        pytest.param(Answer(b"", 303, {"Location": "/500"}), NodeUnavailable, "error page", id="a crash"),
        pytest.param(Answer(b"", 500), NodeUnavailable, "500", id="500"),
        pytest.param(Answer(b"", 413), NodeUnavailable, "413", id="413"),
        pytest.param(Answer(b"", 503), NodeUnavailable, "503", id="503"),
        pytest.param(Answer(b"<p>hello"), NodeUnavailable, "not JSON", id="HTML"),
    ],
)
def test_an_error_of_a_standard_endpoint_is_unavailable_or_misconfigured(
    answer: Answer, kind: type[NodeError], text: str
) -> None:
    with scripted_node(lambda asked: answer) as node, node_client(node.node(), QUICK) as client:
        for ask in (client.ping, client.version, client.workload):
            with pytest.raises(NodeError) as raised:
                ask()
            assert type(raised.value) is kind
            assert text in str(raised.value)
            assert raised.value.node == "n1"


@pytest.mark.parametrize("value", ["7", None, True, 1.5, [7], {"tasks": 7}])
def test_a_workload_must_be_an_integer(value: object) -> None:
    with (
        scripted_node(lambda asked: success(value)) as node,
        node_client(node.node(), QUICK) as client,
        pytest.raises(NodeMisconfigured, match="not an integer"),
    ):
        client.workload()


def test_a_version_or_workload_that_echoes_the_key_is_scrubbed() -> None:
    def script(asked: Asked) -> Answer:
        return success(f"you sent {asked.raw.decode()} {'x' * 5_000}")

    with scripted_node(script) as node, node_client(node.node(), QUICK) as client:
        assert_secret(API_KEY, client.version())
        with pytest.raises(NodeMisconfigured) as raised:
            client.workload()
    assert_secret(API_KEY, *texts_of(raised.value))
    assert len(str(raised.value)) < 200
