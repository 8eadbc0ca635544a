"""Loading the object that ``module:attribute`` names on a command line."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import TypeVar

from workmesh_flows.errors import ConfigurationError, similar_first

T = TypeVar("T")


def load_reference(reference: str, kind: type[T]) -> T:
    """Load the object of type ``kind`` that ``module:attribute`` names; the working directory is searched too.

    Raises ConfigurationError with the part that is wrong. Errors raised by the module itself are passed on.
    """
    word = kind.__name__
    module_name, _, attribute = reference.partition(":")
    parts = [*module_name.split("."), attribute]
    if not all(part.isidentifier() for part in parts) or module_name.endswith(".py"):
        hint = f"write module:attribute, as in my_saas.{word.lower()}:{word.lower()}"
        raise ConfigurationError(f"{reference!r} does not name a {word}: {hint}")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    module = _module(module_name)
    found = getattr(module, attribute, None)
    if isinstance(found, kind):
        return found
    known = sorted(name for name, value in vars(module).items() if isinstance(value, kind))
    problem = (
        f"attribute {attribute!r} of module {module_name} is not a {word}"
        if hasattr(module, attribute)
        else f"module {module_name} has no attribute {attribute!r}"
    )
    has = similar_first(attribute, known) or f"no {word}"
    raise ConfigurationError(f"{problem}; the module has: {has}")


def _module(name: str) -> object:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if name == missing or name.startswith(f"{missing}."):
            raise ConfigurationError(
                f"there is no module {name} in {Path.cwd()} or on the Python path"
            ) from error
        why = f"{missing} is not installed" if missing else str(error)
        raise ConfigurationError(f"module {name} cannot be imported: {why}") from error
