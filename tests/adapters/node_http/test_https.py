"""Nodes over https: with an untrusted certificate, and with one that a CA file makes trusted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.adapters.conftest import QUICK
from tests.support.certificates import Authority, make_authority
from tests.support.scripted_node import API_KEY, ScriptedNode, scripted_node
from tests.support.secrecy import assert_secret, texts_of
from workmesh_flows.adapters.node_http.client import node_client
from workmesh_flows.domain.node import Node
from workmesh_flows.errors import NodeError, NodeMisconfigured, NodeUnavailable


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


def refusal(node: Node) -> NodeError:
    with pytest.raises(NodeError) as raised, node_client(node, QUICK) as client:
        client.ping()
    assert_secret(API_KEY, *texts_of(raised.value))
    assert raised.value.node == "n1"
    return raised.value


def pings(served: ScriptedNode, **more: object) -> bool:
    with node_client(served.node(**more), QUICK) as client:  # type: ignore[arg-type]
        client.ping()
    return len(served.asked) == 1


def test_an_untrusted_certificate_is_accepted_without_verification(authority: Authority) -> None:
    with scripted_node(tls=authority.server("127.0.0.1")) as served:
        assert pings(served, verify=False)


def test_a_ca_file_makes_a_certificate_trusted(authority: Authority) -> None:
    with scripted_node(tls=authority.server("127.0.0.1")) as served:
        assert pings(served, ca_file=authority.ca_file)


def test_an_untrusted_certificate_is_not_accepted(authority: Authority) -> None:
    with scripted_node(tls=authority.server("127.0.0.1")) as served:
        error = refusal(served.node())
    assert type(error) is NodeMisconfigured
    assert "certificate is not accepted" in str(error)
    assert "CA file" in str(error)
    assert served.asked == []


def test_a_certificate_for_another_host_is_not_accepted(authority: Authority) -> None:
    with scripted_node(tls=authority.server("127.0.0.2")) as served:
        error = refusal(served.node(ca_file=authority.ca_file))
    assert type(error) is NodeMisconfigured
    assert "127.0.0.1" in str(error)


@pytest.mark.parametrize("content", [None, b"", b"no certificate"], ids=["missing", "empty", "no PEM"])
def test_an_unreadable_ca_file_is_named_in_the_error(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "my ca.pem"
    if content is not None:
        path.write_bytes(content)
    with scripted_node() as served:
        error = refusal(
            Node("n1", "127.0.0.1", served.node().api_key, ("s",), served.port, "https", ca_file=str(path))
        )
    assert type(error) is NodeMisconfigured
    assert str(path) in str(error)


def test_a_missing_ca_file_of_the_environment_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/no/such/ca.pem")
    with scripted_node() as served:
        error = refusal(Node("n1", "127.0.0.1", served.node().api_key, ("s",), served.port, "https"))
    assert type(error) is NodeMisconfigured
    assert "SSL_CERT_FILE" in str(error)


def test_https_to_a_node_that_speaks_plain_http() -> None:
    with scripted_node() as served:
        error = refusal(Node("n1", "127.0.0.1", served.node().api_key, ("s",), served.port, "https"))
    assert type(error) is NodeUnavailable
    assert "no connection" in str(error)


def test_http_to_a_node_that_speaks_https(authority: Authority) -> None:
    with scripted_node(tls=authority.server("127.0.0.1")) as served:
        error = refusal(Node("n1", "127.0.0.1", served.node().api_key, ("s",), served.port))
    assert type(error) is NodeUnavailable
