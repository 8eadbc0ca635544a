"""Commands about the inventory: show the nodes, import and export them as a file, upgrade their blocks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from workmesh_flows.cli.options import AllOption, MeshOption
from workmesh_flows.cli.run_flow import mesh_if_named, mesh_of, require_server, show
from workmesh_flows.cli.typer_app import app
from workmesh_flows.cli.written_file import write_text
from workmesh_flows.domain.reports import counted
from workmesh_flows.errors import RunFailed

nodes_app = typer.Typer(
    invoke_without_command=True, help="Show the nodes; import them from a file, export them to one."
)
app.add_typer(nodes_app, name="nodes")

FileArgument = Annotated[Path, typer.Argument(help="A YAML file: each node under its name.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")]
PruneOption = Annotated[
    bool,
    typer.Option(
        "--prune",
        help="Also delete the mesh's nodes that the file does not name; none of them may hold entities.",
    ),
]
AllMeshesOption = Annotated[
    bool,
    typer.Option(
        "--all-meshes", help="Also show nodes of other meshes, which name none of this mesh's services."
    ),
]
TargetArgument = Annotated[
    Path | None, typer.Argument(help="File to write. Default: standard output.", show_default=False)
]


@nodes_app.callback()
def nodes(
    context: typer.Context,
    mesh: MeshOption = None,
    every: AllOption = False,
    all_meshes: AllMeshesOption = False,
) -> None:
    """Show the nodes of the mesh: state, entities, pending, failed and processed records, services."""
    if context.invoked_subcommand:
        return
    from workmesh_flows.reporting.status_tables import NODE_COLUMNS
    from workmesh_flows.status import node_status

    require_server()
    table = node_status(mesh_of(mesh), all_meshes=all_meshes)
    shown = table if every else table[[*NODE_COLUMNS, "services"]]
    show("Nodes", shown.drop(columns="problem", errors="ignore"))
    for node, problem in table.loc[table["problem"].notna(), ["node", "problem"]].itertuples(index=False):
        typer.echo(f"{node}: {problem}")


@nodes_app.command(name="import")
def import_nodes(
    file: FileArgument, dry_run: DryRunOption = False, prune: PruneOption = False, mesh: MeshOption = None
) -> None:
    """Create and update the nodes' blocks from a file; --prune also deletes blocks that the file does not name.

    The file names each API key as ${VARIABLE} and never contains the key.
    """
    from workmesh_flows.inventory.documents import load_blocks
    from workmesh_flows.inventory.sync import apply_sync, nodes_with_entities, plan_sync
    from workmesh_flows.inventory.yaml_file import read_file

    require_server()
    stored, problems = load_blocks()
    named = mesh_if_named(mesh)
    services = None if named is None else [service.name for service in named.services]
    plan = plan_sync(read_file(file, stored), stored, problems, prune=prune, services=services)
    if plan.deleted:
        plan = plan.refusing(nodes_with_entities(mesh_of(mesh)))
    plan.require_allowed()
    if dry_run:
        typer.echo(f"{plan}\ndry run, nothing was written")
    else:
        for change in apply_sync(plan):
            typer.echo(str(change))
        typer.echo("\n".join(plan.summary()))
    for doubt in plan.doubts:
        typer.echo(doubt, err=True)


@nodes_app.command(name="export")
def export_nodes(file: TargetArgument = None) -> None:
    """Write the nodes' blocks to a file for git, with names of environment variables in place of API keys.

    An existing file is overwritten; the variables that it names for its nodes stay.
    """
    from workmesh_flows.inventory.documents import load_blocks
    from workmesh_flows.inventory.yaml_file import former_content, write_file

    require_server()
    stored, problems = load_blocks()
    text = write_file(stored, former_content(file) if file is not None else None)
    if file is None:
        typer.echo(text, nl=False)
    else:
        write_text(file, text)
        typer.echo(f"wrote {counted(len(stored), 'node')} to {file}", err=True)
    _require_valid(problems, "left out, since their blocks do not validate")


@nodes_app.command(name="upgrade")
def upgrade_nodes() -> None:
    """Rewrite the blocks of an earlier version in this version's form, so that their edit forms show its new fields."""
    from workmesh_flows.inventory import sync
    from workmesh_flows.inventory.documents import load_blocks

    require_server()
    stored, problems = load_blocks()
    upgraded = []
    for name in sync.upgrade_nodes():
        typer.echo(f"{name}: upgraded")
        upgraded.append(name)
    current = len(stored) - len(upgraded)
    typer.echo(f"{counted(current, 'node')} {'was' if current == 1 else 'were'} up to date")
    _require_valid(problems, "these blocks do not validate; fix them in the UI")


def _require_valid(problems: Mapping[str, str], message: str) -> None:
    if problems:
        lines = "\n".join(f"  {name}: {why}" for name, why in problems.items())
        raise RunFailed(f"{message}:\n{lines}")
