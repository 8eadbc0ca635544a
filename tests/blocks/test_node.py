from __future__ import annotations

import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any, get_args

import pytest
from prefect.client.orchestration import get_client
from prefect.testing.standard_test_suites.blocks import BlockStandardTestSuite
from prefect.types import SecretDict
from pydantic import SecretStr, ValidationError

from workmesh_flows.blocks.node import SITE, ServiceLimits, WorkmeshNode
from workmesh_flows.domain.node import NodeState

DOCS = Path(__file__).parents[2] / "docs"
KEY = "{5A1D3C52-0C1B-4E7A-8D3F-5B6C7D8E9F01}"
GOOD: dict[str, Any] = {"host": "10.0.0.7", "port": 8080, "api_key": KEY, "services": ["s"]}


def test_the_form_offers_every_state_of_a_node() -> None:
    assert set(get_args(WorkmeshNode.model_fields["state"].annotation)) == {
        state.value for state in NodeState
    }


def test_a_block_becomes_a_node_with_all_its_fields() -> None:
    block = WorkmeshNode(
        **GOOD,
        scheme="https",
        verify=False,
        ca_file="/etc/ca.pem",
        state="draining",
        max_entities=12,
        limits=[ServiceLimits(service="s", max_entities=10, max_weight=20, max_batch=100, max_rate=0.5)],
        tags=["eu"],
        client_certificate="/etc/client.pem",
        client_key="/etc/client.key",
        client_key_password=SecretStr("of the key"),
        path="/gate",
        headers=SecretDict({"X-Token": "abcdef"}),
        proxy=SecretStr("http://u:pw@proxy:3128"),
    )
    node = block.to_node("n1")
    assert (node.client_certificate, node.client_key, node.path) == (
        "/etc/client.pem",
        "/etc/client.key",
        "/gate",
    )
    assert node.client_key_password == SecretStr("of the key")
    assert node.headers == {"X-Token": SecretStr("abcdef")}
    assert node.proxy == SecretStr("http://u:pw@proxy:3128")
    assert (node.name, node.address) == ("n1", "https://10.0.0.7:8080")
    assert (node.verify, node.ca_file, node.state) == (False, "/etc/ca.pem", NodeState.DRAINING)
    assert (node.max_entities, node.max_weight, node.tags) == ({"s": 10, "*": 12}, {"s": 20}, ("eu",))
    assert (node.max_batch, node.max_rate) == ({"s": 100}, {"s": 0.5})
    assert node.api_key.get_secret_value() == KEY


