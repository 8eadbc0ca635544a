"""Serving the metrics of a mesh: cached, also while the database or the Prefect server is down."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings
from sqlalchemy import Engine, create_engine
from starlette.testclient import TestClient
from typer.testing import CliRunner

from tests.support.fleet import Fleet
from tests.support.scraping import OPENMETRICS, Samples, read_samples
from tests.support.shop import shop_service, write_orders, write_shops
from workmesh_flows import Mesh
from workmesh_flows.cli import app
from workmesh_flows.cli.output import UsageError
from workmesh_flows.errors import ConfigurationError
from workmesh_flows.inventory import documents
from workmesh_flows.observability import inventory_reader, metrics_answer
from workmesh_flows.observability.metrics_answer import MetricsAnswer
from workmesh_flows.observability.metrics_server import metrics_app, write_metrics
from workmesh_flows.settings import PREFIX

S = "shop.orders"
PENDING = ("pending_records", "a", "order", S)


@pytest.fixture
def no_server() -> Iterator[None]:
    with temporary_settings({PREFECT_API_URL: None}):
        yield


def answer_of(engine: Engine, seconds: float = 0) -> MetricsAnswer:
    write_shops(engine, ["a", "a"])
    write_orders(engine, [1, 2])
    return MetricsAnswer(Mesh([shop_service()], database=lambda: engine), seconds)


def scraped(answer: MetricsAnswer) -> Samples:
    return read_samples(answer.text(as_openmetrics=True).decode(), "workmesh_")


@pytest.mark.usefixtures("no_server")
def test_an_answer_is_openmetrics_where_that_is_asked_for_and_compressed(engine: Engine) -> None:
    with TestClient(metrics_app(answer_of(engine))) as client:
        text = client.get("/metrics", headers=OPENMETRICS)
        assert text.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
        assert text.headers["content-encoding"] == "gzip"
        assert read_samples(text.text, "workmesh_")[PENDING] == 2
        plain = client.get("/metrics")
        assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert 'workmesh_pending_records{node="a",protocol="order",service="shop.orders"} 2.0' in plain.text
        assert client.get("/health").json() == {"alive": True}
        assert client.get("/").status_code == 404


@pytest.mark.usefixtures("no_server")
def test_whoever_asks_too_often_gets_the_same_text(engine: Engine) -> None:
    answer = answer_of(engine, seconds=3_600)
    first = answer.text(as_openmetrics=True)
    write_orders(engine, [1], first=3)
    assert answer.text(as_openmetrics=True) is first
    assert b"workmesh_pending_records" in answer.text(as_openmetrics=False)
    assert scraped(MetricsAnswer(Mesh([shop_service()], database=lambda: engine), 0))[PENDING] == 3


@pytest.mark.usefixtures("no_server")
def test_an_error_of_the_database_is_a_metric_and_one_line_of_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "new" / "master.db"
    mesh = Mesh([shop_service()], database=f"sqlite:///{file}")
    answer = MetricsAnswer(mesh, 0)
    for _ in range(2):
        found = scraped(answer)
        assert found["up",] == 0
        assert [key for key in found if "records" in key[0]] == []
    assert not answer.succeeded
    assert caplog.text.count("the metrics cannot be read: database") == 1
    file.parent.mkdir()
    engine = create_engine(f"sqlite:///{file}")
    write_shops(engine, ["a"])
    write_orders(engine, [1])
    engine.dispose()
    found = scraped(answer)
    assert (found["up",], found[PENDING], answer.succeeded) == (1, 1, True)


@pytest.mark.usefixtures("no_server")
def test_an_unexpected_error_stops_nothing_and_shows_no_value(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("do-not-repeat-me")

    answer = answer_of(engine)
    monkeypatch.setattr(metrics_answer, "read_monitored", fail)
    assert scraped(answer)["up",] == 0
    assert "the metrics cannot be read: ValueError" in caplog.text
    assert "do-not-repeat-me" not in caplog.text


def test_the_inventory_adds_nodes_that_hold_nothing_and_is_remembered_without_a_server(
    fleet: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    write_shops(fleet.engine, ["a"])
    write_orders(fleet.engine, [1])
    fleet.register("idle", 8080, "{A-KEY}")
    answer = MetricsAnswer(fleet.mesh, 0)
    found = scraped(answer)
    assert (found["inventory_up",], found["assigned_entities", "idle", S]) == (1, 0)
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:1/api"}):
        for _ in range(2):
            found = scraped(answer)
            assert (found["inventory_up",], found["assigned_entities", "idle", S]) == (0, 0)
            assert found[PENDING] == 1
    assert caplog.text.count("the nodes' blocks cannot be read") == 1


def test_a_prefect_server_that_hangs_delays_an_answer_only_shortly(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(inventory_reader, "ANSWER_SECONDS", 0.05)
    monkeypatch.setattr(documents, "ANSWER_SECONDS", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        api = f"http://127.0.0.1:{silent.getsockname()[1]}/api"
        with temporary_settings({PREFECT_API_URL: api}):
            found = scraped(answer_of(engine))
    assert (found["inventory_up",], found[PENDING]) == (0, 2)
    assert "the Prefect server does not answer within 0.05 seconds" in caplog.text


@pytest.mark.usefixtures("no_server")
def test_a_file_is_replaced_in_one_step_and_readable_by_others(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = answer_of(engine)
    path = tmp_path / "workmesh.prom"
    write_metrics(answer, path)
    before = path.read_text()
    assert 'workmesh_pending_records{node="a",protocol="order",service="shop.orders"} 2.0' in before
    assert path.stat().st_mode & 0o777 == 0o644

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(ConfigurationError, match="cannot be written: No space left on device"):
        write_metrics(answer, path)
    assert path.read_text() == before
    assert [found.name for found in tmp_path.glob("*workmesh.prom*")] == ["workmesh.prom"]
    assert list(tmp_path.glob(".workmesh*")) == []


@pytest.mark.usefixtures("no_server")
def test_the_command_writes_a_file_also_when_the_database_cannot_be_read_and_then_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(f"{PREFIX}MESH", "tests.support.shop_mesh:mesh")
    monkeypatch.setenv(f"{PREFIX}DATABASE_URL", f"sqlite:///{tmp_path}/nowhere/master.db")
    ended = CliRunner().invoke(app, ["metrics", "--textfile", "workmesh.prom"])
    assert ended.exit_code == 1
    assert "workmesh_up 0.0" in Path("workmesh.prom").read_text()


@pytest.mark.parametrize("options", [[], ["--port", "0", "--textfile", "workmesh.prom"]])
def test_the_command_needs_either_a_port_or_a_file(options: list[str]) -> None:
    refused = CliRunner().invoke(app, ["metrics", *options])
    assert isinstance(refused.exception, UsageError)
    assert "name either a port to serve on (--port), or a file to write (--textfile)" in str(
        refused.exception
    )


def test_the_command_fails_if_its_port_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(f"{PREFIX}MESH", "tests.support.shop_mesh:mesh")
    monkeypatch.setenv(f"{PREFIX}DATABASE_URL", "sqlite:///master.db")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused = CliRunner().invoke(app, ["metrics", "--port", port])
    assert isinstance(refused.exception, ConfigurationError)
    assert f"cannot listen on 127.0.0.1, port {port}: " in str(refused.exception)
