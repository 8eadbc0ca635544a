"""Mistakes in a declaration raise an error where they are made."""

from __future__ import annotations

from typing import Any

import pytest

from workmesh_flows.microservice import DefinitionError, MicroService
from workmesh_flows.microservice.protocol import NAME_RULE


def process(_: dict[str, Any]) -> None:
    """Do nothing."""


async def process_later(_: dict[str, Any]) -> None:
    """Do nothing, later."""


@pytest.mark.parametrize(
    "name", ["", " ", "Delivery", "a/b", "a b", " delivery", "delivery\n", "é", ".", "-x", None]
)
def test_a_name_must_be_usable_in_an_endpoint(name: Any) -> None:
    with pytest.raises(DefinitionError, match="cannot be part of an endpoint: it is made of lower-case"):
        MicroService("micro").protocol(name)(process)
    with pytest.raises(DefinitionError, match="cannot be used: it is made of lower-case letters"):
        MicroService(name)


def test_a_protocol_cannot_be_declared_twice() -> None:
    service = MicroService("micro.emails")
    service.protocol("delivery")(process)
    with pytest.raises(DefinitionError) as caught:
        service.protocol("delivery")(process)
    assert str(caught.value) == (
        "micro-service 'micro.emails' is not a valid definition:\n  - protocol 'delivery' is declared twice"
    )


def test_all_problems_are_listed_at_once() -> None:
    declare: Any = MicroService("micro").protocol
    with pytest.raises(DefinitionError) as caught:
        declare("Open", check="no function", id="")(process_later)
    assert caught.value.problems == (
        f"the protocol name 'Open' cannot be part of an endpoint: {NAME_RULE}",
        "protocol 'Open': id must name the key of a record's id, not ''",
        "protocol 'Open': the processing function is async; it must be a plain function",
        "protocol 'Open': the check function cannot be called: it is 'no function'",
    )


def test_a_processing_function_is_required() -> None:
    declare: Any = MicroService("micro").protocol("delivery")
    with pytest.raises(DefinitionError, match="the processing function cannot be called: it is None"):
        declare(None)


def test_a_version_must_be_a_text() -> None:
    wrong: Any = 1
    with pytest.raises(DefinitionError, match=r"version must be a text such as '1.0.0', not 1"):
        MicroService("micro", version=wrong)


def test_the_decorated_function_is_unchanged() -> None:
    service = MicroService("micro")
    assert service.protocol("delivery")(process) is process
    assert [protocol.name for protocol in service.protocols] == ["delivery"]
