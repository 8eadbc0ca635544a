"""Runs the blocks of a page from top to bottom, as a reader would."""

from __future__ import annotations

import configparser
import doctest
import json
import re
import socket
import sys
import time
import tomllib
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import httpx
from ruamel.yaml import YAML
from sqlalchemy import create_engine

from tests.docs.blocks import Block
from tests.docs.shell import Shell

ALIKE = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
VARYING = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d|(?<=rebalance-)[0-9a-f]{12}|(?<=drain-)[0-9a-f]{12}")
"""Matches text that differs between runs: times, and ids of plans."""
VARYING_IN_JSON = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:[\d.]+\+00:00|\b\d{16}\b")
"""The same in an answer of a node: times, and marks of failures."""
BACKGROUND = re.compile(r"--port (\d+).*&\s*$", re.MULTILINE)


@dataclass(slots=True)
class Reader:
    """Follows the instructions of one page, in a separate folder."""

    folder: Path
    module: ModuleType
    shell: Shell
    stage: ExitStack
    postgresql: Callable[[], str]
    """Returns the address of an empty PostgreSQL database."""
    database: str = ""
    """Address of the database that SQL blocks run on."""
    node: str = ""
    """Address of the node that receives HTTP blocks."""
    replaced: dict[str, str] = field(default_factory=dict)
    """Texts of the page (addresses, ports), and their values in the test."""
    output: str | None = None
    """Output of the last bash block."""
    answer: httpx.Response | None = None

    def run(self, block: Block) -> None:
        """Run a block; raises AssertionError if the result differs from the page."""
        if block.not_run:
            return
        KINDS[block.language](self, block)

    def substituted(self, text: str) -> str:
        """Return a text of the page with the values of the test."""
        for shown, real in self.replaced.items():
            text = text.replace(shown, real)
        return text

    def shown(self, text: str) -> str:
        """Return a real output with the texts of the page."""
        for shown, real in self.replaced.items():
            text = text.replace(real, shown)
        return text


def _python(reader: Reader, block: Block) -> None:
    if block.title:
        _write(reader, block)
        compile(block.text, block.title, "exec")
    elif ">>>" in block.text:
        example = doctest.DocTestParser().get_doctest(
            reader.substituted(block.text), {}, str(block), str(block.page), block.line
        )
        example.globs = reader.module.__dict__  # not a copy: the next block uses the same namespace
        failures: list[str] = []
        ran = doctest.DocTestRunner(optionflags=ALIKE).run(example, out=failures.append, clear_globs=False)
        assert ran.failed == 0, "".join(failures)
    else:
        exec(compile(reader.substituted(block.text), str(block), "exec"), reader.module.__dict__)  # noqa: S102 - the project's own pages


def _bash(reader: Reader, block: Block) -> None:
    text = reader.substituted(block.text)
    status, out, err = reader.shell.run(text)
    assert (status != 0) == block.fails, f"{block} ended with {status}:\n{out}{err}"
    reader.output = reader.shown(out + (err if block.fails else ""))
    for port in BACKGROUND.findall(text):
        _wait_for(int(port))


def _text(reader: Reader, block: Block) -> None:
    assert reader.output is not None, f"{block} follows no command: give the reason why it is not compared"
    shown, real = (VARYING.sub("(varies)", text) for text in (block.text, reader.output))
    alike = doctest.OutputChecker().check_output(shown, real, ALIKE)
    assert alike, f"{block}, shown:\n{block.text}\nreal output:\n{reader.output}"


def _sql(reader: Reader, block: Block) -> None:
    assert reader.database, f"{block}: no database is set up for this page"
    engine = create_engine(reader.database)
    with engine.begin() as connection:
        for statement in re.sub(r"--.*$", "", block.text, flags=re.MULTILINE).split(";"):
            if statement.strip():
                connection.exec_driver_sql(statement)
    engine.dispose()


def _yaml(reader: Reader, block: Block) -> None:
    YAML(typ="safe").load(block.text)
    _write(reader, block)


def _toml(reader: Reader, block: Block) -> None:
    tomllib.loads(block.text)
    _write(reader, block)


def _ini(reader: Reader, block: Block) -> None:
    parser = configparser.ConfigParser(strict=False)
    parser.read_string(block.text)
    assert parser.sections(), f"{block} has no section"


def _http(reader: Reader, block: Block) -> None:
    head, _, body = block.text.partition("\n\n")
    first, *lines = head.splitlines()
    headers = dict(line.split(": ", 1) for line in lines)
    if not first.startswith("HTTP/"):
        method, path, _ = first.split(" ")
        if path.endswith(("status.json", "pull.json", "failed.json")):
            _wait_until_idle(reader.node, json.loads(body)["api_key"])
        reader.answer = httpx.request(
            method, f"{reader.node}{path}", headers=headers, content=body.strip().encode()
        )
        return
    answer = reader.answer
    assert answer is not None, f"{block} follows no request"
    assert answer.status_code == int(first.split(" ")[1]), (
        f"{block}: the real answer is {answer.status_code} {answer.text}"
    )
    for name, value in headers.items():
        assert answer.headers.get(name) == value, f"{block}: the real headers are {answer.headers}"
    shown, real = (json.loads(VARYING_IN_JSON.sub("...", text)) for text in (body, answer.text))
    assert real == shown, f"{block}, real answer:\n{answer.text}"


def _wait_until_idle(node: str, key: str) -> None:
    end = time.monotonic() + 10
    while httpx.post(f"{node}/api/1.0/workload.json", json={"api_key": key}).json()["value"]:
        assert time.monotonic() < end, "the node does not become idle"
        time.sleep(0.02)


def _json(reader: Reader, block: Block) -> None:
    json.loads(block.text)
    _write(reader, block)


KINDS: dict[str, Callable[[Reader, Block], None]] = {
    "bash": _bash,
    "http": _http,
    "ini": _ini,
    "json": _json,
    "python": _python,
    "sql": _sql,
    "text": _text,
    "toml": _toml,
    "yaml": _yaml,
}


def _write(reader: Reader, block: Block) -> None:
    """Write a block with a title to its file."""
    if block.title:
        path = reader.folder / block.title
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(reader.substituted(block.text), encoding="utf-8")


def _wait_for(port: int) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with socket.socket() as caller:
            if caller.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(f"nothing listens on {port}")


MAIN = "__mp_main__"
"""Name of the main module in a process that `multiprocessing` starts."""


def new_main() -> ModuleType:
    """Create the namespace of a page, like that of an interactive interpreter."""
    sys.modules[MAIN] = module = ModuleType(MAIN)
    return module
