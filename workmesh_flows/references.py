"""Loading the object that ``module:attribute`` names on a command line."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from sysconfig import get_path
from traceback import extract_tb
from typing import TypeVar

from workmesh_flows.errors import ConfigurationError, WorkmeshError, similar_first

_FOREIGN = (str(Path(__file__).parent), get_path("stdlib"), "<")
"""How the names of files begin in which an error of a user's module is raised, but not caused."""
T = TypeVar("T")


def load_reference(reference: str, kind: type[T]) -> T:
    """Load the object of type ``kind`` that ``module:attribute`` names; the working directory is searched too.

    Raises ConfigurationError with the part that is wrong, or with the line at which the module itself raised an error.
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
    except WorkmeshError:
        raise  # a wrong declaration: its text says what to correct
    except Exception as error:
        where = _raised_in(error)
        raise ConfigurationError(
            f"module {name} cannot be imported: {type(error).__name__}: {error}{where}"
        ) from error


def _raised_in(error: Exception) -> str:
    """File and line of the user's code at which an import failed, in parentheses: the last outside of packages."""
    if isinstance(error, SyntaxError):
        return ""  # its text has both
    frames = [
        frame
        for frame in extract_tb(error.__traceback__)
        if not frame.filename.startswith(_FOREIGN) and "site-packages" not in Path(frame.filename).parts
    ]
    return f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
