from __future__ import annotations

from dataclasses import dataclass

import pytest
from pydantic import SecretStr

from workmesh_flows.reporting.content_digest import content_digest


@dataclass(frozen=True, slots=True)
class Fact:
    name: str
    values: dict[str | None, int]


def test_equal_content_has_equal_digests_whatever_its_order() -> None:
    one = Fact("n1", {"a": 1, None: 2})
    other = Fact("n1", {None: 2, "a": 1})
    assert content_digest([one], {"b", "a"}) == content_digest([other], frozenset(["a", "b"]))


@pytest.mark.parametrize(
    "other",
    [
        pytest.param([Fact("n2", {"a": 1})], id="a field"),
        pytest.param([Fact("n1", {"a": 2})], id="a value in a mapping"),
        pytest.param([Fact("n1", {"b": 1})], id="a key of a mapping"),
        pytest.param([Fact("n1", {"a": 1})] * 2, id="one more"),
        pytest.param([Fact("n1", {"a": 1, None: 1})], id="a key that is none"),
    ],
)
def test_other_content_has_another_digest(other: object) -> None:
    assert content_digest([Fact("n1", {"a": 1})]) != content_digest(other)


def test_the_order_of_a_list_and_the_kind_of_a_value_are_content() -> None:
    assert content_digest([1, 2]) != content_digest([2, 1])
    assert content_digest(1) != content_digest("1")


def test_a_secret_leaves_no_trace() -> None:
    assert content_digest(SecretStr("one")) == content_digest(SecretStr("two"))
