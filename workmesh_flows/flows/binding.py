"""From a form to the function that Prefect makes a flow of: only the form's fields are its parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter, Signature, getdoc, signature
from typing import Annotated, Any, TypeAlias, get_args, get_origin

from pydantic.fields import FieldInfo

from workmesh_flows.runs.result import RunResult

Form: TypeAlias = Callable[..., RunResult]


def bind_form(form: Form, arguments: Sequence[object], types: Mapping[str, Any], module: str) -> Form:
    """The form with its first arguments bound, as a function of ``module``.

    Prefect reads parameters from a function's signature and their descriptions from its docstring. The signature has
    the other parameters of the form, with ``types`` in place of their own; the docstring gets the descriptions.
    """
    whole = signature(form, eval_str=True)
    fields = [
        field.replace(annotation=types.get(field.name, field.annotation))
        for field in list(whole.parameters.values())[len(arguments) :]
    ]

    def bound(*values: Any, **named: Any) -> RunResult:  # noqa: ANN401 - the fields of any form
        return form(*arguments, *values, **named)

    made: Any = bound  # mypy knows no signature of a function
    made.__signature__ = Signature(fields, return_annotation=RunResult)
    made.__doc__ = _docstring(form, fields)
    made.__name__ = made.__qualname__ = form.__name__
    made.__module__ = module
    return bound


def _docstring(form: Form, fields: Sequence[Parameter]) -> str:
    """Prefect ignores the description of an annotated field, and reads it from the section ``Args:`` instead."""
    head = getdoc(form) or ""
    lines = [f"    {field.name}: {text}" for field in fields if (text := _description(field.annotation))]
    return "\n".join([head, "", "Args:", *lines]) if lines else head


def _description(annotation: object) -> str:
    """The description among the metadata of an annotation; the last one counts."""
    if get_origin(annotation) is not Annotated:
        return ""
    found = [part.description for part in get_args(annotation)[1:] if isinstance(part, FieldInfo)]
    return next((text for text in reversed(found) if text), "")
