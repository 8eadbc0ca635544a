"""The inventory as a YAML file for git: read and written, with API keys as references to environment variables.

n1:
  host: 10.0.0.7
  port: 8080
  api_key: ${N1_API_KEY}
  services: [micro.emails.timeline]
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from io import StringIO
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError

from workmesh_flows.blocks import WorkmeshNode
from workmesh_flows.errors import ConfigurationError
from workmesh_flows.inventory.documents import describe_errors

REFERENCE = re.compile(r"\$\{(?P<variable>[A-Za-z_][A-Za-z0-9_]*)\}")
NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
KEY = "api_key"


def read_file(path: Path, stored: Mapping[str, WorkmeshNode]) -> dict[str, WorkmeshNode]:
    """The nodes of a file, all valid; a node that is already stored may leave out its API key.

    Raises ConfigurationError that lists every problem of the file.
    """
    nodes: dict[str, WorkmeshNode] = {}
    problems: list[str] = []
    for name, fields in _documents(path).items():
        try:
            nodes[name] = _node(name, fields, stored.get(name))
        except ConfigurationError as error:
            problems.append(str(error))
    if problems:
        raise ConfigurationError(
            f"{path}: nothing was changed\n" + "\n".join(f"  {line}" for line in problems)
        )
    return nodes


def write_file(nodes: Mapping[str, WorkmeshNode]) -> str:
    """The text of a file with these nodes; in place of each API key it names the variable that `read_file` reads."""
    text = StringIO()
    yaml = YAML()
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.dump({name: dict(_written(name, node)) for name, node in sorted(nodes.items())}, text)
    return text.getvalue() if nodes else ""


def key_variable(name: str) -> str:
    """The environment variable that an exported file names for a node's API key."""
    return f"WORKMESH_KEY_{name.upper().replace('-', '_')}"


def _documents(path: Path) -> dict[str, Any]:
    try:
        found = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    except (MarkedYAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not YAML: {_place(error)}") from None
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise ConfigurationError(
            f"{path}: write each node under its name, as in 'n1: {{host: 10.0.0.7, ...}}'"
        )
    return {str(name): fields for name, fields in found.items()}


def _place(error: Exception) -> str:
    """The problem and its line number, without the line itself: it may hold an API key."""
    if not isinstance(error, MarkedYAMLError):
        return "it is not encoded in UTF-8"
    mark = error.problem_mark
    return f"{error.problem or error.context}" + (f", line {mark.line + 1}" if mark else "")


def _node(name: str, found: object, stored: WorkmeshNode | None) -> WorkmeshNode:
    if not NAME.fullmatch(name):
        raise ConfigurationError(f"{name}: a node's name consists of lower-case letters, digits and dashes")
    if not isinstance(found, dict):
        raise ConfigurationError(f"{name}: write its fields below its name: host, services, api_key, ...")
    fields = {str(field): value for field, value in found.items()}
    if unknown := sorted(set(fields) - set(WorkmeshNode.model_fields)):
        known = ", ".join(WorkmeshNode.model_fields)
        raise ConfigurationError(
            f"{name}: unknown fields: {', '.join(unknown)}; the fields of a node are {known}"
        )
    fields[KEY] = _key(name, fields.get(KEY), stored)
    try:
        return WorkmeshNode(**fields)
    except ValidationError as error:
        raise ConfigurationError(f"{name}: {describe_errors(error)}") from None


def _key(name: str, found: object, stored: WorkmeshNode | None) -> SecretStr:
    """The API key from the environment variable that the file names, or else that of the stored node."""
    if found is None and stored is not None:
        return stored.api_key
    reference = REFERENCE.fullmatch(found.strip()) if isinstance(found, str) else None
    if reference is None:
        raise ConfigurationError(
            f"{name}: api_key must name an environment variable, as in ${{{key_variable(name)}}}: "
            "a file must not contain keys"
        )
    variable = reference["variable"]
    if not os.environ.get(variable):
        hint = "; remove the line api_key to keep the stored key" if stored is not None else ""
        raise ConfigurationError(
            f"{name}: the environment variable {variable} for its api_key is not set{hint}"
        )
    return SecretStr(os.environ[variable])


def _written(name: str, node: WorkmeshNode) -> Iterator[tuple[str, Any]]:
    """The fields that are not at their defaults, in the order of the form, and the key's variable."""
    for field, about in WorkmeshNode.model_fields.items():
        value = getattr(node, field)
        if field == KEY:
            yield field, f"${{{key_variable(name)}}}"
        elif about.is_required() or value != about.get_default(call_default_factory=True):
            yield field, _plain(value)


def _plain(value: object) -> object:
    """A value of types that YAML can hold."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.model_dump(exclude_none=True) if isinstance(value, BaseModel) else value
