"""Commands about the inventory: show the nodes, import and export them as a file, upgrade their blocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workmesh_flows.cli.exit_status import ExitStatus
from workmesh_flows.cli.options import AllOption, MeshOption
from workmesh_flows.cli.output import JsonOption, Output, UsageError, emit, json_request, titled
from workmesh_flows.cli.run_flow import mesh_if_named, mesh_of, require_server
from workmesh_flows.cli.typer_app import app
from workmesh_flows.cli.watching import WatchOption, emit_again
from workmesh_flows.cli.written_file import write_text
from workmesh_flows.domain.reports import counted

if TYPE_CHECKING:
    import pandas as pd

    from workmesh_flows.reporting.json_document import Row

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
def nodes(  # noqa: PLR0913, PLR0917 - each is an option
    context: typer.Context,
    mesh: MeshOption = None,
    every: AllOption = False,
    all_meshes: AllMeshesOption = False,
    watch: WatchOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the nodes of the mesh: state, entities, pending, failed and processed records, services.

    Exits with 3 if a node is unreachable, rejects its API key, is invalid, or is not in the inventory.
    """
    if context.invoked_subcommand:
        if as_json or watch is not None:
            raise UsageError(
                "options of workmesh nodes do not apply to its subcommands: write them at the end"
            )
        return
    from workmesh_flows.reporting.status_tables import NODE_COLUMNS
    from workmesh_flows.status import node_status

    loaded = mesh_of(mesh)

    def read() -> Output:
        require_server()
        table = node_status(loaded, all_meshes=all_meshes)
        columns = [*NODE_COLUMNS, "services"]
        shown = titled("Nodes", table.drop(columns="problem"), None if every else columns)
        named = table.loc[table["problem"].notna(), ["node", "problem"]].itertuples(index=False)
        problems = [f"{node}: {problem}" for node, problem in named]
        broken = table["state"].isin(("invalid", "unknown")) | (table["works"] == False)  # noqa: E712
        status = ExitStatus.LEFT if broken.any() else ExitStatus.DONE
        return Output([shown, *problems], {"nodes": _rows(table)}, problems=problems, status=status)

    emit_again(read, watch)


def _rows(table: pd.DataFrame) -> list[Row]:
    """The rows for programs: the port as a number, the services as a list."""
    from workmesh_flows.reporting.json_document import plain, rows_of

    rows = rows_of(table)
    for row in rows:
        port, services = plain(row["port"]), plain(row["services"])
        row["port"] = None if port is None else int(port)
        row["services"] = [] if services is None else services.split(", ")
    return rows


@nodes_app.command(name="import")
def import_nodes(
    file: FileArgument,
    dry_run: DryRunOption = False,
    prune: PruneOption = False,
    mesh: MeshOption = None,
    as_json: JsonOption = False,
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
        lines = [str(plan), "dry run, nothing was written"]
    else:
        for change in apply_sync(plan):
            if not as_json:
                typer.echo(str(change))
        lines = plan.summary()
    changes = [{"node": change.name, "change": change.action, "done": not dry_run} for change in plan.changes]
    emit(Output(lines, {"changes": changes}, "; ".join(plan.summary()), problems=plan.doubts))
    if not as_json:
        for doubt in plan.doubts:
            typer.echo(doubt, err=True)


@nodes_app.command(name="export")
def export_nodes(file: TargetArgument = None) -> None:
    """Write the nodes' blocks to a file for git, with names of environment variables in place of API keys.

    An existing file is overwritten; the variables that it names for its nodes stay. Exits with 3 if it leaves out
    invalid blocks.
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
    emit(_report_invalid(problems, "left out, since their blocks do not validate"))


@nodes_app.command(name="upgrade")
def upgrade_nodes(as_json: JsonOption = False) -> None:
    """Rewrite the blocks of an earlier version in this version's form, so that their edit forms show its new fields.

    Exits with 3 if it leaves out invalid blocks.
    """
    from workmesh_flows.inventory import sync
    from workmesh_flows.inventory.documents import load_blocks

    require_server()
    stored, problems = load_blocks()
    changes = []
    for name in sync.upgrade_nodes():
        if not as_json:
            typer.echo(f"{name}: upgraded")
        changes.append({"node": name, "change": "upgraded", "done": True})
    current = len(stored) - len(changes)
    summary = f"{counted(current, 'node')} {'was' if current == 1 else 'were'} up to date"
    invalid = _report_invalid(problems, "these blocks do not validate; fix them in the UI")
    emit(replace(invalid, shown=[summary], tables={"changes": changes}, message=summary))


def _report_invalid(problems: Mapping[str, str], message: str) -> Output:
    """The output of a command that left out invalid blocks, which are listed on standard error."""
    lines = [f"{name}: {why}" for name, why in problems.items()]
    if lines and json_request() is None:
        listed = "\n".join(f"  {line}" for line in lines)
        typer.echo(f"workmesh: {message}:\n{listed}", err=True)
    return Output(problems=lines, status=ExitStatus.LEFT if lines else ExitStatus.DONE)
