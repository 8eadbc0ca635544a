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
    """0 where every promise was kept."""
    given = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as Ctrl-C: what was started is ended
    settings = Settings(given.seconds, given.nodes, given.entities, given.seed)
    folder, keep = Path(tempfile.mkdtemp(prefix="workmesh-soak-")), False
    try:
        with _database(given.database, folder) as database:
            outcome = soak(settings, database, folder, _say)
        keep = not outcome.clean
        _say(str(outcome))
    except KeyboardInterrupt:
        _say("interrupted: all that was started is ended")
        return 130
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
    return int(keep)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make soak", formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    usual = Settings()
    parser.add_argument("--seconds", type=float, default=usual.seconds, help="how long faults go on")
    parser.add_argument("--nodes", type=int, default=usual.nodes, help="processes")
    parser.add_argument("--entities", type=int, default=usual.entities, help="accounts")
    parser.add_argument(
        "--seed", type=int, default=int(time.time()), help="the same decisions for the same seed"
    )
    parser.add_argument("--database", choices=KINDS, default="postgresql", help="the masters'")
    return parser


@contextmanager
def _database(kind: str, folder: Path) -> Iterator[str]:
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'master.db'}"
        return
    with running_postgresql() as server, empty_postgresql(server) as url:
        yield url


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
