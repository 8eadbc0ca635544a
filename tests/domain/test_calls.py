"""The ready-made functions post and get: the requests they send and how they read the answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from tests.domain.declarations import pull, push
from tests.support.shop import Order
from workmesh_flows import get, post
from workmesh_flows.errors import NodeMisconfigured


class RecordingNode:
    """Stores every request and always gives the same answer."""

    def __init__(self, value: Any = "") -> None:
        self.value, self.sent = value, list[tuple[str, Mapping[str, Any]]]()

    @property
    def name(self) -> str:
        return "n1"

    def post(self, path: str, payload: Mapping[str, Any]) -> Any:
        self.sent.append((path, payload))
        return self.value


def as_text(record: Any) -> Mapping[str, Any]:
    return {"id": str(record["id"])}


@pytest.mark.parametrize(
    ("call", "records", "sent"),
    [
        pytest.param(post("/p"), {"id": 1}, {"record": {"id": 1}}, id="one"),
        pytest.param(post("/p", "order"), {"id": 1}, {"order": {"id": 1}}, id="one under a name"),
        pytest.param(post("/p", payload=as_text), {"id": 1}, {"record": {"id": "1"}}, id="one with a payload function"),
        pytest.param(post("/p", batch_size=2), [{"id": 1}, {"id": 2}], {"records": [{"id": 1}, {"id": 2}]}, id="several"),
        pytest.param(post("/p", "orders", batch_size=2), [{"id": 1}], {"orders": [{"id": 1}]}, id="several under a name"),
        pytest.param(
            post("/p", batch_size=2, payload=as_text),
            [{"id": 1}, {"id": 2}],
            {"records": [{"id": "1"}, {"id": "2"}]},
            id="several with a payload function",
        ),
    ],
)  # fmt: skip
def test_post_sends_records_under_a_name(
    call: Callable[..., Any], records: Any, sent: dict[str, Any]
) -> None:
    node = RecordingNode()
    assert call(records, node) is None
    assert node.sent == [("/p", sent)]


@pytest.mark.parametrize(
    ("value", "refused"),
    [
        pytest.param("", None, id="a string"),
        pytest.param(None, None, id="null"),
        pytest.param([1], None, id="a list"),
        pytest.param({}, None, id="an object"),
        pytest.param({"refused": {}}, None, id="nothing refused"),
        pytest.param({"refused": None}, None, id="null refused"),
        pytest.param({"refused": []}, None, id="an empty list refused"),
        pytest.param({"refused": {"1": "no", "2": 5}}, {"1": "no", "2": "5"}, id="reasons"),
        pytest.param(
            {"refused": {"1": None, "2": ""}},
            {"1": "the node gives no reason", "2": "the node gives no reason"},
            id="no reasons",
        ),
    ],
)
def test_post_of_several_records_returns_the_refused_ids_with_reasons(
    value: Any, refused: dict[str, str] | None
) -> None:
    assert post("/p", batch_size=2)([{"id": 1}], RecordingNode(value)) == refused


@pytest.mark.parametrize("refused", [["1"], "1", 1, True])
def test_refused_records_in_an_invalid_form_are_not_a_success(refused: Any) -> None:
    with pytest.raises(NodeMisconfigured, match="node n1: /p returns refused records as a") as caught:
        post("/p", batch_size=2)([{"id": 1}], RecordingNode({"refused": refused}))
    assert caught.value.node == "n1"


def test_post_of_one_record_ignores_the_value() -> None:
    assert post("/p")({"id": 1}, RecordingNode({"refused": {"1": "no"}})) is None


@pytest.mark.parametrize(
    ("value", "results"),
    [
        pytest.param({"1": {"score": 5}}, {"1": {"score": 5}}, id="a value"),
        pytest.param({"1": {"score": None}}, {"1": {"score": None}}, id="null as a value"),
        pytest.param({"1": {"other": 5}}, {"1": {}}, id="nothing that was asked for"),
        pytest.param({"1": {}, "2": {"score": 1}}, {"1": {}, "2": {"score": 1}}, id="several"),
        pytest.param({"1": "too big"}, {"1": "too big"}, id="a failure"),
        pytest.param({"1": ""}, {"1": "the node gives no reason"}, id="a failure without a reason"),
        pytest.param({"1": None}, {}, id="null is not ready"),
        pytest.param({}, {}, id="none is ready"),
        pytest.param(None, {}, id="null"),
        pytest.param([], {}, id="a list"),
    ],
)
def test_get_returns_results_by_id(value: Any, results: dict[str, Any]) -> None:
    node = RecordingNode(value)
    assert get("/p", into={"score": Order.score})([1, 2], node) == results
    assert node.sent == [("/p", {"ids": [1, 2]})]


def test_get_returns_values_by_attribute_not_by_key_or_column() -> None:
    call = get("/p", into={"Best Shop": Order.shop_id})  # its column is called Group
    assert call([1], RecordingNode({"1": {"Best Shop": 5, "Group": 6}})) == {"1": {"shop_id": 5}}


def test_later_changes_of_a_declared_dict_have_no_effect() -> None:
    into = {"score": Order.score}
    call = get("/p", into=into)
    into.clear()
    assert dict(call.into) == {"score": Order.score}


def test_the_batch_size_is_that_of_post_or_get_or_of_the_direction() -> None:
    def send(record: Any, node: Any) -> None: ...

    assert push(send=post("/p")).size is None
    assert push(send=post("/p", batch_size=7)).size == 7
    assert push(send=send).size is None
    assert push(send=send, batch_size=3).size == 3
    assert (pull(fetch=get("/p", into={})).size, pull(fetch=get("/p", into={})).page) == (500, 500)
    assert (pull(fetch=send).size, pull(fetch=send).page) == (None, 500)
    assert (pull(fetch=send, batch_size=3).size, pull(fetch=send, batch_size=3).page) == (3, 3)


def test_only_post_without_a_payload_function_wants_rows() -> None:
    assert push(send=post("/p")).wants_rows
    assert not push(send=post("/p", payload=as_text)).wants_rows
    assert not push(send=lambda record, node: None).wants_rows


def test_a_payload_function_receives_the_record() -> None:
    node = RecordingNode()
    post("/p", payload=lambda order: {"text": order.text})(SimpleNamespace(text="an order"), node)
    assert node.sent == [("/p", {"record": {"text": "an order"}})]
