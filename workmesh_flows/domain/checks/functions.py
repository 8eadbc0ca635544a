"""Checking the functions and access points of a declaration: what can be told before anything is called."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import get_args

from workmesh_flows.domain.calls import Get, Post
from workmesh_flows.domain.columns import described
from workmesh_flows.domain.protocol import Policy, Pull, Push


def push_call_problems(push: Push) -> Iterator[str]:
    """What is wrong with how records are sent, and with what follows when they are refused."""
    if push.max_attempts is not None and (type(push.max_attempts) is not int or push.max_attempts < 1):
        yield f"push max_attempts must be a whole number of at least 1, not {described(push.max_attempts)}"
    if push.policy not in get_args(Policy):
        choices = ", ".join(map(repr, get_args(Policy)))
        yield f"push policy must be one of {choices}, not {described(push.policy)}"
    yield from _sending_problems("push", push.send, push.batch_size, ready_made=Post)
    if not isinstance(push.send, Post):
        return
    name, payload = push.send.name, push.send.payload
    if not isinstance(name, str) or not name:
        yield f"push posts its records under a name, a text that is not empty, not {described(name)}"
    elif name == "api_key":
        yield "push posts its records under the name 'api_key', which is the key's place; choose another name"
    if payload is not None and (problem := function_problem(payload, "record")):
        yield f"push payload {problem}"


def pull_call_problems(pull: Pull) -> Iterator[str]:
    """What is wrong with how results are fetched."""
    yield from _sending_problems("pull", pull.fetch, pull.batch_size, ready_made=Get)
    yield from _path_problems("pull status", pull.status)


def function_problem(function: object, *parameters: str) -> str | None:
    """Say why a function cannot be called with these arguments and give its result at once."""
    wanted = f"({', '.join(parameters)})"
    if not callable(function):
        return f"must be a function of {wanted}, not {described(function)}"
    if any(is_later(body) for body in (function, type(function).__call__) for is_later in _LATER):
        return f"{described(function)} must be a plain function: called, an async one or a generator does nothing yet"
    try:
        inspect.signature(function).bind(*parameters)
    except TypeError as error:
        return f"{described(function)} cannot be called with {wanted}: {error}"
    except ValueError:  # some that are written in C do not tell their parameters
        return None
    return None


_LATER = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)


def _sending_problems(
    where: str, function: object, batch_size: object, *, ready_made: type[Post | Get]
) -> Iterator[str]:
    made = f"{ready_made.__name__.lower()}(...)"
    if isinstance(function, ready_made):
        yield from _path_problems(where, function.path)
        if batch_size is not None:
            yield f"{where} names batch_size twice; give it to {made} alone"
        batch_size = function.batch_size
    elif isinstance(function, Post | Get):
        yield f"{where} needs {made} or a function, not {type(function).__name__.lower()}(...)"
    elif problem := function_problem(function, "record" if batch_size is None else "records", "node"):
        yield f"{where} {problem}; {made} is ready-made"
    if batch_size is not None and (type(batch_size) is not int or batch_size < 1):
        yield f"{where} batch_size must be a whole number of at least 1, not {described(batch_size)}"


def _path_problems(where: str, path: object) -> Iterator[str]:
    if not isinstance(path, str) or not path.startswith("/"):
        yield f"{where} access point must be a path that starts with '/', not {described(path)}"
