"""Checking the functions and endpoints of a declaration, without calling any of them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import get_args

from workmesh_flows.domain.calls import Get, Post
from workmesh_flows.domain.columns import described
from workmesh_flows.domain.protocol import Policy, Pull, Push


def push_call_problems(push: Push) -> Iterator[str]:
    """Yield the problems of how records are sent, and of what happens to refused records."""
    if push.max_attempts is not None and (type(push.max_attempts) is not int or push.max_attempts < 1):
        yield f"push max_attempts must be a whole number of at least 1, not {described(push.max_attempts)}"
    if push.policy not in get_args(Policy):
        choices = ", ".join(map(repr, get_args(Policy)))
        yield f"push policy must be one of {choices}, not {described(push.policy)}"
    if push.failed is not None and push.failed != "":
        yield from _path_problems("push failed", push.failed)
    yield from _sending_problems("push", push.send, push.batch_size, ready_made=Post)
    if not isinstance(push.send, Post):
        return
    name, payload = push.send.name, push.send.payload
    if not isinstance(name, str) or not name:
        yield f"push name must be a string that is not empty, not {described(name)}"
    elif name == "api_key":
        yield "push name 'api_key' is reserved for the API key of the request; choose another name"
    if payload is not None and (problem := function_problem(payload, "record")):
        yield f"push payload {problem}"


def pull_call_problems(pull: Pull) -> Iterator[str]:
    """Yield the problems of how results are fetched."""
    yield from _sending_problems("pull", pull.fetch, pull.batch_size, ready_made=Get)
    yield from _path_problems("pull status", pull.status)


def function_problem(function: object, *parameters: str) -> str | None:
    """Return why a function cannot be called with these arguments, or None if it can."""
    wanted = f"({', '.join(parameters)})"
    if not callable(function):
        return f"must be a function of {wanted}, not {described(function)}"
    if any(is_deferred(body) for body in (function, type(function).__call__) for is_deferred in _DEFERRED):
        return f"{described(function)} must be a plain function: calling an async function or a generator runs nothing"
    try:
        inspect.signature(function).bind(*parameters)
    except TypeError as error:
        return f"{described(function)} cannot be called with {wanted}: {error}"
    except ValueError:  # some functions written in C have no readable signature
        return None
    return None


_DEFERRED = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
"""Kinds of functions whose body does not run when they are called."""


def _sending_problems(
    where: str, function: object, batch_size: object, *, ready_made: type[Post | Get]
) -> Iterator[str]:
    made = f"{ready_made.__name__.lower()}(...)"
    if isinstance(function, ready_made):
        yield from _path_problems(where, function.path)
        if batch_size is not None:
            yield f"{where} has two values of batch_size; give it to {made} only"
        batch_size = function.batch_size
    elif isinstance(function, Post | Get):
        yield f"{where} needs {made} or a function, not {type(function).__name__.lower()}(...)"
    elif problem := function_problem(function, "record" if batch_size is None else "records", "node"):
        yield f"{where} {problem}; {made} makes one"
    if batch_size is not None and (type(batch_size) is not int or batch_size < 1):
        yield f"{where} batch_size must be a whole number of at least 1, not {described(batch_size)}"


def _path_problems(where: str, path: object) -> Iterator[str]:
    if not isinstance(path, str) or not path.startswith("/"):
        yield f"{where} endpoint must be a path that starts with '/', not {described(path)}"
