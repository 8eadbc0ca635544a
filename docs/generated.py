"""Parts of pages that are generated from the code when the site is built: settings, commands, forms, errors.

A page marks the place of a part with the comment `<!-- generated: NAME -->` on a separate line; NAME is a key of `PARTS`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

MARK = re.compile(r"^<!-- generated: (?P<name>[a-z ]+) -->$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: object) -> str:
    """Replace the marks of a page; MkDocs calls this for each page."""
    return MARK.sub(lambda found: PARTS[found["name"]](), markdown)


def settings() -> str:
    """A table of all settings: name, default, description."""
    from workmesh_flows.settings import PREFIX, WorkmeshSettings

    rows = [
        (f"`{name.upper()}`", _shown(about.default), about.description or "")
        for name, about in WorkmeshSettings.model_fields.items()
    ]
    return (
        f"In the environment, each name starts with `{PREFIX}`.\n\n{_table(('setting', 'default', ''), rows)}"
    )


def node_fields() -> str:
    """A table of the fields of a node's form, in the order of the form."""
    from workmesh_flows.blocks import WorkmeshNode

    return _form(WorkmeshNode)


def limit_fields() -> str:
    """A table of a node's limits for one service."""
    from workmesh_flows.blocks import ServiceLimits

    return _form(ServiceLimits)


def service_forms() -> str:
    """A table of parameters for each flow of a service."""
    from workmesh_flows.demo.mesh import mesh
    from workmesh_flows.flows import service_flows

    with _quiet():
        flows = service_flows(mesh, mesh.services[0].name, module=__name__)
    return _forms(flows, "<service>")


def mesh_forms() -> str:
    """A table of parameters for each flow of the mesh."""
    from workmesh_flows.demo.mesh import mesh
    from workmesh_flows.flows import mesh_flows

    with _quiet():
        flows = mesh_flows(mesh, module=__name__)
    return _forms(flows, "mesh")


def commands() -> str:
    """All commands with their arguments and options."""
    from typer.main import get_command

    from workmesh_flows.cli import app

    return "\n\n".join(_commands("workmesh", get_command(app)))


def errors() -> str:
    """The error tree from the docstring of `errors`, and the description of each error."""
    import workmesh_flows.errors as module

    tree = [line for line in (module.__doc__ or "").splitlines() if line.lstrip().startswith(("*", "x", "+"))]
    each = [f"::: {module.__name__}.{line.split()[1]}" for line in tree]
    return "\n".join(("```text", *tree, "```", "", *each))


PARTS: dict[str, Callable[[], str]] = {
    "settings": settings,
    "node fields": node_fields,
    "limit fields": limit_fields,
    "service forms": service_forms,
    "mesh forms": mesh_forms,
    "commands": commands,
    "errors": errors,
}


@contextmanager
def _quiet() -> Iterator[None]:
    """Mute a warning: Prefect parses docstrings without signatures, and strict MkDocs fails on each logged warning."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


def _form(block: Any) -> str:  # noqa: ANN401 - a model of pydantic
    rows = []
    for name, about in block.model_fields.items():
        default = (
            "**required**" if about.is_required() else _shown(about.get_default(call_default_factory=True))
        )
        rows.append((f"`{name}`", default, about.description or ""))
    return _table(("field", "default", ""), rows)


def _forms(flows: Any, subject: str) -> str:  # noqa: ANN401 - ServiceFlows or MeshFlows
    parts = []
    for field in fields(flows):
        flow = getattr(flows, field.name)
        shown = flow.parameters.properties
        rows = [
            (
                f"`{name}`",
                "**required**" if name in flow.parameters.required else _shown(about.get("default")),
                about.get("description", ""),
            )
            for name, about in shown.items()
        ]
        table = _table(("parameter", "default", ""), rows) if rows else "No parameters."
        parts.append(f"### `{subject}.{field.name}`\n\n{flow.description}\n\n{table}")
    return "\n\n".join(parts)


def _commands(name: str, command: Any) -> Iterator[str]:  # noqa: ANN401 - typer's own class
    """The sections of a command and its subcommands."""
    below = getattr(command, "commands", {})
    if not below or getattr(command, "invoke_without_command", False):
        yield f"## {name}\n\n{command.help}\n\n```text\n{_usage(name, command)}\n```"
        if rows := [_option(parameter) for parameter in command.params]:
            yield _table(("", "default", ""), rows)
    for word, further in sorted(below.items()):
        yield from _commands(f"{name} {word}", further)


def _usage(name: str, command: Any) -> str:  # noqa: ANN401 - typer's own class
    words = []
    for parameter in command.params:
        if not _is_option(parameter):
            word = parameter.name.upper() + ("..." if parameter.nargs == -1 else "")
            words.append(word if parameter.required else f"[{word}]")
    options = ["[OPTIONS]"] if any(map(_is_option, command.params)) else []
    return " ".join((name, *options, *words))


def _option(parameter: Any) -> tuple[str, str, str]:  # noqa: ANN401 - typer's own class
    spelled = parameter.opts + parameter.secondary_opts if _is_option(parameter) else [parameter.name.upper()]
    default = "" if parameter.default is False else _shown(parameter.default)
    if parameter.required:
        default = "**required**"
    return ", ".join(f"`{word}`" for word in spelled), default, parameter.help or ""


def _is_option(parameter: Any) -> bool:  # noqa: ANN401 - typer's own class
    return bool(parameter.opts[0].startswith("-"))


def _shown(default: object) -> str:
    match default:
        case None | [] | "":
            return ""
        case bool():
            return "on" if default else "off"
        case int() | float():
            return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"
        case _:
            return f"`{default}`"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
