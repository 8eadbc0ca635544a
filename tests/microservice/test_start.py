"""Start and stop of a node, with uvicorn, by the command and from code."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.microservice import small_service
from tests.microservice.caller import Caller, wait_for
from tests.microservice.conftest import Call, StartNode
from workmesh_flows.microservice import NodeProcess, StartError, serve
from workmesh_flows.microservice.__main__ import main
from workmesh_flows.microservice.settings import API_KEY, BODY_LIMIT, DATABASE

ROOT = Path(__file__).parents[2]
KEY = "{5D4A-KEY}"


class Started:
    """A running command, with its output in a file."""

    def __init__(self, *command: str, folder: Path, **environment: str) -> None:
        self._log = folder / "output"
        clean = {name: value for name, value in os.environ.items() if not name.startswith("WORKMESH_")}
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, *command],
                cwd=folder,
                env={**clean, "PYTHONPATH": str(ROOT), **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    @property
    def output(self) -> str:
        return self._log.read_text()

    def port(self) -> int:
        wait_for(lambda: re.search(r"http://127.0.0.1:\d+", self.output))
        return int(re.findall(r"http://127.0.0.1:(\d+)", self.output)[0])

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)


Run = Callable[..., Started]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    started: list[Started] = []

    def run(*command: str, **environment: str) -> Started:
        started.append(Started(*command, folder=tmp_path, **environment))
        return started[-1]

    yield run
    for command in started:
        command.process.kill()
        command.process.wait()


def test_a_small_micro_service_under_uvicorn_is_a_complete_node(run: Run, tmp_path: Path) -> None:
    uvicorn = ("-m", "uvicorn", "tests.microservice.small_service:timeline", "--port", "0")
    started = run(*uvicorn, WORKMESH_API_KEY=KEY)
    with closing(Caller(f"http://127.0.0.1:{started.port()}", KEY)) as caller:
        wait_for(lambda: caller.post("ping").status == "success")
        assert caller.push({"id": 1, "email": "x", "subject": ""}).status == "record 1: email has no @"
        assert caller.push({"id": 1, "email": "x@y", "subject": "hello"}).status == "success"
        caller.settle()
        assert caller.post("delivery/pull", ids=[1]).value == {"1": {"score": 5}}
    started.end(signal.SIGTERM)
    assert (tmp_path / "micro.emails.timeline.db").exists()
    assert "Application shutdown complete" in started.output


def test_without_a_key_uvicorn_exits_with_the_reason(run: Run) -> None:
    started = run("-m", "uvicorn", "tests.microservice.small_service:timeline", "--port", "0")
    assert started.process.wait(30) != 0
    assert "micro.emails.timeline has no API key: set WORKMESH_API_KEY" in started.output
    assert "Traceback" not in started.output


def test_two_processes_cannot_share_a_database(shared_node: NodeProcess, run: Run) -> None:
    started = run(
        *("-m", "uvicorn", "tests.microservice.small_service:timeline", "--port", "0"),
        WORKMESH_API_KEY=KEY,
        WORKMESH_DATABASE=str(shared_node.database),
    )
    assert started.process.wait(30) != 0
    assert f"the database {shared_node.database} is in use" in started.output
    assert "Traceback" not in started.output


def test_the_command_exits_with_0_when_it_is_interrupted(run: Run) -> None:
    command = (
        "-m",
        "workmesh_flows.microservice",
        "tests.microservice.small_service:timeline",
        "--port",
        "0",
    )
    started = run(*command, WORKMESH_API_KEY=KEY)
    started.port()
    assert started.end(signal.SIGINT) == 0
    assert "Traceback" not in started.output


@pytest.mark.parametrize(
    ("arguments", "environment", "reason"),
    [
        pytest.param(["small_service:timeline"], {}, "has no API key", id="no key"),
        pytest.param(
            ["small_service:timeline"], {"WORKMESH_API_KEY": " {} "}, "has no API key", id="a blank key"
        ),
        pytest.param(["small_service:timelime"], {}, "the module has: timeline", id="an unknown attribute"),
        pytest.param(
            ["small_service:timeline", "--database", "/nowhere/x.db"],
            {"WORKMESH_API_KEY": KEY},
            "the folder does not exist",
            id="no folder for the database",
        ),
        pytest.param(
            ["small_service:timeline", "--database", "."],
            {"WORKMESH_API_KEY": KEY},
            "cannot be used: unable to open database file",
            id="a database that is a folder",
        ),
        pytest.param(
            ["small_service:timeline", "--host", "192.0.2.1"],
            {"WORKMESH_API_KEY": KEY},
            "cannot listen on 192.0.2.1, port 8000",
            id="an address of another machine",
        ),
        pytest.param(
            ["small_service:timeline"],
            {"WORKMESH_API_KEY": KEY, "WORKMESH_BODY_LIMIT": "much"},
            "WORKMESH_BODY_LIMIT must be a number of bytes",
            id="a limit that is not a number",
        ),
        pytest.param(
            ["small_service:timeline"],
            {"WORKMESH_API_KEY": KEY, "WORKMESH_REQUEST_SECONDS": "0"},
            "WORKMESH_REQUEST_SECONDS must be a number of seconds above zero",
            id="no time for a request",
        ),
    ],
)
def test_a_failed_start_exits_with_the_reason_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    arguments: list[str],
    environment: dict[str, str],
    reason: str,
) -> None:
    reference, *options = arguments
    monkeypatch.setattr(sys, "argv", ["microservice", f"tests.microservice.{reference}", *options])
    monkeypatch.chdir(tmp_path)
    for name in (API_KEY, BODY_LIMIT, DATABASE):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        main()
    message = str(ended.value.code)
    assert message.startswith("error: ")
    assert reason in message
    assert "\n" not in message


def test_a_used_port_is_a_start_error_from_code(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StartError, match=f"cannot listen on 127.0.0.1, port {port}"):
            serve(small_service.timeline, port=port, api_key=KEY, database=tmp_path / "node.db")


def test_a_restarted_node_process_has_its_port_and_its_records(start_node: StartNode, call: Call) -> None:
    node = start_node("small_service:timeline")
    url, pid = node.url, node.pid
    call(node).push({"id": 1, "email": "x@y", "subject": ""})
    assert node.stop() == 0
    assert node.pid is None
    node.start()
    assert node.url == url
    assert node.pid not in {None, pid}
    call(node).settle()
    assert call(node).post("delivery/status").value == 1


def test_a_node_process_that_exits_at_once_raises_an_error_with_its_last_lines(tmp_path: Path) -> None:
    node = NodeProcess("tests.microservice.no_such:thing", database=tmp_path / "n.db", name="blue")
    with pytest.raises(
        StartError, match=r"node blue exited with status 1; [^$]*there is no module tests.micro"
    ):
        node.start()
    assert node.pid is None


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="reads /proc")
def test_the_key_is_not_on_the_command_line(shared_node: NodeProcess) -> None:
    command = Path(f"/proc/{shared_node.pid}/cmdline").read_text()
    assert "workmesh_flows.microservice" in command
    assert shared_node.api_key.strip("{}").lower() not in command.lower()


def test_a_node_process_ends_with_its_parent_even_if_the_parent_is_killed(run: Run, tmp_path: Path) -> None:
    reference = "tests.microservice.small_service:timeline"
    program = (
        "import sys, time\n"
        "from workmesh_flows.microservice import NodeProcess\n"
        f"node = NodeProcess({reference!r}, database='n.db', api_key=sys.argv[1])\n"
        "print(node.start().url, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = run("-c", program, KEY)
    port = parent.port()
    parent.end(signal.SIGKILL)
    wait_for(lambda: not _is_listening(port))
    wait_for(lambda: not (tmp_path / "n.db-wal").exists())


def _is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
