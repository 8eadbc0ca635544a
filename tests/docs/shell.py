"""The terminal of a page: real bash, with a `workmesh` that runs in the process of the tests.

This saves seconds per command (Python starts, Prefect is imported) and runs the same code. Commands that serve until
they are stopped run as separate processes.
"""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

CALLER = """\
#!{python} -IS
import json, os, socket, sys
if sys.argv[1:2] in (["microservice"], ["serve"]) or "--port" in sys.argv:
    os.execv({python!r}, [{python!r}, "-m", "workmesh_flows.cli", *sys.argv[1:]])
request = [sys.argv[1:], os.getcwd(), dict(os.environ)]
os.chdir({own!r})
with socket.socket(socket.AF_UNIX) as caller:
    caller.connect("calls")
    caller.sendall(json.dumps(request).encode())
    caller.shutdown(socket.SHUT_WR)
    answer = json.loads(b"".join(iter(lambda: caller.recv(65536), b"")))
sys.stdout.write(answer[0])
sys.stderr.write(answer[1])
sys.exit(answer[2])
"""
SECONDS = 100


@dataclass(slots=True)
class Shell:
    """One terminal: the exported variables and the working directory of a block apply to the next block."""

    folder: Path
    environment: dict[str, str]
    groups: list[int] = field(default_factory=list)

    def run(self, text: str) -> tuple[int, str, str]:
        """Run a script; return its exit status, standard output and standard error.

        The status is not 0 if any `workmesh` failed, also one to the left of `&&`, which bash ignores.
        """
        statuses = []
        own = self.folder / ".shell"
        before = f'. {own}/exported; cd "$(cat {own}/here)"' if (own / "here").exists() else ""
        script = f"set -euo pipefail\n{before}\n{text}\nexport -p > {own}/exported; pwd > {own}/here\n"
        with self._calls() as listener, (own / "out").open("w+") as out, (own / "err").open("w+") as err:
            bash = subprocess.Popen(
                ["/usr/bin/env", "bash", "-c", script],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
            self.groups.append(bash.pid)
            end = time.monotonic() + SECONDS
            while bash.poll() is None:
                assert time.monotonic() < end, f"still running after {SECONDS} s:\n{text}"
                statuses.append(_answer_one(listener))
            out.seek(0)
            err.seek(0)
            return bash.returncode or max(statuses, default=0), out.read(), err.read()

    def close(self) -> None:
        """Stop the background processes."""
        for group in self.groups:
            try:
                os.killpg(group, signal.SIGTERM)
            except ProcessLookupError:
                continue

    @contextmanager
    def _calls(self) -> Any:
        own = self.folder / ".shell"
        (own / "bin").mkdir(parents=True, exist_ok=True)
        address, caller = own / "calls", own / "bin" / "workmesh"
        address.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as listener, chdir(own):
            listener.bind("calls")  # a relative name: an absolute one may be too long for a socket
            listener.listen()
            listener.settimeout(0.05)
            caller.write_text(CALLER.format(python=sys.executable, own=str(own)))
            caller.chmod(0o755)
            self.environment["PATH"] = os.pathsep.join(
                (str(caller.parent), str(Path(sys.executable).parent), os.environ["PATH"])
            )
            yield listener


def _answer_one(listener: socket.socket) -> int:
    """Run one requested command, if there is one; return its exit status, or 0."""
    try:
        connection, _ = listener.accept()
    except TimeoutError:
        return 0
    with connection:
        connection.settimeout(SECONDS)
        request = b"".join(iter(lambda: connection.recv(65536), b""))
        answer = workmesh(*json.loads(request))
        connection.sendall(json.dumps(answer).encode())
    return answer[2]


def workmesh(arguments: list[str], folder: str, environment: dict[str, str]) -> tuple[str, str, int]:
    """Run `workmesh`; return its standard output, standard error and exit status."""
    from workmesh_flows.cli import main

    out, err, status = io.StringIO(), io.StringIO(), 0
    if arguments[:1] == ["pull"]:
        wait_for_nodes()
    known = set(sys.modules)
    with (
        chdir(folder),
        mock.patch.dict(os.environ, environment, clear=True),
        mock.patch.object(sys, "argv", ["workmesh", *arguments]),
        mock.patch.object(sys, "path", [folder, *sys.path]),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    forget_modules(known, Path(folder))
    return out.getvalue(), err.getvalue(), status


def wait_for_nodes() -> None:
    """Wait until no node has a task left, because a person types slower than the nodes process."""
    from workmesh_flows.adapters.node_http.client import node_client
    from workmesh_flows.domain.limits import Limits
    from workmesh_flows.inventory.documents import load_inventory

    for node in load_inventory().nodes.values():
        with node_client(node, Limits()) as client:
            end = time.monotonic() + SECONDS
            while client.workload():
                assert time.monotonic() < end, f"{node.name} does not become idle"
                time.sleep(0.05)


def forget_modules(known: set[str], folder: Path) -> None:
    """Unload modules of a page's files, so that the next command imports them again, as a new process would."""
    for name in set(sys.modules) - known:
        where = getattr(sys.modules[name], "__file__", None) or ""
        if Path(where).is_relative_to(folder):
            del sys.modules[name]
