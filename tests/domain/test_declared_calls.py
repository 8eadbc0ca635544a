"""DefinitionError reports push and pull functions, endpoints and batch sizes that cannot work."""

from __future__ import annotations

from typing import Any

import pytest

from tests.domain.declarations import protocol_problems, pull, push
from tests.domain.declared_functions import (
    AsyncSender,
    send_later,
    send_lazily,
    send_lazily_later,
    send_one,
    take_record,
)
from tests.support.shop import Order, Shop
from workmesh_flows import Flags, get, post

LATER = "must be a plain function: calling an async function or a generator runs nothing"
NO_PATH: Any = None


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        pytest.param(
            {"send": 5}, "must be a function of (record, node), not 5; post(...) makes one", id="a number"
        ),
        pytest.param(
            {"send": [], "batch_size": 2},
            "must be a function of (records, node), not []; post(...) makes one",
            id="a list",
        ),
        pytest.param(
            {"send": get("/p", into={})}, "needs post(...) or a function, not get(...)", id="get in a push"
        ),
        pytest.param(
            {"send": take_record},
            "take_record cannot be called with (record, node): too many positional arguments; "
            "post(...) makes one",
            id="a function of one parameter",
        ),
        pytest.param({"send": send_later}, f"send_later {LATER}; post(...) makes one", id="async"),
        pytest.param({"send": send_lazily}, f"send_lazily {LATER}; post(...) makes one", id="a generator"),
        pytest.param(
            {"send": send_lazily_later},
            f"send_lazily_later {LATER}; post(...) makes one",
            id="an async generator",
        ),
        pytest.param(
            {"send": AsyncSender()}, f"AsyncSender() {LATER}; post(...) makes one", id="an async object"
        ),
        pytest.param(
            {"send": post("push")},
            "endpoint must be a path that starts with '/', not 'push'",
            id="no leading slash",
        ),
        pytest.param(
            {"send": post(NO_PATH)},
            "endpoint must be a path that starts with '/', not None",
            id="no path",
        ),
        pytest.param(
            {"send": post("/p", batch_size=5), "batch_size": 5},
            "has two values of batch_size; give it to post(...) only",
            id="two batch sizes",
        ),
        pytest.param(
            {"send": post("/p", batch_size=0)},
            "batch_size must be a whole number of at least 1, not 0",
            id="batch of 0",
        ),
        pytest.param(
            {"send": send_one, "batch_size": -1},
            "batch_size must be a whole number of at least 1, not -1",
            id="batch of -1",
        ),
        pytest.param(
            {"send": send_one, "batch_size": 2.5},
            "batch_size must be a whole number of at least 1, not 2.5",
            id="batch of 2.5",
        ),
        pytest.param(
            {"send": send_one, "batch_size": True},
            "batch_size must be a whole number of at least 1, not True",
            id="batch of True",
        ),
        pytest.param(
            {"send": post("/p", "api_key")},
            "name 'api_key' is reserved for the API key of the request; choose another name",
            id="the reserved name",
        ),
        pytest.param(
            {"send": post("/p", "")},
            "name must be a string that is not empty, not ''",
            id="an empty name",
        ),
        pytest.param(
            {"send": post("/p", payload={})},  # type: ignore[arg-type]
            "payload must be a function of (record), not {}",
            id="payload a dict",
        ),
        pytest.param(
            {"send": post("/p", payload=send_one)},  # type: ignore[arg-type]
            "payload send_one cannot be called with (record): missing a required argument: 'node'",
            id="payload a function of two parameters",
        ),
    ],
)
def test_a_push_that_cannot_work_is_reported(changes: dict[str, Any], problem: str) -> None:
    assert protocol_problems(push=push(**changes)) == [f"push {problem}"]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        pytest.param({"status": "status"}, "pull status endpoint must be a path that starts with '/', not 'status'", id="status without a leading slash"),
        pytest.param({"status": None}, "pull status endpoint must be a path that starts with '/', not None", id="no status"),
        pytest.param({"fetch": post("/p")}, "pull needs get(...) or a function, not post(...)", id="post in a pull"),
        pytest.param({"fetch": None}, "pull must be a function of (record, node), not None; get(...) makes one", id="no fetch"),
        pytest.param({"fetch": send_later}, f"pull send_later {LATER}; get(...) makes one", id="async"),
        pytest.param({"fetch": get("p", into={})}, "pull endpoint must be a path that starts with '/', not 'p'", id="no leading slash"),
        pytest.param({"fetch": get("/p", into={}, batch_size=0)}, "pull batch_size must be a whole number of at least 1, not 0", id="batch of 0"),
        pytest.param(
            {"fetch": get("/p", into={}), "batch_size": 5},
            "pull has two values of batch_size; give it to get(...) only",
            id="two batch sizes",
        ),
        pytest.param(
            {"fetch": get("/p", into=None)},  # type: ignore[arg-type]
            "pull into must be a dict from keys of a result to columns, not None",
            id="into None",
        ),
        pytest.param(
            {"fetch": get("/p", into={"s": "score"})},  # type: ignore[dict-item]
            "pull into['s'] must be a column of Order, not 'score'",
            id="into a string",
        ),
        pytest.param(
            {"fetch": get("/p", into={"s": Shop.size})},
            "pull into['s'] is Shop.size, which is not a column of Order",
            id="into a column of another class",
        ),
        pytest.param(
            {"fetch": get("/p", into={1: Order.score})},  # type: ignore[dict-item]
            "pull into[1] can never be found: the keys of a result are strings",
            id="a key that is not a string",
        ),
        pytest.param(
            {"fetch": get("/p", into={"a": Order.score, "b": Order.score})},
            "pull into['b'] would write Order.score, which pull into['a'] writes too",
            id="two results into one column",
        ),
        pytest.param(
            {"fetch": get("/p", into={"a": Order.push_error})},
            "pull into['a'] would write Order.push_error, which is the push flag error",
            id="into a flag",
        ),
        pytest.param(
            {"fetch": get("/p", into={"a": Order.id})},
            "pull into['a'] would write Order.id, which is the id",
            id="into the id",
        ),
        pytest.param(
            {"fetch": get("/p", into={"a": Order.at})},
            "pull into['a'] would write Order.at, which is the sort column",
            id="into the sort column",
        ),
        pytest.param({"flags": None}, "pull flags must be Flags(time, success, error), not None", id="no flags"),
        pytest.param(
            {"flags": Flags(Order.pull_time, Order.pull_success, Order.shop_id)},
            "pull flags error Order.shop_id has the type int; it must be str",
            id="a flag of another type",
        ),
    ],
)  # fmt: skip
def test_a_pull_that_cannot_work_is_reported(changes: dict[str, Any], problem: str) -> None:
    assert protocol_problems(pull=pull(**changes)) == [problem]
