"""The inventory as a YAML file, for those who keep it in git: read, compared, written; keys by environment reference.

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
    """The nodes of a file, all of them valid; a node that is stored already may leave out its api key.

    Raises ConfigurationError that lists everything that is wrong with the file.
    """
    nodes: dict[str, WorkmeshNode] = {}
    problems: list[str] = []
    for name, said in _documents(path).items():
        try:
            nodes[name] = _node(name, said, stored.get(name))
        except ConfigurationError as error:
            problems.append(str(error))
    if problems:
        raise ConfigurationError(
            f"{path}: nothing was changed\n" + "\n".join(f"  {line}" for line in problems)
        )
    return nodes


def write_file(nodes: Mapping[str, WorkmeshNode]) -> str:
    """The text of a file with these nodes; instead of each api key the variable that :func:`read_file` looks for."""
    text = StringIO()
    yaml = YAML()
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.dump({name: dict(_written(name, node)) for name, node in sorted(nodes.items())}, text)
    return text.getvalue() if nodes else ""


def key_variable(name: str) -> str:
    """The environment variable that a written file takes a node's api key from."""
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
    return {str(name): said for name, said in found.items()}


def _place(error: Exception) -> str:
    """Where and what, without the line itself: it may hold a key."""
    if not isinstance(error, MarkedYAMLError):
        return "its letters are not UTF-8"
    mark = error.problem_mark
    return f"{error.problem or error.context}" + (f", line {mark.line + 1}" if mark else "")


def _node(name: str, said: object, stored: WorkmeshNode | None) -> WorkmeshNode:
    if not NAME.fullmatch(name):
        raise ConfigurationError(
            f"{name}: the name of a node is made of lower-case letters, digits and dashes"
        )
    if not isinstance(said, dict):
        raise ConfigurationError(f"{name}: write its fields below its name: host, services, api_key, ...")
    fields = {str(field): value for field, value in said.items()}
    if strangers := sorted(set(fields) - set(WorkmeshNode.model_fields)):
        known = ", ".join(WorkmeshNode.model_fields)
        raise ConfigurationError(f"{name}: a node has no {', '.join(strangers)}; its fields are {known}")
    fields[KEY] = _key(name, fields.get(KEY), stored)
    try:
        return WorkmeshNode(**fields)
    except ValidationError as error:
        raise ConfigurationError(f"{name}: {describe_errors(error)}") from None


def _key(name: str, said: object, stored: WorkmeshNode | None) -> SecretStr:
    if said is None and stored is not None:
        return stored.api_key
    reference = REFERENCE.fullmatch(said.strip()) if isinstance(said, str) else None
    if reference is None:
        raise ConfigurationError(
            f"{name}: api_key must name a variable of the environment, as in ${{{key_variable(name)}}}: "
            "keys have no place in a file"
        )
    variable = reference["variable"]
    if not os.environ.get(variable):
        kept = "; without the line api_key it keeps the one that it has" if stored is not None else ""
        raise ConfigurationError(f"{name}: {variable}, which is to hold its api_key, is not set{kept}")
    return SecretStr(os.environ[variable])


def _written(name: str, node: WorkmeshNode) -> Iterator[tuple[str, Any]]:
    """What is not at its default, in the order of the form."""
    for field, about in WorkmeshNode.model_fields.items():
        value = getattr(node, field)
        if field == KEY:
            yield field, f"${{{key_variable(name)}}}"
        elif about.is_required() or value != about.get_default(call_default_factory=True):
            yield field, _plain(value)


def _plain(value: object) -> object:
    """A value as YAML has it."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.model_dump(exclude_none=True) if isinstance(value, BaseModel) else value
