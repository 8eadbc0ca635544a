"""What is wrong with the fields of a node's block, in words that do not presume Python."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import ValidationError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_VALUE_ERROR = "Value error, "
"""Pydantic's prefix of a message that a validator of ours raised."""
_WORDS = {
    "missing": "is not filled in",
    "extra_forbidden": "is no such field",
    "greater_than": "must be greater than {gt:g}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be one of {expected}",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a smaller number",
    "int_from_float": "must be a whole number",
    "string_type": "must be a text",
    "list_type": "must be a list",
    "dict_type": "must have a value for each name",
    "model_type": "must have fields, as in {{service: leads.scoring, max_entities: 5000}}",
    "model_attributes_type": "must have fields, as in {{service: leads.scoring, max_entities: 5000}}",
}
"""Texts by pydantic's type of problem."""


def describe_errors(error: ValidationError) -> str:
    """The problem of each field, without the values: one of them may be an API key."""
    problems = error.errors(include_input=False, include_url=False)
    return "; ".join(dict.fromkeys(_described(problem) for problem in problems))


def _described(problem: ErrorDetails) -> str:
    place = _place(problem["loc"])
    words = _WORDS.get(problem["type"])
    if words is not None:
        return f"{place or 'the node'} {words.format(**problem.get('ctx', {}))}"
    message = problem["msg"].removeprefix(_VALUE_ERROR)
    return f"{place}: {message}" if place else message


def _place(location: Sequence[int | str]) -> str:
    """The field, and the position in a list, counted from 1: ``limits, item 1, max_rate``."""
    return ", ".join(f"item {part + 1}" if isinstance(part, int) else str(part) for part in location)
