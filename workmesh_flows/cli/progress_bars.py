"""Progress bars of lanes in the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from workmesh_flows.domain.lane import Lane
from workmesh_flows.observability.progress_listeners import listening


@contextmanager
def progress_shown(console: Console) -> Iterator[None]:
    """Show a bar for each lane that runs during the block; show nothing if the output is not a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    bars: dict[Lane, TaskID] = {}
    lock = Lock()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:

        def show(lane: Lane, done: int, total: int) -> None:
            with lock:
                if lane not in bars:
                    bars[lane] = progress.add_task(str(lane))
                progress.update(bars[lane], completed=done, total=total, visible=done < total)

        with listening(show):
            yield
