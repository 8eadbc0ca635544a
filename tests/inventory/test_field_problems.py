from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from workmesh_flows.blocks import WorkmeshNode
from workmesh_flows.inventory.field_problems import describe_errors

KEY = "{1B1D3C52-0C1B-4E7A-8D3F-5B6C7D8E9F01}"
GOOD: dict[str, Any] = {"host": "10.0.0.1", "api_key": KEY, "services": ["s"]}


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        pytest.param({"services": None}, "services must be a list", id="an empty field"),
        pytest.param({"port": 0}, "port must be at least 1", id="too small"),
        pytest.param({"port": 70_000}, "port must be at most 65535", id="too large"),
        pytest.param({"port": "eighty"}, "port must be a whole number", id="a word for a number"),
        pytest.param({"port": 80.5}, "port must be a whole number", id="half a number"),
        pytest.param({"verify": "perhaps"}, "verify must be true or false", id="no truth"),
        pytest.param({"host": 7}, "host must be a text", id="a number for a text"),
        pytest.param({"scheme": "ftp"}, "scheme must be one of 'http' or 'https'", id="none of the choices"),
        pytest.param({"services": "s"}, "services must be a list", id="a text for a list"),
        pytest.param({"services": ["s", 5]}, "services, item 2 must be a text", id="the second of a list"),
        pytest.param(
            {"limits": [{"service": "s"}, {"max_rate": 0}]},
            "limits, item 2, service is not filled in; limits, item 2, max_rate must be greater than 0",
            id="two fields of the second of a list",
        ),
        pytest.param({"limits": [{"service": "s", "most": 3}]}, "limits, item 1, most is no such field", id="an unknown field"),
        pytest.param({"limits": ["s"]}, "limits, item 1 must have fields, as in {service: leads.scoring, max_entities: 5000}", id="a text for an object"),
        pytest.param({"host": "a b"}, "host: the host must be a name or an IP address alone, without scheme, port, path or spaces", id="a message of a check"),
        pytest.param({"limits": [{"service": "t"}]}, "limits name t, which the node does not run", id="a message about the whole node"),
        pytest.param({"limits": [{"service": "s", "max_rate": float("inf")}]}, "limits, item 1, max_rate must be a finite number", id="infinity"),
    ],
)  # fmt: skip
def test_a_problem_is_told_in_plain_words(wrong: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError) as refused:
        WorkmeshNode.model_validate(GOOD | wrong)
    assert describe_errors(refused.value) == text


def test_a_required_field_that_a_form_left_empty_is_named() -> None:
    with pytest.raises(ValidationError) as refused:
        WorkmeshNode.model_validate({"host": "10.0.0.1", "api_key": KEY})
    assert describe_errors(refused.value) == "services is not filled in"
