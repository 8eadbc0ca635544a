"""Commands about the inventory: the nodes as a table, from and to a file, and brought to the newest form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workmesh_flows.cli.app import app
from workmesh_flows.cli.options import AllOption, MeshOption
from workmesh_flows.cli.run_flow import mesh_of, require_server, show
from workmesh_flows.errors import ConfigurationError, RunFailed

if TYPE_CHECKING:
    from workmesh_flows.blocks import WorkmeshNode

nodes_app = typer.Typer(invoke_without_command=True, help="Show the nodes; keep them in a file.")
app.add_typer(nodes_app, name="nodes")


@nodes_app.callback()
def nodes(context: typer.Context, mesh: MeshOption = None, every: AllOption = False) -> None:
    """Show the nodes: state, what they hold, what waits, what failed, what is done."""
    if context.invoked_subcommand:
        return
    from workmesh_flows.reporting.status_tables import NODE_COLUMNS
    from workmesh_flows.status import node_status

    require_server()
    table = node_status(mesh_of(mesh))
    show("Nodes", table, None if every else NODE_COLUMNS)
    for node, problem in table.loc[table["problem"].notna(), ["node", "problem"]].itertuples(index=False):
        typer.echo(f"{node}: {problem}")


@nodes_app.command(name="import")
def import_nodes(
    file: Annotated[Path, typer.Argument(help="A YAML file: each node under its name.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")] = False,
    prune: Annotated[
        bool,
        typer.Option(
            "--prune", help="Delete the mesh's nodes that the file does not name; none may hold entities."
        ),
    ] = False,
    mesh: MeshOption = None,
) -> None:
    """Make the nodes' blocks as a file says. An api key is written there as ${VARIABLE}; what it stands for stays out."""
    from workmesh_flows.blocks import WorkmeshNode
    from workmesh_flows.inventory.bulk_write import writing_nodes
    from workmesh_flows.inventory.documents import load_blocks
    from workmesh_flows.inventory.yaml_file import changes, read_file

    require_server()
    stored, problems = load_blocks()
    wanted = read_file(file, stored)
    doubts = _misspelt({name: node.services for name, node in wanted.items()}, mesh)
    gone = sorted({*stored, *problems} - set(wanted)) if prune else []
    foreign = _of_other_meshes(gone, stored, mesh) if gone else {}
    gone = [name for name in gone if name not in foreign]
    if gone:
        _require_empty(gone, mesh)
    changed = {name: changes(stored[name], node) for name, node in wanted.items() if name in stored}
    due = {name: node for name, node in wanted.items() if changed.get(name) != []}
    with writing_nodes() if due and not dry_run else nullcontext() as write:
        for name, node in due.items():
            if write is not None:
                write(name, node)
            known = "mended" if name in problems else "added"
            done = f"changed: {', '.join(changed[name])}" if name in changed else known
            typer.echo(f"{name}: {'to be ' if dry_run else ''}{done}")
    for name in gone:
        if not dry_run:
            WorkmeshNode.delete(name)
        typer.echo(f"{name}: {'to be ' if dry_run else ''}deleted")
    for name, services in foreign.items():
        typer.echo(f"{name}: left, since it runs {', '.join(services)}, which this mesh does not declare")
    others = f"; nothing was written: {file} was only compared" if dry_run else ""
    typer.echo(f"{len(wanted) - len(due)} unchanged{others}")
    for line in doubts:
        typer.echo(line, err=True)


def _misspelt(services: Mapping[str, Sequence[str]], reference: str | None) -> list[str]:
    """Lines about services of nodes that look like one that the mesh has, where it is known which mesh."""
    from workmesh_flows.domain.node import likely_misspelling
    from workmesh_flows.settings import read_settings

    if not (reference or read_settings().mesh):
        return []
    known = [service.name for service in mesh_of(reference).services]
    found = {name: likely_misspelling(said, known) for name, said in services.items()}
    return [f"{name}: {doubt}" for name, doubt in found.items() if doubt]


def _of_other_meshes(
    names: Sequence[str], stored: Mapping[str, WorkmeshNode], reference: str | None
) -> dict[str, list[str]]:
    """Of these nodes those with services of another mesh on this server, which knows nothing of what they hold."""
    known = {service.name for service in mesh_of(reference).services}
    found = {name: sorted(set(stored[name].services) - known) for name in names if name in stored}
    return {name: services for name, services in found.items() if services}


def _require_empty(names: list[str], reference: str | None) -> None:
    """Raises ConfigurationError where entities of the mesh are at one of these nodes: deleted, it would leave them behind."""
    from workmesh_flows.mesh_database import mesh_engine
    from workmesh_flows.operations.status import assigned_nodes

    mesh = mesh_of(reference)
    with mesh_engine(mesh) as engine:
        held = {service.name: set(assigned_nodes(engine, service)) for service in mesh.services}
    found = {name: [service for service, nodes in held.items() if name in nodes] for name in names}
    lines = [
        f"  {name} holds entities of {', '.join(services)}: workmesh drain {name} --apply"
        for name, services in found.items()
        if services
    ]
    if lines:
        raise ConfigurationError(
            "nothing was changed: nodes to be deleted hold entities; drain them first\n" + "\n".join(lines)
        )


@nodes_app.command(name="export")
def export_nodes(
    file: Annotated[
        Path | None, typer.Argument(help="Where to write. Default: the standard output.", show_default=False)
    ] = None,
) -> None:
    """Write the nodes' blocks as a file for git, their api keys as names of environment variables."""
    from workmesh_flows.inventory.documents import load_blocks
    from workmesh_flows.inventory.yaml_file import write_file

    require_server()
    stored, problems = load_blocks()
    text = write_file(stored)
    if file is None:
        typer.echo(text, nl=False)
    else:
        try:
            file.write_text(text, encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(f"{file} cannot be written: {error.strerror}") from error
        typer.echo(f"{len(stored)} nodes in {file}", err=True)
    if problems:
        lines = "\n".join(f"  {name}: {why}" for name, why in problems.items())
        raise RunFailed(f"left out, since their blocks do not validate:\n{lines}")


@nodes_app.command(name="upgrade")
def upgrade_nodes() -> None:
    """Bring the blocks of an earlier version to this one's form: until then their edit forms lack its new fields."""
    from workmesh_flows.inventory.bulk_write import writing_nodes
    from workmesh_flows.inventory.documents import load_blocks, outdated_nodes

    require_server()
    stored, problems = load_blocks()
    old = [name for name in outdated_nodes() if name in stored]
    with writing_nodes() if old else nullcontext() as write:
        for name in old:
            if write is not None:
                write(name, stored[name])
            typer.echo(f"{name}: upgraded")
    typer.echo(f"{len(stored) - len(old)} were up to date")
    if problems:
        lines = "\n".join(f"  {name}: {why}" for name, why in problems.items())
        raise RunFailed(f"these blocks do not validate; mend them in the UI:\n{lines}")
