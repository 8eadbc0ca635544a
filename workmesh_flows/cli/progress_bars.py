"""Progress bars of a run in the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from workmesh_flows.observability.progress_listeners import listening


@contextmanager
def progress_shown(console: Console, title: str) -> Iterator[None]:
    """Show a bar for the run during the block, and one for each lane, assignment and hand-over that takes longer.

    Show nothing if the output is not a terminal.
    """
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    bars: dict[str, TaskID] = {}
    lock = Lock()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        progress.add_task(title, total=None)

        def show(what: str, done: int, total: int) -> None:
            with lock:
                if done >= total:
                    if what in bars:
                        progress.remove_task(bars.pop(what))
                    return
                if what not in bars:
                    bars[what] = progress.add_task(what, total=total)
                progress.update(bars[what], completed=done, total=total)

        with listening(show):
            yield
