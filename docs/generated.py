"""What pages say of settings, commands, forms and errors, read from the code when the site is built.

A page has the comment `<!-- generated: NAME -->` on a line of its own where the part is to stand; NAME is a key of `PARTS`.
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
    """What MkDocs calls for each page."""
    return MARK.sub(lambda found: PARTS[found["name"]](), markdown)


def settings() -> str:
    """Each setting: its name in the environment, default, meaning."""
    from workmesh_flows.settings import PREFIX, WorkmeshSettings

    rows = [
        (f"`{name.upper()}`", _shown(about.default), about.description or "")
        for name, about in WorkmeshSettings.model_fields.items()
    ]
    return (
        f"In the environment, each name begins with `{PREFIX}`.\n\n{_table(('setting', 'default', ''), rows)}"
    )


def node_fields() -> str:
    """The form of a node's block, in its order."""
    from workmesh_flows.blocks import WorkmeshNode

    return _form(WorkmeshNode)


def limit_fields() -> str:
    """What a node's block says of one service."""
    from workmesh_flows.blocks import ServiceLimits

    return _form(ServiceLimits)


def service_forms() -> str:
    """The parameters of each flow of a service."""
    from workmesh_flows.demo.mesh import mesh
    from workmesh_flows.flows import service_flows

    with _quiet():
        flows = service_flows(mesh, mesh.services[0].name, module=__name__)
    return _forms(flows, "<service>")


def mesh_forms() -> str:
    """The parameters of each flow of the mesh."""
    from workmesh_flows.demo.mesh import mesh
    from workmesh_flows.flows import mesh_flows

    with _quiet():
        flows = mesh_flows(mesh, module=__name__)
    return _forms(flows, "mesh")


def commands() -> str:
    """Every command, its arguments and options."""
    from typer.main import get_command

    from workmesh_flows.cli import app

    return "\n\n".join(_commands("workmesh", get_command(app)))


def errors() -> str:
    """The tree of errors, as it is drawn where they live, and each of them."""
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
    """Prefect reads docstrings without their signatures, which is warned of, and strict MkDocs counts each warning."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


def _form(block: Any) -> str:  # noqa: ANN401 - a model of pydantic
    rows = []
    for name, about in block.model_fields.items():
        default = (
            "**needed**" if about.is_required() else _shown(about.get_default(call_default_factory=True))
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
                "**needed**" if name in flow.parameters.required else _shown(about.get("default")),
                about.get("description", ""),
            )
            for name, about in shown.items()
        ]
        table = _table(("parameter", "default", ""), rows) if rows else "It takes no parameters."
        parts.append(f"### `{subject}.{field.name}`\n\n{flow.description}\n\n{table}")
    return "\n\n".join(parts)


def _commands(name: str, command: Any) -> Iterator[str]:  # noqa: ANN401 - typer's own class
    """A command with those below it."""
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
        default = "**needed**"
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
