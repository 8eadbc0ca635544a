"""``make soak``, or ``python -m tests.reliability.soak --seconds 600 --nodes 20 --entities 500 --seed 7``."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.reliability.soak.run import soak
from tests.reliability.soak.settings import Settings
from tests.support.databases import KINDS, empty_postgresql, running_postgresql


def main() -> int:
    """Run a soak; returns 0 if no guarantee was broken."""
    arguments = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as Ctrl-C: stop all processes
    settings = Settings(arguments.seconds, arguments.nodes, arguments.entities, arguments.seed)
    folder, keep = Path(tempfile.mkdtemp(prefix="workmesh-soak-")), False
    try:
        with _database(arguments.database, folder) as database:
            result = soak(settings, database, folder, _print_line)
        keep = not result.clean
        _print_line(str(result))
    except KeyboardInterrupt:
        _print_line("interrupted: all processes are stopped")
        return 130
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
    return int(keep)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make soak", formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    defaults = Settings()
    parser.add_argument("--seconds", type=float, default=defaults.seconds, help="duration of the faults")
    parser.add_argument("--nodes", type=int, default=defaults.nodes, help="processes")
    parser.add_argument("--entities", type=int, default=defaults.entities, help="accounts")
    parser.add_argument(
        "--seed", type=int, default=int(time.time()), help="the same decisions for the same seed"
    )
    parser.add_argument("--database", choices=KINDS, default="postgresql", help="of the masters")
    return parser


@contextmanager
def _database(kind: str, folder: Path) -> Iterator[str]:
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'master.db'}"
        return
    with running_postgresql() as server, empty_postgresql(server) as url:
        yield url


def _print_line(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