@pytest.mark.parametrize(
    "host", ["n1", "node-1.example.com", "10.0.0.1", "::1", "fe80::1", " spaced.example "]
)
def test_a_host_is_a_name_or_an_address(host: str) -> None:
    assert WorkmeshNode(**{**GOOD, "host": host}).host == host.strip()


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        pytest.param(
            {"host": "http://n1"}, "without scheme, port, path or spaces", id="a scheme in the host"
        ),
        pytest.param({"host": "n1:80"}, "without scheme, port, path or spaces", id="a port in the host"),
        pytest.param({"host": ""}, "without scheme, port, path or spaces", id="no host"),
        pytest.param({"port": 0}, "greater than or equal to 1", id="port 0"),
        pytest.param({"port": 70_000}, "less than or equal to 65535", id="port too high"),
        pytest.param({"scheme": "ftp"}, "'http' or 'https'", id="an unknown scheme"),
        pytest.param(
            {"state": "asleep"}, "'active', 'draining', 'standby' or 'disabled'", id="an unknown state"
        ),
        pytest.param({"api_key": "  "}, "the API key must not be empty", id="an empty key"),
        pytest.param({"services": []}, "name at least one service", id="no service"),
        pytest.param({"services": ["s", " "]}, "name at least one service", id="an empty service name"),
        pytest.param(
            {"max_entities": -1}, "max_entities\n  Input should be greater", id="a shared cap below 0"
        ),
        pytest.param(
            {"limits": [{"service": "t"}]},
            "limits name t, which the node does not run",
            id="limits of an unknown service",
        ),
        pytest.param(
            {"limits": [{"service": "s"}, {"service": "s"}]},
            "limits name s twice",
            id="limits of a service twice",
        ),
        pytest.param(
            {"limits": [{"service": "s", "max_weight": -1}]}, "greater than or equal to 0", id="a cap below 0"
        ),
        pytest.param(
            {"limits": [{"service": "s", "max_batch": 0}]},
            "greater than or equal to 1",
            id="a batch of 0 records",
        ),
        pytest.param({"limits": [{"service": "s", "max_rate": 0}]}, "greater than 0", id="a rate of 0"),
        pytest.param(
            {"limits": [{"service": "s", "max_rate": float("nan")}]}, "finite number", id="a rate of NaN"
        ),
        pytest.param(
            {"limits": [{"service": "s", "most": 3}]}, "Extra inputs are not permitted", id="a misspelt limit"
        ),
        *(
            pytest.param({"path": path}, "the path must start with /", id=f"the path {path!r}")
            for path in (
                "gate",
                "http://h/gate",
                "/a b",
                "/a?b=c",
                "/a#b",
                "/a/../b",
                "//host/a",
                "/a\r\nX: y",
                "/é",
            )
        ),
        *(
            pytest.param(
                {"headers": {name: KEY}}, f"the header {name} is set by Workmesh", id=f"the header {name}"
            )
            for name in (
                "Content-Type",
                "content-length",
                "HOST",
                "Idempotency-Key",
                "Workmesh-Epoch",
                "Proxy-Authorization",
            )
        ),
        *(
            pytest.param({"headers": {name: KEY}}, "is not the name of a header", id=f"the header {name!r}")
            for name in ("", "X Token", "X:", "X\r\nY", "Ä")
        ),
        *(
            pytest.param(
                {"headers": {"X-Token": value}},
                "the value of the header X-Token must be one line",
                id=f"the value {value!r}",
            )
            for value in ("", " ", f"{KEY}\r\nX: y", f"{KEY}\n", f"{KEY}\0", f"{KEY}é", None, [KEY])
        ),
        pytest.param(
            {"headers": {"X-A": KEY, "x-a": KEY}}, "the header x-a is given twice", id="a header twice"
        ),
        pytest.param(
            {"headers": {"Host": KEY, "X-A": ""}},
            "the header Host is set by Workmesh, not by a node; the value of the header X-A",
            id="two wrong headers",
        ),
        *(
            pytest.param({"proxy": proxy}, "the proxy must be an address such as", id=f"the proxy {proxy!r}")
            for proxy in (
                "proxy:3128",
                f"ftp://u:{KEY}@p",
                "http://",
                f"http://u:{KEY}@",
                "http://p:99999",
                "http://[p",
                f"http://u:{KEY}@p/path",
                "http://p?x",
                f"http://u:{KEY}@p\r\nX",
            )
        ),
        pytest.param(
            {"client_key": "/k.pem"}, "client_key is given, but no client_certificate", id="a key alone"
        ),
        pytest.param(
            {"client_key_password": KEY},
            "client_key_password is given, but no client_certificate",
            id="a password alone",
        ),
        pytest.param(
            {"client_certificate": "/c.pem"},
            "client_certificate needs the scheme https",
            id="a certificate without https",
        ),
    ],
)
def test_an_invalid_value_is_refused_with_an_error_that_does_not_show_the_key(
    wrong: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        WorkmeshNode(**{**GOOD, **wrong})
    assert problem in str(refused.value)
    assert KEY not in str(refused.value)
    assert KEY not in repr(refused.value)


def test_the_texts_of_block_and_node_do_not_show_the_key() -> None:
    block = WorkmeshNode(
        **GOOD, headers=SecretDict({"X-Token": KEY}), proxy=SecretStr(f"http://u:{KEY}@proxy:3128")
    )
    for thing in (block, block.to_node("n1")):
        assert KEY not in repr(thing)
        assert KEY not in str(thing)


@pytest.mark.parametrize(
    "field",
    ["ca_file", "client_certificate", "client_key", "client_key_password", "path", "headers", "proxy"],
)
def test_a_field_that_a_form_cleared_is_none(field: str) -> None:
    empty: Any = {} if field == "headers" else ""
    assert getattr(WorkmeshNode(**{**GOOD, field: empty}), field) is None


@pytest.mark.parametrize(
    ("given", "path"), [("/", None), (" /gate/ ", "/gate"), ("/a/b.c-d~e/%20", "/a/b.c-d~e/%20")]
)
def test_a_path_is_stored_without_a_slash_at_its_end(given: str, path: str | None) -> None:
    assert WorkmeshNode(**{**GOOD, "path": given}).path == path


def test_the_server_shows_neither_headers_nor_proxy_nor_password(prefect: str) -> None:
    del prefect
    block = WorkmeshNode(
        **GOOD,
        scheme="https",
        client_certificate="/c.pem",
        client_key_password=SecretStr("sesame"),
        headers=SecretDict({"X-Token": "abcdef"}),
        proxy=SecretStr("http://u:pw@proxy:3128"),
    )
    block.save("n1")
    with get_client(sync_client=True) as client:
        shown = client.read_block_documents_by_type("workmesh-node", include_secrets=False)[0].data
    assert set(shown["headers"]) == {"X-Token"}
    for secret in ("abcdef", "http://u:pw@", "sesame", KEY):
        assert secret not in str(shown)
    loaded = WorkmeshNode.load("n1")
    assert isinstance(loaded, WorkmeshNode)
    assert loaded.to_node("n1") == block.to_node("n1")


def test_a_saved_node_is_loaded_with_all_its_fields(prefect: str) -> None:
    del prefect
    WorkmeshNode(**{**GOOD, "api_key": SecretStr(KEY), "tags": ["a", "b"]}).save("n1")
    loaded = WorkmeshNode.load("n1")
    assert isinstance(loaded, WorkmeshNode)
    assert loaded.to_node("n1") == WorkmeshNode(**{**GOOD, "tags": ["a", "b"]}).to_node("n1")


def test_importing_the_blocks_loads_neither_pandas_nor_paramiko() -> None:
    code = "import sys, workmesh_flows.blocks; print(sorted({'pandas', 'paramiko'} & set(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"


def test_prefect_finds_the_block_type_through_the_entry_point() -> None:
    from importlib.metadata import entry_points

    found = entry_points(group="prefect.collections", name="workmesh_flows")
    assert [point.load().WorkmeshNode for point in found] == [WorkmeshNode]


class TestPrefectsOwnSuite(BlockStandardTestSuite):
    """Prefect's own tests for the blocks of an integration."""

    @pytest.fixture
    def block(self) -> type[WorkmeshNode]:
        return WorkmeshNode

    @pytest.fixture(autouse=True)
    def _published(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Read the logo from the repository, not from the published site."""

        def opened(address: str) -> Any:
            return BytesIO((DOCS / address.removeprefix(f"{SITE}/")).read_bytes())

        monkeypatch.setattr("prefect.testing.standard_test_suites.blocks.urlopen", opened)
