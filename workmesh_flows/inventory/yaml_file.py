"""The inventory as a YAML file for git: read and written, with secrets as references to environment variables.

n1:
  host: 10.0.0.7
  port: 8080
  api_key: ${N1_API_KEY}
  services: [micro.emails.timeline]
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from io import StringIO
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from workmesh_flows.blocks import WorkmeshNode
from workmesh_flows.errors import ConfigurationError
from workmesh_flows.inventory.field_problems import describe_errors
from workmesh_flows.inventory.secrets_in_file import KEY, SECRETS, read_secrets, written_secret

NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
STATE = "state"


def read_file(path: Path, stored: Mapping[str, WorkmeshNode]) -> dict[str, WorkmeshNode]:
    """The nodes of a file, all valid; a node that is already stored keeps its API key and state if the file has none.

    Raises ConfigurationError that lists every problem of the file.
    """
    nodes: dict[str, WorkmeshNode] = {}
    documents, problems = _documents(path)
    for name, fields in documents.items():
        found, wrong = _node(name, fields, stored.get(name))
        problems += [f"{name}: {problem}" for problem in wrong]
        if found is not None:
            nodes[name] = found
    if problems:
        lines = "\n".join(f"  {line}" for line in problems)
        raise ConfigurationError(f"{path}: nothing was changed\n{lines}")
    return nodes


def write_file(nodes: Mapping[str, WorkmeshNode], former: Mapping[str, Any] | None = None) -> str:
    """The text of a file with these nodes; in place of each secret it names the variable that `read_file` reads.

    ``former`` is what the file contained before: names of variables that it has stay.
    """
    text = StringIO()
    yaml = YAML()
    yaml.indent(mapping=2, sequence=4, offset=2)
    before = former or {}
    yaml.dump(
        {name: dict(_written(name, node, before.get(name))) for name, node in sorted(nodes.items())}, text
    )
    return text.getvalue() if nodes else ""


def former_content(path: Path) -> dict[str, Any]:
    """What a file that is to be overwritten contains; nothing if it does not exist or is no such file."""
    try:
        return _documents(path)[0]
    except ConfigurationError:
        return {}


def _documents(path: Path) -> tuple[dict[str, Any], list[str]]:
    """The nodes of a file by name, and the names and fields that it has twice."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        yaml = YAML(typ="safe", pure=True)
        yaml.allow_duplicate_keys = True
        found, root = yaml.load(text), yaml.compose(text)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    except (MarkedYAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not YAML: {_place(error)}") from None
    if found is None:
        return {}, []
    if not isinstance(found, dict):
        raise ConfigurationError(
            f"{path}: write each node under its name, as in 'n1: {{host: 10.0.0.7, ...}}'"
        )
    return {str(name): fields for name, fields in found.items()}, list(_duplicates(root))


def _duplicates(node: Node | None, within: str = "") -> Iterator[str]:
    """A sentence for each name that occurs twice in the same place."""
    if isinstance(node, SequenceNode):
        for item in node.value:
            yield from _duplicates(item, within)
    if not isinstance(node, MappingNode):
        return
    lines: dict[str, int] = {}
    for key, value in node.value:
        name = str(key.value) if isinstance(key, ScalarNode) else ""
        line = key.start_mark.line + 1
        if name in lines:
            what = f"{within}: the field {name}" if within else f"the node {name}"
            yield f"{what} is written twice, in line {lines[name]} and in line {line}"
        lines.setdefault(name, line)
        yield from _duplicates(value, within or name)


def _place(error: Exception) -> str:
    """The problem and its line number, without the line itself: it may hold an API key."""
    if not isinstance(error, MarkedYAMLError):
        return "it is not encoded in UTF-8"
    mark = error.problem_mark
    return f"{error.problem or error.context}" + (f", line {mark.line + 1}" if mark else "")


def _node(name: str, found: object, stored: WorkmeshNode | None) -> tuple[WorkmeshNode | None, list[str]]:
    """The node, None if it is not valid, and all its problems."""
    problems = []
    if not NAME.fullmatch(name):
        problems.append("a node's name consists of lower-case letters, digits and dashes")
    if not isinstance(found, dict):
        return None, [*problems, "write its fields below its name: host, services, api_key, ..."]
    fields = {str(field): value for field, value in found.items()}
    if unknown := sorted(set(fields) - set(WorkmeshNode.model_fields)):
        known = ", ".join(WorkmeshNode.model_fields)
        problems.append(f"unknown fields: {', '.join(unknown)}; the fields of a node are {known}")
    if fields.get(STATE) is None and stored is not None:
        fields[STATE] = stored.state  # a command may have changed it: workmesh drain
    values, missing = read_secrets(name, fields, stored)
    problems += missing
    plain = {
        field: value
        for field, value in fields.items()
        if field in WorkmeshNode.model_fields and field not in SECRETS and value is not None
    }
    secrets = {field: value for field, value in values.items() if value is not None}
    try:
        node = WorkmeshNode(**{KEY: SecretStr("missing"), **plain, **secrets})
    except ValidationError as error:
        return None, [*problems, describe_errors(error)]
    return (None if problems else node), problems


def _written(name: str, node: WorkmeshNode, former: object) -> Iterator[tuple[str, Any]]:
    """The fields that are not at their defaults, in the order of the form, with variables in place of secrets."""
    before = former if isinstance(former, Mapping) else {}
    for field, about in WorkmeshNode.model_fields.items():
        value = getattr(node, field)
        if about.is_required() or value != about.get_default(call_default_factory=True):
            in_file = written_secret(name, field, node, before) if field in SECRETS else _plain(value)
            yield field, in_file


def _plain(value: object) -> object:
    """A value of types that YAML can hold."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.model_dump(exclude_none=True) if isinstance(value, BaseModel) else value
