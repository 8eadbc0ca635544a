"""``python -m workmesh_flows.microservice module:attribute``: serve a micro-service."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading

from workmesh_flows.errors import WorkmeshError
from workmesh_flows.microservice.declaration import MicroService
from workmesh_flows.microservice.serving import serve
from workmesh_flows.microservice.settings import API_KEY, BODY_LIMIT, DATABASE
from workmesh_flows.references import load_reference


def main() -> None:
    """Serve until SIGTERM or SIGINT; exit code 1 and one line if it cannot start."""
    arguments = _parser().parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    if arguments.until_stdin_closes:
        threading.Thread(target=_stop_with_parent, daemon=True).start()
    try:
        serve(
            load_reference(arguments.microservice, MicroService),
            arguments.host,
            arguments.port,
            database=arguments.database,
            body_limit=arguments.body_limit,
        )
    except WorkmeshError as error:
        sys.exit(f"error: {error}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m workmesh_flows.microservice",
        description=f"Serve a micro-service. The API key comes from {API_KEY} in the environment.",
    )
    parser.add_argument("microservice", help="module:attribute")
    parser.add_argument("--host", default="127.0.0.1", help="default: %(default)s")
    parser.add_argument("--port", type=int, default=8000, help="0 chooses a free one; default: %(default)s")
    parser.add_argument("--database", help=f"path of the SQLite file; default: {DATABASE}, then <name>.db")
    parser.add_argument("--body-limit", type=int, help=f"bytes; default: {BODY_LIMIT}, then 32 MiB")
    parser.add_argument("--until-stdin-closes", action="store_true", help="stop when the parent process ends")
    return parser


def _stop_with_parent() -> None:
    # A parent that dies closes the pipe in any case, on every platform.
    # Read the descriptor, not sys.stdin: a thread must not hold the lock of sys.stdin when Python exits.
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
