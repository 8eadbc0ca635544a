"""Nodes behind a gateway: a path, headers, a client certificate, a proxy; and proxies of the environment."""

from __future__ import annotations

import logging
import socket
from base64 import b64encode
from pathlib import Path
from threading import Thread
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from pydantic import SecretStr

from tests.adapters.conftest import QUICK
from tests.support.certificates import Authority, make_authority
from tests.support.scripted_node import API_KEY, Answer, Asked, ScriptedNode, failure, scripted_node, success
from tests.support.secrecy import assert_secret, texts_of
from workmesh_flows.adapters.node_http.client import PING, USER_AGENT, node_client
from workmesh_flows.domain.node import Node
from workmesh_flows.errors import NodeError, NodeMisconfigured, NodeUnavailable, RecordRefused

TOKEN = "Bearer t0ken-of-the-gateway"
PASSWORD = "p@ss word:1"
PROXIES = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


def proxy_address(proxy: ScriptedNode) -> SecretStr:
    return SecretStr(f"http://user:{quote(PASSWORD, safe='')}@127.0.0.1:{proxy.port}")


def refusal(node: Node) -> NodeError:
    with pytest.raises(NodeError) as raised, node_client(node, QUICK) as client:
        client.ping()
    for secret in (API_KEY, PASSWORD, TOKEN):
        assert_secret(secret, *texts_of(raised.value))
    assert raised.value.node == "n1"
    return raised.value


def test_a_path_stands_before_the_path_of_each_endpoint() -> None:
    with scripted_node() as node, node_client(node.node(path="/gate/a%20b"), QUICK) as client:
        client.ping()
        client.post("/x.json", {})
        client.post("/x.json", {})
    assert node.paths() == ["/gate/a%20b/api/1.0/ping.json", "/gate/a%20b/x.json", "/gate/a%20b/x.json"]


def test_headers_are_added_to_each_request() -> None:
    headers = {"Authorization": SecretStr(TOKEN), "X-Env": SecretStr("eu")}
    with scripted_node() as node, node_client(node.node(headers=headers), QUICK) as client:
        client.ping()
        client.post("/x.json", {})
    for asked in node.asked:
        assert (asked.headers["authorization"], asked.headers["x-env"]) == (TOKEN, "eu")
        assert (asked.headers["user-agent"], asked.headers["content-type"]) == (
            USER_AGENT,
            "application/json",
        )


@pytest.mark.parametrize("variable", PROXIES)
def test_no_request_takes_a_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    with scripted_node() as proxy, scripted_node() as node:
        monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("NO_PROXY", "10.0.0.0/8")
        with node_client(node.node(), QUICK) as client:
            client.ping()
    assert (proxy.asked, node.paths()) == ([], [PING])


def test_requests_take_the_proxy_that_the_node_names(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with scripted_node(lambda asked: success(7)) as proxy:
        node = Node("n1", "node.invalid", SecretStr(API_KEY), ("s",), proxy=proxy_address(proxy))
        with node_client(node, QUICK) as client:
            assert client.post("/x.json", {}) == 7
    assert proxy.paths() == ["http://node.invalid/x.json"]
    login = b64encode(f"user:{PASSWORD}".encode()).decode()
    assert proxy.asked[0].headers["proxy-authorization"] == f"Basic {login}"
    assert_secret(PASSWORD, caplog.text)
    assert_secret(login, caplog.text)


def test_a_proxy_that_refuses_the_password_is_misconfigured() -> None:
    with scripted_node(lambda asked: Answer(b"<html>", 407)) as proxy:
        error = refusal(Node("n1", "node.invalid", SecretStr(API_KEY), ("s",), proxy=proxy_address(proxy)))
    assert type(error) is NodeMisconfigured
    assert "the proxy named in its block asks for a user name and a password" in str(error)


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        (
            b"407 Proxy Authentication Required",
            NodeMisconfigured,
            "its proxy refuses the connection: it answers 407",
        ),
        (b"403 " + API_KEY.encode(), NodeMisconfigured, "its proxy refuses the connection: it answers 403"),
        (b"503 " + API_KEY.encode(), NodeUnavailable, "its proxy does not reach it, it answers 503"),
    ],
)
def test_a_proxy_that_opens_no_tunnel_for_https_is_an_error(
    answer: bytes, kind: type[NodeError], text: str
) -> None:
    def refuse(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(b"HTTP/1.1 " + answer + b"\r\nContent-Length: 0\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = Thread(target=refuse, args=(server,))
        thread.start()
        proxy = SecretStr(f"http://127.0.0.1:{server.getsockname()[1]}")
        error = refusal(Node("n1", "node.invalid", SecretStr(API_KEY), ("s",), 443, "https", proxy=proxy))
        thread.join()
    assert type(error) is kind
    assert text in str(error)


def test_an_invalid_proxy_is_misconfigured_and_not_quoted() -> None:
    error = refusal(
        Node("n1", "a", SecretStr(API_KEY), ("s",), proxy=SecretStr(f"ftp://u:{quote(PASSWORD)}@p"))
    )
    assert type(error) is NodeMisconfigured


def test_secrets_that_a_gateway_echoes_are_masked() -> None:
    login = b64encode(f"user:{PASSWORD}".encode()).decode()
    texts = [TOKEN, TOKEN.partition(" ")[2], PASSWORD, quote(PASSWORD, safe=""), login]

    def echo(asked: Asked) -> Answer:
        return failure(f"no entry for {' and '.join(texts)} in eu")

    headers = {"Authorization": SecretStr(TOKEN), "X-Env": SecretStr("eu")}
    with scripted_node(echo) as proxy:
        node = Node("n1", "a", SecretStr(API_KEY), ("s",), headers=headers, proxy=proxy_address(proxy))
        with node_client(node, QUICK) as client, pytest.raises(RecordRefused) as refused:
            client.post("/x.json", {})
        assert refused.value.reason == "no entry for *** and *** and *** and *** and *** in eu"
        assert TOKEN not in repr(node) + str(node)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("separate", [True, False])
def test_a_client_certificate_is_shown_to_the_node(
    authority: Authority, tmp_path: Path, separate: bool, verify: bool
) -> None:
    certificate, key = authority.client()
    cert_file, key_file = tmp_path / "client.pem", tmp_path / "client.key"
    cert_file.write_bytes(certificate if separate else certificate + key)
    key_file.write_bytes(key)
    with scripted_node(tls=authority.server_for_clients("127.0.0.1")) as served:
        node = served.node(
            ca_file=authority.ca_file,
            verify=verify,
            client_certificate=str(cert_file),
            client_key=str(key_file) if separate else None,
        )
        with node_client(node, QUICK) as client:
            client.ping()
    assert served.paths() == [PING]


def test_a_node_that_requires_a_client_certificate_is_misconfigured_without_one(authority: Authority) -> None:
    with scripted_node(tls=authority.server_for_clients("127.0.0.1")) as served:
        error = refusal(served.node(ca_file=authority.ca_file))
    assert type(error) is NodeMisconfigured
    assert "client certificate" in str(error)


def encrypted_key(plain: bytes | None = None) -> bytes:
    """A new key, or the given one, encrypted with the password "secret"."""
    new = ec.generate_private_key(ec.SECP256R1()) if plain is None else load_pem_private_key(plain, None)
    return new.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))


@pytest.mark.parametrize("password", ["secret", "a wrong one", None])
def test_an_encrypted_client_key_is_read_with_its_password(
    authority: Authority, tmp_path: Path, password: str | None
) -> None:
    certificate, key = authority.client()
    cert_file, key_file = tmp_path / "client.pem", tmp_path / "client.key"
    cert_file.write_bytes(certificate)
    key_file.write_bytes(encrypted_key(key))
    with scripted_node(tls=authority.server_for_clients("127.0.0.1")) as served:
        node = served.node(
            ca_file=authority.ca_file,
            client_certificate=str(cert_file),
            client_key=str(key_file),
            client_key_password=None if password is None else SecretStr(password),
        )
        if password == "secret":
            with node_client(node, QUICK) as client:
                client.ping()
            assert served.paths() == [PING]
        else:
            error = refusal(node)
            assert type(error) is NodeMisconfigured
            assert f"its client certificate {cert_file} or {key_file} cannot be read" in str(error)
            assert_secret("a wrong one", *texts_of(error))


@pytest.mark.parametrize(
    "content",
    [None, b"", b"no certificate", encrypted_key()],
    ids=["missing", "empty", "no PEM", "a password"],
)
def test_an_unreadable_client_certificate_is_named_in_the_error(
    authority: Authority, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "my client.pem"
    if content is not None:
        path.write_bytes((authority.client()[0] if content.startswith(b"-----") else b"") + content)
    error = refusal(
        Node("n1", "127.0.0.1", SecretStr(API_KEY), ("s",), 443, "https", client_certificate=str(path))
    )
    assert type(error) is NodeMisconfigured
    assert str(path) in str(error)
